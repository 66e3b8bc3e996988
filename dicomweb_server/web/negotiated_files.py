"""The instances of a study or series, in transfer syntaxes that are named (PS3.18 §10.4.1.1.1,
WADO-09).

Each part is negotiated by itself (§8.7.8.1): an instance that cannot be had in the syntax that the
client likes best goes in what it likes next; one that cannot be had in any is left out, and the
answer says so. What each can be had in is known before the first is sent.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from dicomweb_server.archive import retrieve
from dicomweb_server.archive.content import Content
from dicomweb_server.archive.encodings import (
    Encodings,
    encoded_instance,
    encodings_of_several,
    is_lossy_allowed,
    possible_targets,
)
from dicomweb_server.archive.read_ahead import contents_ahead
from dicomweb_server.archive.workers import WorkerFailed
from dicomweb_server.dicom.pixels import DECODABLE
from dicomweb_server.dicom.transfer_syntaxes import is_encapsulated
from dicomweb_server.errors import ContentTooLarge, NotAcceptable, NotPart10, UndecodablePixels
from dicomweb_server.index.retrieve import Location, Page, Position
from dicomweb_server.web.conditions import not_modified, tag_of
from dicomweb_server.web.leaving import while_connected
from dicomweb_server.web.requests import (
    archive_of,
    base_url_of,
    choice_of,
    may_stay_encoded,
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
    """How many instances are sent and left out, and what each can be encoded in.

    `kept`: the syntaxes of those that are sent, if all of these go as they are stored.
    """

    sent: int
    omitted: int
    encodings: dict[str, Encodings]  # by SOP Instance UID; none if none is to be encoded
    choices: "_Choices"
    kept: tuple[str, ...] | None = None


class _Choices:
    """The transfer syntax that an instance goes in, negotiated once for all that are alike."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._made: dict[tuple[str, tuple[str, ...]], str | None] = {}
        self._only_decoded: set[str] = set()

    def syntax_of(self, location: Location, encodings: Encodings | None) -> str | None:
        """None if it is left out. What has come since the plan was made, of which nobody knows
        what it can be encoded in, can be had as it is, at most."""
        return self.of(location.transfer_syntax_uid, encodings.targets if encodings else ())

    def of(self, stored: str, encoded: tuple[str, ...] = ()) -> str | None:
        alike = stored, encoded
        if alike not in self._made:
            self._made[alike] = self._choose(*alike)
        return self._made[alike]

    def _choose(self, stored: str, encoded: tuple[str, ...]) -> str | None:
        offers = instance_offers([stored], complete=True, single=False, encoded=encoded)
        files = [offer for offer in offers if offer.media_type == DICOM]
        try:
            choice = choice_of(self._request, files)
        except NotAcceptable:
            return None
        if choice.transfer_syntax == ELE and not may_stay_encoded(self._request, choice):
            if is_encapsulated(stored) and stored not in DECODABLE:
                return None
            self._only_decoded.add(stored)
        return choice.transfer_syntax or ELE

    def may_stay_encoded(self, stored: str) -> bool:
        """Whether what cannot be decoded after all may go as stored."""
        return stored not in self._only_decoded


async def plan_files(request: Request, page: Page[Location], counts: Mapping[str, int]) -> Plan:
    """Negotiate every instance of the resource that begins with `page`; `counts` tells how many
    are in each transfer syntax, which is all there is to know if none is to be encoded."""
    choices = _Choices(request)
    may_be = {stored: possible_targets(archive_of(request), stored) for stored in counts}
    if any(choices.of(stored, encoded) in encoded for stored, encoded in may_be.items()):
        return await _plan_each(request, page, choices)
    syntaxes = {stored: syntax for stored in counts if (syntax := choices.of(stored)) is not None}
    sent = sum(counts[stored] for stored in syntaxes)
    as_it_is = all(retrieve.syntax_sent(*each) == each[0] for each in syntaxes.items())
    kept = tuple(sorted(syntaxes)) if as_it_is else None
    return Plan(sent, sum(counts.values()) - sent, {}, choices, kept)


async def _plan_each(request: Request, page: Page[Location], choices: _Choices) -> Plan:
    study, series = (*uids_of(request), None)[:2]
    assert study is not None
    possible = targets(lossy=is_lossy_allowed(archive_of(request)))
    reading = encodings_of_several(
        archive_of(request), principal_of(request), study, series, possible
    )
    encodings = await while_connected(request, reading)
    counts = {True: 0, False: 0}
    async for location in _locations(request, page):
        found = encodings.get(location.sop_instance_uid)
        counts[choices.syntax_of(location, found) is not None] += 1
    return Plan(counts[True], counts[False], encodings, choices)


async def negotiated_files(request: Request, page: Page[Location], plan: Plan) -> Response:
    """A part for each instance that can be had; 206 where others cannot (WADO-09).

    With a tag if all go as stored; what is made may turn out as something else.
    """
    archive, base_url = archive_of(request), base_url_of(request)
    headers = {**PRIVATE, "Vary": "Accept"}
    if plan.omitted:
        total = plan.sent + plan.omitted
        text = f"{plan.omitted} of {total} instances cannot be had as accepted and are left out"
        headers["Warning"] = warning(base_url, text)
    if plan.kept is not None:
        now = await retrieve.version(archive, principal_of(request), *uids_of(request))
        omitting = plan.kept if plan.omitted else ()
        headers["ETag"] = tag_of("files", now.digest, base_url, *omitting)
    if answer := not_modified(request, headers):
        return answer
    status = 206 if plan.omitted else 200
    if plan.kept is not None:
        # Anew, after the tag: what comes in between makes the tag old, never wrong.
        page = await retrieve.locate(archive, principal_of(request), *uids_of(request))
    if request.method == "HEAD" and plan.encodings:
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
        may_stay = plan.choices.may_stay_encoded(location.transfer_syntax_uid)
        return await retrieve.instance_content(archive, location, syntax, or_as_stored=may_stay)

    async def parts() -> AsyncIterator[tuple[Content, str]]:
        async for location in _locations(request, page):
            encodings = plan.encodings.get(location.sop_instance_uid)
            syntax = plan.choices.syntax_of(location, encodings)
            if syntax is None:
                continue
            content = await content_of(location, syntax, encodings)
            yield content, instance_url(base_url, *retrieve.uids_of(location))

    ahead = not plan.encodings and not archive.blobs.has_files
    contents = contents_ahead(parts()) if ahead else parts()
    response = await while_connected(request, multipart(contents, headers))
    response.status_code = status
    return response


def _locations(request: Request, page: Page[Location]) -> AsyncIterator[Location]:
    async def following(after: Position) -> Page[Location]:
        await asyncio.sleep(0)  # a page is gone through at once
        archive, principal = archive_of(request), principal_of(request)
        return await retrieve.locate(archive, principal, *uids_of(request), after=after)

    return retrieve.all_of(page, following)
