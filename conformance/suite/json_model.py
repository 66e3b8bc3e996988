"""The DICOM JSON Model, read strictly (PS3.18 Annex F; rules JSN-01 to JSN-33)."""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any

from conformance.suite.http import Answer
from conformance.suite.model import Deviation, expect

JsonDataset = dict[str, dict[str, Any]]

_TAG = re.compile("[0-9A-F]{8}")
_TEXT = frozenset(
    ["AE", "AS", "CS", "DA", "DT", "LO", "LT", "SH", "ST", "TM", "UC", "UI", "UR", "UT"]
)
_NUMBER_OR_TEXT = frozenset(["DS", "IS", "SV", "UV"])
_WHOLE = frozenset(["SL", "SS", "UL", "US"])
_REAL = frozenset(["FL", "FD"])
_BINARY = frozenset(["OB", "OD", "OF", "OL", "OV", "OW", "UN"])
_BULK = _BINARY | _NUMBER_OR_TEXT | _WHOLE | _REAL | frozenset(["LT", "ST", "UC", "UT"])
_GROUPS = frozenset({"Alphabetic", "Ideographic", "Phonetic"})
VRS = _TEXT | _NUMBER_OR_TEXT | _WHOLE | _REAL | _BINARY | {"AT", "PN", "SQ"}


def datasets_of(answer: Answer) -> list[JsonDataset]:
    """The data sets of an answer in application/dicom+json: one array of objects, each as
    Annex F says. Raises Deviation (JSN-01, trap 23)."""
    expect(
        answer.content_type.name == "application/dicom+json",
        "Content-Type: application/dicom+json (trap 12)",
        answer.header("Content-Type"),
    )
    found = answer.json()
    if not isinstance(found, list):
        raise Deviation("one array of data sets (F.2.1)", type(found).__name__)
    for dataset in found:
        validate(dataset)
    return found


def validate(dataset: object, where: str = "") -> None:
    """Raise Deviation unless `dataset` is an object as Annex F says."""
    if not isinstance(dataset, dict):
        raise Deviation("a data set as an object (F.2.2)", type(dataset).__name__)
    names = list(dataset)
    for name in names:
        expect(_TAG.fullmatch(name), "names of 8 hexadecimal digits in upper case", where + name)
        expect(not name.endswith("0000"), "no group length (F.2.2)", where + name)
    expect(names == sorted(names), "attributes in ascending order (F.2.2)", f"{where}: {names}")
    for name, attribute in dataset.items():
        _attribute(attribute, f"{where}{name}")


def _attribute(attribute: object, where: str) -> None:
    if not isinstance(attribute, dict):
        raise Deviation("an object for each attribute (F.2.2)", f"{where}: {attribute!r}"[:200])
    vr = attribute.get("vr")
    expect(vr in VRS, "a vr of PS3.5 (F.2.2)", f"{where}: {vr!r}")
    others = set(attribute) - {"vr"}
    known = {"Value", "BulkDataURI", "InlineBinary"}
    expect(
        others <= known, "no names but vr, Value, BulkDataURI, InlineBinary", f"{where}: {others}"
    )
    expect(
        len(others) <= 1, "at most one of Value, BulkDataURI, InlineBinary", f"{where}: {others}"
    )
    if "BulkDataURI" in attribute:
        expect(vr in _BULK, "no BulkDataURI for this VR (Table F.2.3-1)", f"{where} {vr}")
        uri = attribute["BulkDataURI"]
        expect(isinstance(uri, str) and uri, "a URI as text", f"{where}: {uri!r}")
    if "InlineBinary" in attribute:
        expect(vr in _BINARY, "no InlineBinary for this VR (Table F.2.3-1)", f"{where} {vr}")
        inline(attribute, where)
    if "Value" in attribute:
        _values(str(vr), attribute["Value"], where)


def inline(attribute: dict[str, Any], where: str = "") -> bytes:
    """The bytes of InlineBinary. Raises Deviation."""
    text = attribute["InlineBinary"]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise Deviation("InlineBinary in base64, as one string (F.2.7)", where) from None


def _values(vr: str, values: object, where: str) -> None:
    expect(vr not in _BINARY, "binary values as InlineBinary or BulkDataURI", f"{where} {vr}")
    if not isinstance(values, list):
        raise Deviation("an array as Value (F.2.4)", f"{where}: {values!r}"[:200])
    expect(values, "no Value for an empty attribute (F.2.5)", f"{where}: []")
    expect(values != [""], "no Value for an empty attribute (F.2.5)", f'{where}: [""]')
    for index, value in enumerate(values):
        if vr == "SQ":
            validate(value, f"{where}[{index}].")
        elif value is not None:
            expect(_fits(vr, value), f"a value of VR {vr} (Table F.2.3-1)", f"{where}: {value!r}")


def _fits(vr: str, value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if vr == "PN":
        return (
            isinstance(value, dict)
            and set(value) <= _GROUPS
            and all(isinstance(text, str) and "=" not in text for text in value.values())
        )
    if vr == "AT":
        return isinstance(value, str) and _TAG.fullmatch(value) is not None
    if vr in _NUMBER_OR_TEXT:
        return number or isinstance(value, str)
    if vr in _WHOLE:
        return isinstance(value, int) and not isinstance(value, bool)
    if vr in _REAL:
        return number
    return isinstance(value, str)


def values_of(dataset: JsonDataset, tag: str) -> list[Any]:
    """The values of an attribute; an empty list where there are none."""
    found = dataset.get(tag, {}).get("Value", [])
    return found if isinstance(found, list) else []


def value_of(dataset: JsonDataset, tag: str) -> Any:
    """The first value, None where there is none."""
    values = values_of(dataset, tag)
    return values[0] if values else None


def bulk_uris(dataset: JsonDataset, path: str = "") -> Iterator[tuple[str, str]]:
    """Where there is a BulkDataURI, and the URI: of nested items too."""
    for tag, attribute in dataset.items():
        if "BulkDataURI" in attribute:
            yield path + tag, attribute["BulkDataURI"]
        elif attribute.get("vr") == "SQ":
            for number, item in enumerate(values_of(dataset, tag)):
                yield from bulk_uris(item or {}, f"{path}{tag}[{number}].")
