"""The query of rendered resources and thumbnails (PS3.18 §8.3.5, digest 3.2 and 3.3).

Parameters that the table does not know are ignored; those it knows are refused unless they
follow their grammar, and told in a warning where the server does not do what they ask.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TypeVar

from dicomweb_server.dicom.viewing import ANNOTATIONS, Viewport, Window
from dicomweb_server.errors import InvalidParameter

MAX_SIDE = 10_000  # pixels of a viewport (VP-09)

_DECIMAL = r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[Ee][+-]?[0-9]+)?"
_NUMBER = re.compile(_DECIMAL)
_NUMBER_LENGTH = 16  # characters of a decimal (WIN-05)
_KEYWORDS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}(?:,[A-Za-z][A-Za-z0-9_-]{0,31}){0,15}")
_FUNCTIONS = ("linear", "linear-exact", "sigmoid")
_PROFILES = ("no", "yes", "srgb", "adobergb", "rommrgb")


@dataclass(frozen=True, slots=True)
class RenderedQuery:
    """What the query of a rendered resource asks for.

    `warnings` are texts for Warning header fields, without code and service (WRN-01).
    """

    window: Window | None = None
    viewport: Viewport | None = None
    quality: int | None = None
    annotations: tuple[str, ...] = ()
    icc_profile: str = ""
    warnings: tuple[str, ...] = ()


def parse_rendered_query(params: Sequence[tuple[str, str]]) -> RenderedQuery:
    """Read the decoded query of a rendered resource, names and values in their order.

    Raises InvalidParameter for a parameter that is repeated or does not follow its grammar.
    Keywords of annotations that are not known give a warning.
    """
    keywords = _read(params, "annotation", parse_annotation) or ()
    return RenderedQuery(
        window=_read(params, "window", parse_window),
        viewport=_read(params, "viewport", parse_viewport),
        quality=_read(params, "quality", parse_quality),
        annotations=tuple(each for each in ANNOTATIONS if each in keywords),
        icc_profile=_read(params, "iccprofile", parse_profile) or "",
        warnings=_warnings(keywords),
    )


def _warnings(keywords: Sequence[str]) -> tuple[str, ...]:
    unknown = ",".join(each for each in keywords if each not in ANNOTATIONS)
    if not unknown:
        return ()
    return (f"The following annotation values are not supported: {unknown}",)


def parse_thumbnail_query(params: Sequence[tuple[str, str]]) -> Viewport | None:
    """Read the decoded query of a thumbnail: its viewport, if it has one (THB-01).

    Raises InvalidParameter for a viewport that is repeated or more than a width and height.
    """
    return _read(params, "viewport", _parse_box)


_Value = TypeVar("_Value")


def _read(
    params: Sequence[tuple[str, str]], name: str, parse: Callable[[str], _Value]
) -> _Value | None:
    found = [value for key, value in params if key == name]
    if len(found) > 1:
        raise InvalidParameter(name, found[1], "the parameter only once")
    return parse(found[0]) if found else None


def parse_window(text: str) -> Window:
    """Read the value of ``window=center,width,function`` (PS3.18 §8.3.5.1.4, WIN-01, -02, -05).

    Raises InvalidParameter if the text does not follow the grammar, or the width is below its
    function's least: 1 for linear, above 0 otherwise (PS3.3 §C.11.2.1).
    """
    values = text.split(",", 3)
    if len(values) != 3 or values[2] not in _FUNCTIONS:
        raise InvalidParameter("window", text, f"center,width,{'|'.join(_FUNCTIONS)}")
    center, width = (_decimal("window", text, value) for value in values[:2])
    if not (width >= 1 if values[2] == "linear" else width > 0):
        raise InvalidParameter("window", text, "a wider window")
    return Window(center, width, values[2])


def parse_viewport(text: str) -> Viewport:
    """Read the value of ``viewport=vw,vh[,sx,sy,sw,sh]`` (PS3.18 §8.3.5.1.3, VP-01 to VP-05).

    Raises InvalidParameter if the text does not follow the grammar, a side is above MAX_SIDE,
    or the region is empty.
    """
    values = text.split(",", 6)
    if not 2 <= len(values) <= 6 or not values[-1]:
        raise InvalidParameter("viewport", text, "vw,vh[,sx,sy,sw,sh]")
    width, height = (_side(text, value) for value in values[:2])
    x, y, region_width, region_height = (
        _decimal("viewport", text, value) if value else None
        for value in [*values[2:], "", "", "", ""][:4]
    )
    if region_width == 0 or region_height == 0:
        raise InvalidParameter("viewport", text, "a region that is not empty")
    return Viewport(
        width=width,
        height=height,
        x=abs(x or 0.0),
        y=abs(y or 0.0),
        region_width=None if region_width is None else abs(region_width),
        region_height=None if region_height is None else abs(region_height),
        flip_horizontally=region_width is not None and region_width < 0,
        flip_vertically=region_height is not None and region_height < 0,
    )


def _parse_box(text: str) -> Viewport:
    if text.count(",") != 1:
        raise InvalidParameter("viewport", text, "vw,vh for a thumbnail")
    return parse_viewport(text)


def parse_quality(text: str) -> int:
    """Read the value of ``quality``: 1 to 100 (PS3.18 §8.3.5.1.2). Raises InvalidParameter."""
    if not re.fullmatch("[0-9]{1,3}", text) or not 1 <= int(text) <= 100:
        raise InvalidParameter("quality", text, "a whole number from 1 to 100")
    return int(text)


def _side(text: str, value: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", value) or not 1 <= int(value) <= MAX_SIDE:
        raise InvalidParameter("viewport", text, f"a width and height from 1 to {MAX_SIDE} pixels")
    return int(value)


def _decimal(name: str, text: str, value: str) -> float:
    if len(value) <= _NUMBER_LENGTH and _NUMBER.fullmatch(value):
        number = float(value)
        if isfinite(number):
            return number
    raise InvalidParameter(name, text, f"finite numbers of at most {_NUMBER_LENGTH} characters")


def parse_annotation(text: str) -> tuple[str, ...]:
    """Read the value of ``annotation``: keywords (PS3.18 §8.3.5.1.1). Raises InvalidParameter."""
    if not _KEYWORDS.fullmatch(text):
        raise InvalidParameter("annotation", text, "keywords separated by commas")
    return tuple(dict.fromkeys(text.split(",")))


def parse_profile(text: str) -> str:
    """Read the value of ``iccprofile`` (PS3.18 §8.3.5.1.6). Raises InvalidParameter."""
    if text not in _PROFILES:
        raise InvalidParameter("iccprofile", text, "|".join(_PROFILES))
    return text
