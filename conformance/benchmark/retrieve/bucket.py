"""A bucket that is far away: files of a folder, each answer some milliseconds late.

``python -m conformance.benchmark.retrieve.bucket PORT FOLDER MILLISECONDS``. It speaks as much of
S3's protocol as a viewer's server needs (GET and HEAD of an object, with a Range; PUT of one in
one piece; an empty listing), does not look at signatures, and costs the processors next to
nothing: moto and Ceph's gateway take longer for an object than the server that is measured, on
the same two cores.
"""

import asyncio
import re
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

_RANGE = re.compile(r"^range: *bytes=(\d+)-(\d*)\s*$", re.IGNORECASE | re.MULTILINE)
_LENGTH = re.compile(r"^content-length: *(\d+)\s*$", re.IGNORECASE | re.MULTILINE)
_EXPECT = re.compile(r"^expect: *100-continue\s*$", re.IGNORECASE | re.MULTILINE)
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
                method, target, _ = head.split(" ", 2)
                if method == "PUT":
                    await self._take(target, head, reader, writer)
                    await asyncio.sleep(self._delay)
                    writer.write(_head("200 OK", 0))
                    continue
                await asyncio.sleep(self._delay)
                await self._answer(method, target, head, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has left
        finally:
            writer.close()

    def _path(self, target: str) -> Path | None:
        """The file of an object; None for the bucket itself, and for what is not below it."""
        _, _, key = unquote(urlsplit(target).path).lstrip("/").partition("/")
        path = (self._folder / key).resolve()
        return path if key and path.is_relative_to(self._folder) else None

    async def _take(
        self, target: str, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        path, length = self._path(target), _LENGTH.search(head)
        if path is None or length is None:
            raise OSError("no object")
        if _EXPECT.search(head):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        part.write_bytes(await reader.readexactly(int(length[1])))
        part.rename(path)

    async def _answer(
        self, method: str, target: str, head: str, writer: asyncio.StreamWriter
    ) -> None:
        if not unquote(urlsplit(target).path).lstrip("/").partition("/")[2]:
            writer.write(_head("200 OK", len(_LISTING)) + _LISTING)
            return
        path = self._path(target)
        if path is None or not path.is_file():
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
