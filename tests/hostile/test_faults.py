"""Faults of what is beneath the server (items 48 and 67 to 70): told plainly, and then over."""

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from dicomweb_server.index.embedded import EmbeddedPostgres, start_postgres
from tests.faulty import Fault, FaultyProxy
from tests.hostile.judging import Judge
from tests.hostile.made import Made, image, new_uid, plain
from tests.make import multipart_body
from tests.running import ROOT, RunningServer

TAKEN, REFUSED = (200, 202), (409,)
DAY = 24 * 3600


class Beneath:
    """What the server below stands on: a Postgres, a bucket behind a proxy, and a clock."""

    def __init__(self, folder: Path, proxy: FaultyProxy) -> None:
        self.folder = folder
        self.proxy = proxy
        self.offset = folder / "offset"
        self.postgres: EmbeddedPostgres = start_postgres(folder, fsync=False)
        self.set_clock(0)

    def set_clock(self, seconds: int) -> None:
        """Let the server's clock be wrong by so much."""
        new = self.offset.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self.offset)

    def end_postgres(self) -> None:
        os.kill(self.postgres.pid, signal.SIGQUIT)
        self.postgres.stop()

    def start_postgres(self) -> None:
        self.postgres = start_postgres(self.folder, fsync=False)


@pytest.fixture(scope="module")
def beneath(s3: dict[str, str]) -> Iterator[Beneath]:
    folder = Path(tempfile.mkdtemp(prefix="dw-"))  # short, for the socket of Postgres
    folder.chmod(0o711)
    with FaultyProxy(s3["S3_ENDPOINT_URL"]) as proxy:
        made = Beneath(folder, proxy)
        try:
            yield made
        finally:
            made.postgres.stop()
            shutil.rmtree(folder)


@pytest.fixture(scope="module")
def _judge(
    beneath: Beneath, s3: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Judge]:
    settings = {
        **s3,
        "S3_ENDPOINT_URL": beneath.proxy.url,
        "S3_PREFIX": "hostile",
        "S3_LOCAL_BYTES": "0",  # so that all is read from there
        "S3_TIMEOUT_SECONDS": "1",
        "DATABASE_URL": beneath.postgres.url,
        "CPU_WORKERS": "1",
        "ALLOW_DELETE": "true",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "tests/hostile/clock"), str(ROOT)]),
        "CLOCK_OFFSET": str(beneath.offset),
        "TZ": "Pacific/Auckland",
    }
    folder = tmp_path_factory.mktemp("faults") / "data"
    with (
        RunningServer(folder, settings) as server,
        httpx.Client(base_url=server.base, timeout=60) as client,
    ):
        yield Judge(server, client)


@pytest.fixture
def judge(_judge: Judge, beneath: Beneath) -> Iterator[Judge]:
    yield _judge
    beneath.proxy.fault = None
    beneath.set_clock(0)
    _judge.settle()


# --- item 48 ------------------------------------------------------------------------------------

FAULTS: dict[str, tuple[Fault, Collection[int], Collection[int]]] = {  # of a store, of a read
    "500": (Fault(status=500), (409, 503), (500, 503)),
    "silent": (Fault(delay=3), (409, 503), (500, 503)),
    "cut": (Fault(cut_body=10), TAKEN, (500, 503)),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_bucket_that_fails(judge: Judge, beneath: Beneath, name: str) -> None:
    """What cannot be put is not stored, what cannot be read is told, and both are over with it."""
    fault, store, read = FAULTS[name]
    before, made = image(rows=64, columns=64), image()
    judge.store([before.content], TAKEN)
    judge.faults_expected = True
    beneath.proxy.fault = fault
    if name != "cut":
        judge.store([made.content], store, seconds=8)
        judge.ask("GET", f"studies/{made.study}", (404,))
    judge.ask("GET", f"{before.path}/rendered", read, seconds=8)
    judge.ask("GET", f"{before.path}/metadata", (200,), seconds=8)  # of the index
    beneath.proxy.fault = None
    judge.store([made.content], TAKEN)
    judge.look(made)
    judge.look(before)


def test_a_database_that_is_away(judge: Judge, beneath: Beneath) -> None:
    """Reads and stores say so, and go on once it is back."""
    made = plain()
    judge.faults_expected = True
    beneath.end_postgres()
    for path in ("studies", f"{judge.control.path}/metadata", judge.control.path):
        answer = judge.ask("GET", path, (503,), seconds=6)
        assert int(answer.headers["retry-after"]) > 0
    judge.store([made.content], (503,), seconds=6)
    beneath.start_postgres()
    judge.store([made.content], TAKEN, seconds=6)
    judge.look(made)


# --- items 68 and 69 ----------------------------------------------------------------------------


def test_two_who_store_the_same(judge: Judge) -> None:
    """Item 68: of the same bytes all are told that they are stored, of others one is."""
    same = image()
    study, instance = new_uid(), new_uid()
    uids = {"StudyInstanceUID": study, "SOPInstanceUID": instance}
    others = [image(**uids, PatientComments=str(number)) for number in range(4)]

    def post(made: Made) -> int:
        body, kind = multipart_body([made.content])
        with httpx.Client(base_url=judge.server.base, timeout=60) as client:
            answer = client.post("studies", content=body, headers={"Content-Type": kind})
            return answer.status_code

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(post, [same] * 4)) <= set(TAKEN)
        statuses = list(threads.map(post, others))
    judge.look(same)
    assert sorted(status in TAKEN for status in statuses) == [False, False, False, True]
    judge.look(next(made for made, s in zip(others, statuses, strict=True) if s in TAKEN))
    assert len(judge.ask("GET", f"studies/{study}/instances", (200,)).json()) == 1


def test_what_is_deleted_while_it_is_retrieved(judge: Judge) -> None:
    """Item 69: who reads gets it whole, or an answer that does not look whole, or none."""
    study = new_uid()
    made = [image(StudyInstanceUID=study, rows=200, columns=200) for _ in range(12)]
    judge.store([each.content for each in made], TAKEN)
    judge.faults_expected = True
    begun = threading.Event()
    wholes, cuts = 0, 0

    def read() -> bool:
        """Whether an answer of 200 came to its end with all that there was."""
        accept = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
        url = f"{judge.server.base}/studies/{study}"
        try:
            with httpx.stream("GET", url, headers=accept, timeout=60) as answer:
                begun.set()
                content = b"".join(answer.iter_raw())
        except httpx.HTTPError:
            return False
        finally:
            begun.set()
        if answer.status_code == 404:
            return False
        assert answer.status_code == 200
        assert all(each.content in content for each in made)
        return True

    with ThreadPoolExecutor(3) as threads:
        reading = [threads.submit(read) for _ in range(3)]
        begun.wait()
        judge.ask("DELETE", f"studies/{study}", (200, 204))
        for each in reading:
            whole = each.result()
            wholes, cuts = wholes + whole, cuts + (not whole)
    assert wholes + cuts == 3
    judge.ask("GET", f"studies/{study}", (404,))
    judge.ask("GET", f"studies?StudyInstanceUID={study}", (204,))


# --- item 70 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [-20 * 365 * DAY, -DAY, -3600, 3600, DAY, 20 * 365 * DAY])
def test_a_clock_that_jumps(judge: Judge, beneath: Beneath, jump: int) -> None:
    """At each step: stored before and after, read and deleted while the clock is elsewhere."""
    before = image()
    judge.store([before.content], TAKEN)
    beneath.set_clock(jump)
    judge.look(before)
    after = image(StudyInstanceUID=before.study)
    judge.store([after.content, before.content], TAKEN)
    beneath.set_clock(-jump)
    judge.look(after)
    judge.store([after.content], TAKEN)  # which is there
    judge.store([image(SOPInstanceUID=after.instance).content], REFUSED)
    beneath.set_clock(0)
    assert len(judge.ask("GET", f"studies/{before.study}/metadata", (200,)).json()) == 2
    judge.ask("DELETE", f"studies/{before.study}", (200, 204))
    judge.ask("GET", before.path, (404,))


def test_the_zone_of_the_machine_changes_nothing(judge: Judge) -> None:
    """Item 70: dates and times that tell no zone are in that of the settings, not of the machine,
    which is ahead by half a day here; an hour that summer time leaves out is an hour."""
    made = plain(StudyDate="20240331", StudyTime="023000", AcquisitionDateTime="20240929023000")
    judge.store([made.content], TAKEN)
    for query in (
        "StudyDate=20240331&StudyTime=0230",
        "StudyDate=20240331",
        "AcquisitionDateTime=202409290230",
        "AcquisitionDateTime=202409290230%2B0000",
    ):
        found = judge.ask("GET", f"instances?StudyInstanceUID={made.study}&{query}", (200,))
        assert len(found.json()) == 1
    query = "AcquisitionDateTime=202409290230%2B1200"
    judge.ask("GET", f"instances?StudyInstanceUID={made.study}&{query}", (204,))
