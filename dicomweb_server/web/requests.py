"""What every handler reads from a request."""

from collections.abc import Sequence
from dataclasses import replace

from starlette.requests import Request
from starlette.types import Scope

from dicomweb_server.access.principal import ANONYMOUS, Principal
from dicomweb_server.archive.archive import Archive
from dicomweb_server.errors import NotAcceptable
from dicomweb_server.wire.media_types import Choice, Offer, choose, names_syntax
from dicomweb_server.wire.offers import ELE
from dicomweb_server.wire.resources import parse_uid


def note(scope: Scope, **fields: object) -> None:
    """Add to the line that the log will have of a request. Nothing of content or queries."""
    noted: dict[str, object] = scope.get("noted", {})
    noted.update(fields)


def archive_of(request: Request) -> Archive:
    """The archive that the application's lifespan opened."""
    archive: Archive = request.app.state.archive
    return archive


def principal_of(request: Request) -> Principal:
    """Who is asking. Until access control is configured, everybody is the same."""
    del request
    return ANONYMOUS


def uids_of(request: Request) -> tuple[str, ...]:
    """The UIDs of the path, outermost first. Raises InvalidParameter (RES-05)."""
    params = request.path_params
    return tuple(
        parse_uid(name, params[name]) for name in ("study", "series", "instance") if name in params
    )


def base_url_of(request: Request) -> str:
    """The base of URLs in answers: configured, never taken from the Host header (BLK-01)."""
    return archive_of(request).settings.dicomweb_url


def accept_of(request: Request) -> str | None:
    """The Accept header; several lines of it are one list (RFC 9110 §5.3)."""
    return ", ".join(request.headers.getlist("accept")) or None


def accept_parameter_of(request: Request) -> str | None:
    """The ``accept`` parameter (PS3.18 §8.3.3.1)."""
    query_string: bytes = request.scope["query_string"]
    if b"accept" not in query_string and b"%" not in query_string:  # to parse it takes a while
        return None
    accept: str | None = request.query_params.get("accept")
    return accept


def accept_encoding_of(request: Request) -> str | None:
    """The Accept-Encoding header; an empty one is not the same as none (RFC 9110 §12.5.3)."""
    lines = request.headers.getlist("accept-encoding")
    return ", ".join(lines) if lines else None


def choice_of(request: Request, offers: Sequence[Offer]) -> Choice:
    """What to send of what can be had (PS3.18 §8.7). Raises NotAcceptable."""
    return choose(accept_of(request), offers, accept_parameter_of(request))


def may_stay_encoded(request: Request, choice: Choice) -> bool:
    """Whether what was chosen to be decoded may go as stored where that cannot be done: instead of
    the default it may (TS-05), and where that is accepted too; it may not for who names Explicit
    VR LE alone (PS3.18 §8.7.3)."""
    offer = choice.offer
    kept = tuple(uid for uid in offer.transfer_syntaxes if uid not in (ELE, *offer.encoded))
    try:
        choice_of(request, [replace(offer, transfer_syntaxes=kept)])
    except NotAcceptable:
        return False
    return bool(kept)


def asks_for_syntax(request: Request) -> bool:
    """Whether a transfer syntax is named in Accept or the ``accept`` parameter."""
    return names_syntax(accept_of(request), accept_parameter_of(request))


def triple_of(request: Request) -> tuple[str, str, str]:
    """The UIDs of the path of an instance, or of what lies below one."""
    study, series, instance = uids_of(request)
    return study, series, instance
