"""The Native DICOM Model, read strictly (PS3.19 A.1, digest 2.7)."""

import base64
import binascii
import re
from typing import Any
from xml.etree.ElementTree import Element

from defusedxml import ElementTree

from conformance.suite.json_model import VRS, JsonDataset
from conformance.suite.model import Deviation, expect

_NAMESPACE = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"
_TAG = re.compile("[0-9A-F]{8}")
_NAME_PARTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")


def native(data: bytes) -> JsonDataset:
    """The data set of a document, in the shape of the JSON Model; all values are text. Raises
    Deviation."""
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise Deviation("a document in XML", str(error)) from None
    except ValueError as error:  # what defusedxml will not read
        raise Deviation("a document without DTD and entities", type(error).__name__) from None
    name = f"{_NAMESPACE}NativeDicomModel"
    expect(root.tag == name, f"{name} as root (PS3.19 A.1.6)", root.tag)
    return _dataset(root)


def _dataset(parent: Element) -> JsonDataset:
    found: JsonDataset = {}
    for element in parent:
        expect(element.tag == f"{_NAMESPACE}DicomAttribute", "DicomAttribute elements", element.tag)
        tag, vr = element.get("tag", ""), element.get("vr", "")
        expect(_TAG.fullmatch(tag), "a tag of 8 hexadecimal digits in upper case", tag)
        expect(vr in VRS, "a vr of PS3.5", vr)
        creator = element.get("privateCreator")
        key = f"{tag} {creator}" if creator else tag
        expect(key not in found, "each attribute once", key)
        found[key] = {"vr": vr, **_content(element, vr, tag)}
    return found


def _content(element: Element, vr: str, tag: str) -> dict[str, Any]:
    names = {child.tag.removeprefix(_NAMESPACE) for child in element}
    expect(len(names) <= 1, f"children of one kind in {tag}", names)
    if not names:
        return {}
    [name] = names
    if name == "BulkData":
        [bulk] = element
        expect(bulk.get("uri") or bulk.get("uuid"), "BulkData with a uri", tag)
        return {"BulkDataURI": bulk.get("uri", "")}
    if name == "InlineBinary":
        [inline] = element
        try:
            base64.b64decode((inline.text or "").strip(), validate=True)
        except binascii.Error:
            raise Deviation("InlineBinary in base64", tag) from None
        return {"InlineBinary": (inline.text or "").strip()}
    wanted = {"SQ": "Item", "PN": "PersonName"}.get(vr, "Value")
    expect(name == wanted, f"{wanted} elements for {vr}", f"{name} in {tag}")
    numbers = [child.get("number") for child in element]
    counted = [str(n) for n in range(1, len(numbers) + 1)]
    expect(numbers == counted, "numbers from 1, one after another", f"{numbers} in {tag}")
    return {"Value": [_value(child, name) for child in element]}


def _value(element: Element, kind: str) -> Any:
    if kind == "Item":
        return _dataset(element)
    if kind == "Value":
        return element.text
    groups = {}
    for group in element:
        parts = {part.tag.removeprefix(_NAMESPACE): part.text or "" for part in group}
        unknown = set(parts) - set(_NAME_PARTS)
        expect(not unknown, f"of a name no parts but {_NAME_PARTS}", unknown)
        text = "^".join(parts.get(name, "") for name in _NAME_PARTS).rstrip("^")
        groups[group.tag.removeprefix(_NAMESPACE)] = text
    return groups or None
