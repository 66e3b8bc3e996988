"""OHIF, a viewer that others wrote: fetched once, checked against its hash, and served.

The npm package holds the built pages, so nothing of it is installed or run here.
"""

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PACKAGE = "@ohif/app"
VERSION = "3.13.2"  # pinned: without it npm picks a version by its own Node's age
SHA512 = "WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="

REPOSITORY = Path(__file__).parents[2]
CACHE = REPOSITORY / "build" / "ohif"
CONFIG = REPOSITORY / "deploy" / "ohif" / "app-config.js"
FETCH_SECONDS = 300

# 139 of its 204 MB: a runtime for neural networks, which list and viewer do without.
LEFT_OUT = "package/dist/ort/"


class OhifError(Exception):
    """OHIF cannot be had; says why."""


def fetch() -> Path:
    """The folder of OHIF's pages, from the cache under ``build`` if it is there already.

    Raises OhifError if the package cannot be fetched, or is not the one that was pinned.
    """
    pages = CACHE / VERSION
    if not pages.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        tarball = CACHE / f"ohif-app-{VERSION}.tgz"
        if not tarball.exists():
            _download(tarball)
        _check(tarball)
        _unpack(tarball, pages)
    return pages


def _download(tarball: Path) -> None:
    command = ["npm", "pack", f"{PACKAGE}@{VERSION}", "--silent", f"--pack-destination={CACHE}"]
    try:
        # What it prints is the file's name; complaints go to standard error.
        subprocess.run(
            command,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=FETCH_SECONDS,
            cwd=CACHE,
        )
    except (subprocess.SubprocessError, OSError) as error:
        tarball.unlink(missing_ok=True)
        raise OhifError(f"{PACKAGE} {VERSION} could not be fetched with npm: {error}") from error
    if not tarball.exists():
        raise OhifError(f"npm did not write {tarball}")


def _check(tarball: Path) -> None:
    with tarball.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").digest()
    found = base64.b64encode(digest).decode()
    if found != SHA512:
        tarball.unlink()
        raise OhifError(f"{tarball.name} is not the file that was pinned: its SHA-512 is {found}")


def _unpack(tarball: Path, pages: Path) -> None:
    """Unpack beside and rename, so that a folder that is there is whole."""
    unpacking = CACHE / "unpacking"
    shutil.rmtree(unpacking, ignore_errors=True)
    with tarfile.open(tarball) as archive:
        wanted = [
            member
            for member in archive
            if member.name.startswith("package/dist/") and not member.name.startswith(LEFT_OUT)
        ]
        archive.extractall(unpacking, members=wanted, filter="data")
    (unpacking / "package" / "dist").rename(pages)
    shutil.rmtree(unpacking)


@contextmanager
def serving(pages: Path, dicomweb_url: str) -> Iterator[str]:
    """Serve OHIF at a free port of the loopback interface, set to read `dicomweb_url`.

    Gives the origin, such as ``http://127.0.0.1:3000``.
    """
    root = f"window.DICOMWEB_ROOT = {json.dumps(dicomweb_url)};\n"
    config = root + CONFIG.read_text(encoding="utf-8")
    handler = partial(_Pages, config.encode(), directory=str(pages))
    with _Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """Say nothing: a browser that leaves a page gives up what it asked for."""


class _Pages(SimpleHTTPRequestHandler):
    """Static files, where a path that is no file is one of the application's own."""

    protocol_version = "HTTP/1.1"

    def __init__(self, config: bytes, *args: Any, directory: str) -> None:
        self._config = config
        super().__init__(*args, directory=directory)

    def do_GET(self) -> None:
        if self.path.partition("?")[0] == "/app-config.js":
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "text/javascript; charset=utf-8")
            self.send_header("Content-Length", str(len(self._config)))
            self.end_headers()
            self.wfile.write(self._config)
            return
        if not Path(self.translate_path(self.path)).is_file():
            self.path = "/index.html"
        super().do_GET()

    def end_headers(self) -> None:
        # The page is isolated from other origins, as OHIF asks for: its decoders share memory
        # between threads. What it reads from the server must then be allowed by CORS.
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing: the browser's own report names what failed."""
