"""Pictures that DICOM does not encapsulate, PNG and GIF, as native Pixel Data (STOW-16).

Nothing of the picture is lost that DICOM can hold: palettes become RGB, alpha and transparency
are dropped (PS3.18 §10.5), animations become full frames.
"""

from collections.abc import Iterator
from dataclasses import dataclass

NATIVE_TYPES: tuple[str, ...] = ("image/png", "image/gif")


@dataclass(frozen=True, slots=True)
class NativePixels:
    """A decoded picture: attributes of the Image Pixel Module (PS3.3 C.7.6.3), and its frames.

    `frames` gives each frame's bytes once, in order, of rows x columns x samples_per_pixel
    cells of bits_allocated, little endian, colour by pixel; there are `number_of_frames` of
    them. Giving them raises MalformedMedia where the file turns out to be damaged.
    """

    rows: int
    columns: int
    samples_per_pixel: int
    photometric_interpretation: str  # MONOCHROME2 or RGB
    planar_configuration: int | None  # None where there is one sample
    bits_allocated: int
    bits_stored: int
    high_bit: int
    pixel_representation: int
    number_of_frames: int
    frame_time: float | None  # milliseconds, mean; None for a still picture
    frames: Iterator[bytes]
