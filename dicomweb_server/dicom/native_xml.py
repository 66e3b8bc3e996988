"""A document of the Native DICOM Model (PS3.19 §A.1) as a data set of the DICOM JSON Model.

It is a stranger's: taken in chunks, without DTD, entities, or a tree of it in memory.
An element goes by its local name: the prefix before it may be any, for a parser that resolves
name spaces can be made to spell out a long one over and over.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import isfinite
from typing import Any
from xml.sax import SAXParseException
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl

from defusedxml import DefusedXmlException
from defusedxml.expatreader import DefusedExpatParser

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.elements import AMBIGUOUS, BINARY, public_vr
from dicomweb_server.dicom.encode_values import ENCODERS, TEXT, WrongValue
from dicomweb_server.dicom.json_model import MAX_TEXT
from dicomweb_server.dicom.native_xml_text import COMPONENTS
from dicomweb_server.dicom.person_name import GROUPS
from dicomweb_server.dicom.private_blocks import (
    PrivateElement,
    assign_blocks,
    is_private,
)
from dicomweb_server.dicom.values import decimal_string, integer_string
from dicomweb_server.dicom.walk import MAX_DEPTH, MAX_ELEMENTS
from dicomweb_server.errors import ContentTooLarge, MalformedContent

# Which elements there may be in which.
_CHILDREN: dict[str, frozenset[str]] = {
    "": frozenset({"NativeDicomModel"}),
    "NativeDicomModel": frozenset({"DicomAttribute"}),
    "Item": frozenset({"DicomAttribute"}),
    "DicomAttribute": frozenset({"Value", "PersonName", "Item", "BulkData", "InlineBinary"}),
    "PersonName": frozenset(GROUPS),
    **dict.fromkeys(GROUPS, frozenset(COMPONENTS)),
}
_WITH_TEXT = frozenset({"Value", "InlineBinary", *COMPONENTS})

# A parser looks at a tag or comment that has no end again with each chunk: it is given chunks
# of this size, and up to so many for one tag.
_CHUNK = 1 << 16  # bytes
_LONGEST_TAG = 16 * _CHUNK

_HEX = re.compile(r"[0-9A-Fa-f]{8}")
_NUMBER = re.compile(r"[1-9][0-9]{0,6}")
_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[Ee][+-]?[0-9]{1,4})?")
_LONGEST_NUMBER = 1024  # characters
_MAX_SAFE_INTEGER = 2**53 - 1


def from_xml(chunks: Iterable[bytes], limit: int = MAX_TEXT) -> JsonDataset:
    """Read one document, given in chunks of any size: its data set, in ascending order.

    Values become what the DICOM JSON Model has for their VR. Private elements with a creator
    (gggg00ee) get the block of their creator, as `assign_blocks` does. A value that its VR cannot
    hold stays text: what the grammar of VRs forbids is left to ``encode``.

    Raises ContentTooLarge for more than `limit` bytes, MalformedContent for anything but a
    Native DICOM Model, with the path of the attribute, never its value.
    """
    reader = NativeXmlReader(limit)
    for chunk in chunks:
        reader.feed(chunk)
    return reader.close()


class NativeXmlReader:
    """`from_xml` for whoever gets the chunks one by one."""

    def __init__(self, limit: int = MAX_TEXT) -> None:
        self._limit = limit
        self._size = 0  # bytes fed
        self._handler = _Handler()
        self._parser = DefusedExpatParser(forbid_dtd=True)
        self._parser.setContentHandler(self._handler)
        self._pending = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes. Raises as `from_xml`."""
        self._size += len(chunk)
        if self._size > self._limit:
            raise ContentTooLarge(f"XML of more than {self._limit} bytes")
        self._pending += chunk
        while len(self._pending) >= _CHUNK:
            self._parse(bytes(self._pending[:_CHUNK]))
            del self._pending[:_CHUNK]

    def close(self) -> JsonDataset:
        """The data set, once all bytes are fed. Raises as `from_xml`."""
        self._parse(bytes(self._pending))
        try:
            self._parser.close()
        except SAXParseException as error:
            raise _not_xml(error) from None
        assert self._handler.found is not None  # or the document would have had no end
        return self._handler.found

    def _parse(self, chunk: bytes) -> None:
        self._handler.silent += len(chunk)
        try:
            self._parser.feed(chunk)
        except SAXParseException as error:
            raise _not_xml(error) from None
        except DefusedXmlException:
            raise MalformedContent("XML with a document type or entities") from None
        except (LookupError, ValueError):
            if self._handler.levels:
                raise  # the encoding is known by then
            raise MalformedContent("XML in an encoding that cannot be read") from None
        if self._handler.silent > _LONGEST_TAG:
            raise MalformedContent(f"XML with a tag or comment of more than {_LONGEST_TAG} bytes")


def _not_xml(error: SAXParseException) -> MalformedContent:
    # Its message is one of a list, and never what stands there.
    return MalformedContent(f"not XML: {error.getMessage()} in line {error.getLineNumber()}")


@dataclass(slots=True, eq=False)
class _Attribute:
    """An attribute that is being read."""

    key: str
    vr: str
    creator: str
    values: list[Any] = field(default_factory=list)
    other: dict[str, str] = field(default_factory=dict)  # InlineBinary or BulkDataURI


@dataclass(slots=True, eq=False)
class _Level:
    """A data set that is being read: the document's, or that of an item."""

    dataset: JsonDataset = field(default_factory=dict)
    private: list[PrivateElement] = field(default_factory=list)


class _Handler(ContentHandler):
    """Builds the data set from what the parser tells. `found` is it once the root has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.found: JsonDataset | None = None
        self.silent = 0  # bytes parsed since anything was told
        self.names: list[str] = [""]  # of the elements that are open
        self.levels: list[_Level] = []
        self.attributes: list[_Attribute] = []  # that are open, one a level
        self.text: list[str] | None = None  # of the element that is open, if it may have any
        self.name: dict[str, list[str]] = {}  # components of a PersonName, by group
        self.count = 0  # attributes and items

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: N802
        self.silent = 0
        local = name.rpartition(":")[2]
        if local not in _CHILDREN.get(self.names[-1], ()):
            raise self._refusal("an element that the Native DICOM Model does not have there")
        self.names.append(local)
        if local in ("Value", "PersonName", "Item"):
            self._start_value(local, attrs)
        elif local == "DicomAttribute":
            self._start_attribute(attrs)
        elif local == "NativeDicomModel":
            self.levels.append(_Level())
        elif local == "BulkData":
            self._bulk_data(attrs)
        elif local in GROUPS:
            if local in self.name:
                raise self._refusal("a component group that is there more than once")
            self.name[local] = []
        if local in _WITH_TEXT:
            self.text = []

    def characters(self, content: str) -> None:
        self.silent = 0
        if self.text is not None:
            self.text.append(content)
        elif content.strip():
            raise self._refusal("text outside a value")

    def endElement(self, name: str) -> None:  # noqa: N802
        self.silent = 0
        local = self.names.pop()
        text, self.text = "".join(self.text or ()), None
        if local == "Value":
            self.attributes[-1].values.append(self._read(text))
        elif local == "InlineBinary":
            self._other("InlineBinary", "".join(text.split()))
        elif local in COMPONENTS:
            self._component(local, text)
        elif local == "PersonName":
            self._end_name()
        elif local == "DicomAttribute":
            self._end_attribute()
        elif local in ("Item", "NativeDicomModel"):
            self._end_data_set()

    # ------------------------------------------------------------------------ attributes

    def _start_attribute(self, attrs: AttributesImpl) -> None:
        self._count(1)
        key = attrs.get("tag", "")
        if not _HEX.fullmatch(key):
            raise self._refusal("an attribute without a tag")
        key = key.upper()
        creator = attrs.get("privateCreator", "") if is_private(key) else ""
        vr = attrs.get("vr") or public_vr(int(key, 16)) or ""
        self.attributes.append(_Attribute(key, vr, creator))
        if vr not in _VRS:
            raise self._refusal("has no VR that exists")

    def _end_attribute(self) -> None:
        attribute = self.attributes.pop()
        found: dict[str, Any] = {"vr": attribute.vr, **attribute.other}
        if attribute.values and attribute.values != [None]:
            found["Value"] = attribute.values
        level = self.levels[-1]
        key, creator = attribute.key, attribute.creator.strip()
        if creator:
            level.private.append(PrivateElement(key[:4], key[6:], creator, found))
        elif key in level.dataset:
            raise self._refusal(f"{key} is there more than once")
        else:
            level.dataset[key] = found

    def _start_value(self, local: str, attrs: AttributesImpl) -> None:
        attribute = self.attributes[-1]
        if local != _KINDS.get(attribute.vr, "Value") or attribute.vr in BINARY:
            raise self._refusal(f"a {local} in a VR that has none")
        number, following = attrs.get("number"), len(attribute.values) + 1
        if number is not None and number != str(following):
            if not _NUMBER.fullmatch(number) or int(number) < following:
                raise self._refusal("a number that is not the next")
            # Some writers pass over empty values.
            missing = int(number) - following
            self._count(missing)
            attribute.values += [{} if local == "Item" else None for _ in range(missing)]
        if local == "PersonName":
            self.name = {}
        elif local == "Item":
            self._count(1)
            if len(self.levels) > MAX_DEPTH:
                raise self._refusal(f"sequences nested deeper than {MAX_DEPTH}")
            self.levels.append(_Level())

    def _end_data_set(self) -> None:
        level = self.levels.pop()
        try:
            assign_blocks(level.dataset, level.private)
        except WrongValue as wrong:
            raise self._refusal(str(wrong)) from None
        dataset = dict(sorted(level.dataset.items()))
        if self.levels:
            self.attributes[-1].values.append(dataset)
        else:
            self.found = dataset

    # ---------------------------------------------------------------------------- values

    def _read(self, text: str) -> Any:
        try:
            return _READERS[self.attributes[-1].vr](text) if text else None
        except WrongValue:
            return text  # which costs its instance when it is encoded, as in JSON

    def _component(self, local: str, text: str) -> None:
        components = next(reversed(self.name.values()))
        place = COMPONENTS.index(local)
        if place < len(components):
            raise self._refusal("components of a name out of order")
        components += [""] * (place - len(components))
        components.append(text)

    def _end_name(self) -> None:
        groups = {group: "^".join(parts) for group, parts in self.name.items()}
        name = {group: groups[group] for group in GROUPS if groups.get(group)}
        self.attributes[-1].values.append(name or None)

    def _bulk_data(self, attrs: AttributesImpl) -> None:
        uri, uuid = attrs.get("uri", ""), attrs.get("uuid", "")
        if not uri and not uuid:
            raise self._refusal("a BulkData without a URI")
        self._other("BulkDataURI", uri or f"urn:uuid:{uuid}")

    def _other(self, kind: str, text: str) -> None:
        attribute = self.attributes[-1]
        if attribute.other:
            raise self._refusal("more than one BulkData or InlineBinary")
        attribute.other[kind] = text

    # --------------------------------------------------------------------------- refusing

    def _count(self, more: int) -> None:
        self.count += more
        if self.count > MAX_ELEMENTS:
            raise self._refusal(f"more than {MAX_ELEMENTS} elements")

    def _refusal(self, what: str) -> MalformedContent:
        steps = [
            f"{attribute.key}/{len(attribute.values) + 1}" for attribute in self.attributes[:-1]
        ]
        steps += [attribute.key for attribute in self.attributes[-1:]]
        return MalformedContent(f"{'/'.join(steps) or 'the data set'}: {what}")


def _integer(text: str) -> int:
    text = text.strip()
    if not _INTEGER.fullmatch(text):
        raise WrongValue("a value that is no integer")
    number = int(text)
    if not -(1 << 63) <= number < 1 << 64:
        raise WrongValue("a number beyond what its VR can hold")
    return number


def _long_integer(text: str) -> int | str:
    number = _integer(text)
    return number if abs(number) <= _MAX_SAFE_INTEGER else str(number)


# Numbers that JSON lacks, as in XML Schema and in the tokens of JSN-22.
_NOT_FINITE = {
    "nan": "NaN",
    **dict.fromkeys(("inf", "+inf", "infinity", "+infinity"), "Infinity"),
    **dict.fromkeys(("-inf", "-infinity"), "-Infinity"),
}


def _float(text: str) -> float | str:
    text = text.strip()
    if text.lower() in _NOT_FINITE:
        return _NOT_FINITE[text.lower()]
    if len(text) > _LONGEST_NUMBER or not _FLOAT.fullmatch(text) or not isfinite(float(text)):
        raise WrongValue("a value that is no number")
    return float(text)


def _number_text(read: Callable[[str], int | float | str | None]) -> Callable[[str], Any]:
    return lambda text: read(text.strip())


_KINDS = {"SQ": "Item", "PN": "PersonName"}
_VRS = frozenset(ENCODERS) | BINARY | AMBIGUOUS | {"SQ"}

# By VR: the text of a Value, not empty, as a value of the DICOM JSON Model.
_READERS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(TEXT, str),
    "DS": _number_text(decimal_string),
    "IS": _number_text(integer_string),
    "AT": lambda text: text.strip().upper(),
    **dict.fromkeys(("SL", "SS", "UL", "US", *AMBIGUOUS), _integer),
    **dict.fromkeys(("SV", "UV"), _long_integer),
    **dict.fromkeys(("FD", "FL"), _float),
}
