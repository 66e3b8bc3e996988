"""Whole files in compressed syntaxes, read back by us and by pydicom, held against the source."""

import contextlib
import os
import shutil
import struct
import subprocess
import tracemalloc
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import config, uid
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames, parse_basic_offsets
from pydicom.pixels import get_decoder, pixel_array

from dicomweb_server.dicom import transcode_pixels
from dicomweb_server.dicom.encodable import LOSSLESS_TARGETS, can_encode
from dicomweb_server.dicom.file_meta import IMPLEMENTATION_CLASS_UID
from dicomweb_server.dicom.image_pixel import image_pixel
from dicomweb_server.dicom.pixels import decode_frame
from dicomweb_server.dicom.transcode import transcode
from dicomweb_server.dicom.transcode_frames import transcode_frame
from dicomweb_server.errors import ContentTooLarge, Refusal, UndecodablePixels
from tests.dicom.still_images import StillImage, read_still_image, still_images
from tests.dicom.test_encode_frames import INDEPENDENT
from tests.dicom.test_transcode import assert_same_values, image_of
from tests.make import instance_with, part10, small_image, small_pixels

RLE, BASELINE = str(uid.RLELossless), str(uid.JPEGBaseline8Bit)
JPEG_LS, JPEG_2000 = str(uid.JPEGLSLossless), str(uid.JPEG2000Lossless)
HTJ2K, SV1 = str(uid.HTJ2KLossless), str(uid.JPEGLosslessSV1)
TARGETS = sorted(LOSSLESS_TARGETS)

# Attributes that may change, and tables of fragments.
OF_PIXELS = {0x00280004, 0x00280006, 0x00280102, 0x7FE00001, 0x7FE00002, 0x7FE00003, 0x7FE00010}


@pytest.fixture(autouse=True)
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.IGNORE)


def transcoded(source: Path, target: str, **more: Any) -> Path:
    made = source.parent / "made.dcm"
    transcode(source, made, target, **{"inflate_limit": 1 << 28, "pixel_limit": 1 << 28, **more})
    return made


def transcoded_bytes(file: bytes, folder: Path, target: str, **more: Any) -> Dataset:
    source = folder / "source.dcm"
    source.write_bytes(file)
    dataset = pydicom.dcmread(transcoded(source, target, **more))
    assert dataset.file_meta.TransferSyntaxUID == target
    return dataset


# ----------------------------------------------------------------------------- real files


def cases() -> list[tuple[Path, str]]:
    """Every target of the bundled files, one target in turn of each file of the corpus."""
    found: list[tuple[Path, str]] = []
    seen = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        images = [still for still in still_images() if len(still.file) < 1 << 20]
    bundled = Path(pydicom.__file__).parent
    for number, still in enumerate(images):
        if (still.path.name, len(still.file)) in seen:
            continue
        seen.add((still.path.name, len(still.file)))
        thin = not still.path.is_relative_to(bundled) or len(still.file) > 50_000
        targets = TARGETS if not thin else [TARGETS[number % len(TARGETS)]]
        found += [(still.path, target) for target in targets]
    return found


@pytest.mark.parametrize(
    ("path", "target"), cases(), ids=lambda value: getattr(value, "name", value)
)
def test_pixels_and_values_of_real_files_are_kept(path: Path, target: str, tmp_path: Path) -> None:
    source = read_still_image(path)
    assert source is not None
    made = tmp_path / "made.dcm"
    foretold = can_encode(source.dataset, source.transfer_syntax_uid, target)
    try:
        transcode(path, made, target, inflate_limit=1 << 28, pixel_limit=1 << 28)
    except Refusal as refusal:
        damaged = "code stream holds" in str(refusal) or "frames are stated" in str(refusal)
        assert not foretold or damaged
        assert not made.exists()
        return
    assert foretold

    target_image = read_still_image(made)
    assert target_image is not None
    assert target_image.transfer_syntax_uid == target
    assert target_image.count == source.count
    assert set(target_image.description.problems) <= set(source.description.problems)
    made_again = pydicom.dcmread(made)
    for number in {1, source.count}:
        assert_same_frame(source, target_image, made_again, number)
    if source.transfer_syntax_uid != target:
        after = pydicom.dcmread(made)
        assert_same_values(pydicom.dcmread(path), after, OF_PIXELS)
        assert after.file_meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID


def assert_same_frame(
    source: StillImage, target: StillImage, dataset: Dataset, number: int
) -> None:
    """By our decoders, and by one of another library."""
    image, syntax = image_pixel(target.dataset), target.transfer_syntax_uid
    before = decode_frame(
        source.frame(number), image_pixel(source.dataset), source.transfer_syntax_uid
    )
    after = decode_frame(target.frame(number), image, syntax)
    assert np.array_equal(before.array, after.array)
    assert before.array.dtype == after.array.dtype
    assert before.photometric_interpretation == after.photometric_interpretation
    for plugin in INDEPENDENT[syntax]:
        if before.array.size > 300_000:
            break  # which takes seconds
        if plugin == "gdcm" and image.bits_stored < 8:
            continue  # it crashes
        array, _ = get_decoder(syntax).as_array(
            dataset, index=number - 1, raw=True, decoding_plugin=plugin
        )
        assert np.array_equal(array.reshape(before.array.shape), before.array)
    # A frame asked for by itself is that of the instance.
    if source.transfer_syntax_uid != syntax:
        alone = transcode_frame(
            source.frame(number), source.dataset, source.transfer_syntax_uid, syntax
        )
        assert alone == target.frame(number)


# ------------------------------------------------------------------------------ attributes


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    "syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.JPEGLSLossless]
)
@pytest.mark.parametrize(
    ("photometric", "planar"), [("RGB", 0), ("RGB", 1), ("MONOCHROME2", 0), ("PALETTE COLOR", 0)]
)
def test_attributes_tell_what_the_code_streams_are(
    target: str, syntax: str, photometric: str, planar: int, tmp_path: Path
) -> None:
    shape: dict[str, Any] = {"photometric": photometric, "frames": 3, "rows": 5, "columns": 7}
    if photometric != "MONOCHROME2":
        shape["bits"] = 8
    if syntax != uid.JPEGLSLossless:
        shape["planar"] = planar
    file = small_image(transfer_syntax=syntax, **shape)

    made = transcoded_bytes(file, tmp_path, target)

    transformed = photometric == "RGB" and target in (JPEG_2000, HTJ2K, str(uid.HTJ2KLosslessRPCL))
    if syntax == target:
        return
    assert made.PhotometricInterpretation == ("YBR_RCT" if transformed else photometric)
    if photometric == "RGB":
        kept = target == RLE and shape.get("planar") == 1  # by plane whatever is told
        assert made.PlanarConfiguration == (1 if kept else 0)
    else:
        assert "PlanarConfiguration" not in made
    assert made.get_item("PixelData").VR == "OB"
    shape.pop("planar", None)
    assert np.array_equal(pixel_array(made, raw=True), small_pixels(**shape))
    before = pydicom.dcmread(BytesIO(file))
    for keyword in ("SOPInstanceUID", "SOPClassUID", "BitsAllocated", "BitsStored", "HighBit"):
        assert made[keyword].value == before[keyword].value
    assert "LossyImageCompression" not in made


@pytest.mark.parametrize("target", TARGETS)
def test_values_left_in_their_cells_move_to_the_right(target: str, tmp_path: Path) -> None:
    cells = np.arange(9, dtype=np.uint16).reshape(3, 3) * 16 + 5
    file = image_of(cells.tobytes(), uid.ExplicitVRLittleEndian, BitsStored=12, HighBit=15)

    made = transcoded_bytes(file, tmp_path, target)

    if target == RLE:  # which keeps the cells
        assert made.HighBit == 15
        assert np.array_equal(pixel_array(made, raw=True), cells)
    else:
        assert (made.BitsStored, made.HighBit) == (12, 11)
        assert np.array_equal(pixel_array(made, raw=True), np.arange(9).reshape(3, 3))


def test_decoded_values_are_where_high_bit_says(tmp_path: Path) -> None:
    """Code streams hold values at the right, whatever the High Bit beside them tells."""
    file = small_image(transfer_syntax=JPEG_LS, bits=12)
    dataset = pydicom.dcmread(BytesIO(file))
    dataset.HighBit = 15
    out = BytesIO()
    dataset.save_as(out)

    for target in (str(uid.ExplicitVRLittleEndian), RLE, HTJ2K):
        made = transcoded_bytes(out.getvalue(), tmp_path, target)
        assert made.HighBit == 11
        assert np.array_equal(pixel_array(made)[None], small_pixels(bits=12))


def test_an_overlay_in_the_cells_is_kept_or_the_syntax_refused(tmp_path: Path) -> None:
    cells = np.arange(9, dtype=np.uint16).reshape(3, 3) | 0x8000
    overlay = {"OverlayRows": 3, "OverlayBitsAllocated": 16, "OverlayBitPosition": 15}
    dataset = pydicom.dcmread(BytesIO(image_of(cells.tobytes(), uid.ExplicitVRLittleEndian)))
    dataset.BitsStored, dataset.HighBit = 12, 11
    for element, value in zip((0x0010, 0x0100, 0x0102), overlay.values(), strict=True):
        dataset.add_new(0x60000000 | element, "US", value)
    file = part10(dataset, uid.ExplicitVRLittleEndian)

    with pytest.raises(UndecodablePixels, match="overlay"):
        transcoded_bytes(file, tmp_path, JPEG_LS)
    made = transcoded_bytes(file, tmp_path, RLE)
    assert b"".join(frame_bytes(made)) == cells.tobytes()


def frame_bytes(dataset: Dataset) -> list[bytes]:
    """Whole cells of an RLE file, by pydicom."""
    dataset.BitsStored, dataset.HighBit = 16, 15
    return [np.ascontiguousarray(pixel_array(dataset, raw=True)).tobytes()]


def test_icons_and_overlays_stay_as_they_are(tmp_path: Path) -> None:
    icon = pydicom.dcmread(BytesIO(small_image(bits=8)))
    item = Dataset()
    for element in icon.group_dataset(0x0028):
        item.add(element)
    item.PixelData = icon.PixelData
    overlay = bytes(range(8))
    file = small_image(frames=2, IconImageSequence=[item])
    dataset = pydicom.dcmread(BytesIO(file))
    dataset.add_new(0x60003000, "OW", overlay)
    file = part10(dataset, uid.ExplicitVRLittleEndian)

    made = transcoded_bytes(file, tmp_path, JPEG_LS)

    assert made.IconImageSequence[0].PixelData == icon.PixelData
    assert made.IconImageSequence[0].PhotometricInterpretation == "MONOCHROME2"
    assert made[0x60003000].value == overlay
    assert_same_values(dataset, made, OF_PIXELS)


def test_ybr_full_422_becomes_ybr_full(tmp_path: Path) -> None:
    file = image_of(
        bytes([1, 2, 50, 60, 3, 4, 70, 80]),
        uid.ExplicitVRLittleEndian,
        Rows=1,
        Columns=4,
        SamplesPerPixel=3,
        PlanarConfiguration=0,
        PhotometricInterpretation="YBR_FULL_422",
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
    )

    for target in TARGETS:
        made = transcoded_bytes(file, tmp_path, target)
        assert made.PhotometricInterpretation == "YBR_FULL"
        whole = [[1, 50, 60], [2, 50, 60], [3, 70, 80], [4, 70, 80]]
        assert pixel_array(made, raw=True).tolist() == [whole]


# ---------------------------------------------------------------------------- offset tables


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_the_basic_offset_table_leads_to_every_frame(frames: int, tmp_path: Path) -> None:
    made = transcoded_bytes(small_image(frames=frames, rows=5, columns=5), tmp_path, JPEG_LS)

    offsets = parse_basic_offsets(made.PixelData)
    assert len(offsets) == frames
    after = 8 + 4 * frames
    for offset in offsets:
        assert made.PixelData[after + offset :].startswith(b"\xfe\xff\x00\xe0")
    assert len(list(generate_frames(made.PixelData, number_of_frames=frames))) == frames
    assert "ExtendedOffsetTable" not in made


def test_beyond_4_gib_there_is_an_extended_offset_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcode_pixels, "BASIC_LIMIT", 1000)
    made = transcoded_bytes(small_image(frames=3, rows=5, columns=5), tmp_path, JPEG_LS)

    assert parse_basic_offsets(made.PixelData) == []
    assert made.get_item("ExtendedOffsetTable").VR == "OV"
    offsets = struct.unpack("<3Q", made.ExtendedOffsetTable)
    lengths = struct.unpack("<3Q", made.ExtendedOffsetTableLengths)
    for offset, length in zip(offsets, lengths, strict=True):
        begin = 8 + offset + 8
        assert made.PixelData[begin : begin + 2] == b"\xff\xd8"
        assert made.PixelData[begin + length - 2 : begin + length] == b"\xff\xd9"
    expected = small_pixels(frames=3, rows=5, columns=5)
    assert np.array_equal(pixel_array(made), expected)
    image = read_still_image(tmp_path / "made.dcm")
    assert image is not None
    assert image.description.problems == ()


def test_old_tables_of_fragments_go(tmp_path: Path) -> None:
    file = small_image(frames=3, transfer_syntax=RLE, offsets="extended")

    made = transcoded_bytes(file, tmp_path, HTJ2K)

    assert not any(tag in made for tag in (0x7FE00001, 0x7FE00002, 0x7FE00003))
    assert np.array_equal(pixel_array(made), small_pixels(frames=3))


# -------------------------------------------------------------------------------- lossy


def test_loss_is_asked_for_and_told(tmp_path: Path) -> None:
    stated = {"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "LossyImageCompression": "00"}
    file = small_image(bits=8, rows=64, columns=64, frames=2, **stated)

    with pytest.raises(UndecodablePixels, match="quality"):
        transcoded_bytes(file, tmp_path, BASELINE, derived_uid="2.25.75")
    assert not (tmp_path / "made.dcm").exists()
    with pytest.raises(UndecodablePixels, match="SOP Instance UID of its own"):
        transcoded_bytes(file, tmp_path, BASELINE, quality=75)
    made = transcoded_bytes(file, tmp_path, BASELINE, quality=75, derived_uid="2.25.75")

    size = sum(map(len, generate_frames(made.PixelData, number_of_frames=2)))
    assert made.LossyImageCompression == "01"
    assert made.LossyImageCompressionRatio == pytest.approx(2 * 64 * 64 / size, rel=0.01)
    assert made.LossyImageCompressionMethod == "ISO_10918_1"
    assert list(made.ImageType) == ["DERIVED", "PRIMARY", "AXIAL"]
    source = pydicom.dcmread(BytesIO(file))
    assert made.SOPInstanceUID == made.file_meta.MediaStorageSOPInstanceUID == "2.25.75"
    [told] = made.SourceImageSequence
    assert told.ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert told.ReferencedSOPClassUID == source.SOPClassUID
    assert told.PurposeOfReferenceCodeSequence[0].CodeValue == "121320"
    assert made.DerivationCodeSequence[0].CodeMeaning == "Lossy Compression"
    assert made.StudyInstanceUID == source.StudyInstanceUID


@pytest.mark.parametrize("syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian])
def test_sources_that_are_named_already_stay(syntax: str, tmp_path: Path) -> None:
    former = Dataset()
    former.ReferencedSOPClassUID, former.ReferencedSOPInstanceUID = uid.CTImageStorage, "1.2.3"
    file = small_image(bits=8, transfer_syntax=syntax, SourceImageSequence=[former])
    made = transcoded_bytes(file, tmp_path, BASELINE, quality=75, derived_uid="2.25.7")
    [told] = made.SourceImageSequence
    assert told.ReferencedSOPInstanceUID == "1.2.3"
    assert made.SOPInstanceUID == "2.25.7"


def test_a_second_loss_is_told_beside_the_first(tmp_path: Path) -> None:
    file = small_image(
        photometric="RGB",
        bits=8,
        rows=16,
        columns=16,
        transfer_syntax=uid.JPEG2000Lossless,
        LossyImageCompression="01",
        LossyImageCompressionRatio="9.5",
        LossyImageCompressionMethod="ISO_15444_1",
        ImageType=["DERIVED", "SECONDARY"],
    )

    made = transcoded_bytes(file, tmp_path, BASELINE, quality=90, derived_uid="2.25.9")

    assert made.PhotometricInterpretation == "YBR_FULL_422"
    assert made.LossyImageCompressionRatio[0] == 9.5
    assert made.LossyImageCompressionRatio[1] > 0
    assert list(made.LossyImageCompressionMethod) == ["ISO_15444_1", "ISO_10918_1"]
    assert list(made.ImageType) == ["DERIVED", "SECONDARY"]


def told_of_loss(tmp_path: Path, **stated: object) -> Dataset:
    file = small_image(bits=8, rows=16, columns=16, LossyImageCompression="01", **stated)
    return transcoded_bytes(file, tmp_path, BASELINE, quality=90, derived_uid="2.25.9")


def test_an_unknown_method_or_ratio_of_before_keeps_its_place(tmp_path: Path) -> None:
    """Values of the two belong together (PS3.3 C.7.6.1.1.5)."""
    made = told_of_loss(tmp_path, LossyImageCompressionRatio=["9.5", "3"])
    assert made.LossyImageCompressionRatio[:2] == [9.5, 3]
    assert list(made.LossyImageCompressionMethod) == ["", "", "ISO_10918_1"]
    made = told_of_loss(tmp_path, LossyImageCompressionMethod="ISO_15444_1")
    assert list(made.LossyImageCompressionMethod) == ["ISO_15444_1", "ISO_10918_1"]
    assert len(made.LossyImageCompressionRatio) == 2
    assert made.LossyImageCompressionRatio[1] > 0


def test_an_empty_sequence_names_no_source(tmp_path: Path) -> None:
    empty: dict[str, object] = {"SourceImageSequence": [], "DerivationCodeSequence": []}
    made = told_of_loss(tmp_path, SOPInstanceUID="1.2.3", **empty)
    [named] = made.SourceImageSequence
    assert named.ReferencedSOPInstanceUID == "1.2.3"
    assert made.DerivationCodeSequence[0].CodeMeaning == "Lossy Compression"


@pytest.mark.parametrize("target", TARGETS)
def test_lossless_syntaxes_keep_what_tells_of_an_earlier_loss(target: str, tmp_path: Path) -> None:
    file = small_image(
        photometric="YBR_FULL_422",
        bits=8,
        rows=16,
        columns=16,
        transfer_syntax=BASELINE,
        LossyImageCompression="01",
        LossyImageCompressionRatio="9.5",
        LossyImageCompressionMethod="ISO_10918_1",
    )

    made = transcoded_bytes(file, tmp_path, target)

    assert made.PhotometricInterpretation == "YBR_FULL"
    assert made.LossyImageCompressionRatio == 9.5
    assert made.LossyImageCompressionMethod == "ISO_10918_1"


# ------------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("file", "refusal", "match"),
    [
        (instance_with(PatientName="Ex^Ample"), UndecodablePixels, "no pixel data"),
        (small_image(bits=1, rows=3), UndecodablePixels, "cells of 1 bits"),
        (small_image(bits=32), UndecodablePixels, "cells of 32 bits"),
        (small_image(frames=1000), ContentTooLarge, "limit"),
        (image_of(bytes(4), uid.ExplicitVRLittleEndian), UndecodablePixels, "0 can be found"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_no_file(
    file: bytes, refusal: type[Refusal], match: str, tmp_path: Path
) -> None:
    with pytest.raises(refusal, match=match):
        transcoded_bytes(file, tmp_path, JPEG_LS, pixel_limit=10_000)
    assert [path.name for path in tmp_path.iterdir()] == ["source.dcm"]


def test_the_same_syntax_is_the_same_file(tmp_path: Path) -> None:
    file = small_image(transfer_syntax=RLE)

    transcoded_bytes(file, tmp_path, RLE)

    assert (tmp_path / "made.dcm").read_bytes() == file


def test_explicit_little_endian_is_a_target_too(tmp_path: Path) -> None:
    file = small_image(transfer_syntax=RLE)

    made = transcoded_bytes(file, tmp_path, str(uid.ExplicitVRLittleEndian))

    assert made.PixelData == small_pixels().tobytes()


# -------------------------------------------------------------------------- single frames


def test_single_bits_of_a_compressed_frame_are_packed() -> None:
    """WADO-05: from bit 0 of the first byte on, zeros at the end."""
    frame = struct.pack("<16I", 1, 64, *[0] * 14) + b"\x01\x05\x01"
    still = {
        "00280010": {"vr": "US", "Value": [3]},
        "00280011": {"vr": "US", "Value": [3]},
        "00280100": {"vr": "US", "Value": [1]},
        "7FE00010": {"vr": "OB"},
    }

    assert transcode_frame(frame, still, RLE, str(uid.ExplicitVRLittleEndian)) == b"\x05\x01"


@pytest.mark.parametrize("planar", [0, 1])
def test_a_decoded_frame_is_by_plane_where_the_metadata_tell_so(
    planar: int, tmp_path: Path
) -> None:
    """WADO-04: the client has the metadata of the instance, and nothing else to go by."""
    shape: dict[str, Any] = {"photometric": "RGB", "bits": 8}
    path = tmp_path / "source.dcm"
    path.write_bytes(small_image(**shape, planar=planar, transfer_syntax=RLE))
    still = read_still_image(path)
    assert still is not None

    frame = transcode_frame(still.frame(1), still.dataset, RLE, str(uid.ExplicitVRLittleEndian))

    [pixels] = small_pixels(**shape)
    assert frame == (pixels.transpose(2, 0, 1) if planar else pixels).tobytes()


def test_a_decoded_frame_keeps_the_bits_that_bits_stored_leaves_out() -> None:
    cells = np.array([[0xF123, 0x8FFF]], "<u2")
    stated = {
        "00280010": {"vr": "US", "Value": [1]},
        "00280011": {"vr": "US", "Value": [2]},
        "00280100": {"vr": "US", "Value": [16]},
        "00280101": {"vr": "US", "Value": [12]},
        "7FE00010": {"vr": "OW"},
    }
    native = str(uid.ExplicitVRLittleEndian)

    frame = transcode_frame(cells.tobytes(), stated, native, RLE)

    assert transcode_frame(frame, stated, RLE, native) == cells.tobytes()


# ---------------------------------------------------------------------------- resources


def test_memory_follows_one_frame(tmp_path: Path) -> None:
    """10,000 frames of 4 kB: their offsets are all that is kept."""
    frames = 10_000
    native = np.random.default_rng(0).integers(0, 9, (64, 64), np.uint8).tobytes() * frames
    source = tmp_path / "source.dcm"
    source.write_bytes(
        image_of(
            native,
            uid.ExplicitVRLittleEndian,
            Rows=64,
            Columns=64,
            BitsAllocated=8,
            BitsStored=8,
            HighBit=7,
            NumberOfFrames=frames,
        )
    )
    transcoded(source, RLE)  # what is imported is not counted
    tracemalloc.start()
    try:
        transcoded(source, RLE)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 4 << 20
    image = read_still_image(tmp_path / "made.dcm")
    assert image is not None
    assert image.count == frames


# -------------------------------------------------------------------------------- DCMTK


@pytest.mark.parametrize(("target", "tool"), [(SV1, "dcmdjpeg"), (JPEG_LS, "dcmdjpls")])
@pytest.mark.parametrize(
    "shape",
    [
        {"bits": 8},
        {"bits": 12},
        {"bits": 12, "signed": True},
        {"bits": 16, "frames": 3},
        {"bits": 7, "rows": 17, "columns": 23},
        {"bits": 8, "photometric": "RGB", "rows": 17, "columns": 23},
    ],
)
def test_dcmtk_gives_the_pixels_back(
    target: str, tool: str, shape: dict[str, Any], tmp_path: Path
) -> None:
    program = shutil.which(tool)
    if program is None:
        pytest.skip("DCMTK is not installed")
    shape = {"rows": 32, "columns": 24, **shape}
    transcoded_bytes(small_image(**shape), tmp_path, target)

    result = tmp_path / "result.dcm"
    subprocess.run(
        [program, str(tmp_path / "made.dcm"), str(result)],
        check=True,
        env={
            **os.environ,
            "DCMDICTPATH": os.environ.get("DCMDICTPATH", "/usr/share/libdcmtk17/dicom.dic"),
        },
    )

    decoded = pydicom.dcmread(result)
    pixels = pixel_array(decoded, raw=True)
    bits = shape["bits"]
    if shape.get("signed"):
        unused = 16 - bits
        pixels = (pixels.astype(np.int16) << unused) >> unused
    assert np.array_equal(pixels.reshape(small_pixels(**shape).shape), small_pixels(**shape))


# ------------------------------------------------------------------------------- hostile

SMALL = {
    syntax: small_image(transfer_syntax=syntax, rows=5, columns=7, frames=2, bits=12)
    for syntax in (uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian, RLE, JPEG_LS, HTJ2K)
}


@settings(max_examples=150, deadline=None)
@given(
    syntax=st.sampled_from(sorted(SMALL)),
    target=st.sampled_from(TARGETS),
    changes=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=4)), max_size=3),
    cut=st.floats(0.5, 1),
)
def test_any_file_is_encoded_or_refused(
    syntax: str,
    target: str,
    changes: list[tuple[float, bytes]],
    cut: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.getbasetemp()
    file = bytearray(SMALL[syntax])
    for place, new in changes:
        at = 132 + int(place * (len(file) - 132))
        file[at : at + len(new)] = new
    source, made = folder / "hostile.dcm", folder / "encoded.dcm"
    source.write_bytes(bytes(file[: max(1, int(cut * len(file)))]))
    made.unlink(missing_ok=True)

    with contextlib.suppress(Refusal):  # and no other exception
        transcode(source, made, target, inflate_limit=1 << 20, pixel_limit=1 << 20)
        image = read_still_image(made)
        assert image is not None or read_still_image(source) is None
        return
    assert not made.exists()
