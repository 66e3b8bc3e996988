"""Range on single parts: the bytes asked for, with exact totals (CCH-06, trap 33)."""

import re
from io import BytesIO

import httpx
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG4HP41,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
)

from tests.make import encapsulated_pdf, small_image
from tests.web.asking import DICOM, assert_problem, new_uid, path_of, store

OCTETS = "application/octet-stream"
VIDEO = np.random.default_rng(33).bytes(6_000_000)  # what is larger than 4 MiB is streamed


def uids() -> dict[str, str]:
    names = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    return {name: new_uid() for name in names}


def video(fragments: int) -> bytes:
    dataset = dcmread(BytesIO(small_image(rows=64, columns=64, **uids())))
    dataset.file_meta.TransferSyntaxUID = MPEG4HP41
    dataset.PixelData = encapsulate([VIDEO], fragments_per_frame=fragments)
    dataset.NumberOfFrames = 100
    out = BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def image(syntax: str, **options: object) -> bytes:
    return small_image(transfer_syntax=syntax, frames=2, **uids(), **options)


# The file, what of it, and the form.
CASES = {
    "file": (lambda: image(ExplicitVRLittleEndian), "", DICOM),
    "file as stored": (lambda: image(JPEG2000Lossless), "", f"{DICOM}; transfer-syntax=*"),
    "file made anew": (lambda: image(JPEG2000Lossless), "", DICOM),
    "frame": (lambda: image(ExplicitVRLittleEndian), "/frames/2", OCTETS),
    "frame decoded": (lambda: image(JPEG2000Lossless), "/frames/2", OCTETS),
    "frame as stored": (lambda: image(JPEG2000Lossless), "/frames/2", "image/jp2"),
    "large frame": (
        lambda: image(ExplicitVRLittleEndian, rows=1600, columns=1600), "/frames/2", OCTETS
    ),
    "bulk data": (lambda: image(ExplicitVRLittleEndian), "/bulkdata/7FE00010", OCTETS),
    "big endian": (lambda: image(ExplicitVRBigEndian), "/bulkdata/7FE00010", OCTETS),
    "deflated": (lambda: image(DeflatedExplicitVRLittleEndian), "/bulkdata/7FE00010", OCTETS),
    "document": (
        lambda: encapsulated_pdf(EncapsulatedDocument=VIDEO[:20_000], **uids()),
        "/bulkdata/00420011",
        OCTETS,
    ),
    "video": (lambda: video(1), "/bulkdata/7FE00010", "video/mp4"),
    "video in fragments": (lambda: video(7), "/bulkdata/7FE00010", "video/mp4"),
}  # fmt: skip


@pytest.fixture(scope="module")
def stored(http: httpx.Client) -> dict[str, Dataset]:
    found: dict[str, Dataset] = {}
    for name, (make, _, _) in CASES.items():
        file = make()
        response = http.post("studies", content=file, headers={"Content-Type": DICOM})
        assert response.status_code in (200, 202), response.text
        found[name] = dcmread(BytesIO(file))
    return found


def ask(
    http: httpx.Client, stored: dict[str, Dataset], name: str, **headers: str
) -> httpx.Response:
    _, place, accept = CASES[name]
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return http.get(path_of(stored[name]) + place, headers={"Accept": accept, **named})


@pytest.mark.parametrize("name", CASES)
def test_cch_06_the_bytes_asked_for(
    http: httpx.Client, stored: dict[str, Dataset], name: str
) -> None:
    whole = ask(http, stored, name)
    assert whole.status_code == 200
    assert whole.headers["accept-ranges"] == "bytes"
    total = len(whole.content)
    assert int(whole.headers["content-length"]) == total
    if name.startswith("video"):
        assert whole.content == VIDEO  # trap 33
    ends = [(0, 0), (1, 9), (total // 2, total * 3 // 4), (total - 5, total - 1), (0, total - 1)]
    if total > 5_000_000:
        ends += [(857_140, 857_150), (2_500_000, 5_100_001)]  # across fragments
    for first, last in ends:
        part = ask(http, stored, name, Range=f"bytes={first}-{last}")
        assert part.status_code == 206
        assert part.headers["content-range"] == f"bytes {first}-{last}/{total}"
        assert int(part.headers["content-length"]) == last - first + 1
        assert part.content == whole.content[first : last + 1]
        for same in ("etag", "content-type", "cache-control", "vary", "accept-ranges"):
            assert part.headers[same] == whole.headers[same]
        assert part.headers.get("content-location") == whole.headers.get("content-location")
    assert ask(http, stored, name, Range="bytes=-7").content == whole.content[-7:]
    assert ask(http, stored, name, Range="bytes=9-").content == whole.content[9:]


@pytest.mark.parametrize("name", CASES)
def test_several_ranges_are_parts(
    http: httpx.Client, stored: dict[str, Dataset], name: str
) -> None:
    whole = ask(http, stored, name)
    total = len(whole.content)
    answer = ask(http, stored, name, Range="bytes=-3, 0-4, 10-20,15-30")

    assert answer.status_code == 206
    assert "content-range" not in answer.headers
    assert int(answer.headers["content-length"]) == len(answer.content)
    kind, boundary = answer.headers["content-type"].split("; boundary=")
    assert kind == "multipart/byteranges"
    pieces = re.split(rb"\r\n--%b(?:--)?\r\n" % boundary.encode(), b"\r\n" + answer.content)
    assert pieces[0] == pieces[-1] == b""
    spans = [(total - 3, total - 1), (0, 4), (10, 30)]
    for piece, (first, last) in zip(pieces[1:-1], spans, strict=True):
        head, _, data = piece.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        assert fields == {
            "Content-Type": whole.headers["content-type"],
            "Content-Range": f"bytes {first}-{last}/{total}",
        }
        assert data == whole.content[first : last + 1]


@pytest.mark.parametrize("name", ["file", "frame", "video", "file made anew"])
def test_what_does_not_exist_is_416(
    http: httpx.Client, stored: dict[str, Dataset], name: str
) -> None:
    total = len(ask(http, stored, name).content)
    for asked in (f"bytes={total}-", "bytes=-0", f"bytes={total + 5}-{total + 9}"):
        answer = ask(http, stored, name, Range=asked)
        assert_problem(answer, 416)
        assert answer.headers["content-range"] == f"bytes */{total}"


@pytest.mark.parametrize(
    "asked", ["bytes=5-1", "lines=1-2", "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 40, 2))]
)
def test_what_is_no_range_and_too_many_are_the_whole(
    http: httpx.Client, stored: dict[str, Dataset], asked: str
) -> None:
    whole = ask(http, stored, "frame")
    answer = ask(http, stored, "frame", Range=asked)
    assert (answer.status_code, answer.content) == (200, whole.content)


def test_if_range_names_what_the_client_has_begun(
    http: httpx.Client, stored: dict[str, Dataset]
) -> None:
    tag = ask(http, stored, "file").headers["etag"]
    asked = "bytes=0-9"
    assert ask(http, stored, "file", Range=asked, If_Range=tag).status_code == 206
    for other in ('"other"', f"W/{tag}", "Tue, 15 Nov 1994 12:45:26 GMT"):
        assert ask(http, stored, "file", Range=asked, If_Range=other).status_code == 200
    out_of_range = ask(http, stored, "file", Range="bytes=999999999-", If_Range='"other"')
    assert out_of_range.status_code == 200


def test_conditions_come_before_ranges(http: httpx.Client, stored: dict[str, Dataset]) -> None:
    tag = ask(http, stored, "file").headers["etag"]
    assert ask(http, stored, "file", Range="bytes=0-9", If_None_Match=tag).status_code == 304
    assert_problem(ask(http, stored, "file", Range="bytes=0-9", If_Match='"x"'), 412)


def test_ranges_mean_nothing_elsewhere(http: httpx.Client, stored: dict[str, Dataset]) -> None:
    """To HEAD, to what is made as it is sent, and to what may be coded."""
    path = path_of(stored["file"])
    head = http.head(path, headers={"Accept": DICOM, "Range": "bytes=0-9"})
    assert head.status_code == 200
    assert head.headers["accept-ranges"] == "bytes"
    for place in ("", "/metadata", "/frames/1,2", "/frames/1"):
        answer = http.get(path + place, headers={"Range": "bytes=0-9"})
        assert answer.status_code == 200
        assert "accept-ranges" not in answer.headers


def test_no_scratch_file_stays_open(http: httpx.Client, server, stored) -> None:
    del stored
    for _ in range(3):
        store(http, image(JPEG2000Lossless))
    assert server.scratch_left() == []
