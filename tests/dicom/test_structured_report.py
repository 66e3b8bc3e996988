"""Structured reports: the tree, the text and the page that are made of their content."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import orjson
import pytest
from defusedxml import ElementTree
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from dicomweb_server.dicom.description import BULK_BASE
from dicomweb_server.dicom.page import as_xml
from dicomweb_server.dicom.part10 import describe
from dicomweb_server.dicom.report_html import referenced_instances, report_page
from dicomweb_server.dicom.report_text import report_text
from dicomweb_server.dicom.report_values import Reference, clock_time, moment, person
from dicomweb_server.dicom.structured_report import MAX_DEPTH, MAX_ITEMS, content_tree
from dicomweb_server.errors import ContentTooLarge
from tests.make import sr_document
from tests.make.reports import code, container, image, item, num, see, text


def attributes(*content: Dataset, **more: Any) -> Any:
    """The stored DICOM JSON of a report with this content."""
    file = sr_document(ContentSequence=list(content), **more)
    return orjson.loads(describe(file).metadata.replace(BULK_BASE, b""))


def only_line(one: Dataset) -> str:
    text = report_text(attributes(one)).rstrip("\n")
    return text[text.rindex("\n") + 1 :]


NESTED_SOP = Dataset()
NESTED_SOP.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.9.1.1"
NESTED_SOP.ReferencedSOPInstanceUID = "1.2.3"
NESTED_SOP.ReferencedWaveformChannels = [1, 2, 2, 0]


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (text("Finding", "A nodule."), "Finding: A nodule."),
        (item("CODE", "Side", ConceptCodeSequence=[code("Left")]), "Side: Left"),
        (num("Length", "12.5", "mm"), "Length: 12.5 mm"),
        (num("Area", "3", "cm2"), "Area: 3 cm²"),
        (num("Count", "3", "1"), "Count: 3"),
        (
            item("NUM", "Length", NumericValueQualifierCodeSequence=[code("Not a number")]),
            "Length:  (Qualifier: Not a number)",
        ),
        (
            item("DATETIME", "At", DateTime="20240102101530.5+0100"),
            "At: 2024-01-02 10:15:30.5 +0100",
        ),
        (item("DATE", "On", Date="20240102"), "On: 2024-01-02"),
        (item("TIME", "At", Time="1015"), "At: 10:15"),
        (item("PNAME", "Observer", PersonName="Doe^Jane^^Dr."), "Observer: Doe, Dr. Jane"),
        (
            item("UIDREF", "Template", UID="1.2.840.10008.5.1.4.1.1.2"),
            "Template: 1.2.840.10008.5.1.4.1.1.2 (Name: CT Image)",
        ),
        (
            item("SCOORD", "Region", GraphicType="POLYLINE", GraphicData=[1, 2, 3.5, 4]),
            "Region: Polyline (1, 2) (3.5, 4)",
        ),
        (
            item(
                "SCOORD3D",
                "Point",
                GraphicType="POINT",
                GraphicData=[1, 2, -3],
                ReferencedFrameOfReferenceUID="1.9",
            ),
            "Point: Point (1, 2, -3) (Frame of reference: 1.9)",
        ),
        (
            item("TCOORD", "When", TemporalRangeType="SEGMENT", ReferencedTimeOffsets=["1", "2.5"]),
            "When: Segment (Seconds: 1, 2.5)",
        ),
        (image("Source", "1.2.3", frames=[2, 7]), "Source: CT Image 1.2.3 (frames 2, 7)"),
        (
            image("Source", "1.2.3", value_type="COMPOSITE", sop_class="1.2.9"),
            "Source: 1.2.9 1.2.3",
        ),
        (
            item("WAVEFORM", "Trace", ReferencedSOPSequence=[NESTED_SOP]),
            "Trace: 12-lead ECG Waveform 1.2.3 (Channels: group 1 channel 2, group 2)",
        ),
        (
            text("Finding", "x", relation="HAS OBS CONTEXT", ObservationDateTime="20240102"),
            "Finding: [context] [observed 2024-01-02] x",
        ),
        (item("NEWER", "Thing", TextValue="of a later edition"), "Thing: of a later edition"),
    ],
)
def test_every_value_type_in_words(one: Dataset, expected: str) -> None:
    """PS3.3 §C.18."""
    assert only_line(one).replace("  ", " ") == expected.replace("  ", " ")
    plain = re.sub(r"<[^>]+>", " ", report_page(attributes(one), {}))
    for word in re.findall(r"[\w.²]+", expected):
        assert word in plain, word


def test_a_table_that_is_almost_empty_is_not_spread_out() -> None:
    """Cells along the diagonal would be a table of their square: of 5,000 cells 25 million."""
    table = Dataset()
    table.CellValuesSequence = []
    for n in range(1, 1001):
        cell = Dataset()
        cell.TableRowNumber = cell.TableColumnNumber = n
        cell.NumericValue = "1"
        table.CellValuesSequence.append(cell)
    with pytest.raises(ContentTooLarge):
        report_text(attributes(item("TABLE", "Sizes", TabulatedValuesSequence=[table])))


def test_a_table_of_values() -> None:
    """TABLE (PS3.3 §C.18.10): cells name their row and column."""

    def without_relation(made: Dataset) -> Dataset:
        del made.RelationshipType
        return made

    def heading(name: str, **more: Any) -> Dataset:
        return without_relation(item(None, name, **more))

    def cell(row: int, column: int, **more: Any) -> Dataset:
        return without_relation(item(None, TableRowNumber=row, TableColumnNumber=column, **more))

    table = Dataset()
    table.NumberOfTableRows, table.NumberOfTableColumns = 2, 2
    table.TableRowDefinitionSequence = [heading("Left", TableRowNumber=1)]
    table.TableColumnDefinitionSequence = [
        heading(
            "Length", TableColumnNumber=1, MeasurementUnitsCodeSequence=[code("mm", "mm", "UCUM")]
        ),
        heading("Side", TableColumnNumber=2),
    ]
    table.CellValuesSequence = [
        cell(1, 1, NumericValue="12.5"),
        cell(1, 2, ConceptCodeSequence=[code("left")]),
        cell(2, 1, NumericValue="9"),
    ]
    dataset = attributes(item("TABLE", "Sizes", TabulatedValuesSequence=[table]))
    shown = report_text(dataset)
    assert "| Length [mm] | Side" in shown
    assert "Left | 12.5 | left" in shown
    assert "2 | 9 |" in shown
    assert '<th scope="row">Left</th><td>12.5</td><td>left</td>' in report_page(dataset, {})


def test_what_a_report_says_of_itself() -> None:
    """Patient, study, completion, verification, observers (PS3.3 §C.17.1, §C.17.2)."""
    verifier, author = Dataset(), Dataset()
    verifier.VerifyingObserverName, verifier.VerifyingOrganization = "Riva^Ada", "Ospedale"
    verifier.VerificationDateTime = "20240103"
    author.ObserverType, author.PersonName, author.InstitutionName = "PSN", "Bo^Li", "Clinic"
    dataset = attributes(
        PatientName="Muster^Erika",
        PatientBirthDate="19601231",
        StudyDate="20240101",
        AccessionNumber="A1",
        VerificationFlag="VERIFIED",
        VerifyingObserverSequence=[verifier],
        AuthorObserverSequence=[author],
    )
    shown = report_text(dataset)
    for line in (
        "Findings",
        "  Name: Muster, Erika",
        "  Birth date: 1960-12-31",
        "  Accession number: A1",
        "  Completion: Complete",
        "  Verification: Verified",
        "  Verified by: Riva, Ada, Ospedale, 2024-01-03",
        "  Author: Bo, Li, Clinic",
    ):
        assert line in shown.splitlines(), line
    assert '<span class="good">Verified</span>' in report_page(dataset, {})


class Links(HTMLParser):
    """The anchors, ids and elements of a page; complains of elements that do not match."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ("meta", "img")
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def of(self, name: str) -> list[str]:
        return [value for _, attrs in self.elements if (value := attrs.get(name))]


def test_items_by_reference_are_links_to_what_they_mean() -> None:
    """PS3.3 §C.17.3.2.5."""
    dataset = attributes(
        container("Findings", text("Nodule", "8 mm")),
        text("Impression", "Stable", see(1, 1, 1), see(1, 9)),
    )
    assert "  Item: [inferred from] see Nodule (1.1.1)" in report_text(dataset).splitlines()
    page = Links(report_page(dataset, {}))
    assert "#item-1.1.1" in page.of("href")
    assert "item-1.1.1" in page.of("id")
    assert "#item-1.9" not in page.of("href")


def test_images_that_are_here_are_shown_and_others_named() -> None:
    dataset = attributes(
        image("Key", "1.5.1"), image("Key", "1.5.2", frames=[3]), image("Key", "1.5.3")
    )
    assert referenced_instances(dataset) == ["1.5.1", "1.5.2", "1.5.3"]
    page = report_page(dataset, {"1.5.1": "../a/1.5.1", "1.5.2": "../a/1.5.2"})
    found = Links(page)
    assert found.of("src") == ["../a/1.5.1/thumbnail", "../a/1.5.2/frames/3/thumbnail"]
    assert "../a/1.5.1/rendered" in found.of("href")
    assert "../a/1.5.2/frames/3/rendered" in found.of("href")
    assert "1.5.3, not here" in page
    assert ElementTree.fromstring(as_xml(page)).tag == "{http://www.w3.org/1999/xhtml}html"
    assert not any(url.startswith(("http", "//")) for url in found.of("href") + found.of("src"))


def test_measurements_that_follow_each_other_are_a_table() -> None:
    dataset = attributes(
        container(
            "Measurements",
            num("Length", "12", "mm", item("CODE", "Method", ConceptCodeSequence=[code("Manual")])),
            num("Width", "7", "mm"),
        )
    )
    page = report_page(dataset, {})
    rows = re.findall(r"<tr id=.*?</tr>", page, re.DOTALL)
    assert len(rows) == 2
    assert "Manual" in rows[0]
    assert '<td class="number">7</td>' in rows[1]


def test_continuous_text_runs_on() -> None:
    dataset = attributes(
        container(
            "Story",
            text("One", "A mass of"),
            num("Diameter", "3", "mm"),
            text("Two", "was seen."),
            ContinuityOfContent="CONTINUOUS",
        )
    )
    [paragraph] = re.findall(r"<p>.*?</p>", report_page(dataset, {}))
    words = re.sub("<[^>]+>", "", paragraph)
    assert words == "A mass of Diameter 3 mm was seen."


EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\x00\x1b"


def test_nothing_of_a_report_becomes_markup() -> None:
    dataset = attributes(
        text(EVIL, EVIL),
        container(EVIL, num(EVIL, "1", EVIL), num(EVIL, "2", "mm")),
        item("PNAME", EVIL, PersonName=EVIL),
        item("CODE", EVIL, ConceptCodeSequence=[code(EVIL, EVIL, EVIL)]),
        image(EVIL, EVIL),
        PatientName=EVIL,
        SeriesDescription=EVIL,
    )
    # Also what no data set would hold: values reach us from metadata that others wrote.
    raw = json.loads(json.dumps(dataset).replace("COMPLETE", json.dumps(EVIL)[1:-1]))
    page = report_page(raw, {})
    found = {tag for tag, _ in Links(page).elements}
    assert not found & {"script", "img", "iframe", "object", "form", "link"}
    assert not any(name.startswith("on") for _, attrs in Links(page).elements for name in attrs)
    assert "\x00" not in page
    words = "".join(ElementTree.fromstring(as_xml(page)).itertext())  # is well-formed (XML 1.0)
    assert "<script>alert(1)</script>" in words


def test_more_than_is_read_by_anybody_is_refused() -> None:
    deep: Any = {}
    for _ in range(MAX_DEPTH):
        deep = {"0040A730": {"vr": "SQ", "Value": [deep]}}
    with pytest.raises(ContentTooLarge):
        content_tree(deep)
    raw = attributes()
    one = {"0040A040": {"vr": "CS", "Value": ["TEXT"]}}
    raw["0040A730"] = {"vr": "SQ", "Value": [one] * MAX_ITEMS}
    with pytest.raises(ContentTooLarge):
        report_text(raw)


TAGS = (
    "0040A010 0040A032 0040A043 0040A073 0040A078 0040A07A 0040A120 0040A121 0040A122 0040A123 "
    "0040A124 0040A130 0040A138 0040A13A 0040A160 0040A168 0040A300 0040A30A 0040A360 0040A370 "
    "0040A491 0040A504 0040A730 0040A801 0040A804 0040A805 0040A808 0040DB73 00070022 00070023 "
    "00080104 00081199 00081160 00100010"
)
KINDS = (
    "TEXT CODE NUM DATETIME DATE TIME PNAME UIDREF SCOORD SCOORD3D TCOORD COMPOSITE IMAGE "
    "WAVEFORM TABLE CONTAINER OTHER"
)
SINGLE = st.sampled_from([None, True, 1, -5, 2**70, 1.5, "", "x", "20240102", "a=b^c", {}, []])
NAMES = st.sampled_from(["vr", "Value", "Alphabetic", "BulkDataURI", *TAGS.split()])
VALUES = st.recursive(
    SINGLE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
SOME_ITEM = st.dictionaries(
    st.sampled_from(TAGS.split()),
    VALUES | VALUES.map(lambda value: {"Value": [value]}),
    max_size=5,
)


@given(
    root=SOME_ITEM, items=st.lists(st.tuples(st.sampled_from(KINDS.split()), SOME_ITEM), max_size=4)
)
def test_whatever_a_report_holds_it_can_be_shown(root: Any, items: Any) -> None:
    content = [{**one, "0040A040": {"vr": "CS", "Value": [kind]}} for kind, one in items]
    dataset = {**root, "0040A730": {"vr": "SQ", "Value": content}}
    report_text(dataset)
    page = report_page(dataset, {"": "x"})
    Links(page)
    in_tree = (item.value for item in content_tree(dataset).walk())
    named = (value.sop_instance_uid for value in in_tree if isinstance(value, Reference))
    assert referenced_instances(dataset) == list(dict.fromkeys(filter(None, named)))


@given(st.text(max_size=30))
def test_moments_and_names_are_shown_whatever_they_are(value: str) -> None:
    assert moment(value) or not value
    assert clock_time(value) or not value
    person(value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [("2024", "2024"), ("202401", "2024-01"), ("2024010210", "2024-01-02 10h"), ("x", "x")],
)
def test_moments_as_exact_as_they_are(value: str, shown: str) -> None:
    assert moment(value) == shown
