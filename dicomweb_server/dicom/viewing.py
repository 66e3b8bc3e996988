"""How a picture is asked for, as values: the window, the viewport and both together.

They stand apart from ``rendering`` so that a request can be read without loading numpy.
"""

from dataclasses import dataclass

# What a rendering can be sent as (PS3.18 Table 8.7.4-1), the default first.
RENDERED_TYPES = ("image/jpeg", "image/png", "image/gif", "image/jp2", "image/jph", "image/jxl")
DEFAULT_QUALITY = 90

# What may be asked of each that is not `no`: JPEG XL tells sRGB by itself, and no more.
_ALL_PROFILES = ("yes", "srgb", "adobergb", "rommrgb")
PROFILES = {
    **dict.fromkeys(("image/jpeg", "image/png", "image/jp2", "image/jph"), _ALL_PROFILES),
    "image/jxl": ("srgb",),
}
ANNOTATIONS = ("patient", "technique")


@dataclass(frozen=True, slots=True)
class Window:
    """A VOI window, in the units the Modality LUT puts out (HU for CT)."""

    center: float
    width: float
    function: str = "linear"  # linear, linear-exact or sigmoid


@dataclass(frozen=True, slots=True)
class Viewport:
    """A box to fit a region of the image into (PS3.18 §8.3.5.1.3, VP-01 to VP-07).

    `width` and `height` are in pixels of the picture; the region `x`, `y`, `region_width`,
    `region_height` in pixels of the image, (0, 0) being its top left corner. A region without
    a size reaches to the image's right or bottom edge.
    """

    width: int
    height: int
    x: float = 0.0
    y: float = 0.0
    region_width: float | None = None
    region_height: float | None = None
    flip_horizontally: bool = False
    flip_vertically: bool = False


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """What the request says about the rendering; None leaves it to the image.

    `icc_profile`: yes for the profile of the image, or the space to convert its colours to;
    empty where nothing is said. `annotations`: keywords of ANNOTATIONS.
    """

    window: Window | None = None
    viewport: Viewport | None = None
    icc_profile: str = ""
    annotations: tuple[str, ...] = ()
