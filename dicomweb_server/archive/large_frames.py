"""Frames too large to be passed to workers and back as messages: both ways they lie in files.

A message is pickled, sent and put together on the event loop, which would stand still meanwhile:
27 ms for a frame of 27 MB, and half of what a picture of a 0.5 MB slice costs. The functions here
run in workers.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicomweb_server.dicom.description import FrameTable
from dicomweb_server.dicom.frames import cut_frame
from dicomweb_server.errors import NotPart10

PASSED = 1 << 20  # bytes; what is larger is not passed in messages
READ_THERE = 1 << 16  # bytes; what is larger is read by the worker, if it lies in a local file


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """A frame in a local file, as a worker finds it: its range, and what ``cut_frame`` needs."""

    path: Path
    offset: int  # bytes
    length: int  # bytes
    table: FrameTable
    number: int  # from 1
    fragments: int

    def read(self) -> bytes:
        """The frame as stored. Raises NotPart10 if it is none."""
        with self.path.open("rb") as file:
            raw = os.pread(file.fileno(), self.length, self.offset)
        if len(raw) < self.length:
            raise NotPart10("the file ends before its frame")
        return cut_frame(self.table, self.number, raw, self.fragments)


Frame = bytes | StoredFrame


def read_frame(frame: Frame) -> bytes:
    """Its bytes, wherever they are."""
    return frame if isinstance(frame, bytes) else frame.read()


def made_in(
    target: Path, function: Callable[..., bytes], packed_metadata: bytes, frame: Frame, *args: Any
) -> bytes | None:
    """What ``function(packed_metadata, frame, …)`` makes; None if it is large, and in `target`,
    if the disk has room for it."""
    made = function(packed_metadata, frame, *args)
    if len(made) > PASSED:
        try:
            target.write_bytes(made)
        except OSError:
            target.unlink(missing_ok=True)
        else:
            return None
    return made
