"""…/bulkdata and …/pixeldata: all values of a study, series or instance, each under its URI."""

from io import BytesIO
from typing import Any

import httpx
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence
from pydicom.uid import (
    MPEG4HP41,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from tests.make import encapsulated_pdf, instance_with, small_image
from tests.web.asking import assert_problem, new_uid, parts_of, path_of, store

OCTETS = "application/octet-stream"
MULTI = f'multipart/related; type="{OCTETS}"'
ANY = f"{MULTI}; transfer-syntax=*"


def icon() -> Dataset:
    """An item with pixel data of its own, which is no pixel data of the instance."""
    item = Dataset()
    item.Rows = item.Columns = 100
    item.SamplesPerPixel = 1
    item.PhotometricInterpretation = "MONOCHROME2"
    item.BitsAllocated = item.BitsStored = 8
    item.HighBit, item.PixelRepresentation = 7, 0
    item.PixelData = bytes(range(100)) * 100
    return item


def resaved(file: bytes, **attributes: Any) -> bytes:
    dataset = dcmread(BytesIO(file))
    for name, value in attributes.items():
        setattr(dataset, name, value)
    out = BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


@pytest.fixture(scope="module")
def study(http: httpx.Client) -> list[Dataset]:
    """A native image with an icon and overlay, an RLE and a big endian image of 3 frames in one
    series; a document and an instance without bulk data in another."""
    study = new_uid()

    def uids(series: int, number: int) -> dict[str, str]:
        return {
            "StudyInstanceUID": study,
            "SeriesInstanceUID": f"{study}.{series}",
            "SOPInstanceUID": f"{study}.{series}.{number}",
            "SeriesNumber": str(series),
            "InstanceNumber": str(number),
        }

    native = small_image(**uids(1, 1))
    files = [
        resaved(native, IconImageSequence=Sequence([icon()])),
        small_image(transfer_syntax=RLELossless, frames=3, **uids(1, 2)),
        small_image(transfer_syntax=ExplicitVRBigEndian, frames=3, **uids(1, 3)),
        small_image(transfer_syntax=DeflatedExplicitVRLittleEndian, frames=2, **uids(1, 4)),
        encapsulated_pdf(EncapsulatedDocument=bytes(20_000), **uids(2, 1)),
        instance_with(**uids(2, 2)),
    ]
    return store(http, *files)


def get(http: httpx.Client, path: str, accept: str = "*/*", **headers: str) -> httpx.Response:
    return http.get(path, headers={"Accept": accept, **headers})


def uris_of(http: httpx.Client, path: str) -> list[str]:
    """Every BulkDataURI of the metadata, in order."""

    def within(dataset: dict[str, Any]) -> list[str]:
        found = []
        for attribute in dataset.values():
            if "BulkDataURI" in attribute:
                found.append(attribute["BulkDataURI"])
            if attribute["vr"] == "SQ":
                for item in attribute.get("Value", ()):
                    found += within(item)
        return found

    return [uri for dataset in http.get(f"{path}/metadata").json() for uri in within(dataset)]


def checked(answer: httpx.Response) -> list[tuple[str, str, bytes]]:
    """Location, type and content of the parts of a multipart answer."""
    assert answer.status_code == 200, answer.text[:500]
    found = []
    for fields, data in parts_of(answer):
        assert int(fields["Content-Length"]) == len(data)
        found.append((fields["Content-Location"], fields["Content-Type"], data))
    kind = answer.headers["content-type"]
    assert kind.startswith(f'multipart/related; type="{found[0][1].split(";")[0]}"; boundary=')
    return found


@pytest.mark.parametrize(("level", "which"), [(1, 0), (2, 0), (2, 4), (3, 0), (3, 3)])
@pytest.mark.parametrize("accept", ["*/*", MULTI, f"multipart/related; type={OCTETS}"])
def test_every_uri_of_the_metadata_and_its_value(
    http: httpx.Client, study: list[Dataset], level: int, which: int, accept: str
) -> None:
    path = path_of(study[which], level)
    parts = checked(get(http, f"{path}/bulkdata", accept))

    assert [uri for uri, _, _ in parts] == uris_of(http, path)
    assert len(parts) == {(1, 0): 6, (2, 0): 5, (2, 4): 1, (3, 0): 2, (3, 3): 1}[level, which]
    for uri, kind, data in parts:
        assert kind == f"{OCTETS}; transfer-syntax={ExplicitVRLittleEndian}"  # TS-09
        assert data == get(http, uri, OCTETS).content
    if level == 3 and which == 0:  # tags ascend: the icon comes first
        assert parts[0][2] == icon().PixelData
        assert parts[1][2] == study[0].PixelData


@pytest.mark.parametrize("level", [1, 2, 3])
def test_trap_7_octets_of_an_instance_resource_are_its_bulk_data(
    http: httpx.Client, study: list[Dataset], level: int
) -> None:
    path = path_of(study[0], level)
    for accept in (MULTI, ANY):
        assert checked(get(http, path, accept)) == checked(get(http, f"{path}/bulkdata", accept))


def test_pixel_data_are_those_of_the_top_level_alone(
    http: httpx.Client, study: list[Dataset]
) -> None:
    for level in (1, 2):
        parts = checked(get(http, f"{path_of(study[0], level)}/pixeldata"))
        assert [uri.rsplit("/", 3)[1:] for uri, _, _ in parts] == [
            [dataset.SOPInstanceUID, "bulkdata", "7FE00010"] for dataset in study[:4]
        ]
        for (_, _, data), dataset in zip(parts, study, strict=False):
            assert data == dataset.pixel_array.astype("<u2").tobytes()
    [(uri, _, data)] = checked(get(http, f"{path_of(study[0])}/pixeldata"))
    assert uri.endswith(f"{study[0].SOPInstanceUID}/bulkdata/7FE00010")
    assert data == study[0].PixelData


def test_ts_11_compressed_frames_are_parts_of_one_uri(
    http: httpx.Client, study: list[Dataset]
) -> None:
    rle = study[1]
    stored = list(generate_frames(rle.PixelData, number_of_frames=3))
    uri = f"{str(http.base_url).rstrip('/')}/{path_of(rle)}/bulkdata/7FE00010"
    expected = [(uri, f"image/dicom-rle; transfer-syntax={RLELossless}", frame) for frame in stored]

    for path in (f"{path_of(rle)}/pixeldata", f"{path_of(rle)}/bulkdata", uri):
        for accept in (ANY, "multipart/related; type=image/dicom-rle"):
            found = checked(get(http, path, accept))
            assert [(*each[:2], each[2].rstrip(b"\0")) for each in found] == [
                (*each[:2], each[2].rstrip(b"\0")) for each in expected
            ]
        [(_, kind, data)] = checked(get(http, path))
        assert kind == f"{OCTETS}; transfer-syntax={ExplicitVRLittleEndian}"
        assert data == rle.pixel_array.tobytes()
        assert get(http, path, OCTETS).content == data
    series = checked(get(http, f"{path_of(rle, 2)}/pixeldata", ANY))
    assert [kind.partition(";")[0] for _, kind, _ in series] == [
        OCTETS, "image/dicom-rle", "image/dicom-rle", "image/dicom-rle", OCTETS, OCTETS
    ]  # fmt: skip


def test_a_single_part_where_there_is_one_item(http: httpx.Client, study: list[Dataset]) -> None:
    for place in ("bulkdata", "pixeldata"):
        answer = get(http, f"{path_of(study[2])}/{place}", OCTETS)
        assert answer.content == study[2].pixel_array.astype("<u2").tobytes()
        assert answer.headers["content-location"].endswith("/bulkdata/7FE00010")
        for level in (1, 2):  # NEG-03
            assert_problem(get(http, f"{path_of(study[2], level)}/{place}", OCTETS), 406)
    assert_problem(get(http, f"{path_of(study[0])}/bulkdata", OCTETS), 406)
    frames = get(http, f"{path_of(study[1])}/pixeldata", "image/dicom-rle")
    assert_problem(frames, 406)  # three items


def test_ranges_of_decoded_frames_in_one_value(http: httpx.Client, study: list[Dataset]) -> None:
    path = f"{path_of(study[1])}/pixeldata"
    whole = study[1].pixel_array.tobytes()
    third = len(whole) // 3
    for first, last in (
        (0, 3),
        (third - 2, third + 2),
        (third - 1, 2 * third),
        (5, len(whole) - 1),
    ):
        part = get(http, path, OCTETS, Range=f"bytes={first}-{last}")
        assert part.status_code == 206
        assert part.headers["content-range"] == f"bytes {first}-{last}/{len(whole)}"
        assert part.content == whole[first : last + 1]


def test_mp_08_nothing_of_the_kind_is_404(http: httpx.Client, study: list[Dataset]) -> None:
    for path in (
        f"{path_of(study[5])}/bulkdata",
        f"{path_of(study[4])}/pixeldata",
        f"{path_of(study[4], 2)}/pixeldata",
        f"studies/{new_uid()}/bulkdata",
        f"studies/{new_uid()}/pixeldata",
        f"{path_of(study[0], 2)}/instances/{study[4].SOPInstanceUID}/bulkdata",  # RES-02
    ):
        assert_problem(get(http, path), 404)
    assert_problem(get(http, path_of(study[5]), MULTI), 404)


def test_what_cannot_be_had_is_406(http: httpx.Client, study: list[Dataset]) -> None:
    for accept in ("image/png", "application/dicom", "multipart/related; type=image/jls"):
        refusal = assert_problem(get(http, f"{path_of(study[0], 1)}/bulkdata", accept), 406)
        assert MULTI in refusal["available"]


def test_what_cannot_be_decoded_goes_as_stored(http: httpx.Client) -> None:
    """TS-05, in lists; under its own URI it is 406 (WADO-09)."""
    study = new_uid()
    uids = {"StudyInstanceUID": study, "SeriesInstanceUID": f"{study}.1"}
    good = small_image(frames=2, **uids, SOPInstanceUID=f"{study}.1.1", InstanceNumber="1")
    bad = dcmread(
        BytesIO(
            small_image(
                transfer_syntax=JPEG2000Lossless,
                frames=2,
                **uids,
                SOPInstanceUID=f"{study}.1.2",
                InstanceNumber="2",
            )
        )
    )
    broken = [frame[:60] + bytes(40) for frame in generate_frames(bad.PixelData)]
    file = BytesIO()
    bad.save_as(file)
    store(http, good, resaved(file.getvalue(), PixelData=encapsulate(broken)))

    answer = get(http, f"studies/{study}/pixeldata")
    assert [kind.partition(";")[0] for _, kind, _ in checked(answer)] == [
        OCTETS, "image/jp2", "image/jp2"
    ]  # fmt: skip
    assert "etag" not in answer.headers
    assert_problem(get(http, f"{path_of(bad)}/pixeldata"), 406)


def test_video_is_one_part_of_its_own_type(http: httpx.Client) -> None:
    stream = bytes(range(256)) * 40
    video = dcmread(BytesIO(small_image(**dict.fromkeys(("StudyInstanceUID",), new_uid()))))
    video.SeriesInstanceUID, video.SOPInstanceUID = new_uid(), new_uid()
    video.file_meta.MediaStorageSOPInstanceUID = video.SOPInstanceUID
    video.file_meta.TransferSyntaxUID = MPEG4HP41
    video.PixelData = encapsulate([stream], fragments_per_frame=3)
    video.NumberOfFrames = 20
    out = BytesIO()
    video.save_as(out, enforce_file_format=True)
    answer = http.post(
        "studies", content=out.getvalue(), headers={"Content-Type": "application/dicom"}
    )
    assert answer.status_code in (200, 202)
    for level in (1, 2, 3):
        for place in ("bulkdata", "pixeldata"):
            [(_, kind, data)] = checked(get(http, f"{path_of(video, level)}/{place}"))
            assert kind == f"video/mp4; transfer-syntax={MPEG4HP41}"
            assert data == stream
    assert get(http, f"{path_of(video)}/pixeldata", "video/mp4").content == stream
    for numbers in ("1", "2", "20", "1,20"):  # WADO-08, whichever it is
        for frame in (f"frames/{numbers}", f"frames/{numbers}/rendered"):
            assert_problem(get(http, f"{path_of(video)}/{frame}"), 406)


def test_many_frames_are_found_a_batch_at_a_time(http: httpx.Client) -> None:
    [dataset] = store(
        http, small_image(transfer_syntax=RLELossless, frames=600, rows=2, columns=2, **{
            name: new_uid() for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
        })
    )  # fmt: skip
    path = f"{path_of(dataset)}/pixeldata"
    assert len(checked(get(http, path, ANY))) == 600
    whole = dataset.pixel_array.tobytes()
    part = get(http, path, OCTETS, Range="bytes=4785-4799")
    assert part.content == whole[4785:4800]
    assert get(http, path, OCTETS).content == whole


def test_cch_01_all_bulk_data_have_tags(http: httpx.Client, study: list[Dataset]) -> None:
    for path, accept in (
        (f"{path_of(study[0], 1)}/bulkdata", ANY),
        (f"{path_of(study[0], 2)}/pixeldata", ANY),
        (f"{path_of(study[4], 2)}/bulkdata", "*/*"),
        (f"{path_of(study[1])}/pixeldata", OCTETS),
    ):
        answer = get(http, path, accept)
        tag = answer.headers["etag"]
        assert get(http, path, accept).content == answer.content
        same = get(http, path, accept, **{"If-None-Match": tag})
        assert (same.status_code, same.content) == (304, b"")
        assert http.head(path, headers={"Accept": accept}).headers["etag"] == tag


def test_wado_09_of_all_values_those_that_can_be_had(
    http: httpx.Client, study: list[Dataset]
) -> None:
    """Of five instances with bulk data, one has pixel data in RLE; icons and documents have no
    such form."""
    answer = get(http, f"{path_of(study[0], 1)}/bulkdata", "multipart/related; type=image/*")
    assert answer.status_code == 206
    assert "of 4 of 5 instances" in answer.headers["warning"]
    assert {fields["Content-Location"] for fields, _ in parts_of(answer)} == {
        f"{str(http.base_url).rstrip('/')}/{path_of(study[1])}/bulkdata/7FE00010"
    }
    assert len(parts_of(answer)) == 3
