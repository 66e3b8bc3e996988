"""The targets of fuzzing: functions that take any bytes and return.

Each gives the bytes to parsers of ours and lets what they document pass: a refusal of that kind,
and no other exception. What a parser gives is held against what it promises of it.
"""

import time
from collections.abc import Callable

from tests.fuzz import decoders, files, messages, stored, streams, texts

Target = Callable[[bytes], None]

TARGETS: dict[str, Target] = {
    target.__name__: target
    for target in (
        messages.multipart,
        messages.accept,
        messages.conditions,
        messages.search,
        messages.rendered,
        messages.paths,
        messages.gzip,
        texts.posted_json,
        texts.posted_xml,
        texts.clinical_document,
        texts.names,
        texts.moments,
        texts.character_sets,
        stored.part10,
        stored.dataset,
        stored.matching,
        stored.fragments,
        stored.native_frames,
        stored.lookup_tables,
        stored.report,
        stored.waveform,
        stored.presentation_state,
        stored.image,
        stored.segmentation,
        stored.directory,
        streams.jpeg,
        streams.jpeg_2000,
        streams.jpeg_xl,
        streams.rle,
        streams.video,
        streams.mp4,
        decoders.coded_frame,
        decoders.native_picture,
        decoders.icc_profile,
        files.reencoding,
        files.zip_file,
    )
}

LONGEST = 1 << 16  # bytes of an input
MAX_SECONDS = 2.0  # of the processor, for one input; atheris makes all three times slower


class TooLong(AssertionError):
    """An input took longer than any input of its size may take."""


def run(name: str, data: bytes) -> None:
    """Give one input to a target. Raises whatever is a bug."""
    begun = time.process_time()
    TARGETS[name](data)
    taken = time.process_time() - begun
    if taken > MAX_SECONDS:
        raise TooLong(f"{len(data)} bytes took {taken:.1f} s")
