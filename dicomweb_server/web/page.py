"""GET / and the files of the web page: static, and what they are told of this server.

The page is plain HTML, CSS and ES modules below ``pages``; no other file is ever sent. Its URLs
are relative, so that it works behind a proxy that puts a path in front.
"""

from collections.abc import Iterator
from pathlib import Path

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from dicomweb_server import __version__
from dicomweb_server.archive.summary import summarise
from dicomweb_server.web.conditions import not_modified, tag_of
from dicomweb_server.web.ohif import ohif_of
from dicomweb_server.web.requests import archive_of, base_url_of, principal_of
from dicomweb_server.web.responses import coded
from dicomweb_server.wire.content_coding import CODINGS

PAGES = Path(__file__).parent / "pages"

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}

# Nothing inline, nothing from elsewhere. Frames hold reports and documents of this server.
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "frame-src 'self' blob:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
_GUARDS = {
    "Content-Security-Policy": POLICY,
    # Addresses name studies.
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def page_routes() -> Iterator[BaseRoute]:
    """The page, its files, and what it asks about the server."""
    yield Route("/", _File(PAGES / "index.html").send)
    for path in sorted(PAGES.rglob("*")):
        if path.suffix in (".css", ".js"):
            yield Route(f"/{path.relative_to(PAGES).as_posix()}", _File(path).send)
    yield Route("/page.json", about)
    yield Route("/summary.json", summary)


class _File:
    """A file of the page, read when the server starts."""

    def __init__(self, path: Path) -> None:
        self._content = path.read_bytes()
        self._media_type = _TYPES[path.suffix]
        # Asked for again each time, and seldom sent: a new version shows at once, as a whole.
        self._headers = {"Cache-Control": "no-cache", "ETag": tag_of("page", self._content)}
        self._headers |= _GUARDS

    async def send(self, request: Request) -> Response:
        """The file, or 304."""
        unchanged = not_modified(request, self._headers, CODINGS)
        if unchanged is not None:
            return unchanged
        response = Response(self._content, media_type=self._media_type, headers=self._headers)
        return await coded(request, response)


async def about(request: Request) -> Response:
    """GET /page.json: the version, the base URL for clients, and what else is served."""
    return _json(
        {
            "version": __version__,
            "base": base_url_of(request),
            "ohif": await ohif_of(request).is_installed(),
        }
    )


async def summary(request: Request) -> Response:
    """GET /summary.json: how much the caller may see. Raises Unavailable."""
    totals = await summarise(archive_of(request), principal_of(request))
    return _json(
        {
            "studies": totals.studies,
            "series": totals.series,
            "instances": totals.instances,
            "bytes": totals.bytes,
        }
    )


def _json(value: dict[str, object]) -> Response:
    headers = {"Cache-Control": "private, no-store"}
    return Response(orjson.dumps(value), media_type="application/json", headers=headers)
