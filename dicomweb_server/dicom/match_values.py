"""Values of an attribute as an index keeps them, and what a condition asks of these.

Both are coarse: values are normalised and cut, and of a condition only what can be asked of one
value by itself is left. `prefilter` never turns away what ``dicom.matching`` would match, but for
the last word that one has to be asked.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from dicomweb_server.dicom.matching import (
    NUMERIC_VRS,
    attribute_at,
    normal_number,
    vr_of,
    without_padding,
)
from dicomweb_server.dicom.moments import (
    moved,
    normal_date,
    normal_date_time,
    normal_time,
    zone_of,
)
from dicomweb_server.dicom.person_name import fold, groups, name_patterns
from dicomweb_server.dicom.query import (
    Condition,
    DateTimeRange,
    Equal,
    Every,
    Path,
    Range,
    UidList,
    Wildcard,
)

VALUE_LENGTH = 128  # characters that are kept of a value; whoever asks for more, asks for these
MOST_VALUES = 256  # of an entity
MANY = "\x1a"  # in place of more values than that; it meets every condition

Kind = Literal["text", "name", "number", "date", "time", "moment"]
Prefilter = Equal | Wildcard | Range  # over normalised values

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("AE", "AS", "AT", "CS", "LO", "LT", "SH", "ST"), "text"),
    **dict.fromkeys(("UC", "UI", "UR", "UT"), "text"),
    **dict.fromkeys(NUMERIC_VRS, "number"),
    "PN": "name",
    "DA": "date",
    "TM": "time",
    "DT": "moment",
}
_TIMEZONE_OFFSET = "00080201"
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # by Postgres: NUL, half surrogate pairs
# Minutes. Two time zones are 26 hours apart at the most, and which one is meant where none is
# told depends on who asks.
_ZONES = 2 * 24 * 60


def kind_of(path: Path) -> Kind | None:
    """By which rules values at `path` compare; None where there are none to compare: sequences,
    bytes, attributes that are in no dictionary, or whose path leads through no sequence."""
    if any(vr_of(tag) != "SQ" for tag in path[:-1]):
        return None
    return _KINDS.get(vr_of(path[-1]))


def match_values(path: Path, dataset: Mapping[str, Any]) -> frozenset[str]:
    """The values of the attribute at `path` in a data set of the DICOM JSON Model, in all items
    of the sequences on the way; MANY alone if they are too many.

    A value that no condition can be met by, a date that is none, is left out.
    """
    kind = kind_of(path)
    found: set[str] = set()
    if kind is not None:
        vr = vr_of(path[-1])
        for value, zone in _values_at(path, dataset):
            found.update(_normal(kind, vr, value, zone))
            if len(found) > MOST_VALUES:
                return frozenset({MANY})
    return frozenset(found)


def _values_at(path: Path, dataset: Mapping[str, Any]) -> Iterator[tuple[Any, int]]:
    """The values, each with the time zone of the data set or item that it stands in."""
    values = _values(attribute_at(path[0], dataset))
    if len(path) > 1:
        for item in values:
            if isinstance(item, Mapping):
                yield from _values_at(path[1:], item)
    elif values:
        offset = _values(dataset.get(_TIMEZONE_OFFSET))
        zone = zone_of(str(offset[0])) if offset else None
        for value in values:
            yield value, zone or 0


def _values(attribute: Mapping[str, Any] | None) -> list[Any]:
    values = [] if attribute is None else attribute.get("Value", [])
    return [value for value in values if value is not None]


def _normal(kind: Kind, vr: str, value: Any, zone: int) -> Iterable[str]:
    match kind:
        case "name":
            if not isinstance(value, str | Mapping):
                return []
            texts: list[str | None] = [_storable(fold(group)) for group in groups(value)]
        case "number":
            texts = [number_text(value)]
        case "date":
            texts = [normal_date(str(value))]
        case "time":
            texts = [normal_time(str(value))]
        case "moment":
            texts = [normal_date_time(str(value), zone)]
        case "text":
            texts = [_text(value, vr)]
    return [text[:VALUE_LENGTH] for text in texts if text]


def number_text(value: object) -> str | None:
    """One text for equal numbers, of whatever they are written as; None for what is none."""
    number = normal_number(value)
    if number is None:
        return None
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)  # it is finite
    text = "".join(map(str, digits)).lstrip("0")
    short = text.rstrip("0")
    if not short:
        return "0"
    return f"{'-' if sign else ''}{short}E{exponent + len(text) - len(short)}"


def _storable(text: str) -> str:
    """Character by character, so that what followed a pattern follows that of the pattern."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _text(value: object, vr: str) -> str:
    return _storable(without_padding(value, vr))


def prefilter(path: Path, condition: Condition) -> Prefilter | None:
    """What one value at `path` has to meet, at least, where `condition` is met; None if that can
    not be told, or where it takes no value to meet it."""
    kind, vr = kind_of(path), vr_of(path[-1])
    if vr == "FL":  # compared in single precision, which no text of a number is
        return None
    match kind, condition:
        case (None, _):
            return None
        case (_, Equal(values)) | ("text", UidList(values)):
            return _equal(kind, vr, values)
        case _, Every(values):
            each = [one for value in values if (one := _equal(kind, vr, [value])) is not None]
            return max(each, key=lambda one: len(one.values and one.values[0]), default=None)
        case "text" | "name", Wildcard(patterns):
            return _wildcard(kind, vr, patterns)
        case "date" | "time", Range():
            return condition
        case "moment", Range(low, high):
            return Range(low and moved(low, -_ZONES), high and moved(high, _ZONES))
        case "date", DateTimeRange(_, low, high, zone):
            around = 0 if zone is None else _ZONES
            return Range(low and moved(low, -around)[:8], high and moved(high, around)[:8])
    return None


def _equal(kind: Kind | None, vr: str, values: Iterable[str]) -> Equal | None:
    """A single value (C.2.2.2.1), one of several."""
    wanted = []
    for value in values:
        match kind:
            case "text":
                text: str | None = _text(value, vr)
                if not text:
                    return None  # met by a blank value, which is not kept
            case "name":
                text = _group_of(value, wild=False)
                if text is None:
                    return None
            case "number":
                text = number_text(value)
            case "date":
                text = normal_date(value)
            case "time":
                text = normal_time(value)
            case _:  # date-times are compared by their text (C.2.2.2.1), or by ranges
                return None
        if text is not None:
            wanted.append(text[:VALUE_LENGTH])
    return Equal(tuple(wanted))


def _wildcard(kind: Kind | None, vr: str, patterns: Iterable[str]) -> Wildcard | None:
    wanted: list[str] = []
    for pattern in patterns:
        if not without_padding(pattern, vr).strip("*"):
            return None  # met by absent attributes (C.2.2.2.4), or blank values
        text = _group_of(pattern, wild=True) if kind == "name" else _text(pattern, vr)
        if text is None:
            return None
        wanted += name_patterns(text) if kind == "name" else [text]
    return Wildcard(tuple(wanted))


def _group_of(text: str, *, wild: bool) -> str | None:
    """What one component group of a name is asked for (MAT-02): any of them where there is no
    "=", otherwise the longest that is asked; None if a name without groups would do."""
    wanted = [_storable(fold(group)) for group in groups(text)]
    if "=" not in text:
        return wanted[0]
    asked = [group for group in wanted if (group.strip("*") if wild else group)]
    return max(asked, key=len, default=None)
