"""How much memory an upload takes: one very large part, and very many parts.

The bodies are made while they are sent. What is measured is the kernel's own record of each
process's largest resident set (VmHWM), set back before the upload, so that no moment is missed.
Part of it are pages of the uploaded file that are mapped while it is described: they are the
page cache's, and given back when memory is short. So the anonymous part is given too, sampled.
"""

import asyncio
import shutil
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.encaps import generate_frames
from pydicom.uid import RLELossless

from conformance.benchmark.client import AnswerError, Request, Stream, ask_once
from conformance.benchmark.items import DICOM_JSON, FRAMES, all_stored
from conformance.benchmark.load import Ask, load
from conformance.benchmark.processes import is_postgres
from conformance.benchmark.run import Progress, Target
from tests.make import part10, small_image, small_pixels, study_of, uid

LARGE_BYTES = 10 * 10**9
MANY_PARTS = 10_000
GOAL_MB = 150
"""Of all processes of a server with one worker, above idle."""

UPLOAD_SECONDS = 3600
IDLE_SECONDS = 3
SAMPLING_SECONDS = 0.25
ROWS = COLUMNS = 512  # of the large instance
BOUNDARY = "benchmark-memory"

_ITEM, _DELIMITER = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0"


@dataclass(frozen=True, slots=True)
class LargeFile:
    """A legal file of almost any size: so many equal frames, RLE, a fragment each (PS3.5 A.4).

    Encapsulated, because native Pixel Data has at most 4 GiB; with an Extended Offset Table,
    because the basic one has as little.
    """

    head: bytes
    fragment: bytes
    frames: int
    study_uid: str
    series_uid: str
    sop_uid: str

    @classmethod
    def plan(cls, size: int, *, seed: int) -> "LargeFile":
        """A file of at most `size` bytes, with no fewer than one frame."""
        uids = (uid("large study", seed), uid("large series", seed), uid("large", seed))
        dataset = dcmread(BytesIO(_two_frames()))
        code = next(generate_frames(dataset.PixelData, number_of_frames=2))
        frames = max(1, size // (len(code) + 24))
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = uids
        dataset.NumberOfFrames = frames
        step = len(code) + 8
        dataset.ExtendedOffsetTable = b"".join(struct.pack("<Q", step * n) for n in range(frames))
        dataset.ExtendedOffsetTableLengths = struct.pack("<Q", len(code)) * frames
        del dataset.PixelData
        pixel_data = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + _ITEM + bytes(4)
        head = part10(dataset, RLELossless) + pixel_data
        fragment = _ITEM + struct.pack("<I", len(code)) + code
        return cls(head, fragment, frames, *uids)

    def __len__(self) -> int:
        return len(self.head) + self.frames * len(self.fragment) + len(_DELIMITER)

    def pieces(self) -> Iterator[bytes]:
        """The file, a frame at a time."""
        yield self.head
        for _ in range(self.frames):
            yield self.fragment
        yield _DELIMITER


@lru_cache(maxsize=1)
def _two_frames() -> bytes:
    return small_image(
        frames=2, rows=ROWS, columns=COLUMNS, transfer_syntax=RLELossless, offsets="none"
    )


def streamed(files: Callable[[], Iterable[Iterable[bytes]]], lengths: Sequence[int]) -> Stream:
    """A multipart body of `files`, each made in pieces; `lengths` in bytes, one a file."""
    head = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    end = f"--{BOUNDARY}--\r\n".encode()

    def pieces() -> Iterator[bytes]:
        for file in files():
            yield head
            yield from file
            yield b"\r\n"
        yield end

    return Stream(sum(lengths) + len(lengths) * (len(head) + 2) + len(end), pieces)


def store_ask(body: Stream, sop_uids: frozenset[str]) -> Ask:
    """The request that stores `body`, all of whose instances must be reported as stored."""
    media_type = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
    request = Request("/studies", DICOM_JSON, "POST", media_type, body, keep=True)
    return Ask(request, all_stored(sop_uids), units=len(sop_uids))


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one process, in bytes: its resident set, the most it had been, its anonymous part."""

    resident: int
    highest: int
    anonymous: int


@dataclass(slots=True)
class Peak:
    """One upload. `above` idle in MB by process id: highest resident set, highest anonymous."""

    name: str
    size: int
    seconds: float = 0.0
    above: dict[int, tuple[float, float]] | None = None
    database_mb: float = 0.0
    error: str = ""

    @property
    def total_mb(self) -> float | None:
        """Of all processes but Postgres', each at its own highest."""
        return None if self.above is None else sum(most for most, _ in self.above.values())


def memory_of(pid: int) -> Memory | None:
    """The memory of a process now; None if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in lines)
    if "VmRSS" not in fields:
        return None
    found = [int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM", "RssAnon")]
    return Memory(*found)


def set_back(pid: int) -> None:
    """Let the record of the highest resident set begin anew (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


async def measure(
    target: Target,
    folder: Path,
    *,
    seed: int,
    progress: Progress,
    size: int = LARGE_BYTES,
    parts: int = MANY_PARTS,
) -> list[Peak]:
    """Upload one part of `size` bytes, then so many small `parts`, to a server with one worker.

    Raises AnswerError if the disk below `folder` has no room for that.
    """
    free = shutil.disk_usage(folder).free
    if free < size + (4 << 30):
        raise AnswerError(f"{size / 1e9:.0f} GB and some have to fit in {folder}")
    # What is loaded with the first request, and not given back, is no part of an upload.
    warm = study_of(1, 20, seed=seed)
    await _upload(target, store_ask(*_parts(warm)))
    large = LargeFile.plan(size, seed=seed + 1)
    body = streamed(lambda: [large.pieces()], [len(large)])
    progress(f"one part of {len(large) / 1e9:.1f} GB in {large.frames} frames")
    peaks = [await _peak(target, "one part", store_ask(body, frozenset({large.sop_uid})))]
    if not peaks[0].error:
        try:
            await _check_last_frame(target, large)
        except (AnswerError, OSError) as error:
            peaks[0].error = str(error)
    progress(f"{parts} parts")
    many = study_of(1, parts, seed=seed + 2, rows=8, columns=8)
    peaks.append(await _peak(target, f"{parts:,} parts", store_ask(*_parts(many))))
    return peaks


def _parts(instances: Sequence[Any]) -> tuple[Stream, frozenset[str]]:
    lengths = [len(instance.file()) for instance in instances]
    body = streamed(lambda: ([instance.file()] for instance in instances), lengths)
    return body, frozenset(instance.sop_uid for instance in instances)


async def _upload(target: Target, ask: Ask) -> float:
    sample = await load(target.address, 1, [ask], grace=UPLOAD_SECONDS)
    return sample.seconds


async def _peak(target: Target, name: str, ask: Ask) -> Peak:
    """Upload, and watch the server's processes meanwhile."""
    await asyncio.sleep(IDLE_SECONDS)
    peak = Peak(name, len(ask.request.body))
    family = target.processes()
    for pid in family:
        set_back(pid)
    idle = {pid: memory for pid in family if (memory := memory_of(pid)) is not None}
    watch = Watch(target, dict(idle))
    watching = asyncio.create_task(watch.run())
    try:
        peak.seconds = await _upload(target, ask)
    except (AnswerError, OSError) as error:
        peak.error = str(error)
    finally:
        watching.cancel()
    watch.look()
    nothing = Memory(0, 0, 0)  # of a process that began meanwhile: all that it had is above idle
    above = {
        pid: (
            (most.highest - idle.get(pid, nothing).resident) / 1e6,
            (most.anonymous - idle.get(pid, nothing).anonymous) / 1e6,
        )
        for pid, most in watch.most.items()
    }
    peak.database_mb = sum(above[pid][0] for pid in above if pid in watch.databases)
    peak.above = {pid: each for pid, each in above.items() if pid not in watch.databases}
    return peak


@dataclass(slots=True)
class Watch:
    """The most that each process of a server has had since it is watched."""

    target: Target
    most: dict[int, Memory]
    databases: frozenset[int] = frozenset()

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(SAMPLING_SECONDS)

    def look(self) -> None:
        """Take in what there is now."""
        family = self.target.processes()
        self.databases |= {pid for pid in family if is_postgres(pid)}
        for pid in family:
            now = memory_of(pid)
            if now is not None:
                had = self.most.get(pid, now)
                self.most[pid] = Memory(
                    now.resident, max(had.highest, now.highest), max(had.anonymous, now.anonymous)
                )


async def _check_last_frame(target: Target, large: LargeFile) -> None:
    """The large instance is there to its end. Raises AnswerError."""
    path = f"/studies/{large.study_uid}/series/{large.series_uid}/instances/{large.sop_uid}"
    request = Request(f"{path}/frames/{large.frames}", FRAMES, keep=True)
    answer = await ask_once(target.address, request)
    pixels = small_pixels(frames=2, rows=ROWS, columns=COLUMNS)[0]
    if answer.status != 200 or pixels.tobytes() not in answer.body:
        raise AnswerError(f"last frame of the large instance: status {answer.status}, not its own")


def as_data(peaks: Sequence[Peak]) -> dict[str, Any]:
    """All peaks, fit for JSON."""
    return {
        peak.name: {
            "bytes": peak.size,
            "seconds": peak.seconds,
            "resident_mb": sorted((most for most, _ in (peak.above or {}).values()), reverse=True),
            "anonymous_mb": sum(most for _, most in (peak.above or {}).values()),
            "total_mb": peak.total_mb,
            "postgres_mb": peak.database_mb,
            "error": peak.error,
        }
        for peak in peaks
    }


def as_markdown(peaks: Sequence[Peak]) -> str:
    """The peaks as a table, with the goal."""
    lines = [
        "Memory above idle during an upload, of our server with one worker, in MB (10⁶ bytes).",
        "Resident: the highest resident set of each of its processes, the largest first, and",
        "their sum, which the goal is for; anonymous: the same without pages of files, which the",
        "kernel takes back at will (sampled). Postgres: the resident sets of its processes, each",
        "of which counts the buffers that they share.",
        "",
        "| upload | took | resident | sum | of it anonymous | Postgres | goal |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*lines, *map(_line, peaks)])


def _line(peak: Peak) -> str:
    size = f"{peak.name}, {peak.size / 1e6:,.0f} MB"
    if peak.error or peak.above is None or peak.total_mb is None:
        return f"| {size} | error: {peak.error} | - | - | - | - | ≤ {GOAL_MB}: not measured |"
    each = sorted((most for most, _ in peak.above.values()), reverse=True)
    anonymous = sum(most for _, most in peak.above.values())
    verdict = "met" if peak.total_mb <= GOAL_MB else "missed"
    cells = [
        size,
        f"{peak.seconds:,.0f} s",
        ", ".join(f"{most:.0f}" for most in each),
        f"{peak.total_mb:.0f}",
        f"{anonymous:.0f}",
        f"{peak.database_mb:.0f}",
        f"sum ≤ {GOAL_MB}: {verdict}",
    ]
    return f"| {' | '.join(cells)} |"
