"""The instances of a study or series, some of them encoded anew (PS3.18 §10.4.1.1.1, WADO-09).

Each part is negotiated by itself (§8.7.8.1): an instance that cannot be had in the syntax that the
client likes best goes in what it likes next; one that cannot be had in any is left out, and the
answer says so. What each can be had in is known before the first is sent.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from dicomweb_server.archive import retrieve
from dicomweb_server.archive.content import Content
from dicomweb_server.archive.encodings import (
    Encodings,
    common,
    encoded_instance,
    encodings_of_several,
    is_lossy_allowed,
)
from dicomweb_server.archive.workers import WorkerFailed
from dicomweb_server.errors import ContentTooLarge, NotAcceptable, NotPart10, UndecodablePixels
from dicomweb_server.index.retrieve import Location, Page, Position
from dicomweb_server.web.conditions import not_modified
from dicomweb_server.web.leaving import while_connected
from dicomweb_server.web.requests import (
    archive_of,
    base_url_of,
    choice_of,
    principal_of,
    uids_of,
)
from dicomweb_server.web.responses import (
    PRIVATE,
    boundary_for,
    multipart,
    multipart_type,
    without_body,
)
from dicomweb_server.wire.offers import DICOM, ELE, instance_offers, targets
from dicomweb_server.wire.resources import instance_url
from dicomweb_server.wire.search_results import warning


@dataclass(frozen=True, slots=True)
class Plan:
    """How many instances are sent and left out; what each can be encoded in, and all can."""

    sent: int
    omitted: int
    encodings: dict[str, Encodings]  # by SOP Instance UID
    encoded: tuple[str, ...]
    choices: "_Choices"


class _Choices:
    """The transfer syntax that an instance goes in, negotiated once for all that are alike."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._made: dict[tuple[str, tuple[str, ...]], str | None] = {}

    def syntax_of(self, location: Location, encodings: Encodings | None) -> str | None:
        """None if it is left out. What has come since the plan was made, of which nobody knows
        what it can be encoded in, can be had as it is, at most."""
        alike = location.transfer_syntax_uid, encodings.targets if encodings else ()
        if alike not in self._made:
            self._made[alike] = self._choose(*alike)
        return self._made[alike]

    def _choose(self, stored: str, encoded: tuple[str, ...]) -> str | None:
        offers = instance_offers([stored], complete=True, single=False, encoded=encoded)
        files = [offer for offer in offers if offer.media_type == DICOM]
        try:
            return choice_of(self._request, files).transfer_syntax or ELE
        except NotAcceptable:
            return None


async def plan_files(request: Request, page: Page[Location]) -> Plan:
    """Negotiate every instance of the resource that begins with `page`."""
    study, series = (*uids_of(request), None)[:2]
    assert study is not None
    possible = targets(lossy=is_lossy_allowed(archive_of(request)))
    reading = encodings_of_several(
        archive_of(request), principal_of(request), study, series, possible
    )
    encodings = await while_connected(request, reading)
    choices = _Choices(request)
    counts = {True: 0, False: 0}
    async for location in _locations(request, page):
        found = encodings.get(location.sop_instance_uid)
        counts[choices.syntax_of(location, found) is not None] += 1
    by_all = common(encodings.values())
    encoded = tuple(uid for uid in possible if uid in by_all)
    return Plan(counts[True], counts[False], encodings, encoded, choices)


async def encoded_files(request: Request, page: Page[Location], plan: Plan) -> Response:
    """A part for each instance that can be had; 206 where others cannot (WADO-09).

    Without a tag, as what is decoded among several: it may go as stored instead.
    """
    archive, base_url = archive_of(request), base_url_of(request)
    headers = {**PRIVATE, "Vary": "Accept"}
    if plan.omitted:
        total = plan.sent + plan.omitted
        text = f"{plan.omitted} of {total} instances cannot be had as accepted and are left out"
        headers["Warning"] = warning(base_url, text)
    if answer := not_modified(request, headers):
        return answer
    status = 206 if plan.omitted else 200
    if request.method == "HEAD":
        return without_body(multipart_type(DICOM, boundary_for(headers)), headers, status)

    async def content_of(location: Location, syntax: str, encodings: Encodings | None) -> Content:
        if encodings is not None and syntax in encodings.targets:
            try:
                return await encoded_instance(archive, location, syntax, encodings)
            except (UndecodablePixels, WorkerFailed, ContentTooLarge, NotPart10):
                # Not what its attributes say: what is liked next, of what need not be encoded.
                other = plan.choices.syntax_of(location, None)
                if other is None:
                    raise
                syntax = other
        return await retrieve.instance_content(archive, location, syntax)

    async def parts() -> AsyncIterator[tuple[Content, str]]:
        async for location in _locations(request, page):
            encodings = plan.encodings.get(location.sop_instance_uid)
            syntax = plan.choices.syntax_of(location, encodings)
            if syntax is None:
                continue
            content = await content_of(location, syntax, encodings)
            yield content, instance_url(base_url, *retrieve.uids_of(location))

    response = await while_connected(request, multipart(parts(), headers))
    response.status_code = status
    return response


def _locations(request: Request, page: Page[Location]) -> AsyncIterator[Location]:
    async def following(after: Position) -> Page[Location]:
        await asyncio.sleep(0)  # a page is gone through at once
        archive, principal = archive_of(request), principal_of(request)
        return await retrieve.locate(archive, principal, *uids_of(request), after=after)

    return retrieve.all_of(page, following)
