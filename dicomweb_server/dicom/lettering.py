"""Fonts for text in pictures: the one that comes with Pillow, which has the letters of ASCII, or
one of the system's for what that lacks.

Text for which there is no font goes without its accents, and with question marks for the rest.
"""

import unicodedata
from functools import lru_cache
from typing import Any

# Files of fonts that systems have, those with most letters first
_FONTS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "Arial.ttf",
    "NotoSansCJK-Regular.ttc",
    "DroidSansFallbackFull.ttf",
    "wqy-microhei.ttc",
)
_NONE = "\U0010fffe"  # which no font has


def letters(text: str, height: float) -> tuple[str, Any]:
    """`text` as far as it can be drawn, and the font to draw it with, `height` in pixels."""
    from PIL import ImageFont

    if not text.isascii():
        needed = frozenset(character for character in text if not character.isspace())
        for name in _FONTS:
            if _has(name, needed):
                return text, ImageFont.truetype(name, height)
        text = _in_ascii(text)
    return text, ImageFont.load_default(height)


def _has(name: str, needed: frozenset[str]) -> bool:
    """Whether there is a font of that name, with all the characters."""
    return _font(name) is not None and all(_has_letter(name, each) for each in needed)


@lru_cache(1 << 15)  # of several alphabets, and the characters that are in use of Chinese
def _has_letter(name: str, character: str) -> bool:
    font, none = _font(name) or (None, b"")
    return font is not None and bytes(font.getmask(character)) != none


@lru_cache
def _font(name: str) -> tuple[Any, bytes] | None:
    """A font, and what it shows for a character that it lacks; None if there is no such font."""
    from PIL import ImageFont

    try:
        font = ImageFont.truetype(name, 16)
    except OSError:
        return None
    return font, bytes(font.getmask(_NONE))


def _in_ascii(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text)
    kept = (c for c in plain if not unicodedata.combining(c))
    return "".join(c if c.isascii() else "?" for c in kept)
