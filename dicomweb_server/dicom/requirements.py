"""Which attributes an instance of a SOP Class has to hold (PS3.3 Annex A and B, PS3.5 §7.4).

``requirements.json`` has, of the modules that are mandatory for an IOD, the top-level attributes
of Type 1 and Type 2. Types 1C and 2C are left out, for their conditions are told in words alone;
so are modules of usage C and U. ``make requirements`` writes the file.
"""

from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from textwrap import shorten
from typing import Any

import orjson

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.dictionary import name_of
from dicomweb_server.dicom.encoding import tag_name

MAX_TEXT = 64  # characters of an Error Comment (LO), in which a problem is told

_FILLED = {"vr": "", "Value": ""}  # stands for what is not there: missing, and not empty


@dataclass(frozen=True, slots=True)
class _Required:
    """What one SOP Class asks for, as keys of the DICOM JSON Model."""

    type_1: frozenset[str]
    type_2: frozenset[str]
    attributes: frozenset[str]  # of both types


def missing_attributes(sop_class_uid: str, attributes: JsonDataset) -> list[str]:
    """What is missing, or empty though it may not be, of the SOP Class's mandatory attributes.

    Plain words without content, in the order of the tags, each of `MAX_TEXT` characters at the
    most (STOW-19). A SOP Class that is private, retired or unknown here asks for nothing.
    """
    required = _required(sop_class_uid)
    if required is None:
        return []
    missing = required.attributes.difference(attributes)
    # An attribute object without a value has its VR alone.
    empty = [key for key in required.type_1 if len(attributes.get(key, _FILLED)) == 1]
    if not missing and not empty:
        return []
    wrong = dict.fromkeys(missing, "missing") | dict.fromkeys(empty, "empty")
    return [_told(key, wrong[key], 1 if key in required.type_1 else 2) for key in sorted(wrong)]


def checked_sop_classes() -> dict[str, str]:
    """The UIDs of the SOP Classes that ask for something, and the names of their IODs."""
    return dict(_tables()["sop_classes"])


@lru_cache(maxsize=512)
def _required(sop_class_uid: str) -> _Required | None:
    tables = _tables()
    iod = tables["sop_classes"].get(sop_class_uid)
    if iod is None:
        return None
    modules = [tables["modules"][name] for name in tables["iods"][iod]]
    type_1 = frozenset(key for module in modules for key in module.get("1", ()))
    # Of the types that several modules give to an attribute, the strictest holds.
    type_2 = frozenset(key for module in modules for key in module.get("2", ())) - type_1
    return _Required(type_1, type_2, type_1 | type_2)


@cache
def _tables() -> dict[str, Any]:
    """SOP Class UID to IOD, IOD to its modules, module to the keys of its attributes by type."""
    text = files("dicomweb_server.dicom").joinpath("requirements.json").read_bytes()
    tables: dict[str, Any] = orjson.loads(text)
    return tables


@lru_cache(maxsize=4096)
def _told(key: str, what: str, kind: int) -> str:
    tag = int(key, 16)
    before, after = f"{tag_name(tag)} ", f" is {what} (Type {kind})"
    room = MAX_TEXT - len(before) - len(after)  # whole words of a name that is longer
    return f"{before}{shorten(name_of(tag) or '', room, placeholder='...')}{after}"
