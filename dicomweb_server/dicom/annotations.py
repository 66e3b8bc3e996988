"""Text burned into rendered pictures (PS3.18 §8.3.5.1.1): who the patient is, and how the image
was made."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.json_values import (
    first_number,
    first_text,
    functional_group,
    values,
)
from dicomweb_server.dicom.lettering import letters
from dicomweb_server.dicom.viewing import Window

Picture = np.ndarray[Any, np.dtype[np.uint8]]

_LEAST, _MOST = 11, 96  # pixels of a letter's height
_LEGIBLE = 7  # below which there is no use in making it smaller
_LINES = 30  # of which a picture is as high
_LONGEST = 64  # characters of a value


def annotated(
    picture: Picture,
    keywords: tuple[str, ...],
    dataset: JsonDataset,
    frame: int,
    count: int,
    window: Window | None,
) -> Picture:
    """`picture` with the text of each of `keywords` in a corner: `patient` above, `technique`
    below; white with a black outline.

    The text takes no more of the picture than there is: in small ones it is small, and cut.
    """
    above = list(patient_lines(dataset)) if "patient" in keywords else []
    below = []
    if "technique" in keywords:
        below = list(technique_lines(dataset, frame, count, window))
    return _drawn(picture, above, below) if above or below else picture


def patient_lines(dataset: JsonDataset) -> Iterator[str]:
    """Name, identifier, date of birth and sex, as far as they are known."""
    name = values(dataset, "00100010")[:1]
    groups = name[0] if name and isinstance(name[0], dict) else {}
    for group in ("Alphabetic", "Ideographic"):
        if isinstance(text := groups.get(group), str) and (shown := _person(text)):
            yield shown
    if identifier := first_text(dataset, "00100020"):
        yield f"ID {_short(identifier)}"
    born, sex = _date(first_text(dataset, "00100030")), first_text(dataset, "00100040")
    if line := "  ".join(filter(None, [f"* {born}" if born else "", _short(sex)])):
        yield line


def technique_lines(
    dataset: JsonDataset, frame: int, count: int, window: Window | None
) -> Iterator[str]:
    """What image of what study it is, and how it was made, as far as that is known."""
    modality, part = first_text(dataset, "00080060"), first_text(dataset, "00180015")
    view = first_text(dataset, "00185101")
    side = first_text(dataset, "00200062") or first_text(dataset, "00200060")
    yield from _joined(modality, part, side, view)
    yield from _joined(_date(first_text(dataset, "00080020")), _time(dataset))
    series, image = _figure(dataset, "00200011", "Se"), _figure(dataset, "00200013", "Im")
    yield from _joined(series, image, f"Fr {frame}/{count}" if count > 1 else "")
    yield from _joined(first_text(dataset, "0008103E"))
    thickness = _measure(dataset, frame, "00289110", "00180050")
    location = first_number(dataset, "00201041")
    yield from _joined(
        "" if thickness is None else f"T {thickness:g} mm",
        "" if location is None else f"L {location:.1f} mm",
    )
    yield from _joined(*_exposure(dataset, frame))
    if window is None:
        center, width = (
            _measure(dataset, frame, "00289132", tag) for tag in ("00281050", "00281051")
        )
    else:
        center, width = window.center, window.width
    if center is not None and width is not None:
        yield f"C {center:g}  W {width:g}"


def _exposure(dataset: JsonDataset, frame: int) -> Iterator[str]:
    """X-ray and magnetic resonance; what a modality lacks is not told."""
    for tag, unit in (
        ("00180060", "kV"),
        ("00181151", "mA"),
        ("00181152", "mAs"),
        ("00180087", "T"),
    ):
        if number := first_number(dataset, tag):
            yield f"{number:g} {unit}"
    for tag, name in (("00180080", "TR"), ("00180081", "TE")):
        if number := first_number(dataset, tag):
            yield f"{name} {number:g}"


def _measure(dataset: JsonDataset, frame: int, group: str, tag: str) -> float | None:
    """A number of the frame's functional group, else of the image."""
    of_frame = functional_group(dataset, frame, group)
    found = first_number(of_frame, tag) if of_frame else None
    return first_number(dataset, tag) if found is None else found


def _joined(*parts: str) -> Iterator[str]:
    """One line of what is known; none if nothing is."""
    known = [_short(part) for part in parts if part]
    if known:
        yield "  ".join(known)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."


def _person(group: str) -> str:
    """A name's components as people write them (PS3.5 §6.2.1.1)."""
    family, given, middle, prefix, suffix = [
        *(part.strip() for part in group.split("^")),
        *[""] * 5,
    ][:5]
    others = " ".join(filter(None, (prefix, given, middle, suffix)))
    return _short(", ".join(filter(None, (family, others))))


def _date(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}" if len(text) == 8 and text.isdecimal() else ""


def _time(dataset: JsonDataset) -> str:
    text = first_text(dataset, "00080032") or first_text(dataset, "00080030")
    return f"{text[:2]}:{text[2:4]}" if len(text) >= 4 and text[:4].isdecimal() else ""


def _figure(dataset: JsonDataset, tag: str, name: str) -> str:
    found = first_number(dataset, tag)
    return "" if found is None else f"{name} {found:g}"


# ---------------------------------------------------------------------------------- drawing


def _drawn(picture: Picture, above: list[str], below: list[str]) -> Picture:
    from PIL import Image, ImageDraw

    rows, columns = picture.shape[:2]
    image = Image.fromarray(np.ascontiguousarray(picture))
    draw = ImageDraw.Draw(image)
    height = _height(draw, [*above, *below], rows, columns)
    outline, margin = max(1, round(height / 9)), max(2, round(height / 2))
    white, black = (255, 0) if picture.ndim == 2 else ((255,) * 3, (0,) * 3)
    step = height * 1.25
    first_below = rows - margin - step * len(below)
    places = [margin + step * n for n in range(len(above))]
    places += [max(first_below, margin + step * len(above)) + step * n for n in range(len(below))]
    for line, top in zip([*above, *below], places, strict=True):
        text, font = _cut(draw, line, height, columns - 2 * margin)
        draw.text(
            (margin, top), text, fill=white, font=font, stroke_width=outline, stroke_fill=black
        )
    return np.asarray(image)


def _height(draw: Any, lines: list[str], rows: int, columns: int) -> float:
    """Of letters, in pixels: by the picture, and so that all lines find room if they can."""
    height: float = min(_MOST, max(_LEAST, min(rows, columns) / _LINES))
    wide: float = max(draw.textlength(*letters(line, height)) for line in lines) + height
    most = min(1.0, columns / wide, rows / (height * (1.25 * len(lines) + 1)))
    return max(_LEGIBLE, height * most)


def _cut(draw: Any, line: str, height: float, room: float) -> tuple[str, Any]:
    """As much of a line as there is room for."""
    text, font = letters(line, height)
    while len(text) > 3 and draw.textlength(text, font) > room:
        text = f"{text[:-4]}..." if text.endswith("...") else f"{text[:-3]}..."
    return text, font
