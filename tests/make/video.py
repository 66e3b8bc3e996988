"""Videos of a few bytes: headers as encoders write them, in each container, and empty pictures."""

import struct
from collections.abc import Iterable

# Sequence parameter sets as x264 and x265 wrote them, and MPEG-2 headers as FFmpeg did
H264_HIGH_41 = bytes.fromhex("67640029acb40b043d446022000007d20001d4c01e306540")  # 350x242, 29.97
H264_HIGH_42 = bytes.fromhex("6764002aacb40b0fd808800000030080000019078c1950")  # 352x240, 25
H264_INTERLACED = bytes.fromhex(
    "67640029ace8078044fde022000003000200000300643e2c5d40"  # 1920x1080, 25
)
HEVC_MAIN = bytes.fromhex(
    "42010101600000030090000003000003003ca00b080407511965654a4c2f01680800001f480003a98040"
)  # 350x242
HEVC_MAIN_10 = bytes.fromhex(
    "42010102200000030090000003000003003ca00b080407510d965654a4c2f01680800001f480003a9804"
)  # 350x242
HEVC_422_10 = bytes.fromhex(
    "4201010408000003009d0800000300003cb00b080f136595952930bc05a02000000300200000030321"
)  # 352x240
MPEG2_MAIN = bytes.fromhex("000001b31600f013ffffe118000001b5148a00010000")  # 352x240, 25
MPEG2_422 = bytes.fromhex("000001b31600f013ffffe228000001b5185c00010000")

_START = b"\x00\x00\x01"


def bits(*fields: str | tuple[str, int] | tuple[int, int]) -> bytes:
    """Fields one after the other, most significant bit first, and the stop bit of a NAL unit.

    A field is ("ue", number), ("se", number), (number, width) or a text of 0 and 1.
    """
    text = ""
    for field in fields:
        if isinstance(field, str):
            text += field
        elif field[0] == "ue":
            text += _exp_golomb(field[1])
        elif field[0] == "se":
            text += _exp_golomb(2 * field[1] - 1 if field[1] > 0 else -2 * field[1])
        else:
            text += f"{field[0]:0{field[1]}b}"
    text += "1"
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8)


def _exp_golomb(number: int) -> str:
    code = f"{number + 1:b}"
    return "0" * (len(code) - 1) + code


def annex_b(parameter_set: bytes, *pictures: bytes) -> bytes:
    """A stream of NAL units with start codes before them."""
    return b"".join(b"\x00" + _START + unit for unit in (parameter_set, *pictures))


def h264_pictures(count: int) -> list[bytes]:
    """Slices that begin a picture, and one more in each that does not."""
    units = []
    for number in range(count):
        kind = b"\x65" if number == 0 else b"\x41"
        units += [kind + b"\x88\x84", kind + b"\x42\x21"]
    return units


def hevc_pictures(count: int) -> list[bytes]:
    units = []
    for number in range(count):
        kind = b"\x26\x01" if number == 0 else b"\x02\x01"
        units += [kind + b"\xaf\x09", kind + b"\x2f\x09"]
    return units


def mpeg2(header: bytes = MPEG2_MAIN, frames: int = 3, fields: int = 0) -> bytes:
    """An elementary stream of MPEG-2 with frame pictures, and field pictures after them."""
    frame = _START + b"\x00\x00\x0f\xff\xf8" + _START + b"\xb5\x8f\xff\xf3\x41\x80"
    field = _START + b"\x00\x00\x0f\xff\xf8" + _START + b"\xb5\x8f\xff\xf1\x41\x80"
    return header + (frame + _START + b"\x01\x12") * frames + field * fields + _START + b"\xb7"


# --- containers -------------------------------------------------------------------------------


def transport(stream: bytes, lead: bytes = b"") -> bytes:
    """A transport stream with `stream` as its video, a table and another stream between."""
    packet = _START + b"\xe0\x00\x00\x80\x80\x05\x21\x00\x01\x00\x01" + stream
    out = lead + _packet(0, True, b"\x00\x00\xb0\x0d" + b"\xff" * 180)
    begins = True
    while packet:
        out += lead + _packet(0x100, begins, packet[:184])
        out += lead + _packet(0x101, begins, _START + b"\xc0" + stream[:50])
        packet, begins = packet[184:], False
    return out


def _packet(identifier: int, begins: bool, content: bytes) -> bytes:
    head = struct.pack(">BH", 0x47, identifier | 0x4000 * begins)
    spare = 184 - len(content)
    if not spare:
        return head + b"\x10" + content
    filled = bytes([spare - 1]) + (b"\x00" + b"\xff" * (spare - 2) if spare > 1 else b"")
    return head + b"\x30" + filled + content


def program(stream: bytes, size: int = 100) -> bytes:
    """A program stream with `stream` as its video, and another stream between."""
    out = b""
    for at in range(0, len(stream), size):
        content = b"\x80\x00\x00" + stream[at : at + size]
        out += _START + b"\xba\x44" + bytes(8) + b"\x00"
        out += _START + b"\xc0\x00\x06\x80\x00\x00" + _START
        out += _START + b"\xe0" + struct.pack(">H", len(content)) + content
    return out + _START + b"\xb9"


def box(kind: bytes, *content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + sum(map(len, content)), kind) + b"".join(content)


def avc_entry(*parameter_sets: bytes, kind: bytes = b"avc1", extra: bytes = b"") -> bytes:
    """A sample entry of 352x240; profile and level are those of H264_HIGH_41 without sets."""
    first = parameter_sets[0] if parameter_sets else H264_HIGH_41
    sets = b"".join(struct.pack(">H", len(unit)) + unit for unit in parameter_sets)
    config = b"\x01" + first[1:4] + bytes([0xFF, 0xE0 | len(parameter_sets)]) + sets + b"\x00"
    return box(kind, _visual(), box(b"avcC", config), extra)


def hevc_entry(*parameter_sets: bytes, kind: bytes = b"hvc1") -> bytes:
    """A sample entry of 352x240; Main 10 at level 4 without sets."""
    config = b"\x01\x02" + bytes(10) + b"\x78" + bytes(3) + b"\xfd\xfa\xfa\x00\x00\x0f"
    arrays = b"".join(
        struct.pack(">BHH", kind, 1, len(unit)) + unit
        for kind, unit in ((32, b"\x40\x01"), *((33, unit) for unit in parameter_sets))
    )
    return box(kind, _visual(), box(b"hvcC", config, bytes([1 + len(parameter_sets)]), arrays))


def _visual() -> bytes:
    return bytes(24) + struct.pack(">HH", 352, 240) + bytes(50)


def track(
    entry: bytes,
    frames: int = 4,
    *,
    scale: int = 1000,
    duration: int = 160,
    number: int = 1,
    handler: bytes = b"vide",
    sizes: bytes | None = None,
) -> bytes:
    if sizes is None:
        sizes = box(b"stsz", bytes(4), struct.pack(">II", 0, frames), bytes(4 * frames))
    table = box(b"stbl", box(b"stsd", bytes(4), struct.pack(">I", 1), entry), sizes)
    header = box(b"mdhd", bytes(12), struct.pack(">II", scale, duration), bytes(4))
    media = box(b"mdia", header, box(b"hdlr", bytes(8), handler, bytes(13)), box(b"minf", table))
    return box(b"trak", box(b"tkhd", bytes(12), struct.pack(">I", number), bytes(68)), media)


def mp4(*tracks: bytes, brand: bytes = b"isom", extends: bytes = b"", after: bytes = b"") -> bytes:
    head = box(b"ftyp", brand, bytes(4), brand)
    return head + box(b"moov", *tracks, extends) + box(b"mdat", bytes(64)) + after


def extends(number: int, duration: int) -> bytes:
    return box(b"mvex", box(b"trex", bytes(4), struct.pack(">III", number, 1, duration), bytes(8)))


def fragment(
    number: int, durations: Iterable[int], default: int | None = None, count: int | None = None
) -> bytes:
    """A movie fragment of one run: a duration a frame, or `count` frames of the default one."""
    listed = list(durations)
    flags = 0x1 | (0x100 | 0x200 if count is None else 0)
    rows = b"".join(struct.pack(">II", duration, 16) for duration in listed)
    total = len(listed) if count is None else count
    run = box(b"trun", struct.pack(">IIi", flags, total, 0), rows)
    if default is None:
        header = box(b"tfhd", struct.pack(">II", 0x2, number), bytes(4))
    else:
        header = box(b"tfhd", struct.pack(">IIII", 0x2 | 0x8, number, 1, default))
    return box(b"moof", box(b"mfhd", bytes(8)), box(b"traf", header, run))
