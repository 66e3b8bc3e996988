"""The values of content items in words (PS3.3 §C.18), for a reader of the report.

None of these functions raises: a report holds what its maker put there.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.dictionary import uid_name
from dicomweb_server.dicom.json_values import first_item, first_text, number, values
from dicomweb_server.errors import ContentTooLarge

MAX_POINTS = 100  # of a shape that are written out; what is more is counted

_MOMENT = re.compile(
    r"(\d{4})(?:[.]?(\d{2})(?:[.]?(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})([.]\d{1,6})?)?)?)?)?)?"
    r"([+-]\d{4})?",
    re.ASCII,
)
_TIME = re.compile(r"(\d{2})(?::?(\d{2})(?::?(\d{2}([.]\d{1,6})?)?)?)?", re.ASCII)

# How units are written that UCUM has to spell in ASCII.
_UNITS = {
    **{"um": "µm", "uV": "µV", "ug": "µg", "us": "µs", "uGy": "µGy", "Cel": "°C", "deg": "°"},
    **{"mm2": "mm²", "cm2": "cm²", "m2": "m²", "mm3": "mm³", "cm3": "cm³", "m3": "m³"},
    **{"mm[Hg]": "mmHg", "1": "", "[hnsf'U]": "HU", "{pixels}": "pixels"},
    **{"{H.B.}/min": "bpm", "{beats}/min": "bpm", "/min": "/min", "%": "%"},
    **{"mGy.cm": "mGy·cm", "Gy.m2": "Gy·m²", "dGy.cm2": "dGy·cm²", "mGy.cm2": "mGy·cm²"},
}


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept (PS3.3 §8); `meaning` is what a reader is shown."""

    value: str = ""
    scheme: str = ""
    meaning: str = ""

    def __str__(self) -> str:
        return self.meaning or self.value

    @property
    def key(self) -> str:
        """Value and scheme, as PS3.16 writes them."""
        return f"{self.value}, {self.scheme}" if self.value or self.scheme else ""


@dataclass(frozen=True, slots=True)
class Value:
    """A value in words. `unit` is that of a number; `code` the concept that it is, or that of the
    unit; `details` are what qualifies it, as names and values. `bulk_path`: where a value is that
    is too long for this, as in ``wire.resources.bulk_url``."""

    text: str
    unit: str = ""
    code: Code | None = None
    details: tuple[tuple[str, str], ...] = ()
    bulk_path: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """Another instance, of which `kind` is the name of the SOP class; `details` as of Value."""

    sop_class_uid: str
    sop_instance_uid: str
    frames: tuple[int, ...] = ()
    details: tuple[tuple[str, str], ...] = ()

    @property
    def kind(self) -> str:
        return sop_class_name(self.sop_class_uid)


@dataclass(frozen=True, slots=True)
class Table:
    """A table (PS3.3 §C.18.10): its headings, and rows that begin with the name of the row."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


MAX_CELLS = 20_000
_SMALL_TABLE = 1000  # places, whether there are cells in them or not
_SPARSE = 20  # of so many places of a larger table one at least holds a cell


def sop_class_name(uid: str) -> str:
    """Its name in PS3.6 without the word Storage, or the UID itself."""
    return uid_name(uid).removesuffix(" Storage")


def code_of(dataset: JsonDataset, tag: str) -> Code:
    """The first code of a sequence; empty if there is none."""
    return _code(first_item(dataset, tag) or {})


def _code(item: JsonDataset) -> Code:
    value = next(
        filter(None, (first_text(item, tag) for tag in ("00080100", "00080119", "00080120"))), ""
    )
    return Code(value, first_text(item, "00080102"), first_text(item, "00080104"))


def codes_of(dataset: JsonDataset, tag: str) -> list[Code]:
    """All codes of a sequence."""
    found = (_code(item) for item in values(dataset, tag) if isinstance(item, dict))
    return [code for code in found if str(code)]


def text_of(dataset: JsonDataset, tag: str) -> str:
    """All values of an attribute as text."""
    return ", ".join(filter(None, map(plain, values(dataset, tag))))


def plain(value: Any) -> str:
    """One value as text; a name as it is read aloud."""
    if isinstance(value, dict):
        return person(value)
    if isinstance(value, float):
        return f"{value:.10g}"
    return str(value).strip() if isinstance(value, str | int) else ""


def person(value: Any) -> str:
    """A person name: family name, given and middle names, suffix; with its ideographic and
    phonetic forms where it has them."""
    if isinstance(value, str):
        value = dict(zip(("Alphabetic", "Ideographic", "Phonetic"), value.split("="), strict=False))
    if not isinstance(value, dict):
        return ""
    groups = (value.get(name) for name in ("Alphabetic", "Ideographic", "Phonetic"))
    names = [_components(group) for group in groups if isinstance(group, str)]
    first, *others = [name for name in names if name] or [""]
    return f"{first} ({', '.join(others)})" if others else first


def _components(text: str) -> str:
    family, given, middle, prefix, suffix = (
        *(part.strip() for part in text.split("^")),
        *[""] * 5,
    )[:5]
    names = " ".join(filter(None, (prefix, given, middle)))
    whole = ", ".join(filter(None, (family, names)))
    return f"{whole}, {suffix}" if suffix else whole


def moment(text: str) -> str:
    """A DA or DT value as people read it: ``2024-01-02 10:15:00 +0100``; else as it is."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        return text
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    date = "-".join(filter(None, (year, month, day)))
    clock = ":".join(filter(None, (hour, minute, second))) if minute else hour and f"{hour}h"
    return " ".join(filter(None, (date, (clock or "") + (fraction or ""), zone)))


def clock_time(text: str) -> str:
    """A TM value as people read it; else as it is."""
    match = _TIME.fullmatch(text)
    return ":".join(filter(None, match.group(1, 2, 3))) if match else text


def unit_of(code: Code) -> str:
    """A unit as it stands behind a number."""
    if code.value in _UNITS and code.scheme in ("UCUM", ""):
        return _UNITS[code.value]
    if code.value and code.scheme == "UCUM" and not re.search(r"[\[{]", code.value):
        return code.value
    return str(code)


Shown = Value | Reference | Table | None


def value_of(item: JsonDataset) -> Shown:
    """The value of a content item, by its value type; None if it has none."""
    kind = first_text(item, "0040A040")
    return _READERS.get(kind, _other)(item)


def _text(item: JsonDataset) -> Value:
    element = item.get("0040A160")
    path = element.get("BulkDataURI") if isinstance(element, dict) else None
    if isinstance(path, str):
        return Value("", bulk_path=path.lstrip("/"))
    found = values(item, "0040A160")
    # Text has one value, in which a backslash is a backslash (PS3.5 §6.2): lines are kept.
    text = "\n".join(plain(value) for value in found)
    return Value(text.replace("\r\n", "\n").replace("\r", "\n"))


def _coded(item: JsonDataset) -> Value:
    code = code_of(item, "0040A168")
    return Value(str(code), code=code)


def _numeric(item: JsonDataset) -> Value:
    measured = first_item(item, "0040A300") or {}
    details = [("Qualifier", str(code)) for code in codes_of(item, "0040A301")]
    amount = text_of(measured, "0040A30A") or text_of(measured, "0040A161")
    top, bottom = text_of(measured, "0040A162"), text_of(measured, "0040A163")
    if top and bottom:
        details.append(("Fraction", f"{top}/{bottom}"))
        amount = amount or f"{top}/{bottom}"
    unit = code_of(measured, "004008EA")
    return Value(amount, unit_of(unit), unit, tuple(details))


def _date_time(item: JsonDataset) -> Value:
    return Value(moment(text_of(item, "0040A120")))


def _date(item: JsonDataset) -> Value:
    return Value(moment(text_of(item, "0040A121")))


def _time(item: JsonDataset) -> Value:
    return Value(clock_time(text_of(item, "0040A122")))


def _person(item: JsonDataset) -> Value:
    return Value("; ".join(filter(None, map(person, values(item, "0040A123")))))


def _uid(item: JsonDataset) -> Value:
    uid = text_of(item, "0040A124")
    name = sop_class_name(uid)
    return Value(uid, details=(("Name", name),) if name and name != uid else ())


def _shape(size: int) -> Callable[[JsonDataset], Value]:
    def read(item: JsonDataset) -> Value:
        element = item.get("00700022")
        if isinstance(element, dict) and isinstance(element.get("BulkDataURI"), str):
            path = element["BulkDataURI"].lstrip("/")
            return Value(_words(item, "00700023"), bulk_path=path, details=_shape_details(item))
        numbers = [number(value) for value in values(item, "00700022")]
        points = [
            "(" + ", ".join("?" if part is None else f"{part:g}" for part in point) + ")"
            for point in zip(*[iter(numbers)] * size, strict=False)
        ]
        more = len(points) - MAX_POINTS
        text = " ".join(points[:MAX_POINTS]) + (f" and {more} more points" if more > 0 else "")
        return Value(f"{_words(item, '00700023')} {text}".strip(), details=_shape_details(item))

    return read


def _shape_details(item: JsonDataset) -> tuple[tuple[str, str], ...]:
    found = (
        ("Frame of reference", text_of(item, "30060024")),
        ("Fiducial", text_of(item, "0070031A")),
        ("Pixel origin", text_of(item, "00480301")),
    )
    return tuple((name, text) for name, text in found if text)


def _words(item: JsonDataset, tag: str) -> str:
    return first_text(item, tag).capitalize()


def _times(item: JsonDataset) -> Value:
    found = (
        ("Samples", text_of(item, "0040A132")),
        ("Seconds", text_of(item, "0040A138")),
        ("Times", ", ".join(moment(plain(value)) for value in values(item, "0040A13A"))),
    )
    details = tuple((name, text) for name, text in found if text)
    return Value(_words(item, "0040A130"), details=details)


def _reference(item: JsonDataset) -> Reference | None:
    found = first_item(item, "00081199")
    if found is None:
        return None
    state = first_item(found, "00081199") or {}
    shown = (
        ("Segments", text_of(found, "0062000B")),
        ("Channels", _channels(values(found, "0040A0B0"))),
        ("Presentation state", text_of(state, "00081155")),
        ("Real world value mapping", text_of(first_item(found, "0008114B") or {}, "00081155")),
    )
    frames = [number(value) for value in values(found, "00081160")]
    return Reference(
        first_text(found, "00081150"),
        first_text(found, "00081155"),
        tuple(int(frame) for frame in frames if frame is not None and 1 <= frame < 2**31),
        tuple((name, text) for name, text in shown if text),
    )


def _channels(found: list[Any]) -> str:
    """Pairs of multiplex group and channel, where 0 is all of them (PS3.3 §C.18.5.1.1)."""
    pairs = zip(*[iter(map(plain, found))] * 2, strict=False)
    return ", ".join(
        f"group {group}" + ("" if channel == "0" else f" channel {channel}")
        for group, channel in pairs
    )


def _table(item: JsonDataset) -> Table | None:
    """The cells of Tabulated Values, which name their row and column, counted from 1.

    Raises ContentTooLarge for a large table that has hardly any.
    """
    table = first_item(item, "0040A801")
    if table is None:
        return None
    columns = _headings(table, "0040A807", "0040A805")
    rows = _headings(table, "0040A806", "0040A804")
    cells: dict[int, dict[int, str]] = {row: {} for row in rows}
    for cell in values(table, "0040A808")[:MAX_CELLS]:
        row, column = (first_number_of(cell, tag) for tag in ("0040A804", "0040A805"))
        if row and column:
            cells.setdefault(row, {})[column] = _cell(cell)
            columns.setdefault(column, str(column))
    order = sorted(columns)
    # Cells each in a row and a column of its own make a table of their square.
    if len(cells) * len(order) > _SMALL_TABLE + _SPARSE * len(values(table, "0040A808")):
        raise ContentTooLarge("a report with a table that is almost empty")
    return Table(
        tuple(columns[column] for column in order),
        tuple(
            (rows.get(row, str(row)), tuple(cells[row].get(column, "") for column in order))
            for row in sorted(cells)
        ),
    )


def _headings(table: JsonDataset, sequence: str, tag: str) -> dict[int, str]:
    found = {}
    for place, item in enumerate(values(table, sequence)[:1000], 1):
        if isinstance(item, dict):
            unit = unit_of(code_of(item, "004008EA"))
            name = str(code_of(item, "0040A043"))
            ordinal = first_number_of(item, tag) or place
            found[ordinal] = f"{name} [{unit}]" if unit else name
    return found


def first_number_of(item: Any, tag: str) -> int | None:
    """The first value if it is a whole number above 0."""
    found = values(item, tag) if isinstance(item, dict) else []
    return found[0] if found and type(found[0]) is int and found[0] > 0 else None


def _cell(cell: JsonDataset) -> str:
    """What a cell holds besides the numbers of its row and column."""
    kind = first_text(cell, "0040A040")
    if kind in _READERS:
        found = _READERS[kind](cell)
        if isinstance(found, Value):
            return f"{found.text} {found.unit}".strip()
        if isinstance(found, Reference):
            return f"{found.kind} {found.sop_instance_uid}"
    others = (tag for tag in sorted(cell) if tag not in ("0040A804", "0040A805", "0040A040"))
    for tag in others:
        code = code_of(cell, tag) if isinstance(cell[tag], dict) else Code()
        if text := str(code) or text_of(cell, tag):
            return text
    return ""


def _nothing(item: JsonDataset) -> None:
    del item


def _other(item: JsonDataset) -> Value | None:
    """A value type of a later edition, or none: what there is of a value, whatever it is."""
    for read in (_text, _coded, _numeric, _date_time, _date, _time, _person, _uid):
        value = read(item)
        if value.text or value.bulk_path:
            return value
    return None


# Value types whose value is another instance.
REFERENCES = ("COMPOSITE", "IMAGE", "WAVEFORM")

_READERS: dict[str, Callable[[JsonDataset], Shown]] = {
    "TEXT": _text,
    "CODE": _coded,
    "NUM": _numeric,
    "DATETIME": _date_time,
    "DATE": _date,
    "TIME": _time,
    "PNAME": _person,
    "UIDREF": _uid,
    "SCOORD": _shape(2),
    "SCOORD3D": _shape(3),
    "TCOORD": _times,
    **dict.fromkeys(REFERENCES, _reference),
    "TABLE": _table,
    "CONTAINER": _nothing,
}
