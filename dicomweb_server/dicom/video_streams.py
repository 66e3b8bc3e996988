"""Elementary streams of video: out of MPEG transport and program streams, and what is in them.

A stream is passed along in pieces, so that a film of any length is read in constant memory.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

from dicomweb_server.dicom.fragments import Bytes
from dicomweb_server.dicom.media_description import integer, take
from dicomweb_server.dicom.video_parameters import (
    MAX_PARAMETER_SET,
    VideoParameters,
    h264_is_field,
    h264_parameters,
    hevc_parameters,
    mpeg2_parameters,
)
from dicomweb_server.errors import MalformedMedia, UnsupportedMedia

PIECE = 1 << 20  # bytes
BEGINNING = 1 << 20  # bytes of the stream in which its headers have to be
MAX_PIECES = 64  # pieces that the beginning may be in
MAX_COUNTED = 1 << 30  # bytes of a part whose pictures are counted; it takes seconds
_MAX_PACKETS = 1 << 23  # of a program stream: 16 GiB of packets as large as they usually are
_SYNC, _PACKET = 0x47, 188  # of a transport stream; ahead of each may be a time of 4 bytes
_VIDEO = range(0xE0, 0xF0)  # stream_id
_PACK, _END = 0xBA, 0xB9

_MPEG_SEQUENCE = re.compile(rb"\x00\x00\x01\xb3")
_MPEG2_EXTENSION = re.compile(rb"\x00\x00\x01\xb5[\x10-\x1f]")
_H264_SPS = re.compile(rb"\x00\x00\x01[\x27\x47\x67]")
_H264_STEREO_SPS = re.compile(rb"\x00\x00\x01[\x0f\x2f\x4f\x6f]\x80")  # profile_idc 128
_HEVC_SPS = re.compile(rb"\x00\x00\x01\x42\x01")
_UNIT_END = re.compile(rb"\x00\x00[\x00\x01]")

# What each picture has once: the extension that tells frames from fields; the first slice.
_MPEG2_PICTURE = re.compile(rb"\x00\x00\x01\xb5[\x80-\x8f]..", re.DOTALL)
_H264_PICTURE = re.compile(rb"\x00\x00\x01[\x01\x21\x41\x61\x25\x45\x65][\x80-\xff]")
_HEVC_PICTURE = re.compile(
    rb"\x00\x00\x01[\x00\x02\x04\x06\x08\x0a\x0c\x0e\x10\x12\x20\x22\x24\x26\x28\x2a]"
    rb"[\x01-\x07][\x80-\xff]"
)
_LOOKED_AT = 32  # bytes of a picture
_FRAME_PICTURE = 3  # picture_structure (H.262 Table 6-14)


def elementary_stream(data: Bytes) -> Iterator[bytes]:
    """The first video of a transport, program or elementary stream, in pieces.

    Raises MalformedMedia where packets do not follow each other.
    """
    for lead in (0, 4):
        syncs = [lead + n * (lead + _PACKET) for n in range(2)]
        if all(at < len(data) and data[at : at + 1] == b"\x47" for at in syncs):
            return _transport(data, lead)
    if bytes(data[:4]) == b"\x00\x00\x01\xba":
        return _program(data)
    return (bytes(data[at : at + PIECE]) for at in range(0, len(data), PIECE))


def _transport(data: Bytes, lead: int) -> Iterator[bytes]:
    """The payload of the first packets that carry video (ISO/IEC 13818-1 2.4.3)."""
    size = lead + _PACKET
    video: int | None = None  # the packets' identifier
    for base in range(0, len(data), PIECE // size * size):
        piece = bytes(data[base : base + PIECE // size * size])
        payloads = []
        for at in range(lead, len(piece) - _PACKET + 1, size):
            if piece[at] != _SYNC:
                raise MalformedMedia("the transport stream is damaged")
            identifier = int.from_bytes(piece[at + 1 : at + 3]) & 0x1FFF
            if video is not None and identifier != video:
                continue
            start = _payload_start(piece, at)
            if piece[at + 1] & 0x40:  # a packet of the elementary stream begins here
                if not _is_video(piece, start, at + _PACKET):
                    continue
                video = identifier
                start += 9 + piece[start + 8]
            if video is not None:
                payloads.append(piece[start : at + _PACKET])
        yield b"".join(payloads)


def _payload_start(piece: bytes, at: int) -> int:
    control = piece[at + 3] >> 4
    if not control & 1:
        return at + _PACKET
    return at + 4 + (1 + piece[at + 4] if control & 2 else 0)


def _is_video(piece: bytes, start: int, end: int) -> bool:
    """Whether a packet of video (PES) begins at `start`, with a header that ends by `end`."""
    begins = piece[start : start + 3] == b"\x00\x00\x01" and start + 9 <= end
    return begins and piece[start + 3] in _VIDEO


def _program(data: Bytes) -> Iterator[bytes]:
    """The payload of all packets of video (ISO/IEC 13818-1 2.5.3)."""
    offset = held = 0
    payloads: list[bytes] = []
    for _ in range(_MAX_PACKETS):
        # An end code is often missing, and a pad byte there instead
        code = take(data, offset, 4) if offset + 4 <= len(data) else bytes((0, 0, 1, _END))
        if code[:3] != b"\x00\x00\x01" or code[3] < _END:
            raise MalformedMedia("the program stream is damaged")
        if code[3] == _END:
            yield b"".join(payloads)
            return
        after = _after_packet(data, offset, code[3])
        if code[3] in _VIDEO:
            payloads.append(_packet_payload(data, offset, after))
            held += len(payloads[-1])
        if held >= PIECE:
            yield b"".join(payloads)
            held, payloads = 0, []
        offset = after
    raise MalformedMedia("the program stream has too many packets")


def _after_packet(data: Bytes, offset: int, code: int) -> int:
    if code != _PACK:
        return offset + 6 + integer(data, offset + 4, 2)
    if integer(data, offset + 4, 1) >> 6 != 1:
        raise UnsupportedMedia("the program stream is one of MPEG-1")
    return offset + 14 + (integer(data, offset + 13, 1) & 0x7)


def _packet_payload(data: Bytes, offset: int, after: int) -> bytes:
    header = 9 + integer(data, offset + 8, 1, after)
    if offset + header > after:
        raise MalformedMedia("the program stream is damaged")
    return take(data, offset + header, after - offset - header)


# --- what is in a stream ----------------------------------------------------------------------


def read_parameters(pieces: Iterable[bytes]) -> VideoParameters:
    """How the video is coded, by the first headers of the stream.

    Raises MalformedMedia if there are none within BEGINNING bytes of it, or MAX_PIECES of a
    transport stream that may be full of other things; UnsupportedMedia for MPEG-1.
    """
    beginning = b""
    for piece in islice(pieces, MAX_PIECES):
        beginning += piece
        if len(beginning) >= BEGINNING:
            break
    if found := _MPEG_SEQUENCE.search(beginning):
        return _mpeg2(beginning, found.end())
    if found := _HEVC_SPS.search(beginning):
        return hevc_parameters(_unit(beginning, found.start() + 3))
    if found := _H264_SPS.search(beginning):
        parameters = h264_parameters(_unit(beginning, found.start() + 3))
        stereo = _H264_STEREO_SPS.search(beginning) is not None
        return replace(parameters, stereo=stereo)
    raise MalformedMedia("the part is not a video that is known here")


def _mpeg2(beginning: bytes, start: int) -> VideoParameters:
    # Two matrices may stand between the two headers: no more than 140 bytes
    extension = _MPEG2_EXTENSION.search(beginning, start, start + 256)
    if extension is None:
        raise UnsupportedMedia("the video has no sequence extension of MPEG-2")
    at = extension.start() + 4
    return mpeg2_parameters(beginning[start : start + 8], beginning[at : at + 6])


def _unit(beginning: bytes, start: int) -> bytes:
    end = _UNIT_END.search(beginning, start, start + MAX_PARAMETER_SET)
    return beginning[start : end.start() if end else start + MAX_PARAMETER_SET]


def count_frames(parameters: VideoParameters, pieces: Iterable[bytes]) -> int:
    """Frames of the stream, two fields being one. Raises MalformedMedia for a damaged picture."""
    if parameters.codec == "hevc":
        return sum(1 for _ in _pictures(_HEVC_PICTURE, pieces))
    halves = 0
    if parameters.codec == "mpeg2":
        for picture in _pictures(_MPEG2_PICTURE, pieces):
            halves += 2 if picture[6] & 3 == _FRAME_PICTURE else 1
    else:
        for picture in _pictures(_H264_PICTURE, pieces):
            halves += 1 if h264_is_field(picture[3:], parameters) else 2
    return (halves + 1) // 2


def _pictures(pattern: re.Pattern[bytes], pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The first bytes of every picture, those across two pieces too, from its start code on."""
    held = b""
    for piece in pieces:
        held += piece
        edge = len(held) - _LOOKED_AT
        seen = 0
        for found in pattern.finditer(held):
            if found.start() > edge:
                break
            seen = found.end()
            yield held[found.start() : found.start() + _LOOKED_AT]
        held = held[max(seen, edge + 1, 0) :]
    for found in pattern.finditer(held):
        yield held[found.start() : found.start() + _LOOKED_AT]
