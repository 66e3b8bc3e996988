"""Targets: the readers of stored files (PS3.5, PS3.10) and of what their attributes say."""

import contextlib
import re
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from urllib.parse import quote

import numpy as np
import orjson

from dicomweb_server.dicom.animation import frame_times
from dicomweb_server.dicom.annotations import annotated, patient_lines
from dicomweb_server.dicom.blending import Superimposed
from dicomweb_server.dicom.colour_profiles import source_profile
from dicomweb_server.dicom.description import BULK_BASE, FrameTable, JsonDataset
from dicomweb_server.dicom.directory import PATIENT, SERIES, STUDY, Reference, records_of
from dicomweb_server.dicom.drawing import to_pixels, to_svg
from dicomweb_server.dicom.encodable import can_encode
from dicomweb_server.dicom.fragments import list_fragments, skip_encapsulated
from dicomweb_server.dicom.frames import (
    PixelElement,
    build_frame_table,
    cut_frame,
    fragments_of,
    frame_range,
)
from dicomweb_server.dicom.image_pixel import ImagePixel, image_pixel
from dicomweb_server.dicom.lookup_tables import lookup_table
from dicomweb_server.dicom.match_values import Prefilter, match_values, prefilter
from dicomweb_server.dicom.matching import matches_dataset, vr_of, wildcard_matches
from dicomweb_server.dicom.native_xml_text import to_xml
from dicomweb_server.dicom.overlays import embedded_overlays
from dicomweb_server.dicom.part10 import describe, inflate, is_deflated, read_file_meta
from dicomweb_server.dicom.pixels import Decoded, decode_frame
from dicomweb_server.dicom.presentation_state import mask_rule, present, references
from dicomweb_server.dicom.query import Condition, Equal, Level, Path, Range, Wildcard
from dicomweb_server.dicom.rendering import render
from dicomweb_server.dicom.report_html import referenced_instances, report_page
from dicomweb_server.dicom.report_text import report_text
from dicomweb_server.dicom.segmentation import (
    frame_at,
    overlaid,
    place_of,
    representative,
    slice_of,
)
from dicomweb_server.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from dicomweb_server.dicom.viewing import ANNOTATIONS, RenderOptions, Viewport, Window
from dicomweb_server.dicom.walk import walk
from dicomweb_server.dicom.waveform_page import waveform_drawing
from dicomweb_server.dicom.waveforms import (
    annotations_of,
    groups_of,
    inline_samples,
    recording_lines,
)
from dicomweb_server.errors import (
    ContentTooLarge,
    InvalidParameter,
    MalformedContent,
    NotPart10,
    UndecodablePixels,
)
from dicomweb_server.index.rows import entry_of
from dicomweb_server.wire.search import parse_search

_INFLATED = 1 << 20  # bytes


def part10(data: bytes) -> None:
    """A file is refused or described, with offsets that lie in it (PS3.10 §7)."""
    try:
        meta = read_file_meta(data)
        inflated = None
        if is_deflated(meta.transfer_syntax_uid):
            pieces = inflate(data[meta.dataset_offset :], _INFLATED)
            inflated = data[: meta.dataset_offset] + b"".join(pieces)
        description = describe(data, inflated)
    except (NotPart10, ContentTooLarge):
        return
    whole = data if inflated is None else inflated
    for value in description.bulk.values():
        assert 0 <= value.offset <= value.offset + value.length <= len(whole)
    if description.frames is not None:
        _cut(whole, description.frames)
    assert all(problem.isascii() for problem in description.problems)
    entry_of(description)
    to_xml(orjson.loads(description.metadata.replace(BULK_BASE, b"")))


def _cut(whole: bytes, table: FrameTable) -> None:
    """Cut the first frames and the last out of the file."""
    assert table.count > 0
    for number in {1, 2, table.count} & set(range(1, table.count + 1)):
        offset, length = frame_range(table, number)
        assert 0 <= offset <= offset + length <= len(whole)
        fragments = fragments_of(table, number)
        cut_frame(table, number, whole[offset : offset + length], fragments)


_ENCODINGS = [(False, True), (True, True), (False, False)]


def _walked(data: bytes) -> JsonDataset | None:
    """Attributes as they are read again from what is kept of a file; None for no data set."""
    implicit, little = _ENCODINGS[data[0] % 3 if data else 0]
    if not data:
        return None
    try:
        walked = walk(data, 1, implicit_vr=implicit, little_endian=little)
    except (NotPart10, ContentTooLarge):
        return None
    for value in walked.bulk.values():
        assert 0 <= value.offset <= value.offset + value.length <= len(data)
    attributes: JsonDataset = orjson.loads(orjson.dumps(walked.attributes))
    return attributes


def dataset(data: bytes) -> None:
    """A data set in any encoding is refused, or becomes JSON and XML (PS3.5 §7)."""
    attributes = _walked(data)
    if attributes is not None:
        to_xml(attributes)


_VALUES = {
    "DA": ("20240101-20240131", "2024"),
    "TM": ("10-12", "101500.5"),
    "DT": ("20240101101500+0100-", "2024"),
    "PN": ("M*^?", '"Müller Hans"', "A=B"),
    "UI": ("1.2.3,1.2.4", "1.2.3"),
}
_SWITCHES = ("", "&fuzzymatching=true", "&multiplevaluematching=true", "&emptyvaluematching=true")


@cache
def _conditions(name: str, vr: str) -> tuple[Mapping[Path, Condition], ...]:
    """What may be asked of an attribute, in all ways that it can be asked."""
    found = []
    for value in (*_VALUES.get(vr, ("1", "a*?", "-1.50e3")), '""', ""):
        for switch in _SWITCHES:
            query_string = f"{name}={quote(value)}{switch}"
            with contextlib.suppress(InvalidParameter):
                found.append(parse_search(Level.INSTANCE, query_string).query.conditions)
    return tuple(found)


def matching(data: bytes) -> None:
    """Whatever a data set holds, a query matches it or not, and so do its index values."""
    attributes = _walked(data)
    if attributes is None:
        return
    for key, attribute in list(attributes.items())[:20]:
        tag = int(key, 16)
        assert all("\0" not in value for value in match_values((tag,), attributes))
        for conditions in _conditions(key, vr_of(tag, attribute)):
            met = matches_dataset(conditions, attributes)
            for path, condition in conditions.items():
                needed = prefilter(path, condition)
                assert needed is None or not met or _meets(needed, path, attributes)


def _meets(needed: Prefilter, path: Path, attributes: JsonDataset) -> bool:
    """Whether one of the values that are indexed meets what the index is asked for (C.2.2.2)."""
    values = match_values(path, attributes)
    match needed:
        case Equal(wanted):
            return not values.isdisjoint(wanted)
        case Wildcard(patterns):
            return any(wildcard_matches(pattern, one) for pattern in patterns for one in values)
        case Range(low, high):
            return any((low or one) <= one <= (high or one) for one in values)


def fragments(data: bytes) -> None:
    """Encapsulated pixel data is refused, or its frames lie in it (PS3.5 A.4)."""
    stated, extended, data = data[:1], data[1:2], data[2:]
    try:
        end = skip_encapsulated(data, 0, len(data))
    except NotPart10:
        return
    assert end <= len(data)
    found = list_fragments(data, 0, end)
    count = len(found.offsets)
    offsets = tuple(int(each) - int(found.offsets[0]) for each in found.offsets[: extended[0] % 5])
    pixel = PixelElement(
        0x7FE00010, "OB", 0, end, True, offsets or None, tuple(8 for _ in offsets) or None
    )
    attributes = {"00280008": {"vr": "IS", "Value": [stated[0]]}} if stated[0] else {}
    for syntax in ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.4.102"):
        try:
            table, problems = build_frame_table(data, pixel, attributes, syntax)
        except NotPart10:
            continue
        assert table is not None or problems or not count
        if table is not None:
            _cut(data, table)


def native_frames(data: bytes) -> None:
    """Native frames of any size, words and bits, lie in their value (PS3.5 §8.1)."""
    numbers = [int.from_bytes(data[at : at + 2], "little") for at in range(0, 14, 2)]
    tags = ("00280002", "00280010", "00280011", "00280100", "00280008", "00280101")
    attributes: JsonDataset = {
        tag: {"vr": "US", "Value": [number]}
        for tag, number in zip(tags, numbers, strict=False)
        if number != 0xFFFF
    }
    value = data[14:]
    vr = ("OW", "OB", "OF", "OD")[numbers[6] % 4]
    tag = {"OF": 0x7FE00008, "OD": 0x7FE00009}.get(vr, 0x7FE00010)
    pixel = PixelElement(tag, vr, 0, len(value), False)
    for syntax in (EXPLICIT_VR_LITTLE_ENDIAN, "1.2.840.10008.1.2.2"):
        table, _ = build_frame_table(value, pixel, attributes, syntax)
        if table is not None:
            _cut(value, table)


def lookup_tables(data: bytes) -> None:
    """A table is none, or gives a value for every input (PS3.3 C.11.1, C.7.9.2)."""
    flags = data[0] if data else 0
    words = np.frombuffer(data[1:7].ljust(6, b"\0"), "<u2")
    table = lookup_table(
        {
            "00281101": {"vr": "US", "Value": words.tolist()},
            "00281221": {"vr": "OW", "InlineBinary": b64encode(data[7:]).decode()},
        },
        "00281101",
        "00281221",
        signed=bool(flags & 1),
        segmented=bool(flags & 2),
    )
    if table is not None:
        made = table.apply(np.arange(-300, 300).astype("<i2" if flags & 1 else "<u2"))
        assert made.shape == (600,)


# --------------------------------------------------------------------- what is shown of a file


def report(data: bytes) -> None:
    """A structured report becomes a page and a text (PS3.3 §C.17.3)."""
    attributes = _walked(data)
    if attributes is None:
        return
    with contextlib.suppress(ContentTooLarge):
        links = dict.fromkeys(referenced_instances(attributes)[:10], "/x")
        assert "<b>&" not in report_page(attributes, links)  # which is among the changed values
        report_text(attributes)


def waveform(data: bytes) -> None:
    """A recording becomes a drawing (PS3.3 §A.34)."""
    attributes = _walked(data)
    if attributes is None:
        return
    groups = [(group, inline_samples(attributes, group)) for group in groups_of(attributes)]
    lines = ["  ".join(patient_lines(attributes)), "  ".join(recording_lines(attributes))]
    annotations = annotations_of(attributes)
    for sop_class in ("1.2.840.10008.5.1.4.1.1.9.1.1", "1.2.840.10008.5.1.4.1.1.9.4.1"):
        if any(len(samples) for _, samples in groups):
            drawing = waveform_drawing(sop_class, groups, annotations, lines)
            svg = to_svg(drawing)
            assert "<b>&" not in svg
            paths = re.findall(r' (?:d|x|y|width|height)="([^"]*)"', svg)
            assert not any("nan" in path or "inf" in path for path in paths)
            if data[0] & 64:
                assert to_pixels(drawing, 0.5).dtype == np.uint8


_SIDE = 8  # pixels of the image below

_IMAGE: JsonDataset = {
    "00080018": {"vr": "UI", "Value": ["1.2.3"]},
    "00280002": {"vr": "US", "Value": [1]},
    "00280004": {"vr": "CS", "Value": ["MONOCHROME2"]},
    "00280010": {"vr": "US", "Value": [_SIDE]},
    "00280011": {"vr": "US", "Value": [_SIDE]},
    "00280100": {"vr": "US", "Value": [16]},
    "00280101": {"vr": "US", "Value": [16]},
    "00280102": {"vr": "US", "Value": [15]},
    "00280103": {"vr": "US", "Value": [0]},
}


def in_window(window: Window | None) -> None:
    """The image below, in a window that a request asks for."""
    image, decoded = _image()
    picture = render(decoded, image, _IMAGE, 1, RenderOptions(window))
    assert picture.dtype == np.uint8
    assert picture.shape[:2] == (_SIDE, _SIDE)


@cache
def _image() -> tuple[ImagePixel, Decoded]:
    image = image_pixel(_IMAGE)
    data = np.arange(_SIDE * _SIDE, dtype="<u2").tobytes()
    return image, decode_frame(data, image, EXPLICIT_VR_LITTLE_ENDIAN)


# Where the image lies, for what is blended.
_PLACED: JsonDataset = {
    "00200052": {"vr": "UI", "Value": ["1.2"]},
    "00200032": {"vr": "DS", "Value": [0, 0, 0]},
    "00200037": {"vr": "DS", "Value": [1, 0, 0, 0, 1, 0]},
    "00280030": {"vr": "DS", "Value": [1, 1]},
}


def presentation_state(data: bytes) -> None:
    """An image is shown as any presentation state says (PS3.4 Annex N)."""
    state = _walked(data)
    if state is None:
        return
    image, decoded = _image()
    references(state)
    rule = mask_rule(state)
    assert all(isinstance(number, int) for number in rule.frames_of(2))
    with contextlib.suppress(UndecodablePixels, InvalidParameter):
        box = Viewport(40, 30) if data[0] & 64 else None
        picture = present(
            decoded,
            image,
            {**_IMAGE, **_PLACED},
            1,
            state,
            RenderOptions(viewport=box),
            over=Superimposed(decoded, image, {**_IMAGE, **_PLACED}, 1),
            longest=None if box else 48,
            texts=bool(data[0] & 32),
        )
        assert box is None or (picture.shape[0] <= 30 and picture.shape[1] <= 40)
        assert picture.dtype == np.uint8
    source_profile(state, 1, 1)


_MOST = 4096  # bytes of a frame that is shown


def image(data: bytes) -> None:
    """Whatever the attributes say of an image, it is shown or refused (PS3.3 §C.7.6.3, C.11)."""
    attributes = _walked(data)
    if attributes is None:
        return
    for syntax in ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.5"):
        can_encode(attributes, EXPLICIT_VR_LITTLE_ENDIAN, syntax, lossy_allowed=True)
    with contextlib.suppress(UndecodablePixels, InvalidParameter):
        found = image_pixel(attributes)
        cells = found.rows * found.columns * found.samples_per_pixel
        size = (cells * found.bits_allocated + 7) // 8
        if size > _MOST:
            return
        frame = (bytes(range(256)) * 16)[: size + size % 2]
        decoded = decode_frame(frame, found, EXPLICIT_VR_LITTLE_ENDIAN)
        embedded_overlays(attributes, frame, found)
        source_profile(attributes, 1, found.number_of_frames)
        window = Window(40.0, 400.0) if data[0] & 64 else None
        options = RenderOptions(window, Viewport(16, 16))
        picture = render(decoded, found, attributes, 1, options)
        assert picture.dtype == np.uint8
        count = min(found.number_of_frames, 1000)
        assert len(frame_times(attributes, count)) == count
        annotated(picture, ANNOTATIONS, attributes, 1, count, window)


def segmentation(data: bytes) -> None:
    """Segments lie on a picture, whatever their functional groups say (PS3.3 §A.51)."""
    attributes = _walked(data)
    if attributes is None:
        return
    count = 1 + data[0] // 3 % 8
    chosen = representative(attributes, count)
    assert 1 <= chosen <= count
    found = slice_of(attributes, chosen, count, alone=False)
    place = place_of(attributes, chosen)
    if place is not None:
        frame_at(attributes, place, count)
    if found.place is not None:
        frame_at(attributes, found.place, count)
    picture, decoded = _image()
    background = np.zeros((_SIDE, _SIDE), np.uint8)
    with contextlib.suppress(UndecodablePixels):
        overlaid(background, [(decoded.array, 1), (decoded.array, None)], picture, attributes)


def directory(data: bytes) -> None:
    """An instance has records in a DICOMDIR, or its values cannot be encoded (PS3.3 Annex F)."""
    attributes = _walked(data)
    if attributes is None:
        return
    for sop_class in ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.88.22"):
        reference = Reference(("IM000001",), sop_class, "1.2.3", EXPLICIT_VR_LITTLE_ENDIAN)
        with contextlib.suppress(MalformedContent):
            records = records_of(attributes, reference, (1, 1), [PATIENT, STUDY, SERIES])
            assert len(records) == 4
