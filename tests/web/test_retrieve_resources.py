"""WADO-RS through HTTP: instances, metadata, frames, bulk data, and how they are negotiated."""

from io import BytesIO

import httpx
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from tests.make import (
    encapsulated_pdf,
    instance_with,
    multipart_body,
    pdf,
    small_image,
    sr_document,
    uid,
)
from tests.web.asking import DICOM, assert_problem, new_uid, parts_of, path_of, post, store

OCTETS = "application/octet-stream"
MULTI_DICOM = f'multipart/related; type="{DICOM}"'
MULTI_OCTETS = f'multipart/related; type="{OCTETS}"'


def image(**options: object) -> bytes:
    """An image with UIDs of its own."""
    dataset = dcmread(BytesIO(small_image(**options)))
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = new_uid(), new_uid()
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = new_uid()
    out = BytesIO()
    dataset.save_as(out)
    return out.getvalue()


@pytest.fixture(scope="module")
def series(http: httpx.Client) -> list[Dataset]:
    study, series = new_uid(), new_uid()
    files = [
        instance_with(
            StudyInstanceUID=study,
            SeriesInstanceUID=series,
            SOPInstanceUID=uid(study, n),
            InstanceNumber=str(n),
        )
        for n in (3, 1, 2)
    ]
    return store(http, *files)


def test_a_study_comes_as_multipart_in_order(http: httpx.Client, series: list[Dataset]) -> None:
    for level in (1, 2):
        response = http.get(path_of(series[0], level), headers={"Accept": MULTI_DICOM})
        assert response.status_code == 200
        assert response.headers["content-type"].startswith(MULTI_DICOM + "; boundary=")
        parts = parts_of(response)
        numbers = [dcmread(BytesIO(data)).InstanceNumber for _, data in parts]
        assert numbers == [1, 2, 3]  # WADO-11
        for fields, data in parts:
            assert fields["Content-Type"] == f"{DICOM}; transfer-syntax={ExplicitVRLittleEndian}"
            assert int(fields["Content-Length"]) == len(data)
            assert fields["Content-Location"].startswith(str(http.base_url))


@pytest.mark.parametrize("accept", [None, "*/*", MULTI_DICOM, f"multipart/related; type={DICOM}"])
def test_neg_04_the_default_is_multipart(
    http: httpx.Client, series: list[Dataset], accept: str | None
) -> None:
    request = http.build_request("GET", path_of(series[0]))
    del request.headers["accept"]
    if accept:
        request.headers["accept"] = accept
    assert len(parts_of(http.send(request))) == 1


@pytest.mark.parametrize(
    "accept",
    [
        "image/png",
        "application/dicom+json",
        f"{DICOM}; transfer-syntax={JPEG2000Lossless}",
        f"{DICOM};q=0",
    ],
)
def test_what_cannot_be_had_is_406_and_says_what_can(
    http: httpx.Client, series: list[Dataset], accept: str
) -> None:
    problem = assert_problem(http.get(path_of(series[0]), headers={"Accept": accept}), 406)
    assert any(DICOM in kind for kind in problem["available"])


def test_neg_03_a_study_is_no_single_part(http: httpx.Client, series: list[Dataset]) -> None:
    assert_problem(http.get(path_of(series[0], 1), headers={"Accept": DICOM}), 406)


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEG2000Lossless,
        JPEGLSLossless,
    ],
    ids=lambda syntax: syntax.name,
)
def test_every_syntax_as_stored_and_as_explicit_little_endian(
    http: httpx.Client, syntax: str
) -> None:
    file = image(transfer_syntax=syntax, frames=2)
    [original] = store(http, file)
    path = path_of(original)

    exact = http.get(path, headers={"Accept": f"{DICOM}; transfer-syntax={syntax}"})
    assert exact.content == file
    assert exact.headers["content-type"] == f"{DICOM}; transfer-syntax={syntax}"
    barred = syntax in (ImplicitVRLittleEndian, ExplicitVRBigEndian)
    as_stored = http.get(path, headers={"Accept": f"{DICOM}; transfer-syntax=*"})
    assert (as_stored.content == file) is not barred  # TS-03
    plain = dcmread(BytesIO(http.get(path, headers={"Accept": DICOM}).content))  # TS-02
    assert plain.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert np.array_equal(plain.pixel_array, original.pixel_array)
    assert plain.PatientName == original.PatientName


def test_res_02_an_instance_under_another_series_is_not_there(
    http: httpx.Client, series: list[Dataset]
) -> None:
    dataset = series[0]
    [other] = store(
        http,
        instance_with(
            StudyInstanceUID=new_uid(), SeriesInstanceUID=new_uid(), SOPInstanceUID=new_uid()
        ),
    )
    wrong = f"{path_of(other, 2)}/instances/{dataset.SOPInstanceUID}"
    for path in (wrong, f"{wrong}/metadata", f"{wrong}/frames/1", f"{wrong}/rendered"):
        assert_problem(http.get(path), 404)


@pytest.mark.parametrize("path", ["studies/1.2.x", "studies/..%2f..%2fetc", "studies/" + "1" * 65])
def test_res_05_what_is_no_uid(http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code in (400, 404)
    assert http.get(path).headers["content-type"] == "application/problem+json"


def test_unknown_resources_and_methods(http: httpx.Client, series: list[Dataset]) -> None:
    assert_problem(http.get("nothing/here"), 404)
    assert_problem(http.get(f"studies/{new_uid()}"), 404)
    refused = http.put(path_of(series[0]))
    assert_problem(refused, 405)
    assert {"GET", "DELETE"} <= set(refused.headers["allow"].replace(" ", "").split(","))


def test_res_04_a_trailing_slash_changes_nothing(http: httpx.Client, series: list[Dataset]) -> None:
    path = f"{path_of(series[0])}/metadata"
    assert http.get(path + "/").content == http.get(path).content


def test_res_06_head_is_get_without_a_body(http: httpx.Client, series: list[Dataset]) -> None:
    for path in (path_of(series[0]), f"{path_of(series[0])}/metadata"):
        head, get = http.head(path), http.get(path)
        assert head.status_code == get.status_code == 200
        assert head.content == b""


def test_metadata_at_three_levels(http: httpx.Client, series: list[Dataset]) -> None:
    for level, count in ((1, 3), (2, 3), (3, 1)):
        response = http.get(f"{path_of(series[1], level)}/metadata")
        assert response.headers["content-type"] == "application/dicom+json"
        objects = response.json()
        assert len(objects) == count  # JSN-01: always an array
        for one in objects:
            assert list(one) == sorted(one)
            assert not [tag for tag in one if tag.startswith("0002")]
    [one] = http.get(f"{path_of(series[1])}/metadata").json()
    assert Dataset.from_json(one).PatientID == series[1].PatientID
    assert_problem(http.get(f"studies/{new_uid()}/metadata"), 404)


def test_metadata_refers_to_bulk_data_that_can_be_had(http: httpx.Client) -> None:
    file = image(frames=3)
    [dataset] = store(http, file)
    [metadata] = http.get(f"{path_of(dataset)}/metadata").json()
    url = metadata["7FE00010"]["BulkDataURI"]

    assert url == f"{str(http.base_url).rstrip('/')}/{path_of(dataset)}/bulkdata/7FE00010"
    [(fields, data)] = parts_of(http.get(url))
    assert data == dataset.PixelData
    assert fields["Content-Location"] == url
    single = http.get(url, headers={"Accept": OCTETS})
    assert single.content == dataset.PixelData
    assert single.headers["content-length"] == str(len(dataset.PixelData))


def test_an_encapsulated_document_is_bulk_data(http: httpx.Client) -> None:
    [dataset] = store(http, encapsulated_pdf())
    [metadata] = http.get(f"{path_of(dataset)}/metadata").json()
    value = metadata["00420011"]
    if "BulkDataURI" in value:
        got = http.get(value["BulkDataURI"], headers={"Accept": OCTETS}).content
        assert got.startswith(pdf())
    assert_problem(http.get(f"{path_of(dataset)}/bulkdata/00420012"), 404)
    assert_problem(http.get(f"{path_of(dataset)}/bulkdata/nonsense"), 400)


def test_frames_of_native_data(http: httpx.Client) -> None:
    [dataset] = store(http, image(frames=3, rows=5, columns=7))
    length = 5 * 7 * 2
    path = f"{path_of(dataset)}/frames"

    parts = parts_of(http.get(f"{path}/1,3", headers={"Accept": MULTI_OCTETS}))
    pixels = dataset.PixelData
    assert [data for _, data in parts] == [pixels[:length], pixels[2 * length : 3 * length]]
    assert parts[1][0]["Content-Location"].endswith("/frames/3")
    assert http.get(f"{path}/2", headers={"Accept": OCTETS}).content == pixels[length : 2 * length]
    assert len(parts_of(http.get(f"{path}/1%2C2"))) == 2  # RES-01
    for bad in ("0", "-1", "x", "1,1", "1,,2"):
        assert_problem(http.get(f"{path}/{bad}"), 400)  # WADO-07
    assert_problem(http.get(f"{path}/4"), 404)
    assert_problem(http.get(f"{path}/1,2", headers={"Accept": OCTETS}), 406)  # NEG-03


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_frames_of_encapsulated_data(http: httpx.Client, syntax: str) -> None:
    [dataset] = store(http, image(transfer_syntax=syntax, frames=3))
    stored = list(generate_frames(dataset.PixelData, number_of_frames=3))
    path = f"{path_of(dataset)}/frames/2"

    any_syntax = http.get(path, headers={"Accept": f"{MULTI_OCTETS}; transfer-syntax=*"})
    [(fields, data)] = parts_of(any_syntax)  # as OHIF asks
    assert data.rstrip(b"\0") == stored[1].rstrip(b"\0")
    assert fields["Content-Type"].endswith(f"; transfer-syntax={syntax}")  # TS-09
    [(fields, data)] = parts_of(http.get(path))
    assert fields["Content-Type"] == f"{OCTETS}; transfer-syntax={ExplicitVRLittleEndian}"
    assert data == dataset.pixel_array[1].tobytes()


def test_wado_05_frames_of_one_bit(http: httpx.Client) -> None:
    [dataset] = store(http, image(bits=1, frames=3, rows=3, columns=3))
    for number in (1, 2, 3):
        path = f"{path_of(dataset)}/frames/{number}"
        data = http.get(path, headers={"Accept": OCTETS}).content
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[:9]
        assert np.array_equal(bits.reshape(3, 3), dataset.pixel_array[number - 1])


def test_trap_36_frames_of_big_endian_data_are_little_endian(http: httpx.Client) -> None:
    [dataset] = store(http, image(transfer_syntax=ExplicitVRBigEndian, frames=2))
    expected = dataset.pixel_array.astype("<u2").tobytes()
    frames = [
        http.get(f"{path_of(dataset)}/frames/{n}", headers={"Accept": OCTETS}).content
        for n in (1, 2)
    ]
    assert b"".join(frames) == expected
    bulk = http.get(f"{path_of(dataset)}/bulkdata/7FE00010", headers={"Accept": OCTETS}).content
    assert bulk == expected


def test_trap_36_bulk_data_of_32_bit_big_endian_pixels(http: httpx.Client) -> None:
    [dataset] = store(http, image(transfer_syntax=ExplicitVRBigEndian, bits=32))
    path = path_of(dataset)
    frame = http.get(f"{path}/frames/1", headers={"Accept": OCTETS}).content
    assert frame == dataset.pixel_array.astype("<u4").tobytes()
    bulk = http.get(f"{path}/bulkdata/7FE00010", headers={"Accept": OCTETS}).content
    assert bulk == frame


def test_wado_09_what_cannot_be_decoded_is_406_in_one_part_or_many(http: httpx.Client) -> None:
    dataset = dcmread(BytesIO(image(transfer_syntax=JPEG2000Lossless, frames=2)))
    frames = [frame[:60] + bytes(40) for frame in generate_frames(dataset.PixelData)]
    dataset.PixelData = encapsulate(frames)
    out = BytesIO()
    dataset.save_as(out)
    store(http, out.getvalue())
    path = path_of(dataset)
    for resource in ("frames/1", "frames/1,2", "bulkdata/7FE00010", "rendered"):
        assert_problem(http.get(f"{path}/{resource}"), 406)
    as_stored = {"Accept": f"{MULTI_OCTETS}; transfer-syntax=*"}
    assert len(parts_of(http.get(f"{path}/frames/1,2", headers=as_stored))) == 2
    [(fields, _)] = parts_of(http.get(path))  # TS-05: as stored, and says so
    assert fields["Content-Type"] == f"{DICOM}; transfer-syntax={JPEG2000Lossless}"


def test_every_bulk_data_uri_leads_to_its_value(http: httpx.Client) -> None:
    """BLK-01, also where the data has another form than its transfer syntax says."""
    file = image(rows=4, columns=4)
    file = file.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0", 1)
    native = dcmread(BytesIO(file))
    assert native.file_meta.TransferSyntaxUID == RLELossless
    response = post(http, [file])
    assert response.status_code == 202  # B007
    [metadata] = http.get(f"{path_of(native)}/metadata").json()
    url = metadata["7FE00010"]["BulkDataURI"]
    assert http.get(url, headers={"Accept": OCTETS}).content == native.PixelData


def test_several_accept_lines_are_one_list(http: httpx.Client, series: list[Dataset]) -> None:
    lines = [("Accept", "application/dicom+xml"), ("Accept", "application/dicom+json")]
    assert http.get(f"{path_of(series[0])}/metadata", headers=lines).status_code == 200


def test_large_frames_are_streamed_and_whole(http: httpx.Client) -> None:
    [dataset] = store(http, image(rows=1600, columns=1600, frames=2))
    half = len(dataset.PixelData) // 2
    assert half > 4 << 20
    single = http.get(f"{path_of(dataset)}/frames/2", headers={"Accept": OCTETS})
    assert single.content == dataset.PixelData[half:]
    parts = parts_of(http.get(f"{path_of(dataset)}/frames/1,2"))
    assert b"".join(data for _, data in parts) == dataset.PixelData


def test_frames_and_bulk_data_of_deflated_files(http: httpx.Client) -> None:
    [dataset] = store(http, image(transfer_syntax=DeflatedExplicitVRLittleEndian, frames=2))
    path = path_of(dataset)
    half = len(dataset.PixelData) // 2
    frame = http.get(f"{path}/frames/2", headers={"Accept": OCTETS}).content
    assert frame == dataset.PixelData[half : 2 * half]
    bulk = http.get(f"{path}/bulkdata/7FE00010", headers={"Accept": OCTETS}).content
    assert bulk == dataset.PixelData


def test_what_has_no_pixels_has_no_frames(http: httpx.Client, series: list[Dataset]) -> None:
    [dataset] = store(http, sr_document(SOPInstanceUID=new_uid()))
    assert_problem(http.get(f"{path_of(dataset)}/frames/1"), 404)
    picture = {"Accept": "image/jpeg"}
    assert_problem(http.get(f"{path_of(dataset)}/rendered", headers=picture), 406)  # 3.3.6


def test_urls_never_come_from_the_host_header(http: httpx.Client, series: list[Dataset]) -> None:
    [one] = http.get(
        "studies",
        params={"StudyInstanceUID": series[0].StudyInstanceUID},
        headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"},
    ).json()
    assert one["00081190"]["Value"][0].startswith(str(http.base_url))


def test_every_answer_says_what_it_is_and_nothing_else(
    http: httpx.Client, series: list[Dataset]
) -> None:
    for path in (path_of(series[0]), "studies?limit=1", "nothing"):
        headers = http.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-request-id"]


def test_ten_thousand_parts(http: httpx.Client) -> None:
    body, content_type = multipart_body([b"x"] * 10_000)
    response = http.post("studies", content=body, headers={"Content-Type": content_type})
    assert response.status_code == 409
    assert len(response.json()["0008119A"]["Value"]) == 10_000
    assert post(http, [image()]).status_code == 200
