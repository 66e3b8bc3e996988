"""Entity tags of answers, and 304 for who has them already (RFC 9110 §13)."""

from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response

from dicomweb_server import __version__
from dicomweb_server.wire.conditions import check_match, coded_tag, entity_tag, is_unmodified
from dicomweb_server.wire.content_coding import IDENTITY

# What a 304 repeats of the answer that it stands for (RFC 9110 §15.4.5).
_REPEATED = ("Cache-Control", "Vary", "Content-Location")


def tag_of(*seed: str | int | bytes) -> str:
    """The tag of bytes that follow from `seed`, and from what this version of the server makes
    of it: another one may decode, write or compress otherwise."""
    return entity_tag(__version__, *seed)


def not_modified(
    request: Request, headers: Mapping[str, str], codings: Sequence[str] = (IDENTITY,)
) -> Response | None:
    """The 304 for a client that has what would be sent with `headers`; None if it is to be sent.

    `headers` of the answer; without an ETag among them only ``*`` can be met. `codings`: the
    content codings in which the answer may go out. Raises PreconditionFailed.
    """
    tag = headers.get("ETag")
    tags = []
    if tag is not None:
        tags = [tag if coding == IDENTITY else coded_tag(tag, coding) for coding in codings]
    check_match(_list(request, "if-match"), tags)
    found = is_unmodified(_list(request, "if-none-match"), tags)
    if found is None:
        return None
    repeated = {name: headers[name] for name in _REPEATED if name in headers}
    return Response(status_code=304, headers={**({"ETag": found} if found else {}), **repeated})


def _list(request: Request, name: str) -> str | None:
    """Several lines of a header are one list (RFC 9110 §5.3)."""
    return ", ".join(request.headers.getlist(name)) or None
