"""A part of 3 GB is streamed: the server's memory stays flat, and the bytes come back whole."""

import hashlib
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import httpx
from pydicom import dcmread

from tests.make import small_image
from tests.running import RunningServer
from tests.web.asking import DICOM, new_uid, path_of

SIZE = 3 << 30
ALLOWED = 150 << 20  # bytes of memory above idle


def memory_of_tree(root: int) -> int:
    """Proportional memory of the server's own processes, Postgres left out, in bytes."""
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(status.parent.name))
    total, waiting = 0, [root]
    while waiting:
        pid = waiting.pop()
        waiting += children.get(pid, [])
        try:
            if "postgres" in (Path("/proc") / str(pid) / "cmdline").read_text():
                continue
            rollup = (Path("/proc") / str(pid) / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        # Anonymous memory: what is mapped from files is the page cache's.
        total += sum(int(line.split()[1]) * 1024 for line in rollup if line.startswith("Anonymous"))
    return total


def large_file(sop: str) -> tuple[bytes, int]:
    """The beginning of a native image of SIZE bytes of pixels; the rest is zeros."""
    dataset = dcmread(BytesIO(small_image(rows=2048, columns=2048, frames=1)))
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = new_uid(), new_uid()
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = sop
    frame = len(dataset.PixelData)
    dataset.NumberOfFrames = SIZE // frame
    del dataset.PixelData
    out = BytesIO()
    dataset.save_as(out)
    length = (SIZE // frame) * frame
    head = b"\xe0\x7f\x10\x00OW\x00\x00" + length.to_bytes(4, "little")
    return out.getvalue() + head, length


def test_three_gigabytes_in_one_part(tmp_path: Path) -> None:
    head, length = large_file(new_uid())
    digest = hashlib.sha256(head)
    megabyte = bytes(1 << 20)

    def body() -> Iterator[bytes]:
        yield b"--b\r\nContent-Type: application/dicom\r\n\r\n" + head
        for _ in range(length >> 20):
            digest.update(megabyte)
            yield megabyte
        yield b"\r\n--b--\r\n"

    assert length % (1 << 20) == 0
    with RunningServer(tmp_path / "data") as server, httpx.Client(timeout=300) as client:
        idle = memory_of_tree(server.pid)
        peak = Peak(server.pid)
        peak.start()
        answer = client.post(
            f"{server.base}/studies",
            content=body(),
            headers={"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'},
        )
        assert answer.status_code in (200, 202), answer.text
        path = path_of(dcmread(BytesIO(head), stop_before_pixels=True))
        got = hashlib.sha256()
        accept = {"Accept": f"{DICOM}; transfer-syntax=*"}
        with client.stream("GET", f"{server.base}/{path}", headers=accept) as response:
            for chunk in response.iter_bytes(1 << 20):
                got.update(chunk)
        assert got.digest() == digest.digest()
        # Near the end, and nothing of what stands before is read.
        ends = {**accept, "Range": f"bytes=-8,{len(head) + SIZE // 2}-{len(head) + SIZE // 2 + 7}"}
        part = client.get(f"{server.base}/{path}", headers=ends)
        assert part.status_code == 206
        assert part.content.count(bytes(8)) == 2
        assert f"/{len(head) + length}".encode() in part.content
        frame = client.get(f"{server.base}/{path}/frames/300")
        assert frame.status_code == 200
        as_zip(client, f"{server.base}/{path}", len(head) + length)
        peak.stop()
        assert peak.highest - idle < ALLOWED


def as_zip(client: httpx.Client, url: str, size: int) -> None:
    """The same in a ZIP file, of the stated length, whose checksum holds."""
    name, crc, total, begin, tail = b"DICOM/SE000001/IM000001", 0, 0, 0, b""
    with client.stream("GET", url, headers={"Accept": "application/zip"}) as response:
        for chunk in response.iter_bytes(1 << 20):
            begin = begin or chunk.index(name) + len(name)
            data = chunk[max(0, begin - total) : max(0, begin + size - total)]
            crc = zlib.crc32(data, crc)
            total += len(chunk)
            tail = (tail + chunk)[-4096:]
        assert total == int(response.headers["content-length"])
    header = tail.rindex(name) - 46  # in the central directory
    assert tail[header + 16 : header + 28] == struct.pack("<3I", crc, size, size)


class Peak(threading.Thread):
    """Watches the memory of a process tree."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid = pid
        self.highest = 0
        self.stopped = threading.Event()

    def run(self) -> None:
        while not self.stopped.is_set():
            self.highest = max(self.highest, memory_of_tree(self.pid))
            time.sleep(0.2)

    def stop(self) -> None:
        self.stopped.set()
        self.join(10)
