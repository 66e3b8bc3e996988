"""What posted metadata may leave out, because its bulk data tells (PS3.18 §10.5.2, digest 5.2).

Attributes of the DICOM JSON Model are completed in place. What they say goes before what the
bulk data says; where the two differ that is a problem to be told, not a reason to refuse. Names
may be in lower case here: the encoder takes both.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.elements import public_vr
from dicomweb_server.dicom.encoding import tag_name
from dicomweb_server.dicom.media_description import Media
from dicomweb_server.dicom.native_pictures import Cells, NativePixels

SOP_CLASS = 0x00080016
SOP_INSTANCE = 0x00080018
STUDY = 0x0020000D
SERIES = 0x0020000E
PIXEL_DATA = 0x7FE00010
ENCAPSULATED_DOCUMENT = 0x00420011

_PATIENT_ID = 0x00100020
_ISSUER = 0x00100021
_MODALITY = 0x00080060
_SERIES_NUMBER = 0x00200011
_MIME_TYPE = 0x00420012
_DOCUMENT_LENGTH = 0x00420015
_NUMBER_OF_FRAMES = 0x00280008
_SAMPLES = 0x00280002
_PHOTOMETRIC = 0x00280004
_BITS_ALLOCATED = 0x00280100
_BITS_STORED = 0x00280101
_HIGH_BIT = 0x00280102
_PIXEL_REPRESENTATION = 0x00280103
_LOSSY = 0x00282110
_LOSSY_RATIO = 0x00282112
_LOSSY_METHOD = 0x00282114
_FRAME_TIME = 0x00181063
_FRAME_TIME_VECTOR = 0x00181065
_FRAME_INCREMENT_POINTER = 0x00280009
_CINE_RATE = 0x00180040
_MOST_TEXT = 0xFFFE  # bytes of a DS with all its values (PS3.5 §7.1.2)

# Attributes of the Image Pixel Module by the field of Media that tells them (STOW-16).
_IMAGE = {
    _SAMPLES: "samples_per_pixel",
    _PHOTOMETRIC: "photometric_interpretation",
    0x00280006: "planar_configuration",
    0x00280010: "rows",
    0x00280011: "columns",
    _BITS_ALLOCATED: "bits_allocated",
    _BITS_STORED: "bits_stored",
    _HIGH_BIT: "high_bit",
    _PIXEL_REPRESENTATION: "pixel_representation",
}
# Without these nobody can tell what the pixels are.
_NEEDED = tuple(tag for tag in _IMAGE if tag != 0x00280006)
_BASELINE_JPEG = "1.2.840.10008.1.2.4.50"
_JPEG_2000 = frozenset(
    f"1.2.840.10008.1.2.4.{arc}" for arc in (90, 91, 92, 93, 201, 202, 203)
)  # the only ones that say of their samples whether they are signed
_PALETTE = "PALETTE COLOR"
_GREY = frozenset({"MONOCHROME1", "MONOCHROME2"})
_ONE_SAMPLE = _GREY | {_PALETTE}
# Photometric interpretations by what has to be done for RGB; within one the metadata may choose.
_COLOURS = {
    "RGB": "none",
    **dict.fromkeys(
        ("YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_PARTIAL_422"), "luminance"
    ),
    **{name: name for name in ("YBR_RCT", "YBR_ICT", "XYB")},
}
_NOT_TOLD = ("none", "luminance")  # what a stream may be of that does not tell its colours


def value_of(attributes: JsonDataset, tag: int) -> Any:
    """The first value of an attribute, None without one."""
    for key in (f"{tag:08X}", f"{tag:08x}"):
        attribute = attributes.get(key)
        if isinstance(attribute, dict):
            values = attribute.get("Value")
            return values[0] if isinstance(values, list) and values else None
    return None


def bulk_uri_of(attributes: JsonDataset, tag: int) -> str | None:
    """The BulkDataURI of a top-level attribute, None without one."""
    for key in (f"{tag:08X}", f"{tag:08x}"):
        attribute = attributes.get(key)
        if isinstance(attribute, dict) and isinstance(attribute.get("BulkDataURI"), str):
            return str(attribute["BulkDataURI"])
    return None


def put(attributes: JsonDataset, tag: int, *values: object) -> None:
    """Set an attribute to these values, mostly one."""
    attributes.pop(f"{tag:08x}", None)
    attributes[f"{tag:08X}"] = {"vr": public_vr(tag) or "UN", "Value": list(values)}


def complete_uids(
    attributes: JsonDataset, study: str | None, generated: Mapping[int, UUID]
) -> list[int]:
    """Fill in Study, Series and SOP Instance UIDs that are missing (STOW-17); returns their tags.

    `study`: that of the request's URL. `generated`: a UUID for each of the tags, to be a UID
    below 2.25 (PS3.5 §B.2).
    """
    missing = [tag for tag in (SOP_INSTANCE, STUDY, SERIES) if _is_missing(attributes, tag)]
    for tag in missing:
        known = study if tag == STUDY else None
        put(attributes, tag, known or f"2.25.{generated[tag].int}")
    return missing


@dataclass(frozen=True, slots=True)
class Belonging:
    """By what data sets without UIDs belong together (STOW-17): digests, None for what is not
    there. Who has no Patient ID belongs to nobody else."""

    study: bytes | None  # Study Instance UID
    patient: bytes | None  # Patient ID and its issuer
    series: bytes  # Modality and Series Number


def belonging_of(attributes: JsonDataset) -> Belonging:
    """What is needed of a data set to generate the UIDs that it lacks."""
    study = None if _is_missing(attributes, STUDY) else _plain(attributes, STUDY)
    patient = _plain(attributes, _PATIENT_ID)
    return Belonging(
        study=None if study is None else digest_of(study),
        patient=digest_of(patient, _plain(attributes, _ISSUER)) if patient else None,
        series=digest_of(_plain(attributes, _MODALITY), _plain(attributes, _SERIES_NUMBER)),
    )


def digest_of(*values: str) -> bytes:
    """A digest of some values, whose bounds count."""
    return hashlib.sha256(repr(values).encode("utf-8", "surrogatepass")).digest()


def _plain(attributes: JsonDataset, tag: int) -> str:
    """The first value as text, of whatever type it is, without padding; empty without one."""
    value = value_of(attributes, tag)
    return "" if value is None else str(value).strip(" \0")


def _is_missing(attributes: JsonDataset, tag: int) -> bool:
    """Whether an attribute is absent or empty, but for padding. One that is wrong is there."""
    for key in (f"{tag:08X}", f"{tag:08x}"):
        attribute = attributes.get(key)
        if isinstance(attribute, dict):
            bulk = attribute.keys() & {"BulkDataURI", "InlineBinary"}
            values = attribute.get("Value")
            if isinstance(values, list) and len(values) == 1 and isinstance(values[0], str):
                values = [values[0].strip(" \0")]
            return not bulk and values in (None, [], [None], [""])
    return True


def complete_image(attributes: JsonDataset, media: Media, frames: int, size: int) -> list[str]:
    """Fill in what an encapsulated code stream tells of the image (STOW-16).

    `frames`: how many code streams there are; one for a video, which may tell how many frames
    it has. `size`: bytes of all of them. Returns the problems: where metadata and code stream
    contradict each other.
    """
    problems = []
    for tag, name in _IMAGE.items():
        told, stated = getattr(media, name), value_of(attributes, tag)
        if told is None:
            continue
        if stated is None:
            put(attributes, tag, told)
        elif stated != told and not _may_be(tag, stated, media):
            problems.append(f"{tag_name(tag)} is not what the image itself says")
    number = media.number_of_frames if media.number_of_frames != 1 else frames
    problems += _complete_frames(attributes, number)
    _complete_timing(attributes, media.frame_time, number)
    if media.cine_rate and value_of(attributes, _CINE_RATE) is None:
        put(attributes, _CINE_RATE, media.cine_rate)
    if media.lossy:
        put(attributes, _LOSSY, "01")
        if value_of(attributes, _LOSSY_METHOD) is None and media.lossy_method:
            put(attributes, _LOSSY_METHOD, media.lossy_method)
        _complete_ratio(attributes, media, number, size)
    return problems


def _complete_ratio(attributes: JsonDataset, media: Media, number: int | None, size: int) -> None:
    """Lossy Image Compression Ratio (PS3.3 §C.7.6.1.1.5.2), with one decimal."""
    pixels = (media.rows or 0) * (media.columns or 0) * (media.samples_per_pixel or 0)
    uncompressed = pixels * (media.bits_allocated or 0) // 8 * (number or 0)
    ratio = round(uncompressed / size, 1)
    if ratio and value_of(attributes, _LOSSY_RATIO) is None:
        put(attributes, _LOSSY_RATIO, ratio)


def _complete_timing(attributes: JsonDataset, frame_time: float | None, number: int | None) -> None:
    """Frame Time (milliseconds), and for several frames that it is what tells them apart."""
    if not frame_time or value_of(attributes, _FRAME_TIME) is not None:
        return
    put(attributes, _FRAME_TIME, round(frame_time, 6))
    vector = value_of(attributes, _FRAME_TIME_VECTOR)
    if number != 1 and vector is None and value_of(attributes, _FRAME_INCREMENT_POINTER) is None:
        put(attributes, _FRAME_INCREMENT_POINTER, f"{_FRAME_TIME:08X}")


def _may_be(tag: int, stated: Any, media: Media) -> bool:
    """Whether an attribute may be right that is not what `complete_image` would have written.

    Samples may be stored in more bits than the stream codes, never in fewer.
    """
    if tag == _PHOTOMETRIC:
        return _may_be_colours(stated, media)
    if tag == _BITS_ALLOCATED and media.transfer_syntax_uid == _BASELINE_JPEG:
        return False  # 8 (PS3.5 Table 8.2.1-1)
    if tag in (_BITS_ALLOCATED, _BITS_STORED):
        return isinstance(stated, int) and stated >= (media.bits_stored or 0)
    if tag == _PIXEL_REPRESENTATION:
        return media.transfer_syntax_uid not in _JPEG_2000
    return tag == _HIGH_BIT  # which follows Bits Stored


def _may_be_colours(stated: Any, media: Media) -> bool:
    if not isinstance(stated, str):
        return False
    if media.samples_per_pixel == 1:
        return stated.strip() in _ONE_SAMPLE
    colours = _COLOURS.get(stated.strip())
    if media.colours_told and media.photometric_interpretation is not None:
        return colours == _COLOURS.get(media.photometric_interpretation)
    return colours in _NOT_TOLD


def _complete_frames(attributes: JsonDataset, number: int | None) -> list[str]:
    stated = value_of(attributes, _NUMBER_OF_FRAMES)
    if number is None:
        return []
    if stated is None:
        if number > 1:
            put(attributes, _NUMBER_OF_FRAMES, number)
        return []
    if str(stated).strip() != str(number):
        return [f"{tag_name(_NUMBER_OF_FRAMES)} is not what the image itself says"]
    return []


def describe_decoded(attributes: JsonDataset, picture: NativePixels, cells: Cells) -> list[str]:
    """Say what a picture is that was decoded here, `cells` being what its frames hold.

    What the metadata say of its values stands where they can be so: its grey may be inverted, or
    index a palette that is there, or be signed, in fewer bits that hold every value. What cannot
    be true becomes what the picture says. Returns the problems, as `complete_image` does.
    """
    problems = []
    indexed = picture.palette and _colours(attributes) == _PALETTE  # and RGB from now on
    for tag, told in _of_picture(attributes, picture, cells).items():
        stated = value_of(attributes, tag)
        if stated == told:
            continue
        put(attributes, tag, told)
        as_index = indexed and (tag == _PHOTOMETRIC or (tag == _SAMPLES and stated == 1))
        if stated is not None and not as_index:
            problems.append(f"{tag_name(tag)} is not what the image itself says")
    if wrong := _complete_frames(attributes, picture.number_of_frames):
        problems += wrong
        put(attributes, _NUMBER_OF_FRAMES, picture.number_of_frames)
    _complete_times(attributes, picture.frame_times)
    return problems


def _of_picture(
    attributes: JsonDataset, picture: NativePixels, cells: Cells
) -> dict[int, str | int]:
    """The Image Pixel attributes of a picture, with what may stand of the metadata."""
    told = {tag: getattr(picture, name) for tag, name in _IMAGE.items()}
    grey = picture.samples_per_pixel == 1
    colours = _colours(attributes)
    palette = colours == _PALETTE and not picture.rescaled and _has_palette(attributes)
    if grey and (palette or colours in _GREY):
        told[_PHOTOMETRIC] = value_of(attributes, _PHOTOMETRIC)
    signed = grey and not picture.rescaled and value_of(attributes, _PIXEL_REPRESENTATION) == 1
    told[_PIXEL_REPRESENTATION] = int(signed)
    told[_BITS_STORED], told[_HIGH_BIT] = _bits(attributes, cells, signed)
    return {tag: value for tag, value in told.items() if value is not None}


def _colours(attributes: JsonDataset) -> str:
    """Photometric Interpretation as stated, without padding; empty without one."""
    stated = value_of(attributes, _PHOTOMETRIC)
    return stated.strip() if isinstance(stated, str) else ""


def _has_palette(attributes: JsonDataset) -> bool:
    """Whether there are descriptors and data, plain or segmented, of three look-up tables."""
    descriptors, plain, segmented = (
        not any(_is_missing(attributes, first + number) for number in range(3))
        for first in (0x00281101, 0x00281201, 0x00281221)
    )
    return descriptors and (plain or segmented)


def _bits(attributes: JsonDataset, cells: Cells, signed: bool) -> tuple[int, int]:
    """Bits Stored and High Bit: as stated, if they hold every value, else all bits there are."""
    stored, high = (value_of(attributes, tag) for tag in (_BITS_STORED, _HIGH_BIT))
    if isinstance(stored, int):
        for highest in (high, stored - 1):
            if isinstance(highest, int) and cells.fit(stored, highest, signed):
                return stored, highest
    return cells.bits, cells.bits - 1


def _complete_times(attributes: JsonDataset, times: Sequence[float]) -> None:
    """Frame Time, or, where frames are shown for different times, Frame Time Vector: from each
    frame to the next, 0 for the first (PS3.3 C.7.6.5). The last frame's own time has no place."""
    if not times:
        return
    stated = {
        tag: value_of(attributes, tag)
        for tag in (_FRAME_TIME, _FRAME_TIME_VECTOR, _FRAME_INCREMENT_POINTER)
    }
    vector_tag = f"{_FRAME_TIME_VECTOR:08X}"
    vector = [] if min(times) == max(times) else _vector(times)
    if not vector or stated[_FRAME_INCREMENT_POINTER] not in (None, vector_tag):
        _complete_timing(attributes, sum(times) / len(times), len(times))
    elif stated[_FRAME_TIME] is None and stated[_FRAME_TIME_VECTOR] is None:
        put(attributes, _FRAME_TIME_VECTOR, *vector)
        put(attributes, _FRAME_INCREMENT_POINTER, vector_tag)


def _vector(times: Sequence[float]) -> list[float]:
    """Values of a Frame Time Vector, none where they are more than one element can hold."""
    if 2 * len(times) > _MOST_TEXT + 1:  # whatever they are
        return []
    values = [0, *(int(time) if time == int(time) else round(time, 6) for time in times[:-1])]
    length = sum(len(str(value)) for value in values) + len(values) - 1
    return values if length <= _MOST_TEXT else []


def missing_of_image(attributes: JsonDataset) -> list[str]:
    """A problem for each attribute that Pixel Data needs and neither metadata nor bulk data
    tells (STOW-19)."""
    missing = [tag for tag in _NEEDED if value_of(attributes, tag) is None]
    return [f"{tag_name(tag)} is missing, the image cannot be shown" for tag in missing]


def complete_document(attributes: JsonDataset, media_type: str, length: int) -> list[str]:
    """Say of which type and length an Encapsulated Document is (STOW-15, PS3.3 §C.24.2).

    Returns the problems: another type or length than the metadata say.
    """
    problems = []
    stated, stated_length = (value_of(attributes, tag) for tag in (_MIME_TYPE, _DOCUMENT_LENGTH))
    # One byte may be padding: a value that was retrieved has it, and it does not count.
    if not stated_length:
        put(attributes, _DOCUMENT_LENGTH, length)
    elif stated_length != length and (length % 2 or stated_length != length - 1):
        problems.append(f"{tag_name(_DOCUMENT_LENGTH)} is not the length of the part")
    if media_type == "application/octet-stream":
        return problems
    if not stated:
        put(attributes, _MIME_TYPE, media_type)
    elif str(stated).strip().lower() != media_type:
        problems.append(f"{tag_name(_MIME_TYPE)} is not the type of the part")
    return problems
