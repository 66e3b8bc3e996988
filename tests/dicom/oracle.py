"""What pydicom reads, held against the DICOM JSON Model attribute by attribute."""

import struct
from array import array
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from pydicom import config
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import AMBIGUOUS_VR

from dicomweb_server.dicom.description import BulkValue

_WORDS = {"OW": "H", "OF": "I", "OL": "I", "OD": "Q", "OV": "Q"}
_FLOATS = {"FL": "f", "FD": "d"}
_BINARY = {"OB", "UN", *_WORDS}
_UNDECODABLE = "\ufffd"


@contextmanager
def lenient_pydicom() -> Iterator[None]:
    """pydicom without warnings, and with UN for values of a length that their VR cannot have."""
    before = config.settings.reading_validation_mode, config.convert_wrong_length_to_UN
    config.settings.reading_validation_mode = config.IGNORE
    config.convert_wrong_length_to_UN = True
    try:
        yield
    finally:
        config.settings.reading_validation_mode, config.convert_wrong_length_to_UN = before


def _values(value: Any) -> list[Any]:
    if value is None or value in ("", b""):
        return []
    return list(value) if isinstance(value, MultiValue | list | tuple) else [value]


class Oracle:
    """Compares the data set that pydicom reads from `buffer` with attributes of the same."""

    def __init__(self, buffer: bytes, little_endian: bool, bulk: Mapping[str, BulkValue]) -> None:
        self.buffer = buffer
        self.little_endian = little_endian
        self.bulk = bulk
        self.compared = 0  # attributes
        self.paths: set[str] = set()  # of the bulk data met

    def compare(self, dataset: Dataset, attributes: dict[str, Any], path: str = "") -> None:
        """Assert that every attribute is there, with the VR and the values that pydicom reads.

        Not compared: Specific Character Set, which is another in JSON (JSN-31).
        """
        tags = [int(element.tag) for element in dataset.elements()]
        kept = [tag for tag in sorted(tags) if tag & 0xFFFF and tag >> 16 not in (0, 2)]
        expected = sorted(f"{tag:08X}" for tag in kept if tag != 0x00080005)
        assert [key for key in attributes if key != "00080005"] == expected, path
        for tag in kept:
            if tag == 0x00080005:
                continue
            raw = dataset.get_item(tag)
            value = raw.value if isinstance(raw, RawDataElement) else None
            self._element(dataset[tag], value, attributes[f"{tag:08X}"], f"{path}{tag:08X}")

    def _element(
        self, element: DataElement, raw: bytes | None, found: dict[str, Any], path: str
    ) -> None:
        self.compared += 1
        vr = found["vr"]
        if "BulkDataURI" in found:
            self._bulk(element, raw, found, path)
        elif element.VR in AMBIGUOUS_VR:
            # pydicom leaves some as they are. The bytes are the same, however they are read.
            assert vr in element.VR.split(" or "), path
            assert self._as_bytes(vr, found) == (element.value or b""), path
        elif vr == "UN" and element.VR != "UN":
            # Too long for its VR, or of a length that it cannot have.
            assert b64decode(found["InlineBinary"]) == raw, path
        else:
            assert vr == element.VR, path
            self._values(element, raw, found, path)

    def _as_bytes(self, vr: str, found: dict[str, Any]) -> bytes:
        order = "<" if self.little_endian else ">"
        if "InlineBinary" in found:
            return self._swapped(vr, b64decode(found["InlineBinary"]))
        values = found.get("Value", [])
        return struct.pack(f"{order}{len(values)}{'h' if vr == 'SS' else 'H'}", *values)

    def _swapped(self, vr: str, value: bytes) -> bytes:
        if self.little_endian or vr not in _WORDS:
            return value
        words = array(_WORDS[vr])
        whole = len(value) // words.itemsize * words.itemsize
        words.frombytes(value[:whole])
        words.byteswap()
        return words.tobytes() + value[whole:]

    def _bulk(
        self, element: DataElement, raw: bytes | None, found: dict[str, Any], path: str
    ) -> None:
        assert found["BulkDataURI"] == "\x01/" + path
        self.paths.add(path)
        bulk = self.bulk[path]
        assert bulk.vr == found["vr"], path
        value = self.buffer[bulk.offset : bulk.offset + bulk.length]
        assert len(value) == bulk.length, path
        if element.is_undefined_length:
            assert value[-8:] == b"\xfe\xff\xdd\xe0\0\0\0\0", path
            value = value[:-8]
        expected = element.value if isinstance(element.value, bytes) else raw
        assert value == expected, path
        # Another VR than pydicom's only where it has none, or the value is too long for it.
        same = bulk.vr == element.VR or element.VR in AMBIGUOUS_VR
        assert same or (bulk.vr == "UN" and len(value) > 0xFFFF), path

    def _values(
        self, element: DataElement, raw: bytes | None, found: dict[str, Any], path: str
    ) -> None:
        vr, values = element.VR, found.get("Value", [])
        assert set(found) <= {"vr", "Value", "InlineBinary"}, path
        assert "Value" not in found or values, path
        if vr == "SQ":
            assert len(values) == len(element.value), path
            for number, (item, attributes) in enumerate(zip(element.value, values, strict=True), 1):
                assert "00080005" not in attributes, path
                self.compare(item, attributes, f"{path}/{number}/")
        elif vr in _BINARY:
            value = b64decode(found.get("InlineBinary", ""))
            assert self._swapped(vr, value) == (element.value or b""), path
        elif vr in ("DS", "IS"):
            self._number_strings(raw or b"", values, path)
        elif vr in ("SV", "UV"):
            assert [int(value) for value in values] == _values(element.value), path
        elif vr == "AT":
            assert values == [f"{int(tag):08X}" for tag in _values(element.value)], path
        elif vr == "PN":
            self._names(_values(element.value), values, path)
        elif all(isinstance(value, int | float) for value in values):
            assert values == _values(element.value), path
        else:
            self._texts(vr, _values(element.value), values, path)

    def _number_strings(self, raw: bytes, values: list[Any], path: str) -> None:
        texts = [text.strip(" \0") for text in raw.decode("latin_1").split("\\")]
        if texts == [""]:
            texts = []
        assert len(texts) == len(values), path
        for text, value in zip(texts, values, strict=True):
            if isinstance(value, int | float):
                assert Decimal(text) == Decimal(repr(value)), path
            else:
                assert (value or "") == text, path

    def _texts(self, vr: str, expected: list[str], values: list[str | None], path: str) -> None:
        assert len(values) == len(expected) or expected == [] or not "".join(expected).strip(" \0")
        for text, value in zip(expected, values, strict=False):
            if _UNDECODABLE in text or _UNDECODABLE in (value or ""):
                continue
            # pydicom leaves this escape in the text.
            text = text.replace("\x1b$)A", "").rstrip(" \0")
            # Leading spaces of AE are kept here (JSN-08).
            assert (value or "").strip(" ") == text.strip(" "), path
            assert vr == "AE" or (value or "") == text, path

    def _names(self, expected: list[Any], values: list[Any], path: str) -> None:
        if not values:
            assert all(not str(name).strip("= \0") for name in expected), path
            return
        for name, value in zip(expected, values, strict=True):
            for group in ("Alphabetic", "Ideographic", "Phonetic"):
                text = getattr(name, group.lower())
                self._texts("PN", [text], [(value or {}).get(group)], path)
