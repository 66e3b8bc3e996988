"""Targets: what a client posts as metadata, and text: names, moments, character sets."""

import contextlib
import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from dicomweb_server.dicom import completion
from dicomweb_server.dicom.cda import document_page, document_text
from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.encode import bulk_references, encode_dataset
from dicomweb_server.dicom.json_model import parse_json_datasets
from dicomweb_server.dicom.matching import wildcard_matches
from dicomweb_server.dicom.moments import (
    date_bounds,
    date_time_bounds,
    moved,
    normal_date,
    normal_date_time,
    normal_time,
    time_bounds,
    zone_of,
)
from dicomweb_server.dicom.name_tokens import name_tokens, query_tokens
from dicomweb_server.dicom.native_xml import from_xml
from dicomweb_server.dicom.native_xml_text import to_xml
from dicomweb_server.dicom.person_name import fold, groups
from dicomweb_server.dicom.phonetics import codes
from dicomweb_server.dicom.text import character_set, decode
from dicomweb_server.dicom.walk import walk
from dicomweb_server.errors import ContentTooLarge, MalformedContent, UndecodablePixels


@dataclass(frozen=True, slots=True)
class Value:
    """Bulk data that is there."""

    length: int = 6


def _made(dataset: JsonDataset) -> JsonDataset | None:
    """What is found in the file that is made of posted metadata; None if none is made.

    Raises AssertionError where the file cannot be walked: what we write we must be able to read.
    """
    orjson.dumps(dataset)
    completion.belonging_of(dataset)
    try:
        completion.complete_uids(dataset, "1.2.3", {tag: UUID(int=tag) for tag in _UIDS})
        uris = [uri for _, uri in bulk_references(dataset)]
        completion.missing_of_image(dataset)
        encoded = encode_dataset(dataset, dict.fromkeys(uris, Value()))
    except (MalformedContent, ContentTooLarge):
        return None
    pieces = [bytes(each.length) if isinstance(each, Value) else each for each in encoded.pieces]
    data = b"".join(pieces)
    assert len(data) == encoded.length
    walked = walk(data, 0, implicit_vr=False, little_endian=True)
    return walked.attributes


_UIDS = (completion.SOP_INSTANCE, completion.STUDY, completion.SERIES)


def posted_json(data: bytes) -> None:
    """DICOM JSON (PS3.18 Annex F) is refused, or makes a file that can be walked."""
    try:
        datasets = parse_json_datasets(data)
    except (MalformedContent, ContentTooLarge):
        return
    for dataset in datasets[:10]:
        _made(dataset)


def posted_xml(data: bytes) -> None:
    """A Native DICOM Model (PS3.19 A.1) is the same however it is cut, and comes back."""
    found: list[Any] = []
    half = len(data) // 2
    for pieces in ([data], [data[:half], data[half:]]):
        try:
            found.append(from_xml(pieces))
        except (MalformedContent, ContentTooLarge):
            found.append(None)
    assert found[0] == found[1]
    made = _made(found[0]) if found[0] is not None else None
    if made is not None:
        known = orjson.loads(orjson.dumps(made))
        again = from_xml([to_xml(known)])
        if b"BulkDataURI" not in orjson.dumps(made):
            again = _made(again) or {}
            for each in (known, again):
                each.pop("00080005", None)  # Specific Character Set is that of what is written
            assert orjson.loads(orjson.dumps(again)) == known, (again, known)


def clinical_document(data: bytes) -> None:
    """A CDA document becomes a page and a text (PS3.18 §8.7.2)."""
    with contextlib.suppress(UndecodablePixels, ContentTooLarge):
        page = document_page(data)
        assert not re.search(r"<(script|iframe|img|object)|\son[a-z]+=\s*\"|=\"javascript:", page)
        document_text(data)


# ------------------------------------------------------------------------------------- strings


def names(data: bytes) -> None:
    """Names and wildcards (PS3.4 C.2.2.2.4; §8.3.4.2): folded once is folded."""
    pattern, _, text = data.decode("utf-8", "replace").partition("\n")
    folded = fold(text)
    assert fold(folded) == folded
    assert len(groups(text)) == 3
    tokens = name_tokens(text)
    name_tokens({"Alphabetic": text, "Phonetic": pattern})
    assert all(codes(word) is not None for word in text.split()[:20])
    assert all(tokens) or not tokens
    query_tokens(pattern)
    if len(pattern) <= 60 and len(text) <= 60:
        assert wildcard_matches(pattern, text) == _matches(pattern, text), (pattern, text)
    else:
        wildcard_matches(pattern, text)


def _matches(pattern: str, text: str) -> bool:
    """The same by the table of all beginnings, without a regular expression."""
    reached = {0}
    for character in pattern:
        if character == "*":
            reached = set(range(min(reached), len(text) + 1)) if reached else set()
        else:
            reached = {at + 1 for at in reached if at < len(text) and character in ("?", text[at])}
    return len(text) in reached


def moments(data: bytes) -> None:
    """Dates and times (PS3.5 §6.2): bounds are in order, what is normal stays so."""
    zone = int.from_bytes(data[:1], "little", signed=True) * 5
    text = data[1:].decode("utf-8", "replace")
    date, time, both = normal_date(text), normal_time(text), normal_date_time(text, zone)
    assert date is None or (re.fullmatch("[0-9]{8}", date) and normal_date(date) == date)
    assert time is None or (normal_time(time) == time and re.fullmatch(r"[0-9]{6}\.[0-9]{6}", time))
    for bounds in (date_bounds(text), time_bounds(text), date_time_bounds(text, zone)):
        assert bounds is None or bounds[0] <= bounds[1]
    assert both is None or re.fullmatch(r"[0-9]{14}\.[0-9]{6}", both)
    minutes = zone_of(text)
    assert minutes is None or -1440 < minutes < 1440
    with contextlib.suppress(ValueError):
        moved(text, zone)
    if both is not None:
        moved(both, zone)


def character_sets(data: bytes) -> None:
    """Any bytes are text in any character set, without U+0001 (PS3.5 §6.1)."""
    term, _, value = data.partition(b"\n")
    charset, _ = character_set(term)
    for person_name in (False, True):
        text = decode(value, charset, person_name=person_name)
        assert "\x01" not in text
        orjson.dumps(text)  # no half of a surrogate pair
