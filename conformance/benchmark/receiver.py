"""The least that a server written in Python can do with a store request, and be durable.

Run under granian: it cuts the body into parts, hashes and writes each, flushes and renames it,
and answers. It reads nothing of a file but the SOP Instance UID, keeps no index, and finds
nothing again. What a real server takes beyond this is its own; what this takes, none can save
that does the same. Files go into the folder that ``BENCHMARK_RECEIVED`` names, and stay there.
"""

import asyncio
import hashlib
import json
import os
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any

from dicomweb_server.wire.media_types import parse_content_type
from dicomweb_server.wire.multipart import MultipartParser, PartBegin, PartData

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Pieces = list[memoryview]

FOLDER = Path(os.environ.get("BENCHMARK_RECEIVED", "."))
SOP_INSTANCE_UID = b"\x08\x00\x18\x00UI"
SEARCHED = 4096  # bytes

_numbers = count()


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """POST /studies of multipart/related; type="application/dicom"; to anything else 204."""
    if scope["method"] != "POST":
        await _answer(send, 204, b"")
        return
    header = dict(scope["headers"])[b"content-type"].decode("latin-1")
    parser = MultipartParser(parse_content_type(header).parameters["boundary"])
    pieces: Pieces = []
    kept: list[asyncio.Future[str]] = []
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        for event in parser.feed(message.get("body", b"")):
            if isinstance(event, PartBegin):
                pieces = []
            elif isinstance(event, PartData):
                pieces.append(event.data)
            else:
                kept.append(asyncio.ensure_future(asyncio.to_thread(_keep, pieces)))
    done = await asyncio.gather(*kept)
    items = [{"00081155": {"vr": "UI", "Value": [uid]}} for uid in done]
    module = {"00081199": {"vr": "SQ", "Value": items}}
    await _answer(send, 200, json.dumps(module).encode())


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-length", str(len(body)).encode())] if body else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _keep(pieces: Pieces) -> str:
    """Make a file durable; returns its SOP Instance UID."""
    path, digest = FOLDER / f"{os.getpid()}-{next(_numbers)}.dcm", hashlib.sha256()
    partial = path.with_suffix(".part")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        for piece in pieces:
            digest.update(piece)
            view = piece
            while view:
                view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    partial.rename(path)
    folder = os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    head = b""
    for piece in pieces:
        head += piece[: SEARCHED - len(head)]
    return _uid(head)


def _uid(head: bytes) -> str:
    at = head.index(SOP_INSTANCE_UID) + len(SOP_INSTANCE_UID)
    length = int.from_bytes(head[at : at + 2], "little")
    return head[at + 2 : at + 2 + length].rstrip(b"\0").decode("ascii")
