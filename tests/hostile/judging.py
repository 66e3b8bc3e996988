"""One judge of every exchange with the server: what it may answer, how long it may take, how much
memory it may use, and what it may tell.

All that is stored here is a patient's of a name and an identifier that occur nowhere else, so that
they are found wherever they should not be: in the body of a refusal, in its headers, in the log.
"""

import json
import os
import re
import socket
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.hostile.made import ID, NAME, Made, image
from tests.make import multipart_body
from tests.running import RunningServer

MIB = 1 << 20
# Of the processor, that the server may take for an exchange; and how much longer that may take
# by the clock, on a machine that is busy with others.
SECONDS = 4.0
BUSY = 5
MEMORY = 160 * MIB  # that a process may take for an exchange, above what it had
NEW_PROCESS = 200 * MIB  # that one may take by itself: a worker that was started meanwhile
ORIGINAL = {"Accept": "application/dicom; transfer-syntax=*"}

# Nothing of how the server is made, or of the machine it runs on.
_INSIDES = re.compile(
    r"Traceback|File \"|\.py\b|site-packages|asyncpg|postgres|starlette|pydicom|numpy|"
    r"SELECT |WHERE |/tmp/|/root/|/home/|/blobs/|object at 0x|Errno"
)


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    headers: httpx.Headers
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        return json.loads(self.content)


class Judge:
    """Asks a server, and holds each answer against what was allowed."""

    def __init__(self, server: RunningServer, http: httpx.Client) -> None:
        self.server = server
        self.http = http
        self.control = image()
        self._asked: list[tuple[str, int]] = []  # request id and status of what was refused
        self._read = 0  # bytes of the log
        self.faults_expected = False  # of storage: then the log may have errors
        stored = http.post(
            "studies", content=self.control.content, headers={"Content-Type": "application/dicom"}
        )
        assert stored.status_code == 200, stored.text

    def ask(
        self,
        method: str,
        path: str,
        allowed: Collection[int],
        *,
        seconds: float = SECONDS,
        memory: int = MEMORY,
        echo: str = "",
        **options: Any,
    ) -> Answer:
        """One request by httpx; `path` below the base URI, or from the root with a slash.

        `echo` is what of the request itself may stand in the answer.
        """
        url = f"{self.server.url}{path}" if path.startswith("/") else path
        with self._bounded(f"{method} {path[:80]}", seconds, memory):
            got = self.http.request(method, url, **options)
        answer = Answer(got.status_code, got.headers, got.content)
        return self._judged(f"{method} {path[:80]}", answer, allowed, echo)

    def post(
        self, content: bytes | Iterable[bytes], kind: str, allowed: Collection[int], **options: Any
    ) -> Answer:
        """Store a body of any type. Keyword arguments go to `ask`, `study` and `headers` apart."""
        headers = {"Content-Type": kind, **options.pop("headers", {})}
        study = options.pop("study", None)
        path = f"studies/{study}" if study else "studies"
        return self.ask("POST", path, allowed, content=content, headers=headers, **options)

    def store(self, files: Iterable[bytes], allowed: Collection[int], **options: Any) -> Answer:
        """Store PS3.10 files in one request of several parts."""
        content, kind = multipart_body(files)
        return self.post(content, kind, allowed, **options)

    def look(
        self, made: Made, resources: Collection[str] = (), **expected: Collection[int]
    ) -> None:
        """Ask for resources of an instance: each is there, is not, or is refused; and for its
        bytes, which are those that were sent."""
        for resource in resources or MOSTLY:
            allowed = expected.get(resource.split("/")[0] or "instance", (200, 404, 406))
            got = self.ask("GET", f"{made.path}/{resource}".rstrip("/"), allowed)
            if got.status == 200:
                assert got.headers["x-content-type-options"] == "nosniff"
        got = self.ask("GET", made.path, (200,), headers=_original_of(made))
        assert got.content == made.content
        assert got.headers["content-type"].startswith("application/dicom")

    def raw(
        self,
        pieces: Iterable[bytes] | bytes,
        allowed: Collection[int],
        *,
        seconds: float = SECONDS,
        memory: int = MEMORY,
        echo: str = "",
    ) -> Answer:
        """One request as bytes on a connection of its own; status 0 if it is only closed."""
        pieces = [pieces] if isinstance(pieces, bytes) else pieces
        said = f"{next(iter(pieces))[:60]!r}" if isinstance(pieces, list) else "a stream"
        with self._bounded(said, seconds, memory):
            answer = self._exchange(pieces, seconds)
        return self._judged(said, answer, allowed, echo)

    def _exchange(self, pieces: Iterable[bytes], seconds: float) -> Answer:
        address = ("127.0.0.1", self.server.port)
        received = b""
        with socket.create_connection(address, timeout=BUSY * seconds) as connection:
            # An answer may come before all is sent, and the connection may end then.
            with suppress(ConnectionError):
                for piece in pieces:
                    connection.sendall(piece)
            with suppress(ConnectionError):
                while not _is_whole(received):
                    data = connection.recv(MIB)
                    if not data:
                        break
                    received += data
        return _parsed(received)

    def _judged(
        self, said: str, answer: Answer, allowed: Collection[int], echo: str = ""
    ) -> Answer:
        told = answer.text.replace(echo, "") if echo else answer.text
        assert answer.status in allowed, f"{said}: {answer.status} {answer.text[:600]}"
        stored = "00081199" in told or "00081198" in told or "0008119A" in told
        if answer.status >= 400 or stored:
            fields = "\n".join(f"{name}: {value}" for name, value in answer.headers.multi_items())
            for where in (told, fields):
                assert NAME not in where, said
                assert ID not in where, said
                assert str(self.server.data_dir) not in where, said
                found = _INSIDES.search(where)
                assert found is None, f"{said}: {found} in {where[:600]}"
            assert len(answer.content) < MIB or stored
        request_id = answer.headers.get("x-request-id")
        if answer.status >= 400 and request_id:
            self._asked.append((request_id, answer.status))
        return answer

    def _bounded(self, said: str, seconds: float, memory: int) -> "_Bounded":
        return _Bounded(self.server, said, seconds, memory)

    def settle(self) -> None:
        """What was there before is as it was, and the log tells why what was refused."""
        got = self.ask("GET", self.control.path, (200,), headers=ORIGINAL, seconds=6)
        assert got.content == self.control.content, "what was stored before has changed"
        self._wait_for_scratch()
        self._check_log()

    def count(self) -> None:
        """Searches count what was stored before as they did; what they name is not logged."""
        query = {"StudyInstanceUID": self.control.study, "PatientID": ID, "PatientName": NAME}
        found = self.ask("GET", "studies", (200,), params=query, seconds=6).json()
        assert [each["00201208"]["Value"] for each in found] == [[1]]

    def _wait_for_scratch(self) -> None:
        assert not self.server.scratch_left(), "files are left in the scratch folder"

    def _check_log(self) -> None:
        deadline = time.monotonic() + 5
        while True:  # a line is written when its answer has been sent
            content = self.server.written(self._read)
            lines = [json.loads(line) for line in content.splitlines() if line.startswith(b"{")]
            told = {line["request_id"]: line for line in lines if line.get("event") == "request"}
            missing = [asked for asked, _ in self._asked if asked not in told]
            if not missing or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        self._read += len(content)
        text = content.decode("utf-8", "replace")
        assert NAME not in text, "the log names a patient"
        assert ID not in text, "the log names a patient"
        for asked, status in self._asked:
            line = told[asked]
            assert line["status"] in (status, 499)  # of a body that broke off
            reason = line.get("reason") or line.get("reasons") or line.get("failure")
            assert reason, f"the log does not say why: {line}"
        self._asked.clear()
        if not self.faults_expected:
            assert "Traceback" not in text
            assert [line for line in lines if line.get("level") == "error"] == []
        self.faults_expected = False


def _original_of(made: Made) -> dict[str, str]:
    """How to ask for the bytes that were sent (TS-03): Implicit VR and big endian by name."""
    found = re.search(rb"\x02\x00\x10\x00UI..([0-9.]+)", made.content[:1000], re.DOTALL)
    named = found is not None and found[1] in (b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.2")
    syntax = found[1].decode() if found and named else "*"
    return {"Accept": f"application/dicom; transfer-syntax={syntax}"}


PIXELS = ("frames/1", "rendered", "thumbnail")
MOSTLY = ("metadata", *PIXELS)
WHOLE = ("", *MOSTLY, "bulkdata", "pixeldata")


class _Bounded:
    """Holds time and memory of what happens within it against their bounds."""

    def __init__(self, server: RunningServer, said: str, seconds: float, memory: int) -> None:
        self._server = server
        self._said = said
        self._seconds = seconds
        self._memory = memory
        self._before: dict[int, int] = {}  # bytes
        self._worked: dict[int, float] = {}  # seconds

    def __enter__(self) -> None:
        for pid in self._server.processes():
            with suppress(OSError):
                Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew
                self._before[pid] = _held(pid, "VmRSS")
                self._worked[pid] = _worked(pid)
        self._begun = time.monotonic()

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        taken = time.monotonic() - self._begun
        if error is not None:
            return
        assert taken < BUSY * self._seconds, f"{self._said} took {taken:.1f} s"
        assert self._server.pid in self._before, "the server is gone"
        for pid in self._server.processes():
            with suppress(FileNotFoundError, ProcessLookupError):
                more = _held(pid, "VmHWM") - self._before.get(pid, NEW_PROCESS)
                assert more < self._memory, f"{self._said} took {more >> 20} MiB in a process"
                worked = _worked(pid) - self._worked.get(pid, 0.0)
                assert worked < self._seconds, f"{self._said} took {worked:.1f} s of the processor"


def _held(pid: int, what: str) -> int:
    """VmRSS or VmHWM of a process, in bytes; 0 for one that ends."""
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"{what}:\s*(\d+) kB", text)
    return int(found[1]) << 10 if found else 0


def _worked(pid: int) -> float:
    """Seconds of the processor that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _is_whole(received: bytes) -> bool:
    head, end, body = received.partition(b"\r\n\r\n")
    if not end:
        return False
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    if length:
        return len(body) >= int(length[1])
    return body.endswith(b"0\r\n\r\n")


def _parsed(received: bytes) -> Answer:
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    if not first.startswith("HTTP/1."):
        return Answer(0, httpx.Headers(), received)
    fields = [tuple(line.split(":", 1)) for line in lines]
    headers = httpx.Headers([(name, value.strip()) for name, value in fields])
    return Answer(int(first.split()[1]), headers, body)
