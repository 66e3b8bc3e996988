"""/rendered of waveforms: drawings (digest 3.3.6, our extension)."""

from io import BytesIO

import httpx
import numpy as np
import pytest
from defusedxml.ElementTree import fromstring
from PIL import Image
from pydicom import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian

from tests.make.waveforms import LEADS, beats, group, lead, waveform
from tests.web.asking import assert_problem, new_uid, path_of, store


def uids() -> dict[str, str]:
    names = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    return {name: new_uid() for name in names}


def twelve(seconds: float = 10) -> Dataset:
    return group([lead(name) for name in LEADS], beats(seconds))


@pytest.fixture(scope="module")
def ecg(http: httpx.Client) -> Dataset:
    [stored] = store(http, waveform(twelve(), **uids()))
    return stored


@pytest.mark.parametrize("accept", [None, "*/*", "image/svg+xml", "image/svg+xml,image/*;q=0.8"])
def test_svg_is_the_default(http: httpx.Client, ecg: Dataset, accept: str | None) -> None:
    headers = {"Accept": accept} if accept else {}
    answer = http.get(f"{path_of(ecg)}/rendered", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    name = f"waveform-{ecg.SOPInstanceUID}.svg"
    assert answer.headers["content-disposition"] == f'inline; filename="{name}"'
    texts = [element.text for element in fromstring(answer.content).iter() if element.text]
    assert set(LEADS) <= set(texts)
    assert answer.headers["vary"] == "Accept, Accept-Encoding"


@pytest.mark.parametrize(
    ("query", "width"),
    [("", 1120), ("?viewport=560,9999", 560), ("?viewport=560,560,1,1,2,2", 560)],
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_pictures(http: httpx.Client, ecg: Dataset, kind: str, query: str, width: int) -> None:
    media_type = f"image/{kind.lower()}"
    answer = http.get(f"{path_of(ecg)}/rendered{query}", headers={"Accept": media_type})
    assert answer.headers["content-type"] == media_type
    picture = Image.open(BytesIO(answer.content))
    assert picture.format == kind
    assert picture.width == width
    tag = {"Accept": media_type, "If-None-Match": answer.headers["etag"]}
    assert http.get(f"{path_of(ecg)}/rendered{query}", headers=tag).status_code == 304
    other = f"{path_of(ecg)}/rendered?viewport=100,100"
    assert http.get(other, headers=tag).status_code == 200


def test_neg_11_what_a_waveform_can_be_had_as(http: httpx.Client, ecg: Dataset) -> None:
    for accept in ("text/html", "application/pdf", "video/mp4"):
        path = f"{path_of(ecg)}/rendered"
        problem = assert_problem(http.get(path, headers={"Accept": accept}), 406)
        assert problem["available"] == ["image/svg+xml", "image/png", "image/jpeg"]


def test_patients_are_named_for_who_asks(http: httpx.Client, ecg: Dataset) -> None:
    """Nothing of whose recording it is stands in the picture without `annotation`."""
    path = f"{path_of(ecg)}/rendered"
    plain = http.get(path)
    assert "Test" not in plain.text
    assert ecg.PatientID not in plain.text
    named = http.get(f"{path}?annotation=patient")
    assert f"ID {ecg.PatientID}" in named.text
    assert named.headers["etag"] != plain.headers["etag"]
    recorded = http.get(f"{path}?annotation=technique,nothing")
    assert "2024-01-02 10:15:00" in recorded.text
    assert "nothing" in recorded.headers["warning"]


@pytest.mark.parametrize("syntax", [DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("seconds", [0.5, 10], ids=["inline", "bulk data"])
def test_however_it_is_stored_it_looks_the_same(
    http: httpx.Client, syntax: str, seconds: float
) -> None:
    first, second = (twelve(seconds) for _ in range(2))
    if syntax == ExplicitVRBigEndian:
        swapped = np.frombuffer(second.WaveformData, "<i2").astype(">i2")
        second["WaveformData"]._value = swapped.tobytes()
    [plain] = store(http, waveform(first, **uids()))
    [other] = store(http, waveform(second, transfer_syntax=syntax, **uids()))
    drawn = [http.get(f"{path_of(one)}/rendered") for one in (plain, other)]
    assert [answer.status_code for answer in drawn] == [200, 200]
    assert drawn[0].content == drawn[1].content


def test_a_waveform_without_samples(http: httpx.Client) -> None:
    empty = twelve()
    empty.WaveformData = b""
    [stored] = store(http, waveform(empty, **uids()))
    assert_problem(http.get(f"{path_of(stored)}/rendered"), 406)
    assert http.get(f"{path_of(stored)}/thumbnail").status_code == 200
