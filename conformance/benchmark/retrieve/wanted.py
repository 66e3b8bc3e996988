"""What is asked for, and what has to be in the answer."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import orjson

from conformance.benchmark.client import Answer, AnswerError, Request
from conformance.benchmark.items import DICOM_JSON, INSTANCES
from conformance.benchmark.stores import MultiFrame
from tests.make import Instance, small_pixels

FRAMES = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
"""As OHIF asks for frames."""

INCLUDED = "includefield=00081030%2C00080060"
SERIES_INCLUDED = "includefield=00080021%2C00080031%2C0008103E%2C00200011"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request, and a look into the body that answers it; `look` raises AnswerError."""

    request: Request
    look: Callable[[bytes], None]

    def check(self, answer: Answer) -> None:
        """Look into a kept answer, whatever its coding. Raises AnswerError if it is not right."""
        if answer.status != 200:
            said = bytes(answer.body[:200])
            raise AnswerError(f"{self.request.path}: status {answer.status}: {said!r}")
        self.look(decoded(answer))

    @property
    def kept(self) -> Request:
        """The request, with the body to be kept."""
        return replace(self.request, keep=True)


def decoded(answer: Answer) -> bytes:
    """The body without its content coding. Raises AnswerError for one that was not asked for."""
    coding = answer.headers.get("content-encoding", "")
    if coding == "gzip":
        return zlib.decompress(bytes(answer.body), wbits=31)
    if coding:
        raise AnswerError(f"content coding {coding}")
    return bytes(answer.body)


def series_path(one: Instance | MultiFrame) -> str:
    """The path of an instance's series."""
    return f"/studies/{one.study_uid}/series/{one.series_uid}"


def instance_path(one: Instance | MultiFrame) -> str:
    """The path of an instance."""
    return f"{series_path(one)}/instances/{one.sop_uid}"


def metadata_of(series: Sequence[Instance], *, coding: str = "") -> Wanted:
    """The metadata of a series; with `coding` as in ``gzip``."""
    request = Request(f"{series_path(series[0])}/metadata", DICOM_JSON, accept_encoding=coding)
    stored = {instance.sop_uid for instance in series}

    def look(body: bytes) -> None:
        if {each["00080018"]["Value"][0] for each in orjson.loads(body)} != stored:
            raise AnswerError("series metadata: not the instances that were stored")

    return Wanted(request, look)


def frame_of(instance: Instance) -> Wanted:
    """The one frame."""
    return Wanted(
        Request(f"{instance_path(instance)}/frames/1", FRAMES),
        _holds(lambda: [instance.pixels()], "frame"),
    )


def frames_of(multi_frame: MultiFrame, numbers: Sequence[int]) -> Wanted:
    """Some frames, `numbers` from 1."""
    listed = ",".join(map(str, numbers))
    return Wanted(
        Request(f"{instance_path(multi_frame)}/frames/{listed}", FRAMES),
        _holds(lambda: [_frame(multi_frame, number) for number in numbers], "frames"),
    )


_pixels: dict[MultiFrame, Sequence[bytes]] = {}


def _frame(multi_frame: MultiFrame, number: int) -> bytes:
    """One frame's pixels; all are made at once, and once."""
    if multi_frame not in _pixels:
        made = small_pixels(frames=multi_frame.frames, rows=512, columns=512, seed=multi_frame.seed)
        _pixels[multi_frame] = [frame.tobytes() for frame in made]
    return _pixels[multi_frame][number - 1]


def instance_of(instance: Instance) -> Wanted:
    """The instance as it was stored."""
    return Wanted(
        Request(instance_path(instance), INSTANCES),
        _holds(lambda: [instance.pixels()], "instance"),
    )


def series_of(series: Sequence[Instance]) -> Wanted:
    """All instances of a series as they were stored."""
    some = (series[0], series[len(series) // 2], series[-1])
    size = sum(2 * instance.rows * instance.columns for instance in series)
    holds = _holds(lambda: [instance.pixels() for instance in some], "series")

    def look(body: bytes) -> None:
        if len(body) < size:
            raise AnswerError(f"series: {len(body)} bytes, less than its pixels")
        holds(body)

    return Wanted(Request(series_path(series[0]), INSTANCES), look)


def worklist(count: int) -> Wanted:
    """The newest studies, as OHIF lists them; there are `count` on the page."""
    path = f"/studies?limit={count}&offset=0&fuzzymatching=false&{INCLUDED}"
    return Wanted(Request(path, DICOM_JSON), listed(count, "0020000D", "worklist"))


def study_search(one: Instance) -> Wanted:
    """The study of an instance, as OHIF searches for it when it is opened."""
    path = f"/studies?StudyInstanceUID={one.study_uid}&limit=101&offset=0&{INCLUDED}"
    return Wanted(Request(path, DICOM_JSON), listed(1, "0020000D", "search for a study"))


def series_search(one: Instance) -> Wanted:
    """The one series of an instance's study."""
    path = f"/studies/{one.study_uid}/series?{SERIES_INCLUDED}"
    return Wanted(Request(path, DICOM_JSON), listed(1, "0020000E", "search for series"))


def listed(count: int, tag: str, what: str) -> Callable[[bytes], None]:
    """A look into DICOM JSON that has to have `count` results that differ in `tag`."""

    def look(body: bytes) -> None:
        found = len({each[tag]["Value"][0] for each in orjson.loads(body)})
        if found != count:
            raise AnswerError(f"{what}: {found} results of {count}")

    return look


def _holds(pixels: Callable[[], Sequence[bytes]], what: str) -> Callable[[bytes], None]:
    def look(body: bytes) -> None:
        if not all(each in body for each in pixels()):
            raise AnswerError(f"{what}: not the pixels that were stored")

    return look


def middle_out(count: int) -> list[int]:
    """The numbers below `count` from the middle one on, then those on either side in turns."""
    middle = count // 2
    return sorted(range(count), key=lambda number: (abs(number - middle), number))
