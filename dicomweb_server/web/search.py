"""GET on /studies, /series, /instances and below: Search (PS3.18 §10.6, QIDO-RS)."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache, partial

from starlette.requests import Request
from starlette.responses import Response

from dicomweb_server.archive.search import search
from dicomweb_server.dicom.query import Found, Level, SearchQuery
from dicomweb_server.index.search import SearchPage
from dicomweb_server.web.conditions import not_modified
from dicomweb_server.web.requests import (
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
    VARY,
    DicomJSON,
    coded,
    json_array,
    xml_parts,
)
from dicomweb_server.wire.cursors import next_query
from dicomweb_server.wire.media_types import Choice, Offer
from dicomweb_server.wire.search import parse_search
from dicomweb_server.wire.search_results import ResultWriter, remaining_text, warning

WITH_METADATA = 200  # results at the most that need the whole metadata of instances, all in memory
_AT_ONCE = 8  # results: well below a millisecond, unless they need the whole metadata
FEW = 20  # results that are written at once: 2 ms
# Bytes: proxies take 4 kB of headers and answer 502 to more, unless they are told otherwise.
LONGEST_LINK = 2000
_SHORT = 1 << 10  # bytes of a query that is parsed at once: 3 ms; 768 private keys take 50
# Work lists ask the same all day; what was parsed is never changed.
_parsed = lru_cache(256)(parse_search)
_REMEMBERED = 1 << 8  # bytes of a query
# Digest 1.4. XML as a single part is no offer: results are many, also where one is found (NEG-03).
RESULTS = [
    Offer(DICOM_JSON, multipart=False, default=True),
    Offer(DICOM_XML, multipart=True),
]


async def search_studies(request: Request) -> Response:
    """GET /studies."""
    return await _search(request, Level.STUDY)


async def search_series(request: Request) -> Response:
    """GET /series and /studies/{study}/series."""
    return await _search(request, Level.SERIES)


async def search_instances(request: Request) -> Response:
    """GET /instances, /studies/{study}/instances and …/series/{series}/instances."""
    return await _search(request, Level.INSTANCE)


async def _search(request: Request, level: Level) -> Response:
    archive = archive_of(request)
    choice = choice_of(request, RESULTS)
    study, series = (*uids_of(request), None, None)[:2]
    settings = archive.settings
    query_string = request.scope["query_string"]
    ask = partial(
        _parsed if len(query_string) <= _REMEMBERED else parse_search,
        level,
        query_string,
        study_instance_uid=study,
        series_instance_uid=series,
        max_results=settings.max_results,
        local_zone=settings.local_zone,
    )
    parsed = ask() if len(query_string) <= _SHORT else await asyncio.to_thread(ask)
    base_url = base_url_of(request)
    query = parsed.query
    writer = ResultWriter(query, base_url)
    if writer.returned.metadata:
        query = replace(query, limit=min(query.limit, WITH_METADATA))
    page = await search(archive, principal_of(request), query, writer.returned)
    if answer := not_modified(request, {**PRIVATE, "Vary": VARY}):  # it has no tag: of * alone
        return answer
    if page.found:
        response = await coded(request, _answer(choice, writer, page.found))
    else:
        headers = {**PRIVATE, "Vary": VARY}
        response = Response(status_code=204, headers=headers)  # not an empty list (4.7)
    warnings = [*parsed.warnings]
    if page.remaining or not page.exact:
        warnings.append(remaining_text(page.remaining, exact=page.exact))
    for text in warnings:
        response.headers.append("Warning", warning(base_url, text))
    _add_paging(request, response, query, page)
    return response


def _answer(choice: Choice, writer: ResultWriter, found: Sequence[Found]) -> Response:
    if choice.offer.multipart:
        return xml_parts(_written(writer, found))
    if len(found) > FEW or writer.returned.metadata:
        return json_array(_joined(writer, found))
    return DicomJSON(b"[" + b",".join([writer.write(each) for each in found]) + b"]")


async def _written(writer: ResultWriter, results: Iterable[Found]) -> AsyncIterator[bytes]:
    for found in results:
        yield writer.write(found)


async def _joined(writer: ResultWriter, results: Sequence[Found]) -> AsyncIterator[bytes]:
    """A few at a time, with commas between: to hand over each by itself takes as long as to
    write it."""
    at_once = 1 if writer.returned.metadata else _AT_ONCE
    for start in range(0, len(results), at_once):
        few = results[start : start + at_once]
        yield b",".join([writer.write(found) for found in few])


def _add_paging(request: Request, response: Response, query: SearchQuery, page: SearchPage) -> None:
    """How many there are on all pages, and where the next one is (extensions)."""
    if page.exact and query.after is None:
        passed = query.offset + len(page.found)
        if page.found or not query.offset:
            response.headers["X-Total-Count"] = str(passed + page.remaining)
    if not page.found or (page.exact and not page.remaining):
        return
    place, orderby = page.found[-1].place, request.query_params.get("orderby", "")
    query_string = next_query(request.scope["query_string"], place, orderby)
    path = request.url.path.removeprefix("/dicomweb")
    link = f'<{base_url_of(request)}{path}?{query_string}>; rel="next"'
    if len(link) <= LONGEST_LINK:  # whoever asks so much at once goes on by an offset
        response.headers["Link"] = link
