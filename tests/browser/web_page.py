"""Does the server's own page do what it is for? In Chromium, end to end.

A server is started as a user would, on an empty folder, and a study of each kind is stored in it,
of DICOM_CORPUS where it has one. The scripts below look at them as people do, each in a browser of
its own and with the same task, which names the studies by what they are (`shown`). Screenshots and
logs are left in ``build/browser``.

Run by ``run.sh``, which installs what is needed, or by itself, with the names of the scripts that
are wanted. The status is 1 if anything failed.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pydicom
from pydicom.data import get_testdata_file

from tests.browser import studies as made
from tests.browser.run import (
    RESULTS,
    Clock,
    FailureError,
    ct_study,
    free_port,
    refusals,
    serving,
)
from tests.make import multipart_body, small_image, study_of, uid

SCRIPTS = ["own_page.mjs", "viewer.mjs", "mishaps.mjs"]
LIST_LENGTH = 30  # studies more than a page of the list takes
BATCH = 50  # files
LIMIT_SECONDS = 480  # from the server's start to the last look
LONG = 300  # slices that are scrolled through
FAILED = {"00081198", "0008119A"}  # Failed SOP Sequence, Other Failures Sequence
# Two studies of one patient, and one of the same ID under another name.
PRIORS = (("20200110", "Prior"), ("20230512", "Prior"), ("20210303", "Twin"))


@dataclass(frozen=True)
class Shown:
    """A study that is stored, known to the scripts by its `name`."""

    name: str
    files: list[bytes]

    def task(self) -> dict[str, Any]:
        """What the scripts are told of it."""
        first = _read(self.files[0])
        return {
            "study": first.StudyInstanceUID,
            "series": first.SeriesInstanceUID,
            "instance": first.SOPInstanceUID,
            "patient": str(first.get("PatientName", "")).split("^")[0],
            "patientId": first.get("PatientID", ""),
            "instances": len(self.files),
        }


def shown() -> Iterator[Shown]:
    """A study of each kind."""
    files, first = ct_study()
    yield Shown("ct", [file for file in files if _in_study(file, first.StudyInstanceUID)])
    yield Shown("mr", _corpus_folder("mr-series") or [_real("MR_small.dcm")])
    yield Shown("us", made.colour_frames().files)
    yield Shown(
        "dx", [_corpus_file("highdicom/dx_image.dcm") or _dx(ImagerPixelSpacing=[0.3, 0.3])]
    )
    yield Shown("colour", [_real("SC_rgb_small_odd.dcm")])
    yield Shown("seg", made.segmentation().files)
    yield Shown("sr", made.report().files)
    yield Shown("pdf", made.document().files)
    yield Shown("video", made.video().files)
    yield Shown("ecg", [_real("waveform_ecg.dcm")])
    stack = study_of(1, LONG, seed=95, PatientName="Long^Stack", StudyDescription="Thorax")
    yield Shown("long", [instance.file() for instance in stack])
    yield Shown("large", [_dx("large", rows=2600, columns=2100)])
    for number, (when, name) in enumerate(PRIORS):
        yield Shown(
            f"prior{number}",
            [
                instance.file()
                for instance in study_of(
                    1,
                    4,
                    seed=70 + number,
                    rows=128,
                    columns=128,
                    PatientName=f"{name}^Paula",
                    PatientID="PRIOR-1",
                    StudyDate=when,
                    StudyDescription=f"Abdomen {when[:4]}",
                )
            ],
        )


def for_pages() -> list[bytes]:
    """Files of LIST_LENGTH studies, so that the list has a second page."""
    return [
        study_of(1, 1, seed=1000 + number, rows=16, columns=16)[0].file()
        for number in range(LIST_LENGTH)
    ]


def folder_to_upload(folder: Path) -> dict[str, Any]:
    """Fill `folder` as a disc of a hospital may be: images in folders, an index, a program, and a
    file that is damaged. Gives what the script is told of it."""
    images = study_of(1, 60, seed=90, rows=32, columns=32, PatientName="Uploaded^Folder")
    for number, image in enumerate(images):
        path = folder / "DICOM" / f"SE{number % 2}" / f"IM{number:04}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image.file())
    (folder / "viewer.exe").write_bytes(b"MZ" + bytes(300))
    (folder / "README.TXT").write_text("Open viewer.exe.")
    [damaged] = study_of(1, 1, seed=91, rows=32, columns=32)
    (folder / "DICOM" / "BROKEN").write_bytes(damaged.file()[:700])
    return {
        "folder": str(folder),
        "study": images[0].study_uid,
        "stored": len(images),
        "failed": 1,
        "skipped": 2,
    }


def main() -> int:
    """Run the scripts. Gives the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server is stopped too
    RESULTS.mkdir(parents=True, exist_ok=True)
    for old in RESULTS.glob("page *.png"):
        old.unlink()
    try:
        run(sys.argv[1:] or SCRIPTS)
    except FailureError as failure:
        print(f"test of the page FAILED: {failure}", flush=True)
        return 1
    print("test of the page passed")
    return 0


def run(scripts: list[str]) -> None:
    """Store the studies and run the scripts. Raises FailureError."""
    studies = list(shown())
    server = f"http://127.0.0.1:{free_port()}"
    clock = Clock(LIMIT_SECONDS)
    with tempfile.TemporaryDirectory(prefix="dicomweb-page-", ignore_cleanup_errors=True) as data:
        folder = Path(data, "disc")
        task = {
            "chromium": shutil.which("chromium"),
            "server": server,
            "results": str(RESULTS),
            "shown": {study.name: study.task() for study in studies},
            "upload": folder_to_upload(folder),
        }
        with serving(server, Path(data, "data"), cors_origin="", seconds=clock.left):
            task["empty"] = True
            look("own_page.mjs", task, clock)
            task["empty"] = False
            files = [file for study in studies for file in study.files] + for_pages()
            for start in range(0, len(files), BATCH):
                put(server, files[start : start + BATCH], clock)
            clock.say(f"Stored {len(studies) + LIST_LENGTH} studies")
            for script in scripts:
                look(script, task, Clock())


def put(server: str, files: list[bytes], clock: Clock) -> None:
    """Store files; real ones may be remarked upon. Raises FailureError."""
    body, content_type = multipart_body(files)
    headers = {"Content-Type": content_type}
    url = f"{server}/dicomweb/studies"
    answer = httpx.post(url, content=body, headers=headers, timeout=clock.left)
    if answer.status_code not in (200, 202) or FAILED & answer.json().keys():
        raise FailureError(f"the store was answered {answer.status_code}: {answer.text[:2000]}")


def look(script: str, task: dict[str, Any], clock: Clock) -> None:
    """Run a script with its task. Raises FailureError."""
    path = Path(__file__).with_name(script)
    try:
        done = subprocess.run(
            ["node", str(path)], input=json.dumps(task).encode(), timeout=clock.left, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise FailureError(f"{script} took too long") from error
    if done.returncode != 0:
        raise FailureError(f"what {script} saw is told above{refusals()}")
    clock.say(f"{script} has seen it")


def _dx(name: str = "dx", rows: int = 200, columns: int = 160, **more: object) -> bytes:
    return small_image(
        bits=12,
        rows=rows,
        columns=columns,
        seed=30,
        Modality="DX",
        SeriesNumber=1,
        PatientName="Chest^Charles",
        PatientID="DX1",
        StudyInstanceUID=uid(f"{name} study"),
        SeriesInstanceUID=uid(f"{name} series"),
        **more,
    )


def _corpus_folder(name: str) -> list[bytes]:
    corpus = os.environ.get("DICOM_CORPUS")
    paths = sorted(Path(corpus, name).rglob("*")) if corpus else []
    files = [path.read_bytes() for path in paths if path.is_file()]
    files = [file for file in files if file[128:132] == b"DICM"]
    if not files:
        return []
    study = _read(files[0]).StudyInstanceUID
    return [file for file in files if _in_study(file, study)]


def _corpus_file(name: str) -> bytes | None:
    corpus = os.environ.get("DICOM_CORPUS")
    path = Path(corpus, name) if corpus else None
    return path.read_bytes() if path and path.exists() else None


def _real(name: str) -> bytes:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str), f"{name} comes with pydicom"
    return Path(path).read_bytes()


def _in_study(file: bytes, study: str) -> bool:
    return bool(_read(file).StudyInstanceUID == study)


def _read(file: bytes) -> Any:
    return pydicom.dcmread(BytesIO(file), stop_before_pixels=True)


if __name__ == "__main__":
    sys.exit(main())
