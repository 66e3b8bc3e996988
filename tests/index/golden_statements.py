"""The statements of representative searches, kept as text so that a change of one is looked at.

``python -m tests.index.golden_statements`` writes them anew.
"""

import re
from dataclasses import replace
from pathlib import Path

from dicomweb_server.access.policy import Scope
from dicomweb_server.dicom.query import Level, Returned, SearchQuery
from dicomweb_server.index.search_statements import compile_count, compile_search
from dicomweb_server.wire.search import parse_search

FILE = Path(__file__).parent / "golden" / "searches.sql"

ONE, FIVE = Scope((1,)), Scope((1, 2, 3, 4, 5))
ALL = Scope((1, 2, 3, 4, 5), everything=True)
GRANTED = Scope((1,), ("1.7", "1.8"))
STUDY, SERIES, INSTANCE = Level
PLACE = (20200301000030, "1.59", 59)

# Name: level, query string, scope, and what else there is to the query.
SEARCHES: dict[str, tuple[Level, str, Scope, dict]] = {
    "newest": (STUDY, "", ONE, {}),
    "newest of five": (STUDY, "", FIVE, {}),
    "newest of all": (STUDY, "", ALL, {}),
    "granted studies": (STUDY, "", GRANTED, {}),
    "a name in granted studies": (STUDY, "PatientName=ABC*&StudyDate=20200103-", GRANTED, {}),
    "days": (STUDY, "StudyDate=20200103-20200104", ONE, {}),
    "combined": (STUDY, "StudyDate=20200103-20200104&StudyTime=10-12", ONE, {}),
    "another zone": (STUDY, "StudyDate=20200103&TimezoneOffsetFromUTC=%2B0100", ONE, {}),
    "patient": (STUDY, "PatientID=P77", ONE, {}),
    "patient of five": (STUDY, "PatientID=P77", FIVE, {}),
    "patient of all": (STUDY, "PatientID=P77", ALL, {}),
    "uids of five": (STUDY, "StudyInstanceUID=1.7,1.8,1.9", FIVE, {}),
    "series of uids": (SERIES, "StudyInstanceUID=1.7,1.8,1.9", ONE, {}),
    "accession": (STUDY, "AccessionNumber=A77*&PatientID=", ONE, {}),
    "name": (STUDY, "PatientName=ABC*", ONE, {}),
    "whole name and more": (STUDY, "PatientName=ABC%5EJOHN%5E*", ONE, {}),
    "name of all": (STUDY, "PatientName=ABC*", ALL, {}),
    "name within": (STUDY, "PatientName=*ABCDE*", ONE, {}),
    "name in its place": (STUDY, "PatientName=ABC*=%E5%B1%B1*", ONE, {}),
    "fuzzy": (STUDY, "PatientName=abcde+john&fuzzymatching=true", ONE, {}),
    "fuzzy with stars": (STUDY, "PatientName=*abcde*&fuzzymatching=true", ONE, {}),
    "a modality": (STUDY, "ModalitiesInStudy=CT", ONE, {}),
    "a modality of five": (STUDY, "ModalitiesInStudy=CT", FIVE, {}),
    "two modalities": (STUDY, "ModalitiesInStudy=CT,ECG", ONE, {}),
    "two modalities of five": (STUDY, "ModalitiesInStudy=CT,ECG", FIVE, {}),
    "a modality since": (STUDY, "ModalitiesInStudy=ECG&StudyDate=20200601-&StudyID=S*", ONE, {}),
    "both modalities": (
        STUDY,
        "ModalitiesInStudy=CT%5CSR&multiplevaluematching=true&StudyDate=20200103",
        ONE,
        {},
    ),
    "a series key": (STUDY, "Modality=ECG", ONE, {}),
    "series keys": (STUDY, "Modality=CT&SeriesNumber=1&PatientID=P77", ONE, {}),
    "an instance key": (STUDY, "SOPInstanceUID=1.7.1.1", ONE, {}),
    "keys of every level": (STUDY, "StudyID=S77&SeriesNumber=1&InstanceNumber=2", ONE, {}),
    "a request": (SERIES, "00400275.00400009=R77&00400275.00401001=*", ONE, {}),
    "series of a modality": (SERIES, "Modality=ECG", ONE, {}),
    "series of a modality of all": (SERIES, "Modality=ECG", ALL, {}),
    "series of a study": (SERIES, "", ONE, {"study_instance_uid": "1.7"}),
    "instances of a series": (
        INSTANCE,
        "",
        ONE,
        {"study_instance_uid": "1.7", "series_instance_uid": "1.7.1"},
    ),
    "the metadata of instances": (
        INSTANCE,
        "SeriesInstanceUID=1.7.1&includefield=PixelSpacing,SOPClassesInStudy",
        ONE,
        {},
    ),
    "deep": (STUDY, "offset=100000", ONE, {}),
    "next": (STUDY, "", ONE, {"after": PLACE}),
    "next of five": (STUDY, "", FIVE, {"after": PLACE}),
    "next of a modality": (STUDY, "ModalitiesInStudy=CT", ONE, {"after": PLACE}),
    "next instances": (INSTANCE, "", ONE, {"after": (*PLACE, 1, "1.59.1", None, "1.59.1.1")}),
    "by name": (STUDY, "orderby=PatientName", ONE, {}),
    "next by name, descending": (
        STUDY,
        "orderby=-PatientName",
        ONE,
        {"after": ("ABC", *PLACE)},
    ),
    "next by what has no value": (STUDY, "orderby=PatientName", ONE, {"after": (None, *PLACE)}),
    "oldest": (STUDY, "orderby=StudyDate", ONE, {}),
}
COUNTS = ["days", "a modality", "two modalities", "series keys", "series of a modality"]
COUNTS += ["instances of a series", "next"]


def query_of(name: str) -> SearchQuery:
    level, query_string, _, more = SEARCHES[name]
    after = more.get("after")
    fixed = {key: value for key, value in more.items() if key != "after"}
    query = parse_search(level, f"limit=20&{query_string}", **fixed).query
    return query if after is None else replace(query, after=after)


def statement_of(name: str) -> tuple[str, list[object]]:
    """The statement of a search, as it fetches what is returned of its level and above."""
    query, scope = query_of(name), SEARCHES[name][2]
    metadata = bool(query.include)
    documents = frozenset(level for level in Level if level <= query.level)
    return compile_search(query, scope, Returned(documents, metadata, sop_classes=metadata))


def count_of(name: str) -> tuple[str, list[object]]:
    return compile_count(query_of(name), SEARCHES[name][2], 10_001)


def text() -> str:
    """All of them as one file of SQL, with the arguments beside."""
    named = {name: statement_of(name) for name in SEARCHES}
    named |= {f"count: {name}": count_of(name) for name in COUNTS}
    return "\n".join(_written(name, *statement) for name, statement in named.items())


def _written(name: str, statement: str, arguments: list[object]) -> str:
    lines = re.sub(r" (FROM|WHERE|AND|ORDER BY|CROSS JOIN|LIMIT) ", r"\n  \1 ", statement)
    values = "".join(f"--   ${n} = {value!r}\n" for n, value in enumerate(arguments, 1))
    return f"-- {name}\n{values}{lines};\n"


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(text(), encoding="utf-8")
