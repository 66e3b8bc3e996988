"""What happens on a disk that is full: run in a mount namespace of its own, by its test.

``python -m tests.faults.full_disk FOLDER``, with DATABASE_URL in the environment, mounts a small
disk on the folder, and ends with an AssertionError or not at all.
"""

import contextlib
import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import httpx
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tests.faults.checking import check
from tests.faults.storing import OUT_OF_RESOURCES, Record
from tests.make import ct_instance, multipart_body, small_image, uid
from tests.make.posted import JSON
from tests.running import RunningServer
from tests.web.asking import DICOM, FAILED, OTHER, REFERENCED, path_of, store

SIZE = 6 << 20  # bytes of the disk
ROOM = 2 << 20  # bytes of it that are taken at first, and given back later
STUDY = uid("full disk")


class Sender:
    """Stores instances of 40 KB in one study, a batch of them a request."""

    def __init__(self, http: httpx.Client, record: Record) -> None:
        self.http = http
        self.record = record
        self.number = 0

    def store(self, batch: int) -> int:
        """How many of `batch` were stored; the others failed for want of room alone."""
        files = {}
        for _ in range(batch):
            self.number += 1
            sop = uid("full disk", self.number)
            files[sop] = ct_instance(
                study_uid=STUDY, series_uid=uid("series"), sop_uid=sop, rows=128, columns=128
            )
        self.record.add_sent(STUDY, files.values())
        body, content_type = multipart_body(files.values())
        answer = self.http.post("studies", content=body, headers={"Content-Type": content_type})
        if answer.status_code == 503:
            assert int(answer.headers["retry-after"]) > 0
            return 0
        module = answer.json()
        failures = [i for key in (FAILED, OTHER) for i in module.get(key, {}).get("Value", [])]
        assert all(item["00081197"]["Value"] == [OUT_OF_RESOURCES] for item in failures)
        stored = [i["00081155"]["Value"][0] for i in module.get(REFERENCED, {}).get("Value", [])]
        assert len(stored) + len(failures) == batch
        assert answer.status_code == (409 if not stored else 202 if failures else 200)
        self.record.add_acknowledged(STUDY, [files[sop] for sop in stored])
        return len(stored)


def main(folder: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(folder)], check=True)
    filler = folder / "filler"
    filler.write_bytes(bytes(ROOM))
    record = Record()
    with (
        RunningServer(folder / "data", {"CPU_WORKERS": "1", "ALLOW_DELETE": "true"}) as server,
        httpx.Client(base_url=server.base, timeout=60) as http,
    ):
        implicit = small_image(
            rows=128, columns=128, frames=3, transfer_syntax=ImplicitVRLittleEndian
        )
        [rewritten] = store(http, implicit)
        sender = Sender(http, record)
        while sender.store(5) == 5:
            assert sender.number < 1000
        for batch in (1, 5, 1, 20, 5):
            sender.store(batch)
        # The last small gaps: there is no room for the server's log either, which lies here too.
        brim = folder / "brim"
        fill(brim)
        assert [sender.store(1 + n % 5) for n in range(40)] == [0] * 40
        read_without_room(http, path_of(rewritten), implicit)
        assert http.delete(path_of(rewritten)).status_code == 204
        whole(server, record)

        filler.unlink()
        brim.unlink()
        metadata_without_room(http)
        assert server.scratch_left() == []
        assert sender.store(5) == 5
        while sender.store(5) == 5:
            assert sender.number < 1000
        whole(server, record)


def fill(path: Path) -> None:
    """Write until nothing more can be written."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(512))


def read_without_room(http: httpx.Client, path: str, file: bytes) -> None:
    """What is rewritten before it is sent is so in memory; frames and pictures are as ever."""
    answer = http.get(path, headers={"Accept": DICOM})
    assert answer.status_code == 200, answer.text
    sent, stored = (dcmread(BytesIO(data)) for data in (answer.content, file))
    assert sent.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert sent.PixelData == stored.PixelData
    exact = {"Accept": f"{DICOM}; transfer-syntax={ImplicitVRLittleEndian}"}
    assert http.get(path, headers=exact).content == file
    assert http.get(f"{path}/frames/2").status_code == 200
    assert http.get(f"{path}/rendered").status_code == 200


def metadata_without_room(http: httpx.Client) -> None:
    """Metadata that fit once, and not twice: their data sets cannot be written for the workers."""
    made = {"00420011": {"vr": "OB", "InlineBinary": "AAAA" * (ROOM * 3 // 16)}}
    content = json.dumps([made]).encode()
    answer = http.post("studies", content=content, headers={"Content-Type": JSON})
    assert answer.status_code == 503, answer.text
    assert "out of space" in answer.text
    assert int(answer.headers["retry-after"]) > 0


def whole(server: RunningServer, record: Record) -> None:
    """All that was acknowledged is readable, nothing else is seen, and no file is left over."""
    found = check(server, record)
    assert (found.lost, found.damaged) == (0, 0)
    assert found.instances == record.total() > 0
    assert server.scratch_left() == []
    blobs = [path for path in (server.data_dir / "blobs").rglob("*") if path.is_file()]
    assert len(blobs) == found.instances


if __name__ == "__main__":
    main(Path(sys.argv[1]))
