"""Decoded frames as one value, one after the other without padding between them (TS-11)."""


class JoinedFrames:
    """`count` frames of `bits` each, joined; given frame by frame, from some byte on.

    Frames of whole bytes are cut, others shifted into place (WADO-05): bit 0 of a byte is the
    first, and a frame's last byte is padded.
    """

    def __init__(self, bits: int, count: int) -> None:
        self.bits = bits
        self.count = count

    @property
    def length(self) -> int:
        """Bytes of the whole value."""
        return (self.bits * self.count + 7) // 8

    @property
    def frame_length(self) -> int:
        """Bytes of one frame by itself."""
        return (self.bits + 7) // 8

    def numbers(self, offset: int, length: int) -> range:
        """The frames, from 1, that the `length` bytes from `offset` are made of."""
        end = min(8 * (offset + length), self.bits * self.count)
        return range(8 * offset // self.bits + 1, -(-end // self.bits) + 1) if length else range(0)

    def cutter(self, offset: int, length: int) -> "Cutter":
        """Makes the bytes of those frames."""
        return Cutter(self.bits, 8 * offset % self.bits, length)


class Cutter:
    """Frames in, in their order; bytes out, `length` in all."""

    def __init__(self, bits: int, skip: int, length: int) -> None:
        self._bits = bits
        self._skip = skip  # bits of the next frame that are not wanted
        self._left = length
        self._carry, self._carried = 0, 0  # bits that do not fill a byte, and how many

    def feed(self, frame: bytes) -> bytes:
        """The bytes that are whole with this frame."""
        if self._bits % 8 == 0:
            piece = frame[self._skip // 8 : self._skip // 8 + self._left]
            self._skip = 0
        else:
            piece = self._shifted(frame)[: self._left]
        self._left -= len(piece)
        return piece

    def _shifted(self, frame: bytes) -> bytes:
        number = int.from_bytes(frame, "little") & ((1 << self._bits) - 1)
        number = number >> self._skip << self._carried | self._carry
        bits = self._bits - self._skip + self._carried
        self._skip = 0
        whole = bits // 8
        self._carry, self._carried = number >> 8 * whole, bits - 8 * whole
        return (number & ((1 << 8 * whole) - 1)).to_bytes(whole, "little")

    def finish(self) -> bytes:
        """The last byte, where the frames do not fill it."""
        return self._carry.to_bytes(1, "little") if self._left and self._carried else b""
