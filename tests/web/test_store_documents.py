"""Bulk data that is a video or a document: kept byte for byte, its attributes filled in."""

import os
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import dcmread
from pydicom.encaps import generate_frames
from pydicom.uid import (
    EncapsulatedCDAStorage,
    EncapsulatedPDFStorage,
    EncapsulatedSTLStorage,
    VideoEndoscopicImageStorage,
)

from tests.make import pdf
from tests.make.posted import Bulk
from tests.make.video import (
    H264_HIGH_41,
    H264_HIGH_42,
    HEVC_422_10,
    HEVC_MAIN,
    HEVC_MAIN_10,
    annex_b,
    avc_entry,
    h264_pictures,
    hevc_pictures,
    mp4,
    mpeg2,
    program,
    track,
    transport,
)
from tests.web.asking import reasons
from tests.web.posting import (
    OCTETS,
    part,
    post_posted,
    posted_instance,
    problems,
    retrieved,
    stored_paths,
)

ARC = "1.2.840.10008.1.2.4."

VIDEOS = {
    "mpeg-2": ("video/mpeg", mpeg2(), "100", (240, 352)),
    "mpeg-2 program": ("video/mpeg", program(mpeg2()), "100", (240, 352)),
    "mpeg-2 transport": ("video/mpeg", transport(mpeg2()), "100", (240, 352)),
    "h264": ("video/mp4", annex_b(H264_HIGH_41, *h264_pictures(3)), "102", (242, 350)),
    "h264 4.2": ("video/mp4", annex_b(H264_HIGH_42, *h264_pictures(3)), "104", (240, 352)),
    "h264 mp4": ("video/mp4", mp4(track(avc_entry(H264_HIGH_41))), "102", (242, 350)),
    "hevc": ("video/H265", annex_b(HEVC_MAIN, *hevc_pictures(3)), "107", (242, 350)),
    "hevc 10": ("video/h265", annex_b(HEVC_MAIN_10, *hevc_pictures(3)), "108", (242, 350)),
}


@pytest.mark.parametrize("xml", [False, True])
@pytest.mark.parametrize("name", VIDEOS)
def test_stow_14_a_video_is_one_part_and_one_fragment(
    http: httpx.Client, name: str, xml: bool
) -> None:
    media_type, video, arc, (rows, columns) = VIDEOS[name]
    made = posted_instance(
        SOPClassUID=VideoEndoscopicImageStorage, Modality="ES", PixelData=Bulk("video", "OB")
    )
    answer = post_posted(http, [made], [part(media_type, video, Content_Location="video")], xml=xml)

    assert answer.status_code == 200, answer.text
    dataset = retrieved(http, answer)
    assert dataset.file_meta.TransferSyntaxUID == ARC + arc
    assert (dataset.Rows, dataset.Columns) == (rows, columns)
    assert dataset.PhotometricInterpretation == "YBR_PARTIAL_420"
    assert dataset.LossyImageCompression == "01"
    [stream] = generate_frames(dataset.PixelData, number_of_frames=1)
    assert stream == video + bytes(len(video) % 2)
    [path] = stored_paths(answer)
    uri = f"{path}/bulkdata/7FE00010"
    got = http.get(uri, headers={"Accept": "*/*"})
    assert got.status_code == 200
    assert stream in got.content


def real_videos() -> list[Path]:
    named = os.environ.get("DICOM_CORPUS")
    return sorted(Path(named).rglob("video-*.dcm")) if named else []


@pytest.mark.parametrize("path", real_videos(), ids=lambda path: path.name)
def test_a_real_video_tells_what_its_metadata_leave_out(http: httpx.Client, path: Path) -> None:
    source = dcmread(path)
    [video] = generate_frames(source.PixelData, number_of_frames=1)
    made = posted_instance(SOPClassUID=source.SOPClassUID, PixelData=Bulk("video", "OB"))
    answer = post_posted(http, [made], [part("video/mp4", video, Content_Location="video")])

    assert answer.status_code == 200, answer.text
    dataset = retrieved(http, answer)
    assert dataset.file_meta.TransferSyntaxUID == source.file_meta.TransferSyntaxUID
    for keyword in ("Rows", "Columns", "SamplesPerPixel", "BitsStored", "NumberOfFrames"):
        assert dataset[keyword].value == source[keyword].value
    assert dataset.PixelData == source.PixelData


def test_a_video_of_no_profile_of_ours_fails_alone(http: httpx.Client) -> None:
    video = annex_b(HEVC_422_10, *hevc_pictures(3))
    made = posted_instance(PixelData=Bulk("video", "OB"))
    answer = post_posted(http, [made], [part("video/h265", video, Content_Location="video")])
    assert answer.status_code == 409
    assert reasons(answer) == [0xC122]


def test_a_video_in_several_parts_is_told_to_have_frames(http: httpx.Client) -> None:
    video = mpeg2()
    made = posted_instance(PixelData=Bulk("video", "OB"))
    parts = [part("video/mpeg", video, Content_Location="video")] * 2
    answer = post_posted(http, [made], parts)
    assert answer.status_code == 409
    assert reasons(answer) == [0xC000]


DOCUMENTS: dict[str, tuple[str, str, bytes, dict[str, Any]]] = {
    "pdf": ("application/pdf", EncapsulatedPDFStorage, pdf(), {}),
    "cda": ("text/xml", EncapsulatedCDAStorage, b'<?xml version="1.0"?><ClinicalDocument/>', {}),
    "stl": ("model/stl", EncapsulatedSTLStorage, bytes(80) + b"\0\0\0\0" + b"\x01", {}),
    "stated": (
        OCTETS,
        EncapsulatedPDFStorage,
        pdf(),
        {
            "MIMETypeOfEncapsulatedDocument": "application/pdf",
            "EncapsulatedDocumentLength": len(pdf()),
        },
    ),
}


@pytest.mark.parametrize("xml", [False, True])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_stow_15_a_document_is_kept_with_its_type_and_length(
    http: httpx.Client, name: str, xml: bool
) -> None:
    media_type, sop_class, document, stated = DOCUMENTS[name]
    made = posted_instance(
        SOPClassUID=sop_class, Modality="DOC", EncapsulatedDocument=Bulk("it", "OB"), **stated
    )
    answer = post_posted(http, [made], [part(media_type, document, Content_Location="it")], xml=xml)

    # A model has to name its maker and its units, which are not what this is about.
    assert answer.status_code == (202 if name == "stl" else 200), answer.text
    assert all("is missing" in each or "is empty" in each for each in problems(answer))
    dataset = retrieved(http, answer)
    expected = stated.get("MIMETypeOfEncapsulatedDocument", media_type)
    assert dataset.MIMETypeOfEncapsulatedDocument == expected
    assert dataset.EncapsulatedDocumentLength == len(document)
    assert dataset.EncapsulatedDocument[: len(document)] == document
    assert len(dataset.EncapsulatedDocument) == len(document) + len(document) % 2


def test_another_type_than_the_metadata_say_is_told(http: httpx.Client) -> None:
    made = posted_instance(
        SOPClassUID=EncapsulatedCDAStorage,
        MIMETypeOfEncapsulatedDocument="text/XML ",
        EncapsulatedDocument=Bulk("it", "OB"),
    )
    same = post_posted(http, [made], [part("text/xml", b"<a/>", Content_Location="it")])
    assert same.status_code == 200, same.text
    made = made | posted_instance(MIMETypeOfEncapsulatedDocument="text/xml")
    other = post_posted(http, [made], [part("application/pdf", pdf(), Content_Location="it")])
    assert other.status_code == 202
    assert problems(other) == ["(0042,0012) is not the type of the part"]


def test_a_document_of_several_parts_is_refused(http: httpx.Client) -> None:
    made = posted_instance(EncapsulatedDocument=Bulk("it", "OB"))
    parts = [part("application/pdf", pdf(), Content_Location="it")] * 2
    assert reasons(post_posted(http, [made], parts)) == [0xC000]
