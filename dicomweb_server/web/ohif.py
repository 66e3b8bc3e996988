"""GET /ohif/…: the viewer OHIF, which others wrote, if `make ohif` has put it beside the server.

Its pages are static. They are read from their folder as they are sent, packed where they lie
there packed; no other file ever is, for a path is only looked up among those that were listed.
What of the paths is no file but a page of the application's own gets its one HTML document.

The application is a page of the same origin as the services, and isolated from other origins, as
its decoders share memory between threads. It may load and reach nothing but this server.
"""

import asyncio
import base64
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

import structlog
from starlette.requests import Request
from starlette.responses import Response

from dicomweb_server.archive.content import Content, ScratchFile
from dicomweb_server.errors import NotFound
from dicomweb_server.web.conditions import not_modified, tag_of
from dicomweb_server.web.requests import accept_encoding_of
from dicomweb_server.web.responses import coded
from dicomweb_server.web.single_part import single_part
from dicomweb_server.wire.conditions import coded_tag
from dicomweb_server.wire.content_coding import BROTLI, CODINGS, GZIP, IDENTITY, accepted_codings

log = structlog.get_logger()

INDEX = "index.html"
MAX_FILES = 10_000  # the release has 200
MAX_INDEX = 1 << 20  # bytes

# Without a name for it nothing is run or shown: every answer says nosniff.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".jsonc": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".wasm": "application/wasm",
    ".webapp": "application/manifest+json",
    ".woff2": "font/woff2",
    ".xml": "text/xml; charset=utf-8",
}
_OCTETS = "application/octet-stream"
_PACKED = {BROTLI: ".br", GZIP: ".gz"}

# The application's own pages: its list, its modes, each with a data source, and what it tells.
_ROUTE = re.compile(
    r"|(viewer|basic|segmentation|tmtv|microscopy|dynamic-volume|usAnnotation)(/[A-Za-z0-9_-]{1,64})?"
    r"|local|localbasic|notfoundserver|notfoundstudy"
)

# The build puts a hash of what is in a file into its name.
_HASHED = re.compile(r"(^|[./])[0-9a-f]{16}\.")
_FOREVER = "public, max-age=31536000, immutable"
_CHECKED = "public, no-cache"

_INLINE = re.compile(rb"<script>(.*?)</script>", re.DOTALL)

_GUARDS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",  # of workers, too
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # addresses name studies
}
# Of workers, which have the policy of their own script.
_WORKER_POLICY = "; ".join(
    [
        "default-src 'none'",
        # The decoders are WebAssembly, whose glue makes functions of text.
        "script-src 'self' 'unsafe-eval'",
        "connect-src 'self'",
    ]
)
# Of what else there is: a picture or another page, opened by itself, does nothing.
_INERT = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    headers: Mapping[str, str]
    media_type: str
    codings: Mapping[str, Path]  # the same, packed


@dataclass(frozen=True, slots=True)
class _Release:
    """What lies in the folder, as it was listed. `version`: changes with the folder."""

    version: tuple[int, int] | None = None
    files: Mapping[str, _File] = field(default_factory=dict)
    index: bytes = b""
    index_headers: Mapping[str, str] = field(default_factory=dict)


class Ohif:
    """OHIF in a folder, which may come, change and go while the server runs."""

    def __init__(self, folder: Path, base_url: str) -> None:
        """`base_url`: of the server, as clients see it; its path stands before ``/ohif/``."""
        self._folder = folder
        self._path = quote(urlsplit(base_url).path, safe="/%") + "/ohif/"
        self._release = _Release()

    async def is_installed(self) -> bool:
        """Whether there is anything to be shown."""
        return (await self._newest()).version is not None

    async def get(self, request: Request, name: str) -> Response:
        """The answer to a request for the path `name` below ``/ohif/``. Raises NotFound."""
        if _ROUTE.fullmatch(name) or name == INDEX:
            return await _page(request, await self._newest())
        for release in (self._release, await self._newest()):
            if name in release.files:
                try:
                    return await _file(request, release.files[name])
                except FileNotFoundError:
                    continue  # it was replaced by another release
        raise NotFound("there is no such resource")

    async def _newest(self) -> _Release:
        """What lies in the folder now; it is listed anew if that has changed."""
        version = await asyncio.to_thread(_version, self._folder)
        if version != self._release.version:
            self._release = await asyncio.to_thread(_listed, self._folder, version, self._path)
        return self._release


async def ohif(request: Request) -> Response:
    """GET /ohif and what lies below it."""
    return await ohif_of(request).get(request, request.path_params.get("path", ""))


def ohif_of(request: Request) -> Ohif:
    """The viewer beside the server, installed or not."""
    viewer: Ohif = request.app.state.ohif
    return viewer


async def _page(request: Request, release: _Release) -> Response:
    if release.version is None:
        raise NotFound("OHIF is not installed: make ohif")
    unchanged = not_modified(request, release.index_headers, CODINGS)
    if unchanged is not None:
        return unchanged
    headers = release.index_headers
    return await coded(request, Response(release.index, media_type="text/html", headers=headers))


async def _file(request: Request, file: _File) -> Response:
    """Raises FileNotFoundError."""
    path, headers = file.path, dict(file.headers)
    coding = _coding(request, file)
    unchanged = not_modified(request, headers, (*file.codings, IDENTITY))
    if unchanged is not None:
        return unchanged
    if coding is not None:
        path = file.codings[coding]
        headers |= {"Content-Encoding": coding, "ETag": coded_tag(headers["ETag"], coding)}
    opened = await asyncio.to_thread(ScratchFile, path)
    return await single_part(request, Content.of_scratch(opened, file.media_type, ""), headers)


def _coding(request: Request, file: _File) -> str | None:
    """The coding of those that are there which is the smallest, Brotli, if it is accepted."""
    accepted = accepted_codings(accept_encoding_of(request))
    return next((coding for coding in file.codings if coding in accepted), None)


def _version(folder: Path) -> tuple[int, int] | None:
    """Changes when the folder is replaced; None without OHIF in it."""
    try:
        found = (folder / INDEX).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _listed(folder: Path, version: tuple[int, int] | None, path: str) -> _Release:
    if version is None:
        return _Release()
    try:
        return _Release(version, _files(folder), *_index(folder, path))
    except (OSError, ValueError) as error:
        log.error("OHIF cannot be served", folder=str(folder), reason=str(error))
        return _Release()


def _files(folder: Path) -> dict[str, _File]:
    """Every file below `folder`, by its path; links are not followed."""
    found: dict[str, os.stat_result] = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if not path.is_symlink():
                found[path.relative_to(folder).as_posix()] = path.stat()
        if len(found) > MAX_FILES:
            raise ValueError(f"there are more than {MAX_FILES} files")
    return {
        name: _described(folder, name, stat, found)
        for name, stat in found.items()
        if Path(name).suffix in _TYPES and name != INDEX
    }


def _described(
    folder: Path, name: str, stat: os.stat_result, found: Mapping[str, os.stat_result]
) -> _File:
    packed = {
        coding: folder / (name + suffix)
        for coding, suffix in _PACKED.items()
        if name + suffix in found
    }
    suffix = Path(name).suffix
    headers = {
        "ETag": tag_of("ohif", name, stat.st_size, stat.st_mtime_ns),
        "Cache-Control": _FOREVER if _HASHED.search(name) else _CHECKED,
        **_GUARDS,
        "Content-Security-Policy": _WORKER_POLICY if suffix in (".js", ".mjs") else _INERT,
    }
    if packed:
        headers["Vary"] = "Accept-Encoding"
    return _File(folder / name, headers, _TYPES[suffix], packed)


def _index(folder: Path, path: str) -> tuple[bytes, dict[str, str]]:
    """The HTML document and its headers. `make ohif` has it say that it lies at ``/ohif/``."""
    with (folder / INDEX).open("rb") as file:
        page = file.read(MAX_INDEX + 1)
    if len(page) > MAX_INDEX:
        raise ValueError(f"{INDEX} has more than {MAX_INDEX} bytes")
    page = page.replace(b'"/ohif/', f'"{path}'.encode())
    headers = {
        "ETag": tag_of("ohif", page),
        "Cache-Control": _CHECKED,
        **_GUARDS,
        "Content-Security-Policy": _policy(page),
    }
    return page, headers


def _policy(page: bytes) -> str:
    """The Content-Security-Policy of the application: its own scripts, and this server."""
    digests = (base64.b64encode(hashlib.sha256(text).digest()) for text in _INLINE.findall(page))
    scripts = " ".join(f"'sha256-{digest.decode()}'" for digest in digests)
    return "; ".join(
        [
            "default-src 'self'",  # what Firefox fetches before it is wanted has no other word
            # The decoders are WebAssembly, and what reads SEG makes functions of text.
            f"script-src 'self' 'unsafe-eval' {scripts}".rstrip(),
            "style-src 'self' 'unsafe-inline'",  # it makes style elements as it goes
            "img-src 'self' blob: data:",
            "font-src 'self' data:",
            "connect-src 'self' blob: data:",
            "media-src 'self' blob:",
            "worker-src 'self' blob:",
            "object-src 'self' blob:",  # documents
            "frame-src 'self' blob:",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'self'",
        ]
    )
