"""Requests of metadata and bulk data, written with other means than the server reads them with."""

from collections.abc import Iterable
from typing import Any
from xml.etree import ElementTree as Xml

from pydicom import DataElement, Dataset
from pydicom.datadict import keyword_for_tag

JSON, XML = "application/dicom+json", "application/dicom+xml"
NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")

Part = tuple[dict[str, str], bytes]  # fields of its header block, content


def related(
    parts: Iterable[Part], root: str = JSON, *, boundary: str = "posted-boundary", more: str = ""
) -> tuple[bytes, str]:
    """A multipart/related body of these parts, and its Content-Type with `more` parameters."""
    pieces: list[bytes] = []
    for fields, content in parts:
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        pieces += (f"--{boundary}\r\n{lines}\r\n".encode(), content, b"\r\n")
    pieces.append(f"--{boundary}--\r\n".encode())
    return b"".join(pieces), f'multipart/related; type="{root}"; boundary={boundary}{more}'


def attributes(**keywords: Any) -> dict[str, Any]:
    """A data set in the DICOM JSON Model, as pydicom writes it, but for values given as Bulk."""
    bulk = {name: value for name, value in keywords.items() if isinstance(value, Bulk)}
    dataset = Dataset()
    for name, value in keywords.items():
        if name not in bulk:
            setattr(dataset, name, value)
    found: dict[str, Any] = dataset.to_json_dict()
    for name, value in bulk.items():
        element = DataElement(name, value.vr, None)
        found[f"{element.tag:08X}"] = {"vr": value.vr, "BulkDataURI": value.uri}
    return dict(sorted(found.items()))


class Bulk:
    """Where a value is to be found."""

    def __init__(self, uri: str, vr: str = "OW") -> None:
        self.uri, self.vr = uri, vr


def native_xml(dataset: dict[str, Any]) -> bytes:
    """A data set of the DICOM JSON Model as a Native DICOM Model document (PS3.19 A.1)."""
    root = Xml.Element("NativeDicomModel", {"xmlns": NAMESPACE, "xml:space": "preserve"})
    _fill(root, dataset)
    # ElementTree leaves them bare, where a parser reads line feeds.
    return Xml.tostring(root, "UTF-8").replace(b"\r", b"&#13;")


def _fill(parent: Xml.Element, dataset: dict[str, Any]) -> None:
    for key, attribute in dataset.items():
        vr = attribute["vr"]
        fields = {"tag": key, "vr": vr}
        if creator := _creator_of(key, dataset):
            fields |= {"tag": f"{key[:4]}00{key[6:]}", "privateCreator": creator}
        elif keyword := keyword_for_tag(int(key, 16)):
            fields["keyword"] = keyword
        element = Xml.SubElement(parent, "DicomAttribute", fields)
        for number, value in enumerate(attribute.get("Value", ()), 1):
            kind = {"SQ": "Item", "PN": "PersonName"}.get(vr, "Value")
            child = Xml.SubElement(element, kind, {"number": str(number)})
            if vr == "SQ":
                _fill(child, value)
            elif vr == "PN":
                _name(child, value or {})
            elif value is not None:
                child.text = value if isinstance(value, str) else repr(value)
        if "InlineBinary" in attribute:
            Xml.SubElement(element, "InlineBinary").text = attribute["InlineBinary"]
        if "BulkDataURI" in attribute:
            Xml.SubElement(element, "BulkData", {"uri": attribute["BulkDataURI"]})


def _creator_of(key: str, dataset: dict[str, Any]) -> str | None:
    """Who reserved the block of a private attribute, if that can be said of it alone."""
    if key[3] not in "13579BDF" or key[4:6] == "00":
        return None
    names = dataset.get(f"{key[:4]}00{key[4:6]}", {}).get("Value", ())
    return names[0] if len(names) == 1 and isinstance(names[0], str) else None


def _name(parent: Xml.Element, groups: dict[str, str]) -> None:
    for group, text in groups.items():
        child = Xml.SubElement(parent, group)
        parts = text.split("^", len(COMPONENTS) - 1)
        for component, part in zip(COMPONENTS, parts, strict=False):
            Xml.SubElement(child, component).text = part
