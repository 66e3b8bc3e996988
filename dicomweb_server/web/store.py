"""POST /studies and /studies/{study}: Store (PS3.18 §10.5, STOW-RS)."""

import asyncio
from collections import Counter

import orjson
from starlette.requests import Request
from starlette.responses import Response

from dicomweb_server.archive.posted import PostedIntake
from dicomweb_server.archive.store import Intake
from dicomweb_server.dicom.native_xml_text import to_xml
from dicomweb_server.errors import MalformedMultipart, Refusal, Unavailable, UnsupportedContent
from dicomweb_server.web.preconditions import check_preconditions
from dicomweb_server.web.requests import (
    accept_of,
    archive_of,
    base_url_of,
    note,
    principal_of,
    uids_of,
)
from dicomweb_server.web.responses import PRIVATE, DicomJSON
from dicomweb_server.web.retrieve import retrieve_instances
from dicomweb_server.web.store_body import (
    DICOM,
    OCTETS,
    Body,
    anything_stored,
    body_of,
    file_part,
    file_single,
    posted_part,
    posted_single,
    receive_parts,
    receive_single,
)
from dicomweb_server.wire.bulk_parts import JSON, METADATA, XML, PartType
from dicomweb_server.wire.media_types import (
    ALIASES,
    MULTIPART,
    ContentType,
    Offer,
    choose,
    parse_content_type,
)
from dicomweb_server.wire.multipart import check_boundary
from dicomweb_server.wire.resources import study_url
from dicomweb_server.wire.store_report import Failed, Result, Stored, failed, report

# STOW-05: one object, or one document, also where it is asked for as multipart.
ANSWERS = [
    Offer(JSON, multipart=False, default=True),
    Offer(XML, multipart=False),
    Offer(JSON, multipart=True),
    Offer(XML, multipart=True),
]


_REASONS, _LONGEST = 5, 200  # that the log tells of a request, and characters of each


async def store_instances(request: Request) -> Response:
    """Store what the body holds; each instance on its own (STOW-41)."""
    study = next(iter(uids_of(request)), None)
    answer = choose(accept_of(request), ANSWERS).offer.media_type
    content = _content_type(request)
    body = body_of(request)
    await check_preconditions(request, _list if study is None else retrieve_instances, creates=True)
    uploads: asyncio.Semaphore = request.app.state.uploads
    if uploads.locked():
        raise Unavailable("too many uploads at a time; try again")
    async with uploads:
        intake = Intake(archive_of(request), principal_of(request), study)
        try:
            cut = await _receive(request, body, content, intake)
        finally:
            intake.release()  # also what came whole from a client that has left (STOW-42)
        results = await intake.results()
    if cut is not None:
        if not anything_stored(results):
            try:
                raise cut
            finally:
                del cut  # which holds this frame, and with it the connection
        comment = f"the rest was not read: {cut}"
        results.append(failed("cannot_understand", comment=comment))
    if not results:
        raise MalformedMultipart("the request has no parts")  # STOW-02
    return _answer(request, results, answer)


async def _list(request: Request) -> Response:
    """What a condition on the list of studies is held against: it is there, and has no tag."""
    return Response(status_code=204)


def _answer(request: Request, results: list[Result], media_type: str) -> Response:
    base_url = base_url_of(request)
    status, module = report(results, base_url)
    note(request.scope, **_told(results))
    headers = {}
    studies = {r.study_instance_uid for r in results if isinstance(r, Stored)}
    if len(studies) == 1:
        headers["Location"] = study_url(base_url, studies.pop())
    if media_type == XML:
        headers |= {**PRIVATE, "Vary": "Accept", "Content-Type": XML}
        return Response(to_xml(module), status, headers)
    return DicomJSON(orjson.dumps(module), status, headers)


def _told(results: list[Result]) -> dict[str, object]:
    """What the log says of a store request: how many were stored, and why others were not."""
    refused = Counter((f"{r.reason:04X}", r.comment) for r in results if isinstance(r, Failed))
    found: dict[str, object] = {"stored": len(results) - refused.total()}
    if refused:
        common = refused.most_common(_REASONS)
        found["refused"] = refused.total()
        found["reasons"] = [f"{code} {text[:_LONGEST]} ({n})" for (code, text), n in common]
    return found


def _content_type(request: Request) -> ContentType:
    """What the request says it holds; one of the forms of Table 10.5.4-1, or a single part."""
    text = request.headers.get("content-type")
    if text is None:
        raise UnsupportedContent("the request has no Content-Type")
    content = parse_content_type(text)
    media_type = ALIASES.get(content.media_type, content.media_type)
    if media_type == DICOM or media_type in METADATA:
        return ContentType(media_type, content.parameters)
    if media_type != MULTIPART:
        raise UnsupportedContent(
            "expected multipart/related, application/dicom, application/dicom+json or "
            "application/dicom+xml"
        )
    if _root_type(content) not in (DICOM, OCTETS, *METADATA):
        raise UnsupportedContent(
            'expected multipart/related with type="application/dicom", '
            '"application/dicom+json" or "application/dicom+xml"'
        )
    if not content.parameters.get("boundary"):
        raise MalformedMultipart("the Content-Type has no boundary")
    check_boundary(content.parameters["boundary"])
    return content


def _root_type(content: ContentType) -> str:
    """The type of the parts that hold instances (MP-01)."""
    named = content.parameters.get("type", DICOM).lower()
    return ALIASES.get(named, named)


async def _receive(
    request: Request, body: Body, content: ContentType, intake: Intake
) -> Refusal | None:
    """Receive the body into `intake`; returns what broke it off after it began."""
    if content.media_type == DICOM:
        await receive_single(body, file_single(intake))
        return None
    multipart = content.media_type == MULTIPART
    root = _root_type(content) if multipart else content.media_type
    max_parts = intake.archive.settings.max_request_parts
    if root not in METADATA:
        return await receive_parts(body, content, file_part(intake), max_parts)
    posted = PostedIntake(intake, _request_url(request))
    try:
        if not multipart:
            await receive_single(body, posted_single(posted, PartType(root)))
            cut = None
        else:
            begin = posted_part(posted, root, content.parameters.get("start", ""))
            cut = await receive_parts(body, content, begin, max_parts)
        if cut is not None:  # what belongs together may not have come
            raise cut
        await posted.finish()
    finally:
        await posted.discard()
    return None


def _request_url(request: Request) -> str:
    """What relative URIs of the metadata are resolved against (STOW-11)."""
    study = next(iter(uids_of(request)), None)
    base = base_url_of(request)
    return study_url(base, study) if study else f"{base}/studies"
