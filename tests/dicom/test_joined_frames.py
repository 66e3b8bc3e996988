"""Frames joined to one value: any bytes of it, as if it had been joined whole (WADO-05)."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.dicom.joined_frames import JoinedFrames


@given(st.integers(1, 40), st.integers(1, 7), st.data())
def test_any_part_is_that_of_the_whole(bits: int, count: int, data: st.DataObject) -> None:
    frames = np.random.default_rng(bits * 8 + count).integers(0, 2, (count, bits), np.uint8)
    whole = np.packbits(frames.reshape(-1), bitorder="little").tobytes()
    padded = [np.packbits(frame, bitorder="little").tobytes() for frame in frames]
    joined = JoinedFrames(bits, count)
    offset = data.draw(st.integers(0, len(whole)))
    length = data.draw(st.integers(0, len(whole) - offset))

    assert joined.length == len(whole)
    assert {len(frame) for frame in padded} == {joined.frame_length}
    cutter = joined.cutter(offset, length)
    pieces = [cutter.feed(padded[number - 1]) for number in joined.numbers(offset, length)]
    assert b"".join([*pieces, cutter.finish()]) == whole[offset : offset + length]
