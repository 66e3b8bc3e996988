"""The choice among what can be had if images may be encoded anew (PS3.18 §8.7.3, TS-01 to TS-06).

What an image can be encoded in is only read for who would have it so; all else is chosen as
before, at no cost.
"""

from collections.abc import Sequence
from typing import Protocol

from starlette.requests import Request

from dicomweb_server.archive.encodings import Encodings, encodings_of, possible_targets
from dicomweb_server.errors import NotAcceptable
from dicomweb_server.index.retrieve import Location
from dicomweb_server.web.leaving import while_connected
from dicomweb_server.web.requests import archive_of, choice_of, principal_of
from dicomweb_server.wire.media_types import Choice, Offer


class Offers(Protocol):
    """What there is to choose from if it can be `encoded` in these syntaxes too."""

    def __call__(self, *, encoded: Sequence[str]) -> list[Offer]: ...


def asks_to_encode(request: Request, offers: Offers, possible: Sequence[str]) -> bool:
    """Whether what the client likes best is encoded in one of `possible`, if that can be done."""
    try:
        return choice_of(request, offers(encoded=possible)).transfer_syntax in possible
    except NotAcceptable:
        return False


async def choice_and_encodings(
    request: Request, location: Location, offers: Offers
) -> tuple[Choice, Encodings | None]:
    """What to send of one instance, and what is needed to encode it if it is to be.

    Raises NotAcceptable, with all that can be had.
    """
    possible = possible_targets(archive_of(request), location.transfer_syntax_uid)
    try:
        choice = choice_of(request, offers(encoded=possible))
    except NotAcceptable:
        if not possible:
            raise
    else:
        if choice.transfer_syntax not in possible:
            return choice, None
    reading = encodings_of(archive_of(request), principal_of(request), location)
    encodings = await while_connected(request, reading)
    choice = choice_of(request, offers(encoded=encodings.targets))
    return choice, encodings if choice.transfer_syntax in encodings.targets else None
