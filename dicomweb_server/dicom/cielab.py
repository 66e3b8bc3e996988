"""Colours that DICOM tells in CIELab (PS3.3 C.10.7.1.1), as sRGB."""

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.json_values import number, values

Colour = tuple[int, int, int]  # red, green, blue, 0 to 255 each

BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)

# The white of the profile connection space (ICC.1, D50), and from its XYZ to linear sRGB, whose
# white D65 is adapted to it (Bradford).
_D50 = (0.96422, 1.0, 0.82521)
_TO_LINEAR = (
    (3.1338561, -1.6168667, -0.4906146),
    (-0.9787684, 1.9161415, 0.0334540),
    (0.0719453, -0.2289914, 1.4052427),
)


def srgb_of(encoded: tuple[float, float, float]) -> Colour:
    """L*, a*, b* as DICOM encodes them, 0 to 65535 each, as sRGB; beyond its gamut, clipped."""
    lightness = encoded[0] / 65535 * 100
    a, b = (value / 65535 * 255 - 128 for value in encoded[1:])
    middle = (lightness + 16) / 116
    steps = (middle + a / 500, middle, middle - b / 200)
    xyz = [_inverse(step) * white for step, white in zip(steps, _D50, strict=True)]
    linear = [sum(f * v for f, v in zip(row, xyz, strict=True)) for row in _TO_LINEAR]
    red, green, blue = (_level(value) for value in linear)
    return red, green, blue


def _inverse(step: float) -> float:
    """The inverse of CIE's f."""
    return step**3 if step > 6 / 29 else 3 * (6 / 29) ** 2 * (step - 4 / 29)


def _level(linear: float) -> int:
    linear = min(1.0, max(0.0, linear))
    coded = 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055
    return int(coded * 255 + 0.5)


def colour_of(dataset: JsonDataset, tag: str) -> Colour | None:
    """The colour of an attribute of three CIELab values, None if it is missing or damaged."""
    found = [number(value) for value in values(dataset, tag)[:3]]
    if len(found) < 3 or not all(v is not None and 0 <= v <= 65535 for v in found):
        return None
    lightness, a, b = (float(value or 0) for value in found)
    return srgb_of((lightness, a, b))


def grey_of(dataset: JsonDataset, tag: str) -> Colour | None:
    """The grey of an attribute in P-Values, 0 to 65535; None if it is missing or damaged."""
    found = number(next(iter(values(dataset, tag)), None))
    if found is None or not 0 <= found <= 65535:
        return None
    level = int(found / 65535 * 255 + 0.5)
    return level, level, level
