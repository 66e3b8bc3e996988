"""Clients that store without end while the server is killed, and what they know of it."""

import hashlib
import itertools
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import httpx

from tests.make import ct_instance, multipart_body, uid
from tests.web.asking import DICOM, FAILED, OTHER, REFERENCED

OUT_OF_RESOURCES = 0xA700
STUDY_SIZE = 60  # instances that a client sends to one study, so that studies stay small
PATIENCE = 300  # seconds for one answer, with all attempts

_numbers = itertools.count()


def new_uid() -> str:
    return uid("faults", next(_numbers))


@dataclass
class Record:
    """What was sent and what was acknowledged: SHA-256 of files by their study."""

    sent: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    acknowledged: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    unanswered: int = 0  # requests whose answer never came, all of them sent again
    refused: int = 0  # requests answered 503, or with an instance that was not taken: likewise
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add_sent(self, study: str, files: Iterable[bytes]) -> None:
        with self.lock:
            self.sent[study].update(map(_digest, files))

    def add_acknowledged(self, study: str, files: Iterable[bytes]) -> None:
        with self.lock:
            self.acknowledged[study].update(map(_digest, files))

    def total(self) -> int:
        """How many instances were acknowledged."""
        return sum(map(len, self.acknowledged.values()))


class Client(threading.Thread):
    """Stores `batch` instances a request, in a study that it may share with other clients.

    What was not acknowledged is sent again until it is: the same bytes, as a sender does
    whose connection broke (STOW-42). `errors` holds what no server may do.
    """

    def __init__(self, base: str, record: Record, batch: int, study: str | None = None) -> None:
        super().__init__(daemon=True)
        self.base = base
        self.record = record
        self.batch = batch
        self.shared = study
        self.running = threading.Event()  # cleared: finish the request under way, and wait
        self.running.set()
        self.idle = threading.Event()
        self.stopped = False
        self.errors: list[str] = []
        self.answers = 0

    def run(self) -> None:
        try:
            with httpx.Client(timeout=30) as http:
                while not self.stopped:
                    self._fill_study(http)
        except Exception as error:
            self.errors.append(f"{type(error).__name__}: {error}")
        finally:
            self.idle.set()

    def _fill_study(self, http: httpx.Client) -> None:
        study, series = self.shared or new_uid(), new_uid()
        for _ in range(STUDY_SIZE // self.batch):
            if not self.running.is_set():
                self.idle.set()
                self.running.wait()
                self.idle.clear()
            if self.stopped:
                return
            files = {sop: self._file(study, series, sop) for sop in self._names()}
            self.record.add_sent(study, files.values())
            self._send_until_taken(http, files)
            self.record.add_acknowledged(study, files.values())

    def _names(self) -> list[str]:
        return [new_uid() for _ in range(self.batch)]

    def _file(self, study: str, series: str, sop: str) -> bytes:
        return ct_instance(study_uid=study, series_uid=series, sop_uid=sop, rows=16, columns=16)

    def _send_until_taken(self, http: httpx.Client, files: dict[str, bytes]) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                answer = self._post(http, files)
            except httpx.ConnectError:  # not sent at all
                time.sleep(0.05)
                continue
            except httpx.TransportError:
                self.record.unanswered += 1
                time.sleep(0.05)
                continue
            if self._is_taken(answer, files):
                self.answers += 1
                return
            self.record.refused += 1
            time.sleep(0.1)
        raise AssertionError("the server never took what was sent")

    def _post(self, http: httpx.Client, files: dict[str, bytes]) -> httpx.Response:
        if self.batch == 1:
            [body], content_type = files.values(), DICOM
        else:
            body, content_type = multipart_body(files.values())
        headers = {"Content-Type": content_type}
        return http.post(f"{self.base}/studies", content=body, headers=headers)

    def _is_taken(self, answer: httpx.Response, files: dict[str, bytes]) -> bool:
        """Whether all was stored; else it has to be the server's lack of means."""
        if answer.status_code == 503:
            return False
        assert answer.status_code in (200, 202, 409), answer.text
        module = answer.json()
        assert OTHER not in module, answer.text
        failed = module.get(FAILED, {}).get("Value", [])
        assert all(item["00081197"]["Value"] == [OUT_OF_RESOURCES] for item in failed), answer.text
        taken = [
            item["00081155"]["Value"][0] for item in module.get(REFERENCED, {"Value": []})["Value"]
        ]
        assert sorted(taken + [item["00081155"]["Value"][0] for item in failed]) == sorted(files)
        assert (answer.status_code == 200) == (not failed), answer.text
        return not failed


class Clients:
    """Eight of them: single instances and batches of five, alone and into one study."""

    def __init__(self, base: str) -> None:
        self.record = Record()
        together = new_uid()
        self.all = [Client(base, self.record, batch) for batch in (1, 1, 5, 5)]
        self.all += [Client(base, self.record, batch, together) for batch in (1, 1, 5, 5)]

    def start(self) -> None:
        for client in self.all:
            client.start()

    def wait_for_answers(self) -> None:
        """Wait until some of the clients have had one more answer each."""
        before = [client.answers for client in self.all]
        deadline = time.monotonic() + PATIENCE
        while sum(c.answers > b for c, b in zip(self.all, before, strict=True)) < 2:
            self.check()
            assert time.monotonic() < deadline, "no store request is answered"
            time.sleep(0.02)

    def pause(self) -> None:
        """Let each finish what it is about, and wait."""
        for client in self.all:
            client.running.clear()
        for client in self.all:
            assert client.idle.wait(PATIENCE)
        self.check()

    def resume(self) -> None:
        """Go on, those who share a study in a new one."""
        together = new_uid()
        for client in self.all:
            client.shared = client.shared and together
            client.idle.clear()
            client.running.set()

    def stop(self) -> None:
        for client in self.all:
            client.stopped = True
            client.running.set()
        for client in self.all:
            client.join(PATIENCE)
        self.check()

    def check(self) -> None:
        """Raises AssertionError with what a client has met that may not be."""
        errors = [error for client in self.all for error in client.errors]
        assert not errors, errors[0]


def _digest(file: bytes) -> str:
    return hashlib.sha256(file).hexdigest()
