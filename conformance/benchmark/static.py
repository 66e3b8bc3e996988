"""The least that an HTTP server can do: bytes from memory, files from the page cache, and pictures
of such files.

Run under granian, it shows what the machine allows for an answer of some size: the same
client, the same server program, and nothing between them. Files come from the folder that
``BENCHMARK_FILES`` names.
"""

import os
from collections.abc import Awaitable, Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

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


@cache
def _coder() -> Callable[[bytes, int], bytes]:
    """What makes a JPEG of that many rows of 16 bits, as the codecs alone do."""
    from conformance.benchmark.render.codecs import encoded, window_table  # only for pictures

    table = window_table()

    def coded(data: bytes, rows: int) -> bytes:
        levels = np.frombuffer(data, "<u2").reshape(rows, -1)
        return encoded(table.take(levels), "image/jpeg")

    return coded


async def app(scope: dict[str, Any], receive: object, send: Send) -> None:
    """GET /bytes/{length}, /files/{name} and /pictures/{rows}/{name}."""
    kind, _, name = scope["path"].removeprefix("/").partition("/")
    media_type = b"application/octet-stream"
    if kind == "bytes":
        body = _bytes(int(name))
    else:
        rows, _, name = name.rpartition("/")
        descriptor, size = _open(name)
        body = os.pread(descriptor, size, 0)
        if kind == "pictures":
            media_type, body = b"image/jpeg", _coder()(body, int(rows))
    headers = [
        (b"content-type", media_type),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
