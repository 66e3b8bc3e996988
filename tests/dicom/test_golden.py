"""Every image of the corpus in every target syntax: what is served decodes to what was stored.

Frames as they are served one by one; whole files are held against their source in
test_transcode_encoded.py, and what a stored frame decodes to against pydicom in test_pixels.py.
"""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dicomweb_server.dicom.encodable import LOSSLESS_TARGETS, can_encode, encoded_interpretation
from dicomweb_server.dicom.image_pixel import ImagePixel, image_pixel
from dicomweb_server.dicom.pixels import Decoded, decode_frame
from dicomweb_server.dicom.transcode_frames import has_values_right_aligned, transcode_frame
from dicomweb_server.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN as ELE
from dicomweb_server.errors import Refusal, UndecodablePixels
from tests.dicom.still_images import StillImage, read_still_image, still_images

TARGETS = (ELE, *LOSSLESS_TARGETS)
LARGE = 2 << 20  # samples, which take seconds to encode

# An end of its sequence of fragments stands where its code stream tells the width.
DAMAGED = {"JPEG2000-embedded-sequence-delimiter.dcm"}


def images() -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Each image with its targets: all of them for one of a kind, one in turn for others that
    lie beside it, as the slices of a series, and for large ones."""
    seen = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [(still.path, still.transfer_syntax_uid, _image(still)) for still in still_images()]
    for number, (path, stored, image) in enumerate(found):
        if image is None:
            continue
        kind = path.parent, stored, replace(image, number_of_frames=0)
        samples = image.rows * image.columns * image.samples_per_pixel
        alike = kind in seen or samples > LARGE
        seen.add(kind)
        yield path, TARGETS if not alike else (TARGETS[number % len(TARGETS)],)


def _image(still: StillImage) -> ImagePixel | None:
    try:
        return image_pixel(still.dataset)
    except Refusal:
        return None


IMAGES = list(images())


@pytest.mark.parametrize(
    ("path", "targets"), IMAGES, ids=["/".join(path.parts[-2:]) for path, _ in IMAGES]
)
def test_every_frame_decodes_to_what_was_stored(path: Path, targets: tuple[str, ...]) -> None:
    still = read_still_image(path)
    assert still is not None
    image, stored = image_pixel(still.dataset), still.transfer_syntax_uid
    for number in {1, (still.count + 1) // 2, still.count}:
        frame = still.frame(number)
        try:
            before = decode_frame(frame, image, stored)
        except UndecodablePixels:
            assert path.name in DAMAGED
            return
        assert path.name not in DAMAGED
        for target in targets:
            if target == stored or not (target == ELE or can_encode(still.dataset, stored, target)):
                continue
            made = transcode_frame(frame, still.dataset, stored, target)
            after = decode_frame(made, told(image, before, stored, target), target)
            assert np.array_equal(
                after.array, before.array, equal_nan=before.array.dtype.kind == "f"
            )
            assert after.array.dtype == before.array.dtype
            assert after.photometric_interpretation == before.photometric_interpretation


def told(image: ImagePixel, before: Decoded, stored: str, target: str) -> ImagePixel:
    """The attributes that go with a frame in the target syntax."""
    colours = before.photometric_interpretation
    if target != ELE:
        colours = encoded_interpretation(colours, target)
    image = replace(image, photometric_interpretation=colours)
    if has_values_right_aligned(stored, target):
        image = replace(image, high_bit=image.bits_stored - 1)
    return image
