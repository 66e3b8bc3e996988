"""Whole HTTP requests of searches, at a thousand studies of real size."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from conformance.benchmark import servers
from conformance.benchmark.client import Answer, AnswerError, Request
from conformance.benchmark.items import DICOM_JSON, STUDIES_LISTED, instances_ask, store_asks
from conformance.benchmark.load import Ask, load
from tests.make import Instance, study_of

STUDIES = 1_000
SERIES = 1_000  # instances of the one large series
OHIF = (
    f"/studies?limit={STUDIES_LISTED}&offset=0&fuzzymatching=false&includefield=00081030%2C00080060"
)


@dataclass(frozen=True, slots=True)
class Measured:
    """One kind of request; `times` in seconds, the p50 wanted and that of Orthanc in ms."""

    name: str
    times: tuple[float, ...]
    goal: float
    orthanc: float


def _listed(count: int) -> Callable[[Answer], None]:
    def check(answer: Answer) -> None:
        found = answer.body.count(b'"0020000D"')
        if answer.status != 200 or found != count:
            raise AnswerError(f"search: status {answer.status}, {found} results of {count}")

    return check


def _patients(studies: list[Instance]) -> Iterator[Ask]:
    for study in cycle(studies):
        patient = dict(study.keywords)["PatientID"]
        yield Ask(Request(f"/studies?PatientID={patient}", DICOM_JSON, keep=True), _listed(1))


async def measure_requests(
    folder: Path,
    *,
    seed: int = 1,
    studies: int = STUDIES,
    series: int = SERIES,
    seconds: float = 4.0,
) -> list[Measured]:
    """Start our server on a new folder, store the studies and ask for them."""
    small = [study_of(1, 1, seed=seed * 10_000 + n, rows=64, columns=64)[0] for n in range(studies)]
    large = study_of(1, series, seed=seed * 10_000 + studies, rows=64, columns=64)
    listed = min(STUDIES_LISTED, studies + 1)
    kinds: tuple[tuple[str, Iterable[Ask], float, float], ...] = (
        ("/studies?PatientID=…, one study", _patients(small), 1.2, 2.3),
        (OHIF, cycle([Ask(Request(OHIF, DICOM_JSON, keep=True), _listed(listed))]), 6, 34),
        (f"the {series:,} instances of a series", cycle([instances_ask(large)]), 30, 653),
    )
    with ExitStack() as stack:
        ours = (await servers.start_ours(stack, folder)).address
        await load(ours, 4, store_asks([*small, *large], batch=20))
        measured = []
        for name, asks, goal, orthanc in kinds:
            await load(ours, 1, asks, seconds=seconds / 4)
            sample = await load(ours, 1, asks, seconds=seconds)
            measured.append(Measured(name, sample.latencies, goal, orthanc))
    return measured
