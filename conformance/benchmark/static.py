"""The least that an HTTP server can do: bytes from memory, files from the page cache.

Run under granian, it shows what the machine allows for an answer of some size: the same
client, the same server program, and nothing between them. Files come from the folder that
``BENCHMARK_FILES`` names.
"""

import os
from collections.abc import Awaitable, Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

Send = Callable[[dict[str, Any]], Awaitable[None]]

FOLDER = Path(os.environ.get("BENCHMARK_FILES", "."))


@lru_cache(maxsize=8)
def _bytes(length: int) -> bytes:
    return bytes(length)


@lru_cache(maxsize=1024)
def _open(name: str) -> tuple[int, int]:
    """A file descriptor that stays open, and the file's size."""
    descriptor = os.open(FOLDER / Path(name).name, os.O_RDONLY)
    return descriptor, os.fstat(descriptor).st_size


async def app(scope: dict[str, Any], receive: object, send: Send) -> None:
    """GET /bytes/{length} and /files/{name}."""
    kind, _, name = scope["path"].removeprefix("/").partition("/")
    if kind == "bytes":
        body = _bytes(int(name))
    else:
        descriptor, size = _open(name)
        body = os.pread(descriptor, size, 0)
    headers = [
        (b"content-type", b"application/octet-stream"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
