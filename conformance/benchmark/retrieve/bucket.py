"""A bucket that is read from far away: files of a folder, each answer some milliseconds late.

``python -m conformance.benchmark.retrieve.bucket PORT FOLDER MILLISECONDS``. It speaks as much of
S3's protocol as reading takes (GET and HEAD of an object, with a Range; an empty listing), does
not look at signatures, and costs the processors next to nothing: moto and Ceph's gateway take
longer for an object than the server that is measured, on the same two cores.
"""

import asyncio
import re
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

_RANGE = re.compile(r"^range: *bytes=(\d+)-(\d*)\s*$", re.IGNORECASE | re.MULTILINE)
_LISTING = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"


class Bucket:
    """Answers for the objects below `folder`, `delay` seconds late."""

    def __init__(self, folder: Path, delay: float) -> None:
        self._folder = folder.resolve()
        self._delay = delay

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One kept-alive connection, to its end."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                await asyncio.sleep(self._delay)
                method, target, _ = head.split(" ", 2)
                await self._answer(method, target, head, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has left
        finally:
            writer.close()

    async def _answer(
        self, method: str, target: str, head: str, writer: asyncio.StreamWriter
    ) -> None:
        _, _, key = unquote(urlsplit(target).path).lstrip("/").partition("/")
        if not key:
            writer.write(_head("200 OK", len(_LISTING)) + _LISTING)
            return
        path = (self._folder / key).resolve()
        if not (path.is_relative_to(self._folder) and path.is_file()):
            writer.write(_head("404 Not Found", 0))
            return
        size = path.stat().st_size
        wanted = _RANGE.search(head)
        first = int(wanted[1]) if wanted else 0
        last = min(int(wanted[2]) if wanted and wanted[2] else size - 1, size - 1)
        if first > last and size:
            writer.write(_head("416 Range Not Satisfiable", 0))
            return
        length = last + 1 - first
        status, where = "200 OK", ""
        if wanted:
            status, where = "206 Partial Content", f"Content-Range: bytes {first}-{last}/{size}\r\n"
        writer.write(_head(status, length, where))
        if method == "GET" and length:
            with path.open("rb") as file:
                # The kernel sends it; the bytes are never ours.
                await asyncio.get_running_loop().sendfile(writer.transport, file, first, length)
        await writer.drain()


def _head(status: str, length: int, more: str = "") -> bytes:
    fields = f'Content-Length: {length}\r\nETag: "0"\r\nAccept-Ranges: bytes\r\n{more}'
    return f"HTTP/1.1 {status}\r\n{fields}\r\n".encode("latin-1")


async def run(port: int, folder: Path, milliseconds: float) -> None:
    """Serve on loopback until the process is ended."""
    bucket = Bucket(folder, milliseconds / 1000)
    server = await asyncio.start_server(bucket.serve, "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])))
