"""Frames that were made for who asked are kept, and the same again, whatever happens to them."""

import hashlib
from pathlib import Path

import httpx
import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, HTJ2KLossless, JPEG2000Lossless, RLELossless

from tests.make import small_image, small_pixels
from tests.running import RunningServer
from tests.web.asking import is_thumbnail, new_uid, path_of, store

OCTETS = "application/octet-stream"
SHAPE = {"bits": 12, "frames": 3, "rows": 9, "columns": 7}


def kept(server: RunningServer, dataset: Dataset) -> set[Path]:
    """The files that belong to its study, without the thumbnail that comes by itself."""
    group = hashlib.sha256(dataset.StudyInstanceUID.encode()).hexdigest()[:16]
    found = (server.data_dir / "cache").rglob(f"{group}-*")
    return {path for path in found if not is_thumbnail(path)}


@pytest.mark.parametrize(
    ("stored", "accept"),
    [
        (ExplicitVRLittleEndian, f"image/jphc; transfer-syntax={HTJ2KLossless}"),
        (RLELossless, f"image/jp2; transfer-syntax={JPEG2000Lossless}"),
        (JPEG2000Lossless, OCTETS),
    ],
)
def test_a_frame_that_was_made_is_the_same_again(
    http: httpx.Client, server: RunningServer, stored: str, accept: str
) -> None:
    uids = {name: new_uid() for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")}
    [dataset] = store(http, small_image(**SHAPE, transfer_syntax=stored, **uids))

    def frames() -> list[bytes]:
        answers = [
            http.get(f"{path_of(dataset)}/frames/{n}", headers={"Accept": accept})
            for n in (1, 2, 3)
        ]
        assert [answer.headers["content-type"].split(";")[0] for answer in answers] == [
            accept.split(";")[0]
        ] * 3
        return [answer.content for answer in answers]

    assert kept(server, dataset) == set()
    first = frames()
    assert len(set(first)) == 3
    made = kept(server, dataset)
    assert len(made) == 3
    assert frames() == first
    assert kept(server, dataset) == made
    for number, path in enumerate(sorted(made)):
        data = path.read_bytes()
        path.write_bytes((data[:-1], data[:-1] + bytes([data[-1] ^ 1]), b"")[number])
    assert frames() == first
    if accept == OCTETS:
        pixels = small_pixels(**SHAPE)
        assert [np.frombuffer(each, "<u2").tolist() for each in first] == [
            frame.ravel().tolist() for frame in pixels
        ]
    assert http.delete(path_of(dataset, 1)).status_code == 204
    assert kept(server, dataset) == set()


def test_a_large_frame_is_the_same_again(http: httpx.Client, server: RunningServer) -> None:
    """It is read from the cache as it is sent."""
    uids = {name: new_uid() for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")}
    shape = {"bits": 16, "rows": 1000, "columns": 1100}
    [dataset] = store(http, small_image(**shape, transfer_syntax=JPEG2000Lossless, **uids))
    path, headers = f"{path_of(dataset)}/frames/1", {"Accept": OCTETS}
    first = http.get(path, headers=headers)
    assert len(kept(server, dataset)) == 1
    again = http.get(path, headers=headers)
    assert again.content == first.content == small_pixels(**shape).tobytes()
    part = http.get(path, headers={**headers, "Range": "bytes=1999999-2100000"})
    assert part.status_code == 206
    assert part.content == first.content[1999999:2100001]


def test_what_needs_nothing_made_is_not_kept(http: httpx.Client, server: RunningServer) -> None:
    for stored, accept in ((ExplicitVRLittleEndian, OCTETS), (RLELossless, "image/dicom-rle")):
        uids = {"StudyInstanceUID": new_uid(), "SOPInstanceUID": new_uid()}
        [dataset] = store(http, small_image(**SHAPE, transfer_syntax=stored, **uids))
        answer = http.get(f"{path_of(dataset)}/frames/2", headers={"Accept": accept})
        assert answer.status_code == 200
        assert kept(server, dataset) == set()
