"""A data set of the DICOM JSON Model as a document of the Native DICOM Model (PS3.19 §A.1)."""

import re
from functools import lru_cache
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.dictionary import keyword_of
from dicomweb_server.dicom.person_name import GROUPS
from dicomweb_server.dicom.private_blocks import blocks_of, is_private
from dicomweb_server.dicom.walk import MAX_DEPTH

NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")

# What XML 1.0 cannot hold, escaped or not.
_NO_CHARACTER = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_CARRIAGE_RETURN = {"\r": "&#13;"}  # bare, a parser would read a line feed

_START = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    f'<NativeDicomModel xmlns="{NAMESPACE}" xml:space="preserve">'
)
_END = "</NativeDicomModel>"


def to_xml(dataset: JsonDataset) -> bytes:
    """Write a data set of the DICOM JSON Model, in ascending order, as one document in UTF-8.

    `dataset` is what the walk made. Private elements name their creator, and creator elements
    are left out where reading would make the same again. Characters that XML cannot hold become
    U+FFFD.
    """
    out = [_START]
    _write(dataset, out, 0)
    out.append(_END)
    return "".join(out).encode("utf-8")


def _write(dataset: JsonDataset, out: list[str], depth: int) -> None:
    assert depth <= MAX_DEPTH  # as the walk
    blocks = blocks_of(dataset)
    for key, attribute in dataset.items():
        if key in blocks.implied:
            continue
        creator = blocks.creators.get(key[:6]) if is_private(key) else None
        out.append(_opening(key, attribute["vr"], creator))
        for number, value in enumerate(attribute.get("Value", ()), 1):
            if attribute["vr"] == "SQ":
                out.append(f'<Item number="{number}">')
                _write(value, out, depth + 1)
                out.append("</Item>")
            elif attribute["vr"] == "PN":
                out.append(f'<PersonName number="{number}">{_name(value)}</PersonName>')
            else:
                out.append(f'<Value number="{number}">{_text(value)}</Value>')
        if "InlineBinary" in attribute:
            out.append(f"<InlineBinary>{attribute['InlineBinary']}</InlineBinary>")
        if "BulkDataURI" in attribute:
            out.append(f"<BulkData uri={_quoted(attribute['BulkDataURI'])}/>")
        out.append("</DicomAttribute>")


def _opening(key: str, vr: str, creator: str | None) -> str:
    if creator is not None:
        tag = f"{key[:4]}00{key[6:]}"
        return f'<DicomAttribute tag="{tag}" vr="{vr}" privateCreator={_quoted(creator)}>'
    keyword = _keyword(key)
    named = f' keyword="{keyword}"' if keyword else ""
    return f'<DicomAttribute tag="{key}" vr="{vr}"{named}>'


@lru_cache(maxsize=8192)
def _keyword(key: str) -> str:
    return keyword_of(int(key, 16))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return repr(value)
    return escape(_NO_CHARACTER.sub(_REPLACEMENT, value), _CARRIAGE_RETURN)


def _quoted(text: str) -> str:
    return quoteattr(_NO_CHARACTER.sub(_REPLACEMENT, text))


def _name(name: dict[str, str] | None) -> str:
    groups = [(group, name[group]) for group in GROUPS if group in name] if name else []
    return "".join(f"<{group}>{_components(text)}</{group}>" for group, text in groups)


def _components(text: str) -> str:
    """The components of one group. An empty one is written only at the end, to keep its caret;
    carets beyond the fifth component stay in it."""
    parts = text.split("^", len(COMPONENTS) - 1)
    named = list(zip(COMPONENTS, parts, strict=False))
    return "".join(
        f"<{component}>{_text(part)}</{component}>"
        for place, (component, part) in enumerate(named, 1)
        if part or place == len(named)
    )
