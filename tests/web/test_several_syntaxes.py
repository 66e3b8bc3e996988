"""A study or series of several transfer syntaxes: each representation is negotiated by itself
(PS3.18 §8.7.8.1, WADO-09)."""

from io import BytesIO

import httpx
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    JPEG2000MC,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from dicomweb_server.index.retrieve import PAGE
from tests.make import small_image, sr_document
from tests.web.asking import DICOM, assert_problem, new_uid, parts_of, path_of, post, store

ELE = ExplicitVRLittleEndian
TINY = {"bits": 8, "rows": 4, "columns": 4}


def files(accept: str, *syntaxes: str) -> str:
    """An Accept of DICOM files in parts, in the first syntax rather than in the next."""
    return ", ".join(
        f'multipart/related; type="{accept}"; transfer-syntax={syntax};q={1 - place / 10}'
        for place, syntax in enumerate(syntaxes)
    )


def get(http: httpx.Client, path: str, accept: str, **headers: str) -> httpx.Response:
    return http.get(path, headers={"Accept": accept, **headers})


def syntaxes_in(answer: httpx.Response) -> list[str]:
    found = []
    for fields, data in parts_of(answer):
        syntax = dcmread(BytesIO(data)).file_meta.TransferSyntaxUID
        assert fields["Content-Type"] == f"{DICOM}; transfer-syntax={syntax}"
        found.append(syntax)
    return found


@pytest.fixture(scope="module")
def mixed(http: httpx.Client) -> list[Dataset]:
    """Six images in one series: three in JPEG-LS, one in RLE, one Implicit and one Explicit VR."""
    syntaxes = [
        ExplicitVRLittleEndian,
        JPEGLSLossless,
        JPEGLSLossless,
        RLELossless,
        JPEGLSLossless,
        ImplicitVRLittleEndian,
    ]
    shared = {"StudyInstanceUID": new_uid(), "SeriesInstanceUID": new_uid()}
    images = [
        small_image(
            **TINY,
            transfer_syntax=syntax,
            InstanceNumber=str(number),
            SOPInstanceUID=new_uid(),
            **shared,
        )
        for number, syntax in enumerate(syntaxes)
    ]
    return store(http, *images)


@pytest.fixture(scope="module")
def large(http: httpx.Client) -> Dataset:
    """A series of as many RLE images as one statement tells, in a study with a report."""
    shared = {"StudyInstanceUID": new_uid(), "SeriesInstanceUID": new_uid()}
    images = store(
        http,
        *(
            small_image(**TINY, transfer_syntax=RLELossless, SOPInstanceUID=new_uid(), **shared)
            for _ in range(PAGE)
        ),
    )
    study = shared["StudyInstanceUID"]
    store(
        http,
        sr_document(StudyInstanceUID=study, SeriesInstanceUID=new_uid(), SOPInstanceUID=new_uid()),
    )
    return images[0]


def test_wado_09_a_large_series_in_its_own_syntax(http: httpx.Client, large: Dataset) -> None:
    answer = get(http, path_of(large, 2), files(DICOM, RLELossless))
    assert answer.status_code == 200
    assert syntaxes_in(answer) == [RLELossless] * PAGE
    as_stored = get(http, path_of(large, 2), files(DICOM, "*"))
    assert answer.headers["etag"] == as_stored.headers["etag"]  # the same bytes


def test_wado_09_what_is_stored_in_another_syntax_is_left_out(
    http: httpx.Client, large: Dataset
) -> None:
    accept = files(DICOM, RLELossless)
    with http.stream("GET", path_of(large, 1), headers={"Accept": accept}) as answer:
        assert answer.status_code == 206
        assert f"1 of {PAGE + 1} instances" in answer.headers["warning"]


@pytest.mark.parametrize("level", [1, 2])
def test_wado_09_a_stored_syntax_that_nothing_is_encoded_in(
    http: httpx.Client, mixed: list[Dataset], level: int
) -> None:
    """Implicit VR, which is never made, by its UID: those that are stored in it."""
    path = path_of(mixed[0], level)
    answer = get(http, path, files(DICOM, ImplicitVRLittleEndian))
    assert (answer.status_code, syntaxes_in(answer)) == (206, [ImplicitVRLittleEndian])
    assert "5 of 6 instances" in answer.headers["warning"]
    tag = answer.headers["etag"]
    again = {"If-None-Match": tag}
    assert get(http, path, files(DICOM, ImplicitVRLittleEndian), **again).status_code == 304

    both = get(http, path, files(DICOM, ImplicitVRLittleEndian, "*"))
    assert both.status_code == 200
    assert syntaxes_in(both) == [image.file_meta.TransferSyntaxUID for image in mixed]
    assert "etag" not in both.headers or both.headers["etag"] != tag
    head = http.head(path, headers={"Accept": files(DICOM, ImplicitVRLittleEndian)})
    assert (head.status_code, head.headers["etag"]) == (206, tag)


def test_wado_09_nobody_has_it(http: httpx.Client, mixed: list[Dataset]) -> None:
    problem = assert_problem(get(http, path_of(mixed[0], 1), files(DICOM, "1.2.3")), 406)
    for stored in (RLELossless, JPEGLSLossless, ImplicitVRLittleEndian):
        assert (
            f'multipart/related; type="{DICOM}"; transfer-syntax={stored}' in problem["available"]
        )
    octets = f'{files(DICOM, "1.2.3")}, multipart/related; type="application/octet-stream";q=0.1'
    assert len(parts_of(get(http, path_of(mixed[0], 1), octets))) == 6


# -------------------------------------------------------------------------------- bulk data

JLS, RLE, OCTETS = "image/jls", "image/dicom-rle", "application/octet-stream"


def types(*named: str) -> str:
    """An Accept of these types in parts, each rather than the next."""
    return ", ".join(
        f'multipart/related; type="{kind}";q={1 - place / 10}' for place, kind in enumerate(named)
    )


def kinds_in(answer: httpx.Response) -> list[str]:
    kinds = [fields["Content-Type"].partition(";")[0] for fields, _ in parts_of(answer)]
    assert answer.headers["content-type"].startswith(f'multipart/related; type="{kinds[0]}";')
    return kinds


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("place", ["pixeldata", "bulkdata"])
def test_pixel_data_are_negotiated_one_by_one(
    http: httpx.Client, mixed: list[Dataset], level: int, place: str
) -> None:
    """Types may differ between the parts (digest 1.6)."""
    path = f"{path_of(mixed[0], level)}/{place}"
    answer = get(http, path, types(JLS, "image/jp2", OCTETS))
    assert answer.status_code == 200
    assert "warning" not in answer.headers
    assert kinds_in(answer) == [OCTETS, JLS, JLS, OCTETS, JLS, OCTETS]
    assert kinds_in(get(http, path, types(OCTETS, JLS))) == [OCTETS] * 6

    alone = get(http, path, types(JLS))
    assert (alone.status_code, kinds_in(alone)) == (206, [JLS] * 3)
    assert "3 of 6 instances" in alone.headers["warning"]
    tag = alone.headers["etag"]
    assert get(http, path, types(JLS), **{"If-None-Match": tag}).status_code == 304
    images = get(http, path, "multipart/related; type=image/*")
    assert (images.status_code, kinds_in(images)) == (206, [JLS, JLS, RLE, JLS])
    assert images.headers["etag"] != tag
    problem = assert_problem(get(http, path, types("image/jp2")), 406)
    for kind in (JLS, RLE, OCTETS):
        assert f'multipart/related; type="{kind}"' in problem["available"]


@pytest.mark.parametrize("place", ["pixeldata", "bulkdata"])
def test_pixel_data_of_a_large_series(http: httpx.Client, large: Dataset, place: str) -> None:
    accept = {"Accept": types(RLE)}
    for level in (1, 2):
        with http.stream("GET", f"{path_of(large, level)}/{place}", headers=accept) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith(f'multipart/related; type="{RLE}"')
    assert_problem(get(http, f"{path_of(large, 2)}/{place}", types(JLS)), 406)


# ------------------------------------------------------------------ what cannot be decoded


@pytest.fixture(scope="module")
def damaged(http: httpx.Client) -> Dataset:
    """An image in JPEG 2000 whose code stream is cut off; and a good one after it."""
    shared = {"StudyInstanceUID": new_uid(), "SeriesInstanceUID": new_uid()}
    file = small_image(
        transfer_syntax=JPEG2000Lossless, InstanceNumber="1", SOPInstanceUID=new_uid(), **shared
    )
    image = dcmread(BytesIO(file))
    [code] = generate_frames(image.PixelData, number_of_frames=1)
    image.PixelData = encapsulate([code[:60] + bytes(40)])
    out = BytesIO()
    image.save_as(out)
    good = small_image(**TINY, InstanceNumber="2", SOPInstanceUID=new_uid(), **shared)
    return store(http, out.getvalue(), good)[0]


def single(*syntaxes: str | None) -> str:
    return ", ".join(
        DICOM + (f"; transfer-syntax={each}" if each else "") + f";q={1 - place / 10}"
        for place, each in enumerate(syntaxes)
    )


def test_ts_05_what_cannot_be_decoded_goes_as_stored_instead_of_the_default_alone(
    http: httpx.Client, damaged: Dataset
) -> None:
    path = path_of(damaged)
    stored = JPEG2000Lossless
    for accept in (
        single(None),
        single(ELE, "*"),
        single(ELE, None),
        single(ELE, JPEG2000Lossless),
    ):
        answer = get(http, path, accept)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == f"{DICOM}; transfer-syntax={stored}"
    for accept in (single(ELE), single(ELE, RLELossless), files(DICOM, ELE)):
        assert_problem(get(http, path, accept), 406)


def test_ts_05_of_several(http: httpx.Client, damaged: Dataset) -> None:
    for level in (1, 2):
        path = path_of(damaged, level)
        for accept in ("*/*", files(DICOM, ELE, "*")):
            answer = get(http, path, accept)
            assert (answer.status_code, syntaxes_in(answer)) == (200, [JPEG2000Lossless, ELE])
        assert_problem(get(http, path, files(DICOM, ELE)), 406)
        for place in ("pixeldata", "bulkdata"):
            assert kinds_in(get(http, f"{path}/{place}", types(OCTETS))) == ["image/jp2", OCTETS]
            assert_problem(get(http, f"{path}/{place}", files(OCTETS, ELE)), 406)


def test_wado_09_what_has_no_decoder_is_left_out_where_it_must_be_decoded(
    http: httpx.Client,
) -> None:
    shared = {"StudyInstanceUID": new_uid(), "SeriesInstanceUID": new_uid()}
    image = dcmread(BytesIO(small_image(**TINY, SOPInstanceUID=new_uid(), **shared)))
    image.file_meta.TransferSyntaxUID = JPEG2000MC
    image.PixelData = encapsulate([bytes(100)])
    out = BytesIO()
    image.save_as(out)
    post(http, [out.getvalue()])
    [good] = store(http, small_image(**TINY, SOPInstanceUID=new_uid(), **shared))
    for accept, status, count in ((files(DICOM, ELE), 206, 1), (files(DICOM, ELE, "*"), 200, 2)):
        answer = get(http, path_of(good, 1), accept)
        assert (answer.status_code, len(parts_of(answer))) == (status, count)
    for place in ("", "/pixeldata", "/bulkdata"):
        accept = files(OCTETS if place else DICOM, ELE)
        answer = get(http, path_of(good, 2) + place, accept)
        assert (answer.status_code, len(parts_of(answer))) == (206, 1)
        assert "1 of 2 instances" in answer.headers["warning"]


def test_neg_08_what_is_barred_is_not_sent_as_stored(
    http: httpx.Client, mixed: list[Dataset]
) -> None:
    barred = f"{files(DICOM, '*')}, {files(DICOM, JPEGLSLossless).partition(';q=')[0]};q=0"
    answer = get(http, path_of(mixed[0], 1), barred)
    assert syntaxes_in(answer) == [ELE, ELE, ELE, RLELossless, ELE, ELE]
    answer = get(http, f"{path_of(mixed[0], 1)}/pixeldata", f"{files(OCTETS, '*')}, {JLS};q=0")
    assert kinds_in(answer) == [OCTETS, OCTETS, OCTETS, RLE, OCTETS, OCTETS]
    frame = f"{path_of(mixed[1])}/frames/1"
    for accept, kind in (
        (f"{OCTETS};transfer-syntax=*", JLS),
        (f"{OCTETS};transfer-syntax=*, {JLS};q=0", OCTETS),
    ):
        assert get(http, frame, accept).headers["content-type"].startswith(kind)
    picture = get(http, f"{path_of(mixed[1])}/rendered", "image/jpeg;q=0, */*")
    assert picture.headers["content-type"] == "image/png"
