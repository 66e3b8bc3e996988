"""Does a viewer that others wrote show what our server holds? OHIF in Chromium, end to end.

A server is started as a user would, on an empty folder; a CT study is stored in it, and one of
each kind in ``studies.py``; OHIF, which the server shows at ``/ohif/`` as `make ohif` leaves it,
lists the first and shows a series of it, then the others. The npm dicomweb-client is tried too,
in a page of another origin. ``view.mjs`` is what happens in the browser. Screenshots and logs are
left in ``build/browser``.

Run by ``run.sh``, which installs what is needed. The status is 1 if anything failed.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import httpx
import pydicom
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset

from deploy.ohif import fetch as ohif
from tests.browser.elsewhere import elsewhere
from tests.browser.studies import Study, for_client, studies, to_upload
from tests.make import multipart_body, study_of

REPOSITORY = Path(__file__).parents[2]
RESULTS = REPOSITORY / "build" / "browser"
OHIF = REPOSITORY / "build" / "ohif-app"
AXIAL_SERIES = "S2010"

LIMIT_SECONDS = 240  # from the server's start to the last look
STOP_SECONDS = 15


class FailureError(Exception):
    """The test failed; says what was seen."""


class Clock:
    """How long the steps took, and how long the rest may take."""

    def __init__(self, limit: float = LIMIT_SECONDS) -> None:
        self._limit = limit
        self._start = self._lap = time.monotonic()

    @property
    def left(self) -> float:
        """Seconds of the limit that are left; at least one, for a timeout to end by."""
        return max(1.0, self._start + self._limit - time.monotonic())

    def say(self, text: str) -> None:
        """Print what has been done since the last time, and its seconds."""
        lap, self._lap = self._lap, time.monotonic()
        print(f"{text} ({self._lap - lap:.1f} s)", flush=True)


def main() -> int:
    """Run the test. Gives the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server is stopped too
    RESULTS.mkdir(parents=True, exist_ok=True)
    for old in RESULTS.iterdir():
        old.unlink()
    try:
        run()
    except (FailureError, ohif.OhifError) as failure:
        print(f"browser test FAILED: {failure}", flush=True)
        print(f"Screenshots and logs: {RESULTS.relative_to(REPOSITORY)}")
        return 1
    print(f"browser test passed; screenshots: {RESULTS.relative_to(REPOSITORY)}/*.png")
    return 0


def run() -> None:
    """Store, list and view the studies. Raises FailureError or OhifError."""
    ohif.fetch(OHIF)
    files, shown = ct_study()
    others = list(studies())
    server = f"http://127.0.0.1:{free_port()}"
    clock = Clock()
    with (
        tempfile.TemporaryDirectory(prefix="dicomweb-browser-", ignore_cleanup_errors=True) as data,
        elsewhere() as other_origin,
        serving(server, Path(data), cors_origin=other_origin, seconds=clock.left),
    ):
        clock.say(f"The server is at {server}, with OHIF {ohif.VERSION}")
        store(server, files, seconds=clock.left)
        for study in others:
            store(server, study.files, seconds=clock.left)
        clock.say(f"Stored {len(others) + 1} studies")
        view(server, other_origin, shown, files, others, seconds=clock.left)
        clock.say("Looked at them in a browser")


def ct_study() -> tuple[list[bytes], FileDataset]:
    """The files to store, and the first slice of the series to look at.

    Of the real study in DICOM_CORPUS if there is one; else a small real image that comes
    with pydicom, and three slices made in code.
    """
    corpus = os.environ.get("DICOM_CORPUS")
    if corpus:
        paths = sorted((Path(corpus) / "ct-study").rglob("*.dcm"))
        files = [path.read_bytes() for path in paths]
        axial = [path for path in paths if path.parent.name == AXIAL_SERIES]
        if not axial:
            raise FailureError(f"DICOM_CORPUS holds no ct-study/{AXIAL_SERIES}")
        return files, header(axial[0].read_bytes())
    path = get_testdata_file("CT_small.dcm", download=False)
    assert isinstance(path, str), "CT_small.dcm comes with pydicom"
    made = [instance.file() for instance in study_of(1, 3)]
    return [Path(path).read_bytes(), *made], header(made[0])


def header(file: bytes) -> FileDataset:
    """The attributes of a PS3.10 file."""
    return pydicom.dcmread(BytesIO(file), stop_before_pixels=True)


def count(files: Sequence[bytes], shown: FileDataset, keyword: str) -> int:
    """How many of `files` are of one kind with `shown`, as of one series."""
    return sum(header(file)[keyword] == shown[keyword] for file in files)


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(url: str, data: Path, *, cors_origin: str, seconds: float) -> Iterator[None]:
    """Run the server on an empty folder until the block ends. Raises FailureError."""
    log = RESULTS / "server.log"
    port = url.rpartition(":")[2]
    command = [sys.executable, "-m", "dicomweb_server", "serve", "--port", port]
    # An empty variable counts as not set: nothing of the caller's own archive is reached.
    settings = {"CORS_ORIGINS": cors_origin, "DATABASE_URL": "", "PUBLIC_URL": ""}
    settings |= {"LISTEN_HOST": "127.0.0.1", "WORKERS": "", "OHIF_DIR": str(OHIF)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--data-dir", str(data)],
            cwd=REPOSITORY,
            env=os.environ | settings,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_ready(url, process, log, seconds)
        yield
    finally:
        process.terminate()
        try:
            status: int | None = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            status = None
    if status != 0:
        raise FailureError(f"the server, told to stop, ended with status {status}{tail(log)}")


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float) -> None:
    """Return when the server says that it is ready. Raises FailureError if it never does."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/readyz", timeout=5).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise FailureError(f"the server did not become ready{tail(log)}")


def tail(log: Path) -> str:
    """The end of a log, to be put behind a message."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
    return "".join(f"\n    {line}" for line in lines)


def refusals() -> str:
    """What the server says it answered with 4xx or 5xx, to be put behind a message.

    The browser tells no status of an answer that CORS keeps from the page.
    """
    log = (RESULTS / "server.log").read_text(encoding="utf-8", errors="replace")
    refused = [line for line in log.splitlines() if re.search(r'"status": [45]', line)]
    return "".join(f"\n    {line}" for line in refused[:10])


def store(server: str, files: Sequence[bytes], *, seconds: float) -> None:
    """Store everything in one request (STOW-RS). Raises FailureError unless all of it is."""
    body, content_type = multipart_body(list(files))
    headers = {"Content-Type": content_type, "Accept": "application/dicom+json"}
    try:
        answer = httpx.post(
            f"{server}/dicomweb/studies", content=body, headers=headers, timeout=seconds
        )
    except httpx.HTTPError as error:
        raise FailureError(f"the store was not answered: {error!r}") from error
    if answer.status_code != httpx.codes.OK:
        raise FailureError(f"the store was answered {answer.status_code}: {answer.text[:2000]}")


def view(
    server: str,
    other_origin: str,
    shown: FileDataset,
    files: Sequence[bytes],
    others: Sequence[Study],
    *,
    seconds: float,
) -> None:
    """Look at the series of `files` in a browser, and at `others`. Raises FailureError."""
    task = {
        "chromium": shutil.which("chromium"),
        "server": server,
        "viewer": f"{server}/ohif",
        "elsewhere": other_origin,
        "results": str(RESULTS),
        "patient": shown.PatientName.family_name,
        "patientId": shown.PatientID,
        "instances": count(files, shown, "StudyInstanceUID"),
        "seriesNumber": shown.SeriesNumber,
        "seriesDescription": shown.SeriesDescription,
        "slices": count(files, shown, "SeriesInstanceUID"),
        "studies": [study.task() for study in others],
        "client": for_client(),
        "upload": to_upload(),
    }
    script = Path(__file__).with_name("view.mjs")
    try:
        done = subprocess.run(
            ["node", str(script)],
            input=json.dumps(task).encode(),
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise FailureError(f"the browser took longer than {seconds:.0f} s") from error
    if done.returncode != 0:
        raise FailureError(f"what the browser saw is told above{refusals()}")


if __name__ == "__main__":
    sys.exit(main())
