"""Acknowledged means durable: kill -9 in the middle of a stream of stores (STOW-40)."""

import hashlib
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.make import ct_instance, multipart_body
from tests.running import RunningServer
from tests.web.asking import DICOM, REFERENCED, new_uid

ROUNDS = 3
CLIENTS = 4


class Sender(threading.Thread):
    """Stores small instances until the server goes away; notes what was acknowledged."""

    def __init__(self, server: RunningServer) -> None:
        super().__init__()
        self.server = server
        self.acknowledged: dict[str, str] = {}  # URL path, SHA-256

    def run(self) -> None:
        study, series = new_uid(), new_uid()
        with httpx.Client(timeout=30) as client:
            while True:
                files = [self.make(study, series) for _ in range(5)]
                body, content_type = multipart_body(file for _, file in files)
                try:
                    answer = client.post(
                        f"{self.server.base}/studies",
                        content=body,
                        headers={"Content-Type": content_type},
                    )
                except httpx.TransportError:
                    return
                assert answer.status_code == 200, answer.text
                taken = {
                    item["00081155"]["Value"][0] for item in answer.json()[REFERENCED]["Value"]
                }
                for sop, file in files:
                    assert sop in taken
                    path = f"studies/{study}/series/{series}/instances/{sop}"
                    self.acknowledged[path] = hashlib.sha256(file).hexdigest()

    def wait_for_an_answer(self) -> None:
        deadline = time.monotonic() + 60
        while not self.acknowledged:
            assert self.is_alive() and time.monotonic() < deadline
            time.sleep(0.02)

    def make(self, study: str, series: str) -> tuple[str, bytes]:
        sop = new_uid()
        file = ct_instance(study_uid=study, series_uid=series, sop_uid=sop, rows=64, columns=64)
        return sop, file


@pytest.fixture
def fresh(tmp_path: Path) -> RunningServer:
    return RunningServer(tmp_path / "data")


def test_nothing_acknowledged_is_lost_by_kill_9(fresh: RunningServer) -> None:
    acknowledged: dict[str, str] = {}
    for turn in range(ROUNDS):
        fresh.start()
        senders = [Sender(fresh) for _ in range(CLIENTS)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.wait_for_an_answer()
        time.sleep(0.2 + turn * 0.37)
        fresh.kill()
        for sender in senders:
            sender.join(60)
            acknowledged.update(sender.acknowledged)
    assert len(acknowledged) > ROUNDS * CLIENTS

    with fresh:
        assert not list((fresh.data_dir / "tmp").iterdir())  # nothing is left of what was cut off
        check_every_row_has_its_blob(fresh)
        accept = {"Accept": f"{DICOM}; transfer-syntax=*"}
        with httpx.Client(base_url=fresh.base, headers=accept) as client:
            for path, digest in acknowledged.items():
                answer = client.get(path)
                assert answer.status_code == 200, path
                assert hashlib.sha256(answer.content).hexdigest() == digest
        with httpx.Client(base_url=fresh.base) as client:
            check_counts(client)


def check_every_row_has_its_blob(server: RunningServer) -> None:
    """Through the search and the blobs folder: every instance found is a file, and whole."""
    blobs = {path.name.split("~")[0] for path in (server.data_dir / "blobs").rglob("*.dcm")}
    with httpx.Client(base_url=server.base) as client:
        found = client.get("instances", params={"limit": "5000"})
    assert {one["00080018"]["Value"][0] for one in found.json()} <= blobs


def check_counts(client: httpx.Client) -> None:
    for study in client.get("studies").json():
        [uid] = study["0020000D"]["Value"]
        instances = client.get(f"studies/{uid}/instances", params={"limit": "5000"}).json()
        assert study["00201208"]["Value"] == [len(instances)]
