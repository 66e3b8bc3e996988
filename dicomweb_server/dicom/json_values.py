"""Values out of a DICOM JSON object, for code that must live with whatever a file holds.

Numbers may be JSON numbers or strings (IS, DS), finite or not; anything may be missing or of
another shape. None of these functions raises.
"""

import base64
import binascii
import re
from math import isfinite
from typing import Any

from dicomweb_server.dicom.description import JsonDataset

SHARED_FUNCTIONAL_GROUPS = "52009229"
PER_FRAME_FUNCTIONAL_GROUPS = "52009230"

# A number as text: what IS and DS allow (PS3.5 §6.2), and a little more. Python itself reads
# underscores, digits of other scripts, and names of what is no number.
NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[Ee][+-]?[0-9]{1,4})?")
LONGEST_NUMBER = 64  # characters
PADDING = " \0"


def values(dataset: JsonDataset, tag: str) -> list[Any]:
    """The list of values of an attribute, empty if it has none."""
    element = dataset.get(tag)
    found = element.get("Value") if isinstance(element, dict) else None
    return found if isinstance(found, list) else []


def number(value: Any) -> float | None:
    """A value as a finite number, None if it is not one."""
    if isinstance(value, str):
        value = value.strip(PADDING)
        if len(value) > LONGEST_NUMBER or NUMBER.fullmatch(value) is None:
            return None
    elif isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        converted = float(value)
    except OverflowError:
        return None
    return converted if isfinite(converted) else None


def first_number(dataset: JsonDataset, tag: str) -> float | None:
    """The first value as a finite number, None if there is none or it is not one."""
    found = values(dataset, tag)
    return number(found[0]) if found else None


def first_text(dataset: JsonDataset, tag: str) -> str:
    """The first value if it is text, without spaces around it; else empty."""
    found = values(dataset, tag)
    return found[0].strip() if found and isinstance(found[0], str) else ""


def binary(dataset: JsonDataset, tag: str) -> bytes | None:
    """The bytes of an attribute that has them inline, None if it has not."""
    element = dataset.get(tag)
    inline = element.get("InlineBinary") if isinstance(element, dict) else None
    try:
        return base64.b64decode(inline) if isinstance(inline, str) else None
    except (binascii.Error, ValueError):
        return None


def first_item(dataset: JsonDataset, tag: str) -> JsonDataset | None:
    """The first item of a sequence, None if there is none."""
    return item(dataset, tag, 1)


def item(dataset: JsonDataset, tag: str, ordinal: int) -> JsonDataset | None:
    """The item of a sequence at `ordinal`, counted from 1; None if there is none."""
    found = values(dataset, tag)
    if not 1 <= ordinal <= len(found) or not isinstance(found[ordinal - 1], dict):
        return None
    chosen: JsonDataset = found[ordinal - 1]
    return chosen


def functional_group(dataset: JsonDataset, frame: int, tag: str) -> JsonDataset | None:
    """The item of a functional group's sequence that holds for `frame`, counted from 1.

    The frame's own group goes before the shared one (PS3.3 C.7.6.16).
    """
    for groups in (
        item(dataset, PER_FRAME_FUNCTIONAL_GROUPS, frame),
        first_item(dataset, SHARED_FUNCTIONAL_GROUPS),
    ):
        found = first_item(groups, tag) if groups else None
        if found:
            return found
    return None
