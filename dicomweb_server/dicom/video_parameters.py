"""What the headers of a video's elementary stream tell: MPEG-2, H.264 and HEVC.

Each function takes the bytes of one header, which are few, and raises MalformedMedia if they end
too soon. Names are those of the three standards (ITU-T H.262, H.264, H.265).
"""

import contextlib
from dataclasses import dataclass

from dicomweb_server.errors import MalformedMedia

MAX_PARAMETER_SET = 4096  # bytes: many times what a sequence parameter set can take

# Frames a second by frame_rate_code (H.262 Table 6-4)
_FRAME_RATES = (0.0, 24000 / 1001, 24, 25, 30000 / 1001, 30, 50, 60000 / 1001, 60)
# Profiles of H.264 whose sequence parameter sets tell of chroma and depth (7.3.2.1.1)
_WITH_CHROMA = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
_EXTENDED_SAR = 255


@dataclass(frozen=True, slots=True)
class VideoParameters:
    """How a video is coded. `chroma`: chroma_format_idc, 1 for 4:2:0."""

    codec: str  # mpeg2, h264 or hevc
    profile: int  # profile_idc; of MPEG-2, the four bits of its profile and escape
    level: int  # level_idc
    rows: int
    columns: int
    chroma: int = 1
    bits: int = 8
    fields: bool = False  # whether a coded picture may be half a frame
    frame_number_bits: int = 4  # of H.264: what stands before a slice's field_pic_flag
    frame_rate: float | None = None  # frames a second
    stereo: bool = False  # a second view, as of Stereo High


class BitReader:
    """Takes bits from the most significant end. Raises MalformedMedia past the last."""

    def __init__(self, data: bytes) -> None:
        self._word = int.from_bytes(data)
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise MalformedMedia("a header of the video is cut off")
        return (self._word >> self._left) & ((1 << count) - 1)

    def flag(self) -> bool:
        return bool(self.take(1))

    def ue(self) -> int:
        """An Exp-Golomb number without a sign (H.264 9.1)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise MalformedMedia("a header of the video is damaged")
        return (1 << zeros) - 1 + self.take(zeros)

    def se(self) -> int:
        """An Exp-Golomb number with a sign (H.264 9.1.1)."""
        code = self.ue()
        return (code + 1) // 2 if code % 2 else -code // 2


def payload(unit: bytes) -> bytes:
    """The bytes of a NAL unit without those that keep start codes out (H.264 7.4.1)."""
    return unit[:MAX_PARAMETER_SET].replace(b"\x00\x00\x03", b"\x00\x00")


# --- MPEG-2 -----------------------------------------------------------------------------------


def mpeg2_parameters(sequence: bytes, extension: bytes) -> VideoParameters:
    """Read a sequence header and sequence extension (H.262 6.2.2.1, 6.2.2.3).

    Both without their start code prefix and value.
    """
    header, more = BitReader(sequence), BitReader(extension)
    columns, rows = header.take(12), header.take(12)
    header.take(4)  # aspect ratio
    rate = header.take(4)
    more.take(4)  # the kind of extension
    profile, level = more.take(4), more.take(4)
    progressive, chroma = more.flag(), more.take(2)
    columns |= more.take(2) << 12
    rows |= more.take(2) << 12
    more.take(12 + 1 + 8 + 1)  # bit rate, marker, buffer, low delay
    numerator, denominator = more.take(2) + 1, more.take(5) + 1
    frame_rate = None
    if 0 < rate < len(_FRAME_RATES):
        frame_rate = _FRAME_RATES[rate] * numerator / denominator
    return VideoParameters(
        "mpeg2",
        profile,
        level,
        rows,
        columns,
        chroma,
        fields=not progressive,
        frame_rate=frame_rate,
    )


# --- H.264 ------------------------------------------------------------------------------------


def h264_parameters(unit: bytes) -> VideoParameters:
    """Read a sequence parameter set (H.264 7.3.2.1.1), from its NAL unit header on."""
    bits = BitReader(payload(unit))
    bits.take(8)  # the unit's header
    profile, _constraints, level = bits.take(8), bits.take(8), bits.take(8)
    bits.ue()
    chroma, depth = 1, 8
    if profile in _WITH_CHROMA:
        chroma, depth = _h264_chroma(bits)
    number_bits = 4 + bits.ue()
    if number_bits > 16:
        raise MalformedMedia("a header of the video is damaged")
    _skip_picture_order(bits)
    bits.ue()  # max_num_ref_frames
    bits.flag()
    columns, units = 16 * (bits.ue() + 1), bits.ue() + 1
    frames_only = bits.flag()
    rows = 16 * units * (1 if frames_only else 2)
    if not frames_only:
        bits.flag()  # mb_adaptive_frame_field_flag
    bits.flag()  # direct_8x8_inference_flag
    if bits.flag():
        across = 2 if chroma in (1, 2) else 1
        down = (2 if chroma == 1 else 1) * (1 if frames_only else 2)
        left, right, top, bottom = (bits.ue() for _ in range(4))
        columns -= across * (left + right)
        rows -= down * (top + bottom)
    return VideoParameters(
        "h264",
        profile,
        level,
        rows,
        columns,
        chroma,
        depth,
        fields=not frames_only,
        frame_number_bits=number_bits,
        frame_rate=_h264_frame_rate(bits),
    )


def h264_is_field(unit: bytes, parameters: VideoParameters) -> bool:
    """Whether a picture is half a frame: field_pic_flag of one of its slices (H.264 7.3.3).

    `unit` is the beginning of the slice, from its NAL unit header on.
    """
    if not parameters.fields:
        return False
    bits = BitReader(payload(unit))
    bits.take(8)  # the unit's header
    for _ in range(3):
        bits.ue()  # first_mb_in_slice, slice_type, pic_parameter_set_id
    bits.take(parameters.frame_number_bits)
    return bits.flag()


def _h264_chroma(bits: BitReader) -> tuple[int, int]:
    """chroma_format_idc, and bits of a sample: the more of luma and chroma."""
    chroma = bits.ue()
    if chroma == 3:
        bits.flag()  # separate_colour_plane_flag
    depth = 8 + max(bits.ue(), bits.ue())
    bits.flag()  # qpprime_y_zero_transform_bypass_flag
    if bits.flag():
        for number in range(8 if chroma != 3 else 12):
            if bits.flag():
                _skip_scaling_list(bits, 16 if number < 6 else 64)
    return chroma, depth


def _skip_scaling_list(bits: BitReader, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def _skip_picture_order(bits: BitReader) -> None:
    kind = bits.ue()
    if kind == 0:
        bits.ue()
    elif kind == 1:
        bits.flag()
        bits.se()
        bits.se()
        count = bits.ue()
        if count > 255:
            raise MalformedMedia("a header of the video is damaged")
        for _ in range(count):
            bits.se()


def _h264_frame_rate(bits: BitReader) -> float | None:
    """Frames a second by the usability information (H.264 E.1.1), None where there is none."""
    with contextlib.suppress(MalformedMedia):
        if not bits.flag():
            return None
        if bits.flag() and bits.take(8) == _EXTENDED_SAR:
            bits.take(32)
        if bits.flag():
            bits.flag()  # overscan
        if bits.flag():
            bits.take(4)  # video format and range
            if bits.flag():
                bits.take(24)  # colours
        if bits.flag():
            bits.ue()  # where chroma samples lie, in each field
            bits.ue()
        if bits.flag():
            ticks, scale = bits.take(32), bits.take(32)
            return scale / (2 * ticks) if ticks and scale else None
    return None


# --- HEVC -------------------------------------------------------------------------------------


def hevc_parameters(unit: bytes) -> VideoParameters:
    """Read a sequence parameter set (H.265 7.3.2.2), from its NAL unit header on."""
    bits = BitReader(payload(unit))
    bits.take(16 + 4)  # the unit's header, and the video parameter set's number
    layers = bits.take(3)
    bits.flag()
    profile, level = _profile_tier_level(bits, layers)
    bits.ue()  # the set's own number
    chroma = bits.ue()
    if chroma == 3:
        bits.flag()  # separate_colour_plane_flag
    columns, rows = bits.ue(), bits.ue()
    if bits.flag():
        across, down = 2 if chroma in (1, 2) else 1, 2 if chroma == 1 else 1
        left, right, top, bottom = (bits.ue() for _ in range(4))
        columns -= across * (left + right)
        rows -= down * (top + bottom)
    depth = 8 + max(bits.ue(), bits.ue())
    return VideoParameters("hevc", profile, level, rows, columns, chroma, depth)


def _profile_tier_level(bits: BitReader, layers: int) -> tuple[int, int]:
    """general_profile_idc and general_level_idc (H.265 7.3.3); sub-layers are passed over."""
    bits.take(2 + 1)  # profile space, tier
    profile = bits.take(5)
    bits.take(32 + 48)  # compatibility, constraints
    level = bits.take(8)
    present = [(bits.flag(), bits.flag()) for _ in range(layers)]
    if layers:
        bits.take(2 * (8 - layers))
    for has_profile, has_level in present:
        bits.take(88 * has_profile + 8 * has_level)
    return profile, level
