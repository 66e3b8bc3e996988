"""The Native DICOM Model: read back as the attributes it was written from, or refused."""

import contextlib
from itertools import pairwise
from typing import Any

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from dicomweb_server.dicom import native_xml
from dicomweb_server.dicom.description import BULK_BASE, JsonDataset
from dicomweb_server.dicom.encode import encode_dataset
from dicomweb_server.dicom.json_model import parse_json_datasets
from dicomweb_server.dicom.native_xml import NativeXmlReader, from_xml
from dicomweb_server.dicom.native_xml_text import NAMESPACE, to_xml
from dicomweb_server.dicom.part10 import describe
from dicomweb_server.errors import ContentTooLarge, MalformedContent, Refusal
from tests.dicom.real_files import real_metadata
from tests.strategies import datasets, file_of


def _document(inner: str, declaration: str = "") -> bytes:
    return f'{declaration}<NativeDicomModel xmlns="{NAMESPACE}">{inner}</NativeDicomModel>'.encode()


def _read(inner: str) -> JsonDataset:
    return from_xml([_document(inner)])


def _attribute(vr: str, *values: str, tag: str = "00081030") -> Any:
    """The JSON attribute of one in XML, with `values` that are text of XML."""
    inner = "".join(f'<Value number="{n}">{v}</Value>' for n, v in enumerate(values, 1))
    return _read(f'<DicomAttribute tag="{tag}" vr="{vr}">{inner}</DicomAttribute>')[tag]


def _metadata(dataset: Dataset) -> JsonDataset:
    metadata = describe(file_of(dataset)).metadata
    [attributes] = parse_json_datasets(metadata.replace(BULK_BASE, b"https://host/?a=1&b=<2>"))
    return attributes


# ------------------------------------------------------------------------- there and back


@given(datasets())
def test_a_data_set_is_the_same_after_a_passage_through_xml(dataset: Dataset) -> None:
    attributes = _metadata(dataset)
    found = from_xml([to_xml(attributes)])

    assert found == attributes
    assert list(found) == sorted(found)


def test_metadata_of_real_files_are_the_same_after_a_passage_through_xml() -> None:
    count = 0
    for name, attributes, _ in real_metadata():
        assert from_xml([to_xml(attributes)]) == attributes, name
        count += 1
    assert count > 50


@given(datasets(depth=1), st.lists(st.integers(0, 4000)))
def test_a_document_does_not_depend_on_how_it_is_cut(dataset: Dataset, cuts: list[int]) -> None:
    text = to_xml(_metadata(dataset))
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})

    assert from_xml(text[a:b] for a, b in pairwise(edges)) == from_xml([text])


@given(datasets(depth=1), st.data())
def test_a_damaged_document_is_read_or_refused(dataset: Dataset, data: st.DataObject) -> None:
    text = bytearray(to_xml(_metadata(dataset)))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        text[at : at + data.draw(st.integers(0, 30))] = data.draw(
            st.binary(max_size=3) | st.sampled_from([b"<", b'"', b"/>", b"<Item/>", b"<Value>"])
        )
    with contextlib.suppress(Refusal):
        found = from_xml([bytes(text)])
        with contextlib.suppress(Refusal):
            assert encode_dataset(found, {}).length >= 0


# -------------------------------------------------------------------------------- the form


def test_what_is_written_is_the_native_dicom_model() -> None:
    text = to_xml(
        {
            "00081030": {"vr": "LO", "Value": ["a & <b>", None, "\x00\r\n"]},
            "00090010": {"vr": "LO", "Value": ['A "creator"']},
            "00091001": {"vr": "DS", "Value": [1.5, "1.50"]},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "A^^B", "Phonetic": "C"}]},
            "00400275": {"vr": "SQ", "Value": [{"00400007": {"vr": "LO"}}, {}]},
            "7FE00010": {"vr": "OW", "BulkDataURI": "u?a&b"},
        }
    )
    expected = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<NativeDicomModel xmlns="{NAMESPACE}" xml:space="preserve">'
        '<DicomAttribute tag="00081030" vr="LO" keyword="StudyDescription">'
        '<Value number="1">a &amp; &lt;b&gt;</Value><Value number="2"></Value>'
        '<Value number="3">\ufffd&#13;\n</Value></DicomAttribute>'
        """<DicomAttribute tag="00090001" vr="DS" privateCreator='A "creator"'>"""
        '<Value number="1">1.5</Value><Value number="2">1.50</Value></DicomAttribute>'
        '<DicomAttribute tag="00100010" vr="PN" keyword="PatientName"><PersonName number="1">'
        "<Alphabetic><FamilyName>A</FamilyName><MiddleName>B</MiddleName></Alphabetic>"
        "<Phonetic><FamilyName>C</FamilyName></Phonetic></PersonName></DicomAttribute>"
        '<DicomAttribute tag="00400275" vr="SQ" keyword="RequestAttributesSequence">'
        '<Item number="1"><DicomAttribute tag="00400007" vr="LO"'
        ' keyword="ScheduledProcedureStepDescription"></DicomAttribute></Item>'
        '<Item number="2"></Item></DicomAttribute>'
        '<DicomAttribute tag="7FE00010" vr="OW" keyword="PixelData">'
        '<BulkData uri="u?a&amp;b"/></DicomAttribute></NativeDicomModel>'
    )
    assert text.decode() == expected


@given(st.text())
def test_any_text_makes_a_document_that_can_be_read(text: str) -> None:
    written = to_xml(
        {
            "00081030": {"vr": "LT", "Value": [text]},
            "00090010": {"vr": "LO", "Value": [text]},
            "00091001": {"vr": "LO", "Value": ["x"]},
            "7FE00010": {"vr": "OW", "BulkDataURI": text},
        }
    )
    assert fromstring(written, forbid_dtd=True).tag == f"{{{NAMESPACE}}}NativeDicomModel"


@pytest.mark.parametrize(
    "document",
    [
        '<DicomAttribute tag="00080060" vr="CS"><Value number="1">CT</Value></DicomAttribute>',
        '<DicomAttribute tag="00080060" vr="CS" keyword="Modality"><Value>CT</Value>'
        "</DicomAttribute>",
        '\n <DicomAttribute tag="00080060">\n  <!-- no VR --><Value number="1">C<![CDATA[T]]>'
        "</Value>\n</DicomAttribute>\n",
    ],
)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f'<NativeDicomModel xmlns="{NAMESPACE}" xml:space="preserve">', "</NativeDicomModel>"),
        ("<NativeDicomModel>", "</NativeDicomModel>"),
        (f'<n:NativeDicomModel xmlns:n="{NAMESPACE}">', "</n:NativeDicomModel>"),
    ],
)
def test_a_document_may_be_written_in_many_ways(before: str, document: str, after: str) -> None:
    if before.startswith("<n:"):
        for name in ("DicomAttribute", "Value"):
            document = document.replace(f"<{name}", f"<n:{name}")
            document = document.replace(f"</{name}", f"</n:{name}")
    assert from_xml([(before + document + after).encode()]) == {
        "00080060": {"vr": "CS", "Value": ["CT"]}
    }


@pytest.mark.parametrize("encoding", ["utf-16", "iso-8859-1", "utf-8-sig", "iso-8859-15"])
def test_a_document_may_be_in_another_encoding(encoding: str) -> None:
    name = encoding.removesuffix("-sig")
    inner = '<DicomAttribute tag="00081030" vr="LO"><Value>é</Value></DicomAttribute>'
    text = _document(inner, f'<?xml version="1.0" encoding="{name}"?>').decode()

    assert from_xml([text.encode(encoding)]) == {"00081030": {"vr": "LO", "Value": ["é"]}}


# ------------------------------------------------------------------------------ the values


@pytest.mark.parametrize(
    ("vr", "values", "expected"),
    [
        ("LO", [" a ", "", "b"], [" a ", None, "b"]),
        ("LT", ["a\\b\n"], ["a\\b\n"]),
        ("IS", ["1", "-2 ", "+3", "x"], [1, -2, "+3", "x"]),
        ("DS", ["1.5", "1.0", "1e-4", "0.1234567890123456789", ""], None),
        ("US", ["1", " 65535 "], [1, 65535]),
        ("SV", ["9007199254740991", "9007199254740992"], [2**53 - 1, "9007199254740992"]),
        ("FD", ["1", "1.5e3", "NaN", "INF", "-INF"], [1.0, 1500.0, "NaN", "Infinity", "-Infinity"]),
        ("AT", ["7fe00010"], ["7FE00010"]),
        ("US or SS", ["-1"], [-1]),
        ("LO", [""], None),
        ("LO", [], None),
        ("LO", ["", ""], [None, None]),
    ],
)
def test_values_become_those_of_json(vr: str, values: list[str], expected: Any) -> None:
    found = _attribute(vr, *values)
    if vr == "DS":
        expected = [1.5, 1.0, 1e-4, "0.1234567890123456789", None]
    assert found == ({"vr": vr} if expected is None else {"vr": vr, "Value": expected})


def test_values_that_are_passed_over_are_empty() -> None:
    inner = '<Value number="2">a</Value><Value number="4">b</Value>'
    found = _read(f'<DicomAttribute tag="00081030" vr="LO">{inner}</DicomAttribute>')
    assert found == {"00081030": {"vr": "LO", "Value": [None, "a", None, "b"]}}


def test_binary_values_and_bulk_data() -> None:
    found = _read(
        '<DicomAttribute tag="00091001" vr="OB"><InlineBinary>\n AA\n A=\n</InlineBinary>'
        '</DicomAttribute><DicomAttribute tag="7FE00010" vr="OW"><BulkData uri="cid:a"/>'
        '</DicomAttribute><DicomAttribute tag="00091002" vr="OB"><BulkData uuid="1-2"/>'
        "</DicomAttribute>"
    )
    assert found == {
        "00091001": {"vr": "OB", "InlineBinary": "AAA="},
        "00091002": {"vr": "OB", "BulkDataURI": "urn:uuid:1-2"},
        "7FE00010": {"vr": "OW", "BulkDataURI": "cid:a"},
    }


@pytest.mark.parametrize(
    "name",
    [
        None,
        {"Alphabetic": "Family^Given^Middle^Prefix^Suffix"},
        {"Alphabetic": "A^^^^E^F^G"},
        {"Alphabetic": "A^B^^"},
        {"Alphabetic": "^"},
        {"Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"},
    ],
)
def test_names_keep_their_components(name: Any) -> None:
    attributes = {"00100010": {"vr": "PN", "Value": [name, {"Alphabetic": "x"}]}}
    assert from_xml([to_xml(attributes)]) == attributes


# ------------------------------------------------------------------------- private elements


def _private(tag: str, creator: str | None, value: str = "v") -> str:
    named = "" if creator is None else f' privateCreator="{creator}"'
    return f'<DicomAttribute tag="{tag}" vr="LO"{named}><Value>{value}</Value></DicomAttribute>'


def _lo(value: str = "v") -> dict[str, Any]:
    return {"vr": "LO", "Value": [value]}


def test_creators_get_blocks_in_the_order_they_come() -> None:
    inner = _private("00290001", "A") + _private("00290001", "B") + _private("00290002", "A")
    nested = '<DicomAttribute tag="00400275" vr="SQ"><Item>{}</Item></DicomAttribute>'

    assert _read(inner + nested.format(_private("002900FF", "B"))) == {
        "00290010": _lo("A"),
        "00290011": _lo("B"),
        "00291001": _lo(),
        "00291002": _lo(),
        "00291101": _lo(),
        "00400275": {"vr": "SQ", "Value": [{"00290010": _lo("B"), "002910FF": _lo()}]},
    }


def test_creators_that_have_a_block_keep_it_and_others_pass_it_over() -> None:
    inner = (
        _private("00290011", None, "B")
        + _private("00291001", None)
        + _private("00290001", "A")
        + _private("00290001", "B")
        + _private("00291302", "A")
    )
    assert _read(inner) == {
        "00290011": _lo("B"),
        "00290012": _lo("A"),
        "00291001": _lo(),
        "00291101": _lo(),
        "00291201": _lo(),
        "00291202": _lo(),
    }


@pytest.mark.parametrize(
    "attributes",
    [
        {"00290010": _lo("A"), "00290012": _lo("B"), "00291001": _lo(), "00291201": _lo()},
        {"00290010": _lo("A"), "00290011": _lo("A"), "00291001": _lo(), "00291101": _lo()},
        {"00290010": _lo("A"), "00290011": _lo("B"), "00291101": _lo()},
        {"00290010": _lo(" A\t"), "00291001": _lo()},
        {"00290010": {"vr": "LO"}, "00291001": _lo()},
        {"00290010": {"vr": "UN", "InlineBinary": "QQ=="}, "00291001": _lo()},
        {"00291001": _lo(), "00290001": _lo(), "00290F01": _lo()},
    ],
)
def test_blocks_that_would_not_be_assigned_again_are_written(attributes: JsonDataset) -> None:
    assert from_xml([to_xml(attributes)]) == attributes


def test_a_group_has_only_so_many_blocks() -> None:
    creators = [_private("00290001", f"C{number}") for number in range(241)]
    assert len(_read("".join(creators[:240]))) == 480
    with pytest.raises(MalformedContent, match="more private creators than a group has blocks"):
        _read("".join(creators))


# -------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        ("Secret", "the data set: text outside a value"),
        ("<Value/>", "the data set: an element that the Native DICOM Model does not have there"),
        ("<NativeDicomModel/>", "the data set: an element that"),
        ("<DicomAttribute/>", "the data set: an attribute without a tag"),
        ('<DicomAttribute tag="0x100010" vr="PN"/>', "the data set: an attribute without a tag"),
        ('<DicomAttribute tag="00091001"/>', "00091001: has no VR that exists"),
        ('<DicomAttribute tag="00091001" vr="XX"/>', "00091001: has no VR that exists"),
        (
            '<DicomAttribute tag="00091001" vr="LO">Secret</DicomAttribute>',
            "00091001: text outside",
        ),
        ('<DicomAttribute tag="00091001" vr="LO"><Item/></DicomAttribute>', "a Item in a VR"),
        ('<DicomAttribute tag="00091001" vr="OB"><Value/></DicomAttribute>', "a Value in a VR"),
        ('<DicomAttribute tag="00091001" vr="SQ"><Value/></DicomAttribute>', "a Value in a VR"),
        (
            '<DicomAttribute tag="00091001" vr="LO"><Value number="0"/></DicomAttribute>',
            "00091001: a number that is not the next",
        ),
        (
            '<DicomAttribute tag="00091001" vr="LO"><Value number="1"/><Value number="1"/>'
            "</DicomAttribute>",
            "00091001: a number that is not the next",
        ),
        (
            '<DicomAttribute tag="00091001" vr="LO"><Value number="9999999"/></DicomAttribute>',
            "00091001: more than 1000000 elements",
        ),
        (
            '<DicomAttribute tag="00091001" vr="OB"><BulkData/></DicomAttribute>',
            "00091001: a BulkData without a URI",
        ),
        (
            '<DicomAttribute tag="00091001" vr="OB"><BulkData uri="a"/><InlineBinary/>'
            "</DicomAttribute>",
            "00091001: more than one BulkData or InlineBinary",
        ),
        (
            '<DicomAttribute tag="00091001" vr="LO"/><DicomAttribute tag="00091001" vr="LO"/>',
            "00091001 is there more than once",
        ),
        (_private("00290001", "A") * 2, "a private element that is there more than once"),
        (
            '<DicomAttribute tag="00100010" vr="PN"><PersonName><Alphabetic><GivenName/>'
            "<FamilyName/></Alphabetic></PersonName></DicomAttribute>",
            "00100010: components of a name out of order",
        ),
        (
            '<DicomAttribute tag="00100010" vr="PN"><PersonName><Phonetic/><Phonetic/>'
            "</PersonName></DicomAttribute>",
            "00100010: a component group that is there more than once",
        ),
        ("</Secret>", "not XML: mismatched tag in line 1"),
        ("&secret;", "not XML: undefined entity"),
        ("\x00", "not XML: not well-formed (invalid token)"),
    ],
)
def test_what_is_no_native_dicom_model_is_refused_by_its_path(inner: str, message: str) -> None:
    with pytest.raises(MalformedContent) as refusal:
        _read(inner)
    assert message in str(refusal.value)
    assert "Secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("vr", "value", "message"),
    [
        *[(vr, "Secret", "no integer") for vr in ("US", "SS", "UL", "SL", "UV", "SV", "US or SS")],
        ("US", "1.2", "no integer"),
        *[(vr, "9" * 20, "no integer") for vr in ("US", "SL")],
        ("FD", "Secret", "no number"),
        ("FL", "1e400", "no number"),
        ("FD", "1_0", "no number"),
        ("FD", "9" * 2000, "no number"),
    ],
)
def test_a_value_that_its_vr_cannot_hold_is_left_for_the_encoder_to_refuse(
    vr: str, value: str, message: str
) -> None:
    inner = f'<DicomAttribute tag="00091001" vr="{vr}"><Value>{value}</Value></DicomAttribute>'
    dataset = _read(f'<DicomAttribute tag="00081115" vr="SQ"><Item>{inner}</Item></DicomAttribute>')

    assert dataset["00081115"]["Value"][0]["00091001"]["Value"] == [value]
    with pytest.raises(MalformedContent) as refusal:
        encode_dataset(dataset, {})
    assert str(refusal.value) == f"00081115/1/00091001: a value that is {message}"


@pytest.mark.parametrize(
    "text", [b"", b" ", b"<NativeDicomModel>", b"<Other/>", b"{}", b"<a/><b/>"]
)
def test_what_is_no_document_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedContent):
        from_xml([text])


@pytest.mark.parametrize(
    "declaration",
    [
        "<!DOCTYPE NativeDicomModel>",
        '<!DOCTYPE NativeDicomModel SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE n [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE n [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE n [<!ENTITY % p SYSTEM "http://127.0.0.1/"> %p;]>',
    ],
)
def test_document_types_and_entities_are_refused(declaration: str) -> None:
    with pytest.raises(MalformedContent, match="a document type or entities"):
        from_xml([_document("", declaration)])


@pytest.mark.parametrize(
    "encoding", ["nonesuch", "utf-7", "rot13", "zlib", "idna", "undefined", "gbk"]
)
def test_encodings_that_are_none_are_refused_or_read(encoding: str) -> None:
    document = _document("", f'<?xml version="1.0" encoding="{encoding}"?>')
    with contextlib.suppress(MalformedContent):
        assert from_xml([document]) == {}


def test_sequences_may_be_as_deep_as_the_walk_goes_and_no_deeper() -> None:
    attributes: JsonDataset = {}
    for _ in range(64):
        attributes = {"00081115": {"vr": "SQ", "Value": [attributes]}}
    text = to_xml(attributes)
    assert from_xml([text]) == attributes

    outer = '<DicomAttribute tag="00081115" vr="SQ"><Item>'
    inner = text.decode().partition('preserve">')[2].removesuffix("</NativeDicomModel>")
    with pytest.raises(MalformedContent, match="nested deeper than 64"):
        _read(f"{outer}{inner}</Item></DicomAttribute>")


def test_too_many_elements_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_xml, "MAX_ELEMENTS", 100)
    sequence = '<DicomAttribute tag="00081115" vr="SQ">{}</DicomAttribute>'
    assert _read(sequence.format("<Item/>" * 99))
    with pytest.raises(MalformedContent, match="more than 100 elements"):
        _read(sequence.format("<Item/>" * 100))


def test_a_document_beyond_the_limit_is_refused() -> None:
    document = _document("")
    assert from_xml([document], len(document)) == {}
    with pytest.raises(ContentTooLarge, match=f"more than {len(document) - 1} bytes"):
        from_xml([document], len(document) - 1)


@pytest.mark.parametrize("begin", ["<!-- ", '<DicomAttribute tag="', "<?", "<" + "a" * 9])
def test_a_tag_without_an_end_is_refused_before_it_is_read_over_and_over(begin: str) -> None:
    reader = NativeXmlReader()
    reader.feed(f"<NativeDicomModel>{begin}".encode())
    with pytest.raises(MalformedContent, match="a tag or comment of more than 1048576 bytes"):
        for _ in range(40):
            reader.feed(b"a" * 32768)


def test_a_long_value_is_read_in_pieces() -> None:
    text = "a & b \n" * 500_000
    found = from_xml([to_xml({"00091001": {"vr": "UT", "Value": [text]}})])
    assert found == {"00091001": {"vr": "UT", "Value": [text]}}
