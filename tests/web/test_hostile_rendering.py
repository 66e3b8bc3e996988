"""Rendering of what is hostile or damaged: a plain refusal or a picture, never a fault, in bounded
time and memory, and the next request is answered."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom import uid as uids
from pydicom.encaps import encapsulate

from tests.dicom.golden_pictures import lut
from tests.make import ABSENT, instance_with, small_image
from tests.make.files import part10
from tests.running import RunningServer
from tests.web.asking import assert_problem, new_uid, path_of, store

TIMEOUT = 6  # seconds that a worker may take
MEMORY = 400 << 20  # bytes that a worker may ever have held; one that has nothing to do has 45 MB


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    settings = {"CPU_WORKERS": "1", "WORKER_TIMEOUT_SECONDS": str(TIMEOUT)}
    with RunningServer(tmp_path_factory.mktemp("hostile") / "data", settings) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.base, timeout=30) as http:
        yield http


def image(**keywords: Any) -> bytes:
    """A small image that no other test has."""
    return small_image(
        **{"rows": 24, "columns": 20, "StudyInstanceUID": new_uid(), "SOPInstanceUID": new_uid()}
        | keywords
    )


def changed(file: bytes, **attributes: Any) -> bytes:
    """A file with other attributes, whatever they break."""
    dataset = dcmread(BytesIO(file))
    for name, value in attributes.items():
        if value is ABSENT:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    return part10(dataset, dataset.file_meta.TransferSyntaxUID)


def stored_as(client: httpx.Client, file: bytes) -> str:
    """Its path below the base URI."""
    [dataset] = store(client, file)
    return path_of(dataset)


def opened(response: httpx.Response) -> Image.Image:
    """The picture of an answer, loaded."""
    assert response.status_code == 200, response.text[:500]
    picture = Image.open(BytesIO(response.content))
    picture.load()
    return picture


def assert_thumbnail(client: httpx.Client, path: str) -> None:
    """A picture or an icon (THB-05)."""
    assert max(opened(client.get(f"{path}/thumbnail")).size) <= 256


# --- parameters -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(client: httpx.Client) -> str:
    """An image in which nothing is wrong."""
    return stored_as(client, image(bits=12))


@pytest.mark.parametrize(
    "query",
    [
        "window=40,0,linear",
        "window=40,0.5,linear",
        "window=40,0,sigmoid",
        "window=40,-1,linear-exact",
        "window=NaN,400,linear",
        "window=40,NaN,linear",
        "window=inf,400,linear",
        "window=40,1e999,linear",
        "window=40,400",
        "window=40,400,cubic",
        "window=40,400,linear,",
        "window=٤٠,400,linear",
        "viewport=1000000000,1000000000",
        "viewport=99999999999999999999,1",
        "viewport=0,100",
        "viewport=-5,100",
        "viewport=NaN,100",
        "viewport=100",
        "viewport=100,100,30,30",
        "viewport=100,100,0,0,0,0",
        "viewport=100,100,1e308,0",
        "viewport=100,100,,,,",
        "quality=0",
        "quality=101",
        "quality=1e2",
        "annotation=",
        "iccprofile=maybe",
    ],
)
def test_parameters_that_make_no_sense_are_refused(
    client: httpx.Client, whole: str, query: str
) -> None:
    assert_problem(client.get(f"{whole}/rendered?{query}"), 400)


def test_the_largest_viewport_is_filled_in_bounded_time(client: httpx.Client, whole: str) -> None:
    picture = client.get(f"{whole}/frames/1/rendered?viewport=9999,9999&quality=1")

    with Image.open(BytesIO(picture.content)) as found:
        assert max(found.size) == 9999


@pytest.mark.parametrize("query", ["window=1e15,1e15,linear", "window=-1e9,1,linear"])
def test_windows_far_from_all_values_show_one_level(
    client: httpx.Client, whole: str, query: str
) -> None:
    picture = opened(client.get(f"{whole}/rendered?{query}", headers={"Accept": "image/png"}))

    low, high = picture.convert("L").getextrema()
    assert low == high


# --- files ------------------------------------------------------------------------------------


def of_the_file(**attributes: Any) -> bytes:
    return image(bits=12, **attributes)


LUTS = {
    "shorter than told": lut([4096, 0, 12], bytes(100)),
    "longer than told": lut([10, 0, 16], bytes(8192)),
    "empty": lut([4096, 0, 12], b""),
    "of no bits": lut([4096, 0, 0], bytes(8192)),
    "of 65535 bits": lut([4096, 0, 65535], bytes(8192)),
    "without a descriptor": Dataset(),
}


@pytest.mark.parametrize("sequence", ["ModalityLUTSequence", "VOILUTSequence"])
@pytest.mark.parametrize("table", LUTS)
def test_tables_that_make_no_sense_are_passed_over(
    client: httpx.Client, sequence: str, table: str
) -> None:
    path = stored_as(client, of_the_file(**{sequence: [LUTS[table]]}))

    assert opened(client.get(f"{path}/rendered")).size == (20, 24)
    assert_thumbnail(client, path)


SEGMENTS = {
    "refers to itself": [2, 1, 0, 0],
    "refers beyond its end": [0, 1, 7, 2, 9, 0xFFFF, 0xFFFF],
    "a segment without entries": [0, 0],
    "refers a hundred thousand times": [0, 1, 7] + [2, 0xFFFF, 0, 0] * 2000,
    "far more entries than told": [0, 1, 7] + [1, 0xFFFF, 0] * 5000,
    "an unknown kind": [9, 1, 1],
    "a ramp from nowhere": [1, 10, 10],
    "nothing": [],
}


@pytest.mark.parametrize("segments", SEGMENTS)
def test_segmented_palettes_that_do_not_end_are_passed_over(
    client: httpx.Client, segments: str
) -> None:
    data = np.array(SEGMENTS[segments], "<u2").tobytes()
    palette: dict[str, Any] = {}
    for colour in ("Red", "Green", "Blue"):
        palette[f"{colour}PaletteColorLookupTableDescriptor"] = [0, 0, 16]
        palette[f"{colour}PaletteColorLookupTableData"] = ABSENT
        palette[f"Segmented{colour}PaletteColorLookupTableData"] = data
    path = stored_as(client, changed(image(photometric="PALETTE COLOR", bits=8), **palette))
    began = time.monotonic()

    assert opened(client.get(f"{path}/rendered")).size == (20, 24)
    assert_thumbnail(client, path)
    assert time.monotonic() - began < 3


FORGED = {
    "65535 x 65535": {"Rows": 65535, "Columns": 65535},
    "a pixel too many": {"Columns": 21},
    "no rows": {"Rows": 0},
    "rows left out": {"Rows": ABSENT},
    "more bits": {"BitsAllocated": 64, "BitsStored": 64, "HighBit": 63},
    "bits that no image has": {"BitsAllocated": 13, "BitsStored": 13, "HighBit": 12},
    "three samples": {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"},
    "more samples than there are": {"SamplesPerPixel": 65535},
    "a thousand million frames": {"NumberOfFrames": "1000000000"},
    "no pixel data": {"PixelData": ABSENT},
}


@pytest.mark.parametrize("forged", FORGED)
@pytest.mark.parametrize("syntax", [uids.ExplicitVRLittleEndian, uids.JPEGLSLossless])
def test_forged_dimensions_are_refused_and_have_an_icon(
    client: httpx.Client, syntax: str, forged: str
) -> None:
    path = stored_as(client, changed(image(transfer_syntax=syntax), **FORGED[forged]))

    for resource in ("rendered", "frames/1/rendered"):
        response = client.get(f"{path}/{resource}")
        if response.status_code != 200:
            assert_problem(response, 404 if response.status_code == 404 else 406)
        else:  # what is there is shown: a frame too many of those told, or the code stream's own
            assert opened(response).size == (20, 24)
    assert_thumbnail(client, path)


def test_what_has_no_pixels_is_refused_and_has_an_icon(client: httpx.Client) -> None:
    path = stored_as(client, instance_with(StudyInstanceUID=new_uid(), SOPInstanceUID=new_uid()))

    assert_problem(client.get(f"{path}/rendered"), 406)
    assert_thumbnail(client, path)


CODED = {
    "RLE": uids.RLELossless,
    "JPEG": uids.JPEGBaseline8Bit,
    "JPEG lossless": uids.JPEGLosslessSV1,
    "JPEG-LS": uids.JPEGLSLossless,
    "JPEG 2000": uids.JPEG2000Lossless,
    "HTJ2K": uids.HTJ2KLossless,
}


@pytest.mark.parametrize("codec", CODED)
def test_damaged_code_streams_are_refused_or_shown_as_far_as_they_go(
    client: httpx.Client, server: RunningServer, codec: str
) -> None:
    syntax, bits = CODED[codec], 8 if codec == "JPEG" else 12
    good = dcmread(BytesIO(image(bits=bits, transfer_syntax=syntax)))
    stream = next(iter(_frames(good)))
    random = np.random.default_rng(len(codec))
    refused = 0
    for damage in range(14):
        bad = bytearray(stream)
        if damage < 4:
            del bad[max(2, len(bad) * damage // 4) :]
        elif damage < 7:
            bad[4 * damage :] = random.bytes(len(bad) - 4 * damage)
        else:
            for place in random.integers(2, len(bad), 3 * (damage - 6)):
                bad[place] = int(random.integers(256))
        good.PixelData = encapsulate([bytes(bad)])
        good["PixelData"].is_undefined_length = True
        good.SOPInstanceUID = new_uid()
        path = stored_as(client, part10(good, syntax))
        response = client.get(f"{path}/frames/1/rendered")
        if response.status_code == 200:
            assert opened(response).size == (20, 24)
        else:
            refused += 1
            assert_problem(response, 404 if response.status_code == 404 else 406)
        assert_thumbnail(client, path)
    assert refused >= 3
    assert all(highest_memory(pid) < MEMORY for pid in workers_of(server))


def _frames(dataset: Dataset) -> Iterator[bytes]:
    from pydicom.encaps import generate_frames

    return generate_frames(dataset.PixelData, number_of_frames=1)


# --- workers ----------------------------------------------------------------------------------


def workers_of(server: RunningServer) -> list[int]:
    """The worker processes of a server: its children's."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if b"dicomweb_server.archive.worker" in command and (
            f"DATA_DIR={server.data_dir}\0".encode() in environment
        ):
            found.append(int(entry.name))
    return found


def ready_worker(client: httpx.Client, server: RunningServer) -> int:
    """The process id of the worker, once it does what it is given: one that is still starting has
    a minute for that, however long work may take."""
    path = stored_as(client, image(bits=12))
    assert opened(client.get(f"{path}/rendered", headers={"Accept": "image/png"})).size == (20, 24)
    [worker] = workers_of(server)
    return worker


def highest_memory(pid: int) -> int:
    """The largest resident set of a process so far, in bytes."""
    for line in (Path("/proc") / str(pid) / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no VmHWM")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, 200), (signal.SIGSEGV, 406)])
def test_a_worker_that_dies_costs_one_request_or_none(
    client: httpx.Client, server: RunningServer, number: signal.Signals, status: int
) -> None:
    """A crash is the content's, and a kill is not: then the work is done again."""
    path = stored_as(client, image(bits=12))
    worker = ready_worker(client, server)
    os.kill(worker, signal.SIGSTOP)  # so that it is in the middle of it
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(client.get, f"{path}/rendered", headers={"Accept": "image/png"})
        time.sleep(0.5)
        assert not asked.done()
        os.kill(worker, number)
        with suppress(ProcessLookupError):  # a kill does not wait for it
            os.kill(worker, signal.SIGCONT)
        answer = asked.result()
    if status == 200:
        assert opened(answer).size == (20, 24)
    else:
        assert_problem(answer, status)

    again = client.get(f"{path}/rendered", headers={"Accept": "image/png"})
    assert opened(again).size == (20, 24)
    [new] = workers_of(server)
    assert new != worker


def test_a_worker_that_hangs_is_replaced(client: httpx.Client, server: RunningServer) -> None:
    path = stored_as(client, image(bits=12))
    worker = ready_worker(client, server)
    os.kill(worker, signal.SIGSTOP)
    began = time.monotonic()

    assert_thumbnail(client, path)  # an icon, from its successor
    assert TIMEOUT <= time.monotonic() - began < TIMEOUT + 15
    assert opened(client.get(f"{path}/rendered")).size == (20, 24)
    assert worker not in workers_of(server)
