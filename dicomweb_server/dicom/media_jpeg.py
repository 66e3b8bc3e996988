"""What a stream of JPEG (ISO/IEC 10918-1) or JPEG-LS (ISO/IEC 14495-1) is (PS3.5 8.2.1, 8.2.3).

Every marker is visited to the End Of Image, since each scan of a lossless stream has a predictor,
or an error bound, of its own; the coded data between them is searched in C.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from dicomweb_server.dicom.codestream import jpeg_header
from dicomweb_server.dicom.fragments import Bytes
from dicomweb_server.dicom.media_description import (
    ImageAttributes,
    Media,
    integer,
    media_of,
    take,
)
from dicomweb_server.errors import MalformedMedia, UndecodablePixels, UnsupportedMedia

MAX_SEGMENTS = 1 << 16
MAX_HEADER = 1 << 25  # bytes before the image begins: the largest ICC profile is half of it

_SOI, _EOI, _SOS, _APP8 = 0xD8, 0xD9, 0xDA, 0xE8
_BASELINE, _EXTENDED, _LOSSLESS, _LS = 0xC0, 0xC1, 0xC3, 0xF7
# Start Of Frame of every process: without DHT (C4), JPG (C8) and DAC (CC)
_FRAMES = frozenset({*range(0xC0, 0xD0), _LS} - {0xC4, 0xC8, 0xCC})
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})  # TEM, RSTn

_MARKER = re.compile(rb"\xff++([\x01-\xfe])")
# What ends the coded data of a scan. A zero after FF is stuffed, and JPEG-LS stuffs one bit:
# whatever is below 80 is data.
_SCAN_END = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_LS_SCAN_END = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")


class Segment(NamedTuple):
    """One marker, and where the content of its segment lies, both ends 0 if it has none."""

    marker: int
    start: int
    end: int


@dataclass(slots=True)
class Stream:
    """What the markers of a stream told."""

    end: int = 0  # after the End Of Image
    frame: Segment | None = None
    scans: list[int] = field(default_factory=list)  # predictor (lossless) or NEAR (JPEG-LS)
    transformed: bool = False  # by a colour transform that is none of the standard's


def read_jpeg(data: Bytes, claimed: str | None) -> Media:
    """Say what one JPEG or JPEG-LS stream is, from its Start Of Image to its End Of Image.

    SOF0 is .50, SOF1 .51, SOF3 .70 or .57, SOF55 .80 or .81. Raises UnsupportedMedia for every
    other process, MalformedMedia for a stream without a frame, a scan or an end.
    """
    stream = _read_markers(data)
    if stream.frame is None or not stream.scans:
        raise MalformedMedia("the JPEG stream has no image")
    image = _image(data, stream.frame)
    syntaxes, method = _syntaxes(stream, image.precision)
    return media_of(image, syntaxes, claimed, 0, stream.end, method)


def _syntaxes(stream: Stream, precision: int) -> tuple[tuple[str, ...], str | None]:
    """The transfer syntaxes that the stream is of, and the method it is lossy by."""
    assert stream.frame is not None
    marker, scans = stream.frame.marker, stream.scans
    if marker == _BASELINE and precision == 8:
        return ("50",), "ISO_10918_1"
    if marker == _EXTENDED and precision in (8, 12):
        return ("51",), "ISO_10918_1"
    if marker == _LOSSLESS and 2 <= precision <= 16:
        return ("70", "57") if set(scans) == {1} else ("57",), None
    if marker == _LS and 2 <= precision <= 16 and not stream.transformed:
        # Near-lossless with a bound of 0 is lossless, and allowed as .81 (PS3.5 A.4.3)
        return (("80", "81"), None) if set(scans) == {0} else (("81",), "ISO_14495_1")
    raise UnsupportedMedia("the JPEG stream is of a process that no DICOM transfer syntax has")


def _image(data: Bytes, frame: Segment) -> ImageAttributes:
    if frame.end > MAX_HEADER:
        raise UnsupportedMedia("the JPEG stream has more than 32 MiB before its image")
    try:
        header = jpeg_header(take(data, 0, frame.end))
    except UndecodablePixels as error:
        raise MalformedMedia("the JPEG stream's frame header is damaged") from error
    if header.rows == 0 or header.columns == 0:
        raise UnsupportedMedia("the JPEG stream does not tell its size where it begins")
    samples = header.samples
    sampling = {take(data, frame.start + 7 + 3 * n, 1) for n in range(samples)}
    return ImageAttributes(
        header.rows,
        header.columns,
        samples,
        header.precision,
        _colours(frame.marker, header.colours, shared=len(sampling) > 1),
        bool(header.colours) and frame.marker != _LS,
    )


def _colours(marker: int, told: str, shared: bool) -> str:
    """The photometric interpretation of three components; `shared`: chroma by several pixels.

    Where the stream does not tell, a lossy one is taken as YCbCr and a lossless one as RGB, as
    decoders do. YBR_FULL_422 stands for every way to share, 4:2:0 too, since no other name is
    allowed for lossy JPEG (PS3.5 Table 8.2.1-1). For chroma that is not shared toolkits write
    YBR_FULL all the same, which is true of the pixels.
    """
    if marker == _LS:
        return "RGB"
    if told == "RGB" or (not told and marker == _LOSSLESS):
        return "RGB"
    return "YBR_FULL_422" if shared else "YBR_FULL"


def _read_markers(data: Bytes) -> Stream:
    if take(data, 0, min(2, len(data))) != b"\xff\xd8":
        raise MalformedMedia("the part is not a JPEG stream")
    stream = Stream()
    for segment in _segments(data):
        marker = segment.marker
        if marker == _EOI:
            stream.end = segment.end
        elif marker in _FRAMES:
            if stream.frame is not None:
                raise UnsupportedMedia("the JPEG stream holds more than one image")
            stream.frame = segment
        elif marker == _SOS:
            components = integer(data, segment.start, 1, segment.end)
            stream.scans.append(integer(data, segment.start + 1 + 2 * components, 1, segment.end))
        elif marker == _APP8 and segment.end - segment.start == 5:
            # Hewlett-Packard's, which ISO/IEC 14495-1 does not know: others would show it wrong
            content = take(data, segment.start, 5)
            stream.transformed |= content[:4] == b"mrfx" and content[4] != 0
    return stream


def _segments(data: Bytes) -> Iterator[Segment]:
    """Every marker after the Start Of Image, in order, through the End Of Image.

    Raises MalformedMedia where a marker should be and is none, or if the End Of Image never
    comes.
    """
    offset = 2
    scan_end = _SCAN_END
    for _ in range(MAX_SEGMENTS):
        found = _MARKER.match(data, offset)
        if found is None:
            raise MalformedMedia("the JPEG stream is cut off, or damaged between its segments")
        marker, offset = found[1][0], found.end()
        if marker == _EOI:
            yield Segment(marker, offset, offset)
            return
        if marker in _WITHOUT_LENGTH:
            continue
        end = offset + integer(data, offset, 2)
        if marker == _SOI or end < offset + 2 or end > len(data):
            raise MalformedMedia("a segment of the JPEG stream is damaged")
        yield Segment(marker, offset + 2, end)
        offset = end
        if marker == _LS:
            scan_end = _LS_SCAN_END
        if marker == _SOS:
            coded = scan_end.search(data, offset)
            offset = coded.start() if coded else len(data)
    raise MalformedMedia("the JPEG stream has too many segments")
