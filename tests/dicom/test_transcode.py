"""Files rewritten as Explicit VR Little Endian, read back by pydicom, held against the source."""

import contextlib
import os
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import config, uid
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import pixel_array
from pydicom.pixels.encoders.base import get_encoder

from dicomweb_server.dicom.elements import PIXEL_DATA
from dicomweb_server.dicom.file_meta import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
)
from dicomweb_server.dicom.frames import build_frame_table, cut_frame, fragments_of, frame_range
from dicomweb_server.dicom.part10 import read_file_meta
from dicomweb_server.dicom.pixels import Decoded, decode_frame, image_pixel
from dicomweb_server.dicom.reencode import WORDS
from dicomweb_server.dicom.transcode import to_explicit_little_endian
from dicomweb_server.dicom.walk import walk
from dicomweb_server.errors import ContentTooLarge, NotPart10, Refusal, UndecodablePixels
from tests.make import dataset_with, instance_with, part10, small_image, small_pixels

BUNDLED = Path(pydicom.__file__).parent / "data"
CORPUS = Path(os.environ["DICOM_CORPUS"]) if "DICOM_CORPUS" in os.environ else None

DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
LOSSLESS = (
    uid.RLELossless,
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
    uid.HTJ2KLossless,
)
# Damaged on purpose, and beyond what is stored.
REFUSED = {
    "MR_truncated.dcm",
    "rtplan_truncated.dcm",
    "JPEG2000-embedded-sequence-delimiter.dcm",
    "no_meta.dcm",
    "meta_missing_tsyntax.dcm",
    "ExplVR_BigEndNoMeta.dcm",
    "ExplVR_LitEndNoMeta.dcm",
    "rtstruct.dcm",
}
# Attributes that decoding changes or makes void.
OF_COMPRESSION = {0x00280004, 0x00280006, 0x7FE00001, 0x7FE00002, 0x7FE00003}


@pytest.fixture(autouse=True)
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.IGNORE)


def transcoded(source: Path, target: Path, **limits: int) -> Dataset:
    to_explicit_little_endian(
        source, target, **{"inflate_limit": 1 << 28, "pixel_limit": 1 << 28, **limits}
    )
    dataset = pydicom.dcmread(target)
    assert dataset.file_meta.TransferSyntaxUID == uid.ExplicitVRLittleEndian
    return dataset


def transcoded_bytes(file: bytes, folder: Path, **limits: int) -> Dataset:
    source = folder / "source.dcm"
    source.write_bytes(file)
    return transcoded(source, folder / "target.dcm", **limits)


def files() -> list[Path]:
    paths = sorted([*BUNDLED.glob("test_files/*.dcm"), *BUNDLED.glob("charset_files/*.dcm")])
    if CORPUS is not None:
        paths += sorted(CORPUS.glob("[!gpl]*/**/*.dcm"))
    return [path for path in paths if path.name not in REFUSED and path.stat().st_size < 4 << 20]


def assert_same_values(source: Dataset, target: Dataset, but: set[int]) -> None:
    """Every element of the source, but for group lengths, is in its place with the same bytes."""
    tags = [tag for tag in source.keys() if tag & 0xFFFF and tag not in but]  # noqa: SIM118
    assert tags == [tag for tag in target.keys() if tag not in but]  # noqa: SIM118
    for tag in tags:
        if tag in PIXEL_DATA and but:
            continue
        after = target.get_item(tag)
        if after.VR == "SQ":
            items = source[tag].value
            for before, item in zip(items, target[tag].value, strict=True):
                assert_same_values(before, item, but)
        elif is_raw(source, tag) and is_raw(target, tag):
            assert little_endian(source, tag, after.VR) == (after.value or b"")
        else:  # pydicom has decoded it: it is one of those it reads others by, or empty
            assert (source[tag].value or None) == (target[tag].value or None)


def is_raw(dataset: Dataset, tag: int) -> bool:
    return isinstance(dataset.get_item(tag), RawDataElement)


def little_endian(dataset: Dataset, tag: int, vr: str) -> bytes:
    element = dataset.get_item(tag)
    value: bytes = element.value or b""
    if tag in PIXEL_DATA:
        value += b"\0" * (len(value) % 2)
    word = WORDS.get(vr, 1)
    if element.is_little_endian or word == 1:
        return value
    if vr == "OW" and tag in PIXEL_DATA and dataset.BitsAllocated == 32:
        word = 4
    return np.frombuffer(value, f">u{word}").byteswap().tobytes()


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_values_and_pixels_are_those_of_the_source(path: Path, tmp_path: Path) -> None:
    source = pydicom.dcmread(path)
    syntax = source.file_meta.TransferSyntaxUID

    target = transcoded(path, tmp_path / "target.dcm")

    compressed = syntax not in uid.UncompressedTransferSyntaxes
    assert_same_values(source, target, OF_COMPRESSION if compressed else set())
    assert (tmp_path / "target.dcm").read_bytes()[:128] == path.read_bytes()[:128]
    if not compressed or "PixelData" not in source:
        return
    assert target.get("PlanarConfiguration", 0) == 0
    pixels = pixel_array(target, raw=True)
    if syntax in LOSSLESS:
        assert np.array_equal(pixels, pixel_array(source, raw=True))
    frames = decoded_frames(path.read_bytes())
    pixels = pixels.reshape(len(frames), *frames[0].array.shape)
    for frame, found in zip(frames, pixels, strict=True):
        assert np.array_equal(found, frame.array)
        assert target.PhotometricInterpretation == frame.photometric_interpretation


def decoded_frames(file: bytes) -> list[Decoded]:
    """The frames as the archive would give them one by one."""
    meta = read_file_meta(file)
    syntax = meta.transfer_syntax_uid
    walked = walk(file, meta.dataset_offset, implicit_vr=False, little_endian=True)
    assert walked.pixel is not None
    table, _ = build_frame_table(file, walked.pixel, walked.attributes, syntax)
    assert table is not None
    image = image_pixel(walked.attributes)
    frames = []
    for number in range(1, table.count + 1):
        offset, length = frame_range(table, number)
        data = cut_frame(table, number, file[offset:][:length], fragments_of(table, number))
        frames.append(decode_frame(data, image, syntax))
    return frames


# --------------------------------------------------------------------------------- file meta


def test_the_file_meta_is_our_own_and_names_the_instance(tmp_path: Path) -> None:
    file = instance_with(transfer_syntax=uid.ImplicitVRLittleEndian, PatientName="Ex^Ample")
    file = b"II*\0" + file[4:]

    target = transcoded_bytes(file, tmp_path)

    meta = target.file_meta
    assert target.preamble == b"II*\0" + bytes(124)
    assert meta.FileMetaInformationVersion == b"\0\1"
    assert meta.MediaStorageSOPClassUID == target.SOPClassUID
    assert meta.MediaStorageSOPInstanceUID == target.SOPInstanceUID
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert meta.ImplementationVersionName == IMPLEMENTATION_VERSION_NAME
    length = meta.FileMetaInformationGroupLength
    written = (tmp_path / "target.dcm").read_bytes()
    assert written[132 + 12 + length :].startswith(b"\x08\x00")


def test_the_implementation_uid_and_name_are_valid() -> None:
    assert uid.UID(IMPLEMENTATION_CLASS_UID).is_valid
    assert int(IMPLEMENTATION_CLASS_UID.removeprefix("2.25.")) < 2**128
    assert len(IMPLEMENTATION_VERSION_NAME) <= 16


# ---------------------------------------------------------------------------------- elements


def test_text_is_not_encoded_anew(tmp_path: Path) -> None:
    dataset = dataset_with(SpecificCharacterSet="ISO_IR 100", PatientName="Ex^Ample")
    file = part10(dataset, uid.ImplicitVRLittleEndian).replace(b"Ex^Ample", b"\xff\x1b$B\\=\xe9 ")

    target = transcoded_bytes(file, tmp_path)

    assert target.get_item("PatientName").value == b"\xff\x1b$B\\=\xe9 "
    assert target.SpecificCharacterSet == "ISO_IR 100"


def test_a_value_too_long_for_its_vr_becomes_un(tmp_path: Path) -> None:
    points = [str(number) for number in range(20_000)]
    item = dataset_with(ContourData=points)
    file = instance_with(transfer_syntax=uid.ImplicitVRLittleEndian, ContourSequence=[item])

    target = transcoded_bytes(file, tmp_path)

    element = target.ContourSequence[0].get_item("ContourData")
    assert element.VR == "UN"
    assert element.value.rstrip() == "\\".join(points).encode()


@pytest.mark.parametrize(("length", "vr"), [(65534, "DS"), (65536, "UN")])
def test_65534_bytes_are_the_longest_short_value(tmp_path: Path, length: int, vr: str) -> None:
    dataset = dataset_with(ContourData="1" * 16)
    file = part10(dataset, uid.ImplicitVRLittleEndian)
    head = b"\x06\x30\x50\x00"
    file = file.replace(
        head + struct.pack("<I", 16) + b"1" * 16,
        head + struct.pack("<I", length) + b"1" * length,
    )

    target = transcoded_bytes(file, tmp_path)

    element = target.get_item("ContourData")
    assert (element.VR, element.length) == (vr, length)


def implicit(tag: int, value: bytes, length: int | None = None) -> bytes:
    length = len(value) if length is None else length
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length) + value


UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, implicit(0xFFFEE00D, b""), implicit(0xFFFEE0DD, b"")


def implicit_file(elements: bytes) -> bytes:
    file = part10(dataset_with(), uid.ImplicitVRLittleEndian)
    return file + elements


def vrs_of(elements: bytes, folder: Path) -> dict[str, str]:
    target = transcoded_bytes(implicit_file(elements), folder)
    return {f"{tag:08X}": target.get_item(tag).VR for tag in target.keys()}  # noqa: SIM118


@pytest.mark.parametrize(("signed", "vr"), [(0, "US"), (1, "SS")])
def test_pixel_representation_decides_us_or_ss_within_items_too(
    signed: int, vr: str, tmp_path: Path
) -> None:
    number = b"\x01\x80"
    item = implicit(ITEM, implicit(0x00280106, number))
    elements = (
        implicit(0x00280103, struct.pack("<H", signed))
        + implicit(0x00280106, number)
        + implicit(0x00283000, item)
    )

    target = transcoded_bytes(implicit_file(elements), tmp_path)

    for dataset in (target, target.ModalityLUTSequence[0]):
        element = dataset.get_item(0x00280106)
        assert (element.VR, element.value) == (vr, number)


def test_vrs_are_those_of_the_dictionary_and_un_where_it_has_none(tmp_path: Path) -> None:
    vrs = vrs_of(
        implicit(0x00280000, b"\x04\0\0\0")  # a group length
        + implicit(0x00283006, b"\1\2\3\4")  # LUT Data: US or OW
        + implicit(0x00291010, b"ab")  # without a creator
        + implicit(0x00310010, b"NOBODY KNOWS ")
        + implicit(0x00311001, b"ab")
        + implicit(0x00311002, implicit(ITEM, b"") + SEQUENCE_END, UNDEFINED)
        + implicit(0x60003000, b"ab")  # Overlay Data: OB or OW
        + implicit(0x7FE00010, b"ab"),
        tmp_path,
    )

    assert "00280000" not in vrs
    assert vrs["00283006"] == vrs["60003000"] == vrs["7FE00010"] == "OW"
    assert vrs["00291010"] == vrs["00311001"] == "UN"
    assert vrs["00310010"] == "LO"
    assert vrs["00311002"] == "SQ"


def test_what_the_walk_is_lenient_about_is_copied_too(tmp_path: Path) -> None:
    stray = implicit(0xFFFEE0DD, b"")
    lost_end = implicit(ITEM, implicit(0x00100020, b"ab"), UNDEFINED)  # no Item Delimitation
    elements = (
        implicit(0x00400260, lost_end + SEQUENCE_END, UNDEFINED)
        + stray
        + implicit(0x00400275, b"no items")
        + bytes(1000)
    )

    target = transcoded_bytes(implicit_file(elements), tmp_path)

    assert target[0x00400260].value[0].PatientID == "ab"
    assert target.get_item(0x00400275).VR == "UN"
    assert target.get_item(0x00400275).value == b"no items"
    assert max(target.keys()) == 0x00400275


def test_big_endian_un_is_kept_as_it_is_for_it_holds_implicit_little_endian(
    tmp_path: Path,
) -> None:
    file = part10(dataset_with(PatientID="ab"), uid.ExplicitVRBigEndian)
    file += struct.pack(">HH2sHI", 0x0031, 0x1001, b"UN", 0, 4) + b"\1\2\3\4"
    item = implicit(ITEM, implicit(0x00100020, b"cd"))
    file += struct.pack(">HH2sHI", 0x0031, 0x1002, b"UN", 0, UNDEFINED) + item + SEQUENCE_END

    target = transcoded_bytes(file, tmp_path)

    assert target.PatientID == "ab"
    assert target.get_item(0x00311001).value == b"\1\2\3\4"
    assert target[0x00311002].value[0].PatientID == "cd"


datasets = st.recursive(
    st.dictionaries(
        st.sampled_from([0x00080020, 0x00100010, 0x00181318, 0x00291001, 0x00720050, 0x00091002]),
        st.binary(max_size=9).map(lambda value: value + b" " * (len(value) % 2)),
        max_size=4,
    ),
    lambda inner: st.dictionaries(
        st.sampled_from([0x00081140, 0x00400260, 0x00880200]),
        st.lists(st.tuples(inner, st.booleans()), max_size=3),
        min_size=1,
        max_size=3,
    ),
    max_leaves=8,
)


def encoded(dataset: dict[int, Any], data: st.DataObject) -> bytes:
    """A data set in Implicit VR, with lengths or delimiters as it comes."""
    out = b""
    for tag, value in sorted(dataset.items()):
        if isinstance(value, bytes):
            out += implicit(tag, value)
            continue
        items = b""
        for item, delimited in value:
            inner = encoded(item, data)
            items += (
                implicit(ITEM, inner + ITEM_END, UNDEFINED) if delimited else implicit(ITEM, inner)
            )
        if data.draw(st.booleans()):
            out += implicit(tag, items + SEQUENCE_END, UNDEFINED)
        else:
            out += implicit(tag, items)
    return out


@settings(max_examples=50, deadline=None)
@given(dataset=datasets, data=st.data())
def test_any_nesting_comes_out_as_it_went_in(
    dataset: dict[int, Any], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    file = part10(dataset_with(), uid.ImplicitVRLittleEndian)
    file = file[: read_file_meta(file).dataset_offset] + encoded(dataset, data)

    target = transcoded_bytes(file, folder)

    assert_same_values(pydicom.dcmread(BytesIO(file)), target, set())


# ------------------------------------------------------------------------------------ pixels


@pytest.mark.parametrize("offsets", ["none", "basic", "extended"])
@pytest.mark.parametrize("photometric", ["MONOCHROME2", "RGB", "YBR_RCT"])
@pytest.mark.parametrize("syntax", [uid.RLELossless, uid.JPEG2000Lossless, uid.JPEGLSLossless])
def test_lossless_pixels_come_back_exactly(
    syntax: str, photometric: str, offsets: Any, tmp_path: Path
) -> None:
    if photometric == "YBR_RCT" and syntax != uid.JPEG2000Lossless:
        photometric = "RGB"
    shape = {
        "photometric": photometric,
        "bits": 8,
        "frames": 3,
        "rows": 4 if syntax == uid.RLELossless else 5,  # what its encoder can do
        "columns": 4 if syntax == uid.RLELossless else 3,
    }
    file = small_image(transfer_syntax=syntax, offsets=offsets, **shape)

    target = transcoded_bytes(file, tmp_path)

    colour = photometric != "MONOCHROME2"
    assert target.PhotometricInterpretation == ("RGB" if "RCT" in photometric else photometric)
    assert target.get("PlanarConfiguration") == (0 if colour else None)
    assert target.get_item("PixelData").VR == "OB"
    stored = small_pixels(**shape).tobytes()
    assert target.PixelData == stored + b"\0" * (len(stored) % 2)
    assert not any(tag in target for tag in (0x7FE00001, 0x7FE00002, 0x7FE00003))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize(
    "syntax", [uid.JPEGLosslessSV1, uid.JPEG2000Lossless, uid.HTJ2KLossless, uid.RLELossless]
)
def test_words_and_signs_come_back_exactly(
    syntax: str, bits: int, signed: bool, tmp_path: Path
) -> None:
    file = small_image(transfer_syntax=syntax, bits=bits, signed=signed)

    target = transcoded_bytes(file, tmp_path)

    assert target.get_item("PixelData").VR == "OW"
    assert np.array_equal(pixel_array(target)[None], small_pixels(bits=bits, signed=signed))


@pytest.mark.parametrize(
    ("photometric", "expected"), [("YBR_FULL_422", "YBR_FULL"), ("RGB", "RGB")]
)
def test_subsampled_jpeg_becomes_whole_samples_and_lossy_stays_told(
    photometric: str, expected: str, tmp_path: Path
) -> None:
    file = small_image(
        photometric=photometric,
        bits=8,
        rows=16,
        columns=16,
        transfer_syntax=uid.JPEGBaseline8Bit,
        LossyImageCompression="01",
        LossyImageCompressionRatio="9.5",
        LossyImageCompressionMethod="ISO_10918_1",
    )

    target = transcoded_bytes(file, tmp_path)

    assert target.PhotometricInterpretation == expected
    assert len(target.PixelData) == 16 * 16 * 3
    assert target.LossyImageCompression == "01"
    assert target.LossyImageCompressionRatio == 9.5
    assert target.LossyImageCompressionMethod == "ISO_10918_1"


@pytest.mark.parametrize("syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian])
@pytest.mark.parametrize("bits", [1, 8, 16, 32])
@pytest.mark.parametrize("planar", [0, 1])
def test_native_pixels_change_their_byte_order_alone(
    syntax: str, bits: int, planar: int, tmp_path: Path
) -> None:
    shape: dict[str, Any] = {"bits": bits, "frames": 3, "rows": 3, "columns": 3}
    if bits == 8:
        shape |= {"photometric": "RGB", "planar": planar}
    explicit = pydicom.dcmread(BytesIO(small_image(**shape)))

    target = transcoded_bytes(small_image(**shape, transfer_syntax=syntax), tmp_path)

    assert target.PixelData == explicit.PixelData
    assert target.get("PlanarConfiguration") == explicit.get("PlanarConfiguration")
    assert len(target.PixelData) % 2 == 0


def image_of(value: bytes, syntax: str, keyword: str = "PixelData", **attributes: Any) -> bytes:
    """A 3x3 image with this value of pixel data."""
    stated: dict[str, Any] = {
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": 3,
        "Columns": 3,
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 0,
    }
    dataset = dataset_with(**stated | attributes)
    setattr(dataset, keyword, value)
    if syntax in uid.AllTransferSyntaxes and uid.UID(syntax).is_encapsulated:
        dataset[keyword].VR = "OB"
        dataset[keyword].is_undefined_length = True
        return part10(dataset, syntax)
    return part10(dataset, syntax)


def deflated_frames(frames: list[bytes], **attributes: Any) -> bytes:
    """An image in Deflated Image Frame Compression, which pydicom does not know."""
    streams = []
    for frame in frames:
        deflater = zlib.compressobj(wbits=-15)
        streams.append(deflater.compress(frame) + deflater.flush())
    file = image_of(encapsulate(streams), uid.RLELossless, NumberOfFrames=len(frames), **attributes)
    known, unknown = (text.encode() for text in (uid.RLELossless, DEFLATED_FRAMES))
    element = b"\x02\x00\x10\x00UI"
    former = element + struct.pack("<H", 20) + known + b"\0"
    assert len(known) == 19 and former in file
    later = element + struct.pack("<H", 22) + unknown + b"\0"
    return file.replace(former, later)


def test_frames_of_single_bits_are_packed_without_a_gap(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    bits = random.integers(0, 2, (5, 9), np.uint8)
    frames = [np.packbits(frame, bitorder="little").tobytes() for frame in bits]
    file = deflated_frames(frames, BitsAllocated=1, BitsStored=1, HighBit=0)

    target = transcoded_bytes(file, tmp_path)

    assert target.PixelData == np.packbits(bits, bitorder="little").tobytes()
    assert np.array_equal(pixel_array(target).reshape(5, 9), bits)


def test_cells_keep_the_bits_that_bits_stored_leaves_out(tmp_path: Path) -> None:
    cells = np.arange(9, dtype=np.uint16).reshape(3, 3) | 0xA000  # an overlay in the high bits
    coded = get_encoder(uid.RLELossless).encode(
        cells,
        rows=3,
        columns=3,
        samples_per_pixel=1,
        bits_allocated=16,
        bits_stored=16,
        number_of_frames=1,
        pixel_representation=0,
        photometric_interpretation="MONOCHROME2",
        encoding_plugin="pydicom",
    )
    file = image_of(encapsulate([coded]), uid.RLELossless, BitsStored=12, HighBit=11)

    assert transcoded_bytes(file, tmp_path).PixelData == cells.tobytes()


@pytest.mark.parametrize("syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian])
@pytest.mark.parametrize(
    ("keyword", "kind"), [("FloatPixelData", "f4"), ("DoubleFloatPixelData", "f8")]
)
def test_float_pixel_data_stays_as_it_is(
    keyword: str, kind: str, syntax: str, tmp_path: Path
) -> None:
    numbers = np.array([0.5, -1e30, np.nan, 0, 1, 2, 3, 4, 5])
    order = ">" if syntax == uid.ExplicitVRBigEndian else "<"
    file = image_of(numbers.astype(order + kind).tobytes(), syntax, keyword)

    target = transcoded_bytes(file, tmp_path)

    assert target.get_item(keyword).value == numbers.astype("<" + kind).tobytes()


def test_what_follows_pixel_data_stays(tmp_path: Path) -> None:
    after = struct.pack("<HH2sHI", 0xFFFC, 0xFFFC, b"OB", 0, 4) + b"\1\2\3\4"
    file = small_image(transfer_syntax=uid.RLELossless) + after

    target = transcoded_bytes(file, tmp_path)

    assert target.get_item(0xFFFCFFFC).value == b"\1\2\3\4"
    assert target.PixelData == small_pixels().tobytes()


# --------------------------------------------------------------------------------- refused


def refused(file: bytes, folder: Path, refusal: type[Refusal], match: str, **limits: int) -> None:
    with pytest.raises(refusal, match=match):
        transcoded_bytes(file, folder, **limits)
    assert [path.name for path in folder.iterdir()] == ["source.dcm"]


def test_more_pixels_than_the_limit_are_not_decoded(tmp_path: Path) -> None:
    file = small_image(transfer_syntax=uid.RLELossless, frames=3)
    size = 3 * 8 * 8 * 2

    refused(file, tmp_path, ContentTooLarge, "limit", pixel_limit=size - 1)
    assert len(transcoded_bytes(file, tmp_path, pixel_limit=size).PixelData) == size


def test_forged_dimensions_are_refused_before_memory_is_taken(tmp_path: Path) -> None:
    bomb = {"Rows": 32768, "Columns": 32768, "NumberOfFrames": 2**31 - 1, "HighBit": 7}
    bomb |= {"BitsAllocated": 8, "BitsStored": 8}
    file = image_of(encapsulate([b"ab"]), uid.RLELossless, **bomb)

    refused(file, tmp_path, ContentTooLarge, "limit", pixel_limit=1 << 62)


def test_a_deflated_data_set_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    file = instance_with(
        transfer_syntax=uid.DeflatedExplicitVRLittleEndian, EncapsulatedDocument=bytes(1 << 20)
    )
    assert len(file) < 10_000

    refused(file, tmp_path, ContentTooLarge, "limit|inflates", inflate_limit=1 << 20)
    target = transcoded_bytes(file, tmp_path, inflate_limit=(1 << 20) + 10_000)
    assert target.EncapsulatedDocument == bytes(1 << 20)


@pytest.mark.parametrize(
    ("stated", "match"),
    [({"NumberOfFrames": 2}, "2 frames are stated, 1 can be found"), ({}, "RLE")],
)
def test_damaged_frames_are_refused(stated: dict[str, Any], match: str, tmp_path: Path) -> None:
    file = image_of(encapsulate([b"\1\0\0\0" + bytes(80)]), uid.RLELossless, **stated)

    refused(file, tmp_path, UndecodablePixels, match)


def test_a_damaged_later_frame_leaves_no_file(tmp_path: Path) -> None:
    good = get_encoder(uid.RLELossless).encode(
        np.zeros((3, 3), np.uint16),
        rows=3,
        columns=3,
        samples_per_pixel=1,
        bits_allocated=16,
        bits_stored=16,
        number_of_frames=1,
        pixel_representation=0,
        photometric_interpretation="MONOCHROME2",
        encoding_plugin="pydicom",
    )
    file = image_of(encapsulate([good, good[:70]]), uid.RLELossless, NumberOfFrames=2)

    refused(file, tmp_path, UndecodablePixels, "RLE")


@pytest.mark.parametrize(
    ("syntax", "match"),
    [
        (uid.MPEG4HP41, "video is only to be had as stored"),
        (uid.HEVCMP51, "video"),
        ("1.2.840.10008.1.2.4.94", "no decoder"),
        ("1.2.840.10008.1.2.4.999", "no decoder"),
        ("1.2.840.10008.1.2.4.52", "no decoder"),
    ],
)
def test_syntaxes_without_a_decoder_of_still_images_are_refused(
    syntax: str, match: str, tmp_path: Path
) -> None:
    file = image_of(encapsulate([b"abcd"]), uid.RLELossless)
    old = b"\x02\x00\x10\x00UI\x14\x00" + uid.RLELossless.encode() + b"\0"
    value = syntax.encode() + b"\0" * (len(syntax) % 2)
    file = file.replace(old, old[:6] + struct.pack("<H", len(value)) + value)

    refused(file, tmp_path, UndecodablePixels, match)


@pytest.mark.parametrize("form", ["native", "encapsulated"])
def test_pixel_data_of_another_form_than_the_syntax_is_refused(form: str, tmp_path: Path) -> None:
    if form == "native":
        file = image_of(bytes(18), uid.ExplicitVRLittleEndian)
        old, new = uid.ExplicitVRLittleEndian, uid.RLELossless
    else:
        file = image_of(encapsulate([b"abcd"]), uid.RLELossless)
        old, new = uid.RLELossless, uid.ExplicitVRLittleEndian
    old_value, new_value = (text.encode() + b"\0" * (len(text) % 2) for text in (old, new))
    file = file.replace(
        struct.pack("<H", len(old_value)) + old_value,
        struct.pack("<H", len(new_value)) + new_value,
    )

    refused(file, tmp_path, UndecodablePixels, "not as the transfer syntax says")


@pytest.mark.parametrize(
    ("file", "match"),
    [
        (b"", "empty"),
        (b"DICM", "not a DICOM file"),
        (bytes(200), "not a DICOM file"),
        (bytes(128) + b"DICM", "no Transfer Syntax UID"),
    ],
)
def test_what_is_no_file_is_refused(file: bytes, match: str, tmp_path: Path) -> None:
    refused(file, tmp_path, NotPart10, match)


SMALL = {
    syntax: small_image(transfer_syntax=syntax, rows=4, columns=4, frames=2)
    for syntax in (
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.DeflatedExplicitVRLittleEndian,
        uid.RLELossless,
    )
}


@settings(max_examples=150, deadline=None)
@given(
    syntax=st.sampled_from(sorted(SMALL)),
    changes=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=4)), max_size=3),
    cut=st.floats(0.2, 1),
)
def test_any_file_is_rewritten_or_refused(
    syntax: str,
    changes: list[tuple[float, bytes]],
    cut: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.getbasetemp()
    file = bytearray(SMALL[syntax])
    for place, new in changes:
        at = 132 + int(place * (len(file) - 132))
        file[at : at + len(new)] = new
    source, target = folder / "changed.dcm", folder / "rewritten.dcm"
    source.write_bytes(bytes(file[: max(1, int(cut * len(file)))]))

    with contextlib.suppress(Refusal):  # and no other exception
        to_explicit_little_endian(source, target, inflate_limit=1 << 20, pixel_limit=1 << 20)
        written = target.read_bytes()
        meta = read_file_meta(written)
        assert meta.transfer_syntax_uid == uid.ExplicitVRLittleEndian
        walk(written, meta.dataset_offset, implicit_vr=False, little_endian=True)
