"""GET …/metadata of studies, series and instances: Retrieve Metadata (PS3.18 §10.4.1.1.2)."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from starlette.requests import Request
from starlette.responses import Response

from dicomweb_server.archive import metadata, metadata_array, retrieve
from dicomweb_server.archive.metadata import url_of
from dicomweb_server.archive.metadata_array import Stage
from dicomweb_server.errors import NotFound
from dicomweb_server.index.marks import digest_of
from dicomweb_server.index.metadata_runs import Run
from dicomweb_server.index.retrieve import MetadataRow, Page, Position
from dicomweb_server.web.conditions import not_modified, tag_of
from dicomweb_server.web.keeping import Keeping
from dicomweb_server.web.requests import (
    accept_encoding_of,
    archive_of,
    base_url_of,
    choice_of,
    principal_of,
    uids_of,
)
from dicomweb_server.web.responses import (
    DICOM_JSON,
    DICOM_XML,
    PRIVATE,
    SMALL,
    VARY,
    DicomJSON,
    Pieces,
    coded,
    document_parts,
    in_turns,
    json_array,
    multipart_type,
)
from dicomweb_server.wire.array_runs import JoinedArray, array_length
from dicomweb_server.wire.conditions import boundary_of, coded_tag
from dicomweb_server.wire.content_coding import GZIP, IDENTITY, accepted_codings
from dicomweb_server.wire.offers import METADATA
from dicomweb_server.wire.projection import Projection, parse_projection

_ATTEMPTS = 3  # to read what was listed before something of it changes

# Instances of a body that is kept; to compare more with those of its tag holds up others.
_COMPARED = 10_000


async def retrieve_metadata(request: Request) -> Response:
    """GET …/metadata at three levels: one array (JSN-01), or a Native DICOM Model a part."""
    choice = choice_of(request, METADATA)
    projection = parse_projection(request.query_params.getlist("includefield"))
    if choice.offer.multipart or projection or "instance" in request.path_params:
        return await _one_by_one(request, projection, documents=choice.offer.multipart)
    return await _array(request)


async def _one_by_one(
    request: Request, projection: Projection | None, *, documents: bool
) -> Response:
    """What of each instance is made as it is sent."""
    archive, principal, uids = archive_of(request), principal_of(request), uids_of(request)
    base_url = base_url_of(request)

    def tagged(digest: bytes) -> str:
        return tag_of("metadata", int(documents), digest, base_url, str(projection or ""))

    digest = (await retrieve.version(archive, principal, *uids)).digest
    tag = tagged(digest)
    headers = {**PRIVATE, "Vary": VARY, "ETag": tag}
    codings = accepted_codings(accept_encoding_of(request))
    if codings and (answer := not_modified(request, headers, codings)):
        return answer

    sent: list[bytes] = []

    async def unchanged() -> bool:
        if len(sent) > _COMPARED or digest_of(sent) != digest:
            return False
        return (await retrieve.version(archive, principal, *uids)).digest == digest

    def keeping_of(tag: str) -> Keeping | None:
        if len(uids) == 3:  # one instance is soon made
            return None
        return Keeping.of(archive, uids[0], codings, tag, unchanged)

    keeping = keeping_of(tag)
    kind = multipart_type(DICOM_XML, boundary_of(tag)) if documents else DICOM_JSON
    if keeping and (kept := await keeping.find(kind, headers)):
        return kept
    page = await metadata.metadata(archive, principal, *uids)
    if page.after is None:  # what came in meanwhile is in the tag as it is in the body
        digest = digest_of(row.mark for row in page.items)
        tag = tagged(digest)
        keeping = keeping_of(tag)

    async def following(after: Position) -> Page[MetadataRow]:
        return await metadata.metadata(archive, principal, *uids, after=after)

    async def rows() -> AsyncIterator[MetadataRow]:
        async for row in retrieve.all_of(page, following):
            sent.append(row.mark)
            yield row

    boundary = boundary_of(tag) if documents else None
    one = len(page.items) == 1 and page.after is None
    response = await _body(request, rows(), projection, boundary, one=one)
    response.headers["ETag"] = tag
    response = await coded(request, response)
    return keeping.keep(response) if keeping else response


async def _body(
    request: Request,
    rows: AsyncIterator[MetadataRow],
    projection: Projection | None,
    boundary: str | None,
    *,
    one: bool,
) -> Response:
    """The array of what `rows` say, or a document a part between boundaries; `one`: of a single
    row."""
    archive, base_url = archive_of(request), base_url_of(request)

    async def texts() -> AsyncIterator[bytes]:
        async for row in rows:
            yield await metadata.projected_text(archive, row, url_of(base_url, row), projection)

    async def parts() -> AsyncIterator[tuple[bytes, str]]:
        async for row in rows:
            url = url_of(base_url, row)
            document = await metadata.metadata_document(archive, row, url, projection)
            yield document, f"{url}/metadata"

    if boundary is not None:
        return document_parts(parts(), boundary)
    if one:
        return DicomJSON(b"".join([b"[", *[text async for text in texts()], b"]"]))
    return json_array(texts())


async def _array(request: Request) -> Response:
    """The array of a study or series, of runs that are deflated already."""
    archive, principal = archive_of(request), principal_of(request)
    study, *series = uids_of(request)
    codings = accepted_codings(accept_encoding_of(request))
    for _ in range(_ATTEMPTS):
        runs = await metadata_array.list_runs(archive, principal, study, *series)
        tag = tag_of("metadata", DICOM_JSON, base_url_of(request), *(run.digest for run in runs))
        headers = {**PRIVATE, "Vary": VARY, "ETag": tag}
        if codings and (answer := not_modified(request, headers, codings)):
            return answer

        async def unchanged(runs: Sequence[Run] = runs) -> bool:
            return await metadata_array.list_runs(archive, principal, study, *series) == runs

        keeping = None
        if codings[:1] != (GZIP,):  # as gzip the runs are sent as they are
            keeping = Keeping.of(archive, study, codings, tag, unchanged)
        if keeping and (kept := await keeping.find(DICOM_JSON, headers)):
            return kept
        stages = metadata_array.read_runs(archive, principal, study, runs)
        first = await anext(stages)
        if first.unchanged:
            break
    if not first.texts:
        raise NotFound("what was asked for is being deleted")
    answer = await _joined(request, headers, first, stages, whole=len(first.texts) == len(runs))
    return keeping.keep(answer) if keeping else answer


async def _joined(
    request: Request,
    headers: dict[str, str],
    first: Stage,
    following: AsyncIterator[Stage],
    *,
    whole: bool,
) -> Response:
    """The answer of texts that are deflated, in the content coding that is liked best; `whole`:
    nothing follows the first. `headers` are those of one without a coding."""
    codings = accepted_codings(accept_encoding_of(request))
    small = whole and array_length(first.texts, IDENTITY) < SMALL and IDENTITY in codings
    packed = codings[:1] == (GZIP,) and not small
    coding = GZIP if packed else IDENTITY
    if whole:
        headers["Content-Length"] = str(array_length(first.texts, coding))
    if packed:
        headers |= {"Content-Encoding": GZIP, "ETag": coded_tag(headers["ETag"], GZIP)}
    pieces = _pieces(JoinedArray(coding), first, following)
    response = Pieces(in_turns(pieces), headers=headers, media_type=DICOM_JSON)
    return response if packed else await coded(request, response)


async def _pieces(
    array: JoinedArray, first: Stage, following: AsyncIterator[Stage]
) -> AsyncGenerator[bytes, None]:
    for run in first.texts:
        for piece in array.add(run):
            yield piece
    async for stage in following:
        for run in stage.texts:
            for piece in array.add(run):
                yield piece
    yield array.finish()
