"""GET …/bulkdata and …/pixeldata of studies, series and instances (PS3.18 §10.4.1.1.5).

Each value is negotiated by itself (§8.7.8.1): pixel data may be had in the compressed form that
they are stored in, by types that differ between the parts; what cannot be had in any is left out,
and the answer says so (WADO-09).
"""

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response

from dicomweb_server.archive import bulk_data, retrieve
from dicomweb_server.archive.content import Content
from dicomweb_server.dicom.frames import is_encapsulated, is_video, media_type_of
from dicomweb_server.dicom.pixels import DECODABLE
from dicomweb_server.errors import NotAcceptable
from dicomweb_server.index.bulk_data import PIXEL_PATHS, Holder
from dicomweb_server.index.digest import Version
from dicomweb_server.index.retrieve import Page, Position
from dicomweb_server.web.bulk_data import one_value
from dicomweb_server.web.conditions import not_modified, tag_of
from dicomweb_server.web.requests import (
    archive_of,
    base_url_of,
    choice_of,
    may_stay_encoded,
    principal_of,
    triple_of,
    uids_of,
)
from dicomweb_server.web.responses import PRIVATE, multipart
from dicomweb_server.wire.media_types import Offer, available
from dicomweb_server.wire.offers import ELE, OCTETS, bulk_offers
from dicomweb_server.wire.resources import bulk_url
from dicomweb_server.wire.search_results import warning


async def retrieve_all_bulk_data(request: Request) -> Response:
    """GET …/bulkdata: every value that the metadata refer to, a part each."""
    return await _retrieve(request, pixels_only=False)


async def retrieve_all_pixel_data(request: Request) -> Response:
    """GET …/pixeldata: (Float, Double Float) Pixel Data of the top level, and no other."""
    return await _retrieve(request, pixels_only=True)


async def bulk_data_of_instances(request: Request) -> Response:
    """What …/bulkdata answers to who would have octets (digest 1.4, trap 7)."""
    return await _in_parts(request, _Choices(request, pixels_only=False, only=OCTETS))


class _Choices:
    """The transfer syntax that a value goes in, negotiated once for all that are alike."""

    def __init__(self, request: Request, *, pixels_only: bool, only: str | None = None) -> None:
        self.pixels_only = pixels_only
        self._request = request
        self._only = only
        self._made: dict[tuple[str, bool], str | None] = {}
        self._only_decoded: set[str] = set()

    def offers(self, stored: str, *, pixels: bool) -> list[Offer]:
        offers = bulk_offers(stored, pixels=pixels)
        return [each for each in offers if self._only in (None, each.media_type)]

    def of(self, stored: str, *, pixels: bool) -> str | None:
        """None if it is left out; `pixels`: it is pixel data of the top level."""
        alike = stored, pixels
        if alike not in self._made:
            self._made[alike] = self._choose(stored, pixels=pixels)
        return self._made[alike]

    def _choose(self, stored: str, *, pixels: bool) -> str | None:
        try:
            choice = choice_of(self._request, self.offers(stored, pixels=pixels))
        except NotAcceptable:
            return None
        decoding = pixels and choice.transfer_syntax == ELE and is_encapsulated(stored)
        if decoding and not may_stay_encoded(self._request, choice):
            if stored not in DECODABLE:
                return None
            self._only_decoded.add(stored)
        return choice.transfer_syntax or ELE

    def may_stay_encoded(self, stored: str) -> bool:
        """Whether pixel data that cannot be decoded may go as stored."""
        return stored not in self._only_decoded

    def had(self, stored: str, *, pixels: bool, others: bool) -> list[bool]:
        """Whether the pixel data of an instance can be had, and the others that it has."""
        kinds = [True] * pixels + [False] * (others and not self.pixels_only)
        return [self.of(stored, pixels=each) is not None for each in kinds]


async def _retrieve(request: Request, *, pixels_only: bool) -> Response:
    if len(uids_of(request)) == 3:
        location, values = await bulk_data.locate_all_bulk(
            archive_of(request), principal_of(request), *triple_of(request), pixels_only=pixels_only
        )
        if len(values) == 1:  # one item, which may be had as a single part too
            [(path, value)] = values.items()
            return await one_value(request, location, path, value)
    return await _in_parts(request, _Choices(request, pixels_only=pixels_only))


async def _in_parts(request: Request, choices: _Choices) -> Response:
    archive, principal, uids = archive_of(request), principal_of(request), uids_of(request)
    # Before the values are located: what comes in between makes the tag old, never wrong.
    now = await retrieve.version(archive, principal, *uids)
    page = await _holders(request, pixels_only=choices.pixels_only)
    warned = None
    if not all(all(choices.had(uid, pixels=True, others=True)) for uid in now.transfer_syntaxes):
        warned = await _left_out(request, page, choices)
    return await _answer(request, now, page, choices, warned)


async def _left_out(request: Request, page: Page[Holder], choices: _Choices) -> str | None:
    """What to tell of what cannot be had, None if there is none of it. Raises NotAcceptable if
    nothing can."""
    counts = await bulk_data.count_holders(
        archive_of(request),
        principal_of(request),
        *uids_of(request)[:2],
        pixels_only=choices.pixels_only,
        page=page,
    )
    had = {key: choices.had(key[0], pixels=key[1], others=key[2]) for key in counts}
    if not any(map(any, had.values())):
        offers = {
            offer: None
            for stored, pixels, others in counts
            for kind in (True,) * pixels + (False,) * others
            for offer in choices.offers(stored, pixels=kind)
        }
        raise NotAcceptable(available(offers))
    lacking = sum(count for key, count in counts.items() if not all(had[key]))
    total = sum(counts.values())
    text = f"of {lacking} of {total} instances not all can be had as accepted; it is left out"
    return text if lacking else None


async def _holders(
    request: Request, *, pixels_only: bool, after: Position | None = None
) -> Page[Holder]:
    """The instances of the resource that have any. Raises NotFound if there is none (MP-08)."""
    archive, principal, uids = archive_of(request), principal_of(request), uids_of(request)
    if len(uids) < 3:
        return await bulk_data.list_holders(
            archive, principal, *uids, pixels_only=pixels_only, after=after
        )
    location, values = await bulk_data.locate_all_bulk(
        archive, principal, *triple_of(request), pixels_only=pixels_only
    )
    pixels = set(values).intersection(PIXEL_PATHS)
    return Page([Holder(location, bool(pixels), pixels != set(values))], None)


async def _answer(
    request: Request, now: Version, page: Page[Holder], choices: _Choices, warned: str | None
) -> Response:
    """The values of a resource that begins with `page`, in parts; it was as `now` tells before."""
    archive, principal = archive_of(request), principal_of(request)
    base_url, pixels_only = base_url_of(request), choices.pixels_only
    headers = {**PRIVATE, "Vary": "Accept"}
    if warned is not None:
        headers["Warning"] = warning(base_url, warned)
    stored = sorted(now.transfer_syntaxes)
    if not any(_is_decoded(uid, choices.of(uid, pixels=True)) for uid in stored):
        kind = "pixel data" if pixels_only else "all bulk data"
        wanted = [choices.of(uid, pixels=each) or "" for uid in stored for each in (True, False)]
        headers["ETag"] = tag_of(kind, *wanted, now.digest, base_url)
    if answer := not_modified(request, headers):
        return answer

    async def following(after: Position) -> Page[Holder]:
        return await _holders(request, pixels_only=pixels_only, after=after)

    async def parts() -> AsyncIterator[tuple[Content, str]]:
        async for holder in retrieve.all_of(page, following):
            syntax = holder.location.transfer_syntax_uid
            if not any(choices.had(syntax, pixels=holder.pixels, others=holder.others)):
                continue
            uids = retrieve.uids_of(holder.location)
            location, values = await bulk_data.locate_all_bulk(
                archive, principal, *uids, pixels_only=pixels_only
            )
            syntax = location.transfer_syntax_uid  # it may have been replaced
            sent = {
                path: value
                for path, value in values.items()
                if choices.of(syntax, pixels=path in PIXEL_PATHS) is not None
            }
            wanted = choices.of(syntax, pixels=True) or ELE
            contents = bulk_data.value_contents(
                archive,
                principal,
                location,
                sent,
                wanted,
                or_as_stored=choices.may_stay_encoded(syntax),
            )
            async for path, content in contents:
                yield content, bulk_url(base_url, *uids, path)

    response = await multipart(parts(), headers)
    response.status_code = 200 if warned is None else 206
    return response


def _is_decoded(stored: str, wanted: str | None) -> bool:
    """Whether pixel data goes out decoded if that can be done and else as stored: nobody can
    promise the same bytes."""
    if wanted is None or not is_encapsulated(stored) or is_video(stored):
        return False
    return wanted == ELE or media_type_of(stored) == OCTETS
