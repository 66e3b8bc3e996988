"""What of an instance goes into which column: match keys, normalised, and what reads need.

The columns stand here in the order in which the schema's types new_study, new_series,
new_request and new_instance have them. The match keys of an attribute with several values where
the standard allows one are made from the first.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from dicomweb_server.dicom.description import (
    BulkValue,
    Description,
    FrameTable,
    JsonDataset,
)
from dicomweb_server.dicom.matching import normal_number
from dicomweb_server.dicom.moments import normal_date, normal_time
from dicomweb_server.dicom.name_tokens import name_tokens
from dicomweb_server.dicom.packing import (
    pack_document,
    pack_metadata,
    unpack_document,
    unpack_metadata,
)
from dicomweb_server.dicom.person_name import fold, groups
from dicomweb_server.dicom.query import Level
from dicomweb_server.dicom.search_document import attributes_of, document_of
from dicomweb_server.index.attribute_values import (
    NO_ATTRIBUTES,
    Attributes,
    Value,
    values_of,
    whole_dataset,
)

# In the order of the values that the functions below give.
STUDY_COLUMNS = (
    "study_instance_uid",
    "sort_key",
    "study_date",
    "study_time",
    "accession_number",
    "study_id",
    "patient_id",
    "issuer_of_patient_id",
    "patient_name",
    "patient_name_other",
    "patient_birth_date",
    "patient_sex",
    "referring_physician_name",
    "referring_physician_name_other",
    "study_description",
    "document",
    "patient_name_tokens",
    "referring_physician_name_tokens",
)
SERIES_COLUMNS = (
    "series_instance_uid",
    "modality",
    "series_number",
    "series_description",
    "body_part_examined",
    "pps_start_date",
    "pps_start_time",
    "document",
)
REQUEST_COLUMNS = (
    "scheduled_procedure_step_id",
    "requested_procedure_id",
    "accession_number",
)
INSTANCE_COLUMNS = (
    "sop_instance_uid",
    "sop_class_uid",
    "transfer_syntax_uid",
    "instance_number",
    "number_of_frames",
    "rows",
    "columns",
    "dataset_offset",
    "document",
    "bulk",
    "frame_count",
    "encapsulated",
    "pixel_offset",
    "pixel_length",
    "frame_bits",
    "frame_word",
    "frame_ranges",
)

# Characters of a match key that are kept. The standard's longest, LO and a group of PN, have 64;
# a btree entry may have 2704 bytes, and a damaged file shall not fail for it.
KEY_LENGTH = 512

Values = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """What the index keeps of one instance, column by column: made from its description once,
    where CPU time is free, and only written where the rows are made."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    study: Values  # of STUDY_COLUMNS
    series: Values  # of SERIES_COLUMNS
    requests: tuple[Values, ...]  # of REQUEST_COLUMNS
    instance: Values  # of INSTANCE_COLUMNS
    metadata: bytes  # packed
    problems: tuple[str, ...]
    row_bytes: int  # of the instance's rows, nearly: what bounds the groups of one statement
    values: tuple[Value, ...] = ()  # of indexed attributes
    attributes: int = 0  # version of the list of those


def entry_of(description: Description, attributes: Attributes = NO_ATTRIBUTES) -> Entry:
    """The entry of a described file, with the values of indexed attributes."""
    instance = instance_row(description)
    metadata = pack_metadata(description.metadata)
    values = values_of(attributes, _described(description))
    return Entry(
        study_instance_uid=description.study_instance_uid,
        series_instance_uid=description.series_instance_uid,
        sop_instance_uid=description.sop_instance_uid,
        sop_class_uid=description.sop_class_uid,
        transfer_syntax_uid=description.transfer_syntax_uid,
        study=study_row(description.study_instance_uid, description.study),
        series=series_row(description.series_instance_uid, description.series),
        requests=tuple(request_rows(description.series)),
        instance=instance,
        metadata=metadata,
        problems=description.problems,
        row_bytes=len(metadata)
        + sum(len(value) for value in instance if isinstance(value, str | bytes))
        + sum(len(value.text) for value in values),
        values=values,
        attributes=attributes.version,
    )


def with_values(entry: Entry, attributes: Attributes) -> Entry:
    """The entry with the values of another version of the list of indexed attributes."""
    if entry.attributes == attributes.version:
        return entry
    values = values_of(attributes, _kept(entry))
    return replace(entry, values=values, attributes=attributes.version)


def _described(description: Description) -> Callable[[Level | None], JsonDataset]:
    def source(level: Level | None) -> JsonDataset:
        match level:
            case Level.STUDY:
                return description.study
            case Level.SERIES:
                return description.series
            case Level.INSTANCE:
                return description.instance
        return whole_dataset(description.metadata)

    return source


def _kept(entry: Entry) -> Callable[[Level | None], JsonDataset]:
    rows = {
        Level.STUDY: (STUDY_COLUMNS, entry.study),
        Level.SERIES: (SERIES_COLUMNS, entry.series),
        Level.INSTANCE: (INSTANCE_COLUMNS, entry.instance),
    }

    def source(level: Level | None) -> JsonDataset:
        if level is None:
            return whole_dataset(unpack_metadata(entry.metadata))
        columns, row = rows[level]
        document = row[columns.index("document")]
        assert isinstance(document, bytes)
        return attributes_of(unpack_document(document))

    return source


# The instances of a series have one study and one series, most often with the same attributes.
_MOST_ROWS = 256
_study_rows: dict[tuple[str, bytes], Values] = {}
_series_rows: dict[tuple[str, bytes], Values] = {}


def _made_once(
    rows: dict[tuple[str, bytes], Values], key: tuple[str, bytes], make: Callable[[], Values]
) -> Values:
    row = rows.get(key)
    if row is None:
        if len(rows) >= _MOST_ROWS:
            rows.clear()
        row = rows[key] = make()
    return row


def study_row(uid: str, study: JsonDataset) -> Values:
    """The values of STUDY_COLUMNS, of the attributes of that level."""
    document = document_of(study)
    return _made_once(_study_rows, (uid, document), lambda: _study_row(uid, study, document))


def _study_row(uid: str, study: Mapping[str, Any], document: bytes) -> Values:
    day, moment = _date(study, "00080020"), _time(study, "00080030")
    patient_name, patient_name_other = _names(study, "00100010")
    referring_name, referring_name_other = _names(study, "00080090")
    return (
        uid,
        sort_key(day, moment),
        day,
        moment,
        _text(study, "00080050"),
        _text(study, "00200010"),
        _text(study, "00100020"),
        _text(study, "00100021"),
        patient_name,
        patient_name_other,
        _date(study, "00100030"),
        _text(study, "00100040"),
        referring_name,
        referring_name_other,
        _text(study, "00081030"),
        pack_document(document),
        tokens(study, "00100010"),
        tokens(study, "00080090"),
    )


def series_row(uid: str, series: JsonDataset) -> Values:
    """The values of SERIES_COLUMNS, of the attributes of that level."""
    document = document_of(series)
    return _made_once(_series_rows, (uid, document), lambda: _series_row(uid, series, document))


def _series_row(uid: str, series: Mapping[str, Any], document: bytes) -> Values:
    return (
        uid,
        _text(series, "00080060"),
        _number(series, "00200011", 63),
        _text(series, "0008103E"),
        _text(series, "00180015"),
        _date(series, "00400244"),
        _time(series, "00400245"),
        pack_document(document),
    )


def request_rows(series: JsonDataset) -> Iterable[Values]:
    """The values of REQUEST_COLUMNS, one tuple an item of the Request Attributes Sequence."""
    items = series.get("00400275", {}).get("Value", [])
    for item in items:
        if isinstance(item, Mapping):
            yield tuple(_text(item, key) for key in ("00400009", "00401001", "00080050"))


def instance_row(description: Description) -> tuple[object, ...]:
    """The values of INSTANCE_COLUMNS."""
    instance = description.instance
    return (
        description.sop_instance_uid,
        description.sop_class_uid,
        description.transfer_syntax_uid,
        _number(instance, "00200013", 63),
        _number(instance, "00280008", 63),
        _number(instance, "00280010", 31),
        _number(instance, "00280011", 31),
        description.dataset_offset,
        pack_document(document_of(instance)),
        _bulk_text(description.bulk),
        *_frame_values(description.frames),
    )


def sort_key(day: str | None, moment: str | None) -> int:
    """YYYYMMDDhhmmss of a normalised date and time as a number; 0 without a date. A date
    without a time counts as its first moment."""
    return 0 if day is None else int(day + (moment or "000000")[:6])


def clean(text: str) -> str:
    """Text that Postgres can hold: no NUL, no half surrogate pair. Without the spaces around it,
    for none of the attributes that have a column needs them (PS3.5 §6.2: AE, CS, LO, SH)."""
    return text.replace("\0", "").strip(" ").encode("utf-8", "replace").decode()


def _values(dataset: Mapping[str, Any], key: str) -> list[Any]:
    values = dataset.get(key, {}).get("Value", [])
    return [value for value in values if value is not None]


def _text(dataset: Mapping[str, Any], key: str) -> str | None:
    values = _values(dataset, key)
    return (clean(str(values[0]))[:KEY_LENGTH] or None) if values else None


def _date(dataset: Mapping[str, Any], key: str) -> str | None:
    values = _values(dataset, key)
    return normal_date(str(values[0])) if values else None


def _time(dataset: Mapping[str, Any], key: str) -> str | None:
    values = _values(dataset, key)
    return normal_time(str(values[0])) if values else None


def _number(dataset: Mapping[str, Any], key: str, bits: int) -> int | None:
    """A whole number; None if it is none, or its magnitude needs more than `bits`."""
    values = _values(dataset, key)
    return whole_number(values[0], bits) if values else None


def whole_number(value: object, bits: int = 63) -> int | None:
    """`value` as an integer if it is one and fits into `bits` and a sign."""
    number = normal_number(value)
    if number is None or abs(number) >= 1 << bits or number != int(number):
        return None
    return int(number)


def _names(dataset: Mapping[str, Any], key: str) -> tuple[str | None, str | None]:
    """The folded alphabetic group, and the folded "ideographic=phonetic" if either is there."""
    values = _values(dataset, key)
    if not values or not isinstance(values[0], str | Mapping):
        return None, None
    # A group cannot hold "=", the separator; what a damaged file has there is no part of a name.
    alphabetic, ideographic, phonetic = (
        clean(fold(group))[:KEY_LENGTH].replace("=", " ") for group in groups(values[0])
    )
    other = f"{ideographic}={phonetic}"
    return alphabetic or None, None if other == "=" else other


def tokens(dataset: Mapping[str, Any], key: str) -> list[str] | None:
    """The tokens of a name for fuzzy matching, sorted; None if it has none."""
    values = _values(dataset, key)
    if not values or not isinstance(values[0], str | Mapping):
        return None
    return sorted({clean(token) for token in name_tokens(values[0])} - {""}) or None


def _bulk_text(bulk: Mapping[str, BulkValue]) -> str | None:
    if not bulk:
        return None
    return orjson.dumps({path: (v.offset, v.length, v.vr) for path, v in bulk.items()}).decode()


def _frame_values(table: FrameTable | None) -> tuple[object, ...]:
    if table is None:
        return (None,) * 7
    return (
        table.count,
        table.encapsulated,
        table.offset,
        table.length,
        table.frame_bits,
        table.word,
        table.ranges if table.encapsulated else None,
    )
