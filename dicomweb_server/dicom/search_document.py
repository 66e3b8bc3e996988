"""What is kept of an entity for search results: its attributes as pieces of JSON text.

A document is one line an attribute, ``"00100020":{"vr":"LO","Value":["X"]}``, in ascending order.
A line feed cannot occur within JSON text, so that attributes are chosen without parsing any.
"""

import json
import re
from typing import Any

import orjson

from dicomweb_server.dicom.description import JsonDataset

_LONG_NUMBER = re.compile(rb"[\[,:]-?\d{19}")


def json_bytes(value: Any) -> bytes:
    """JSON text, on one line, of whatever a file holds."""
    try:
        return orjson.dumps(value)
    except TypeError:  # an integer beyond 64 bits, or half a surrogate pair
        return json.dumps(value, separators=(",", ":")).encode()


def line_of(key: str, attribute: Any) -> bytes:
    """The line of one attribute, by its name in the DICOM JSON Model."""
    return b'"%s":%s' % (key.encode(), json_bytes(attribute))


def document_of(attributes: JsonDataset) -> bytes:
    """The document of these attributes of the DICOM JSON Model."""
    return b"\n".join(line_of(key, attributes[key]) for key in sorted(attributes))


def lines_by_name(document: bytes) -> dict[bytes, bytes]:
    """The lines of a document by the names of their attributes, eight digits each."""
    return {line[1:9]: line for line in document.split(b"\n") if line}


def attributes_of(document: bytes) -> JsonDataset:
    """The attributes again."""
    return read_json(b"{" + document.replace(b"\n", b",") + b"}")


def read_json(text: bytes) -> JsonDataset:
    """A DICOM JSON object, its numbers exact: orjson makes floats of integers beyond 64 bits."""
    parsed: JsonDataset = json.loads(text) if _LONG_NUMBER.search(text) else orjson.loads(text)
    return parsed
