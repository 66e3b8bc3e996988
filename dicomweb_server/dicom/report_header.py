"""What stands above a document: of whom it is, what it is, and who answers for it (PS3.3 §C.7.1,
§C.7.2, §C.17.1 and §C.17.2)."""

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.json_values import first_text, values
from dicomweb_server.dicom.report_values import (
    clock_time,
    code_of,
    codes_of,
    moment,
    person,
    text_of,
)

Rows = list[tuple[str, str]]

_MOST = 1000  # items of a sequence that are looked at


def title_of(dataset: JsonDataset) -> str:
    """What the document is called."""
    return (
        str(code_of(dataset, "0040A043"))
        or text_of(dataset, "00420010")
        or text_of(dataset, "0008103E")
        or "Report"
    )


def header_of(dataset: JsonDataset) -> list[tuple[str, Rows]]:
    """Groups of names and values, each under its heading; what is empty is left out."""
    groups = [
        ("Patient", _patient(dataset)),
        ("Study", _study(dataset)),
        ("Document", _document(dataset)),
        ("Requests", _requests(dataset)),
        ("Responsible", _people(dataset)),
    ]
    shown = ((name, [row for row in rows if row[1]]) for name, rows in groups)
    return [(name, rows) for name, rows in shown if rows]


def _patient(dataset: JsonDataset) -> Rows:
    return [
        ("Name", "; ".join(filter(None, map(person, values(dataset, "00100010")[:1])))),
        ("Patient ID", text_of(dataset, "00100020")),
        ("Issuer", text_of(dataset, "00100021")),
        ("Birth date", moment(text_of(dataset, "00100030"))),
        ("Sex", text_of(dataset, "00100040")),
        ("Age", text_of(dataset, "00101010")),
    ]


def _study(dataset: JsonDataset) -> Rows:
    return [
        ("Description", text_of(dataset, "00081030")),
        ("Date", _at(dataset, "00080020", "00080030")),
        ("Accession number", text_of(dataset, "00080050")),
        ("Study ID", text_of(dataset, "00200010")),
        ("Referring physician", text_of(dataset, "00080090")),
        ("Procedure", "; ".join(map(str, codes_of(dataset, "0040A372")[:_MOST]))),
    ]


def _document(dataset: JsonDataset) -> Rows:
    completion = first_text(dataset, "0040A491").capitalize()
    described = text_of(dataset, "0040A492")
    equipment = filter(None, (text_of(dataset, tag) for tag in ("00080070", "00081090")))
    return [
        ("Series", text_of(dataset, "0008103E")),
        ("Date", _at(dataset, "00080023", "00080033")),
        ("Completion", f"{completion} ({described})" if described else completion),
        ("Verification", first_text(dataset, "0040A493").capitalize()),
        ("Preliminary", first_text(dataset, "0040A496").capitalize()),
        ("Institution", text_of(dataset, "00080080")),
        ("Equipment", " ".join(equipment)),
        ("Replaces", ", ".join(_documents(dataset, "0040A360"))),
    ]


def _requests(dataset: JsonDataset) -> Rows:
    rows: Rows = []
    for request in values(dataset, "0040A370")[:_MOST]:
        if isinstance(request, dict):
            parts = (
                text_of(request, "00080050"),
                str(code_of(request, "00321064")) or text_of(request, "00321060"),
            )
            rows.append(("Requested", ": ".join(filter(None, parts))))
    return rows


def _people(dataset: JsonDataset) -> Rows:
    rows: Rows = []
    for author in _items(dataset, "0040A078"):
        rows.append(("Author", _observer(author)))
    for verifier in _items(dataset, "0040A073"):
        parts = (
            text_of(verifier, "0040A075"),
            text_of(verifier, "0040A027"),
            moment(first_text(verifier, "0040A030")),
        )
        rows.append(("Verified by", ", ".join(filter(None, parts))))
    for participant in _items(dataset, "0040A07A"):
        role = first_text(participant, "0040A080").capitalize()
        when = moment(first_text(participant, "0040A082"))
        text = ", ".join(filter(None, (_observer(participant), when)))
        rows.append((role or "Participant", text))
    for keeper in _items(dataset, "0040A07C"):
        name = text_of(keeper, "00080080") or str(code_of(keeper, "00080082"))
        rows.append(("Custodian", name))
    return rows


def _observer(item: JsonDataset) -> str:
    """A person or a device (PS3.3 Table C.17-3b)."""
    parts = (
        text_of(item, "0040A123"),
        *(text_of(item, tag) for tag in ("00081010", "00080070", "00081090", "00181002")),
        text_of(item, "00080080"),
    )
    return ", ".join(filter(None, parts))


def _documents(dataset: JsonDataset, tag: str) -> list[str]:
    """The instances that a reference by hierarchy names (PS3.3 Table C.17-3)."""
    return [
        text_of(instance, "00081155")
        for study in _items(dataset, tag)
        for series in _items(study, "00081115")
        for instance in _items(series, "00081199")
    ]


def _items(dataset: JsonDataset, tag: str) -> list[JsonDataset]:
    return [item for item in values(dataset, tag)[:_MOST] if isinstance(item, dict)]


def _at(dataset: JsonDataset, date: str, time: str) -> str:
    parts = moment(first_text(dataset, date)), clock_time(first_text(dataset, time))
    return " ".join(filter(None, parts))
