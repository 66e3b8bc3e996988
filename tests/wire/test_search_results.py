"""Search results (digest 4.1, 4.4; QRY-20 to 26, traps 46 and 47)."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import DicomDictionary

from dicomweb_server.dicom.attributes import ATTRIBUTES
from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.packing import pack_document, pack_metadata, unpack_document
from dicomweb_server.dicom.query import Found, Level, SearchQuery
from dicomweb_server.dicom.search_document import document_of, line_of
from dicomweb_server.recent import RecentBytes
from dicomweb_server.wire import search_results
from dicomweb_server.wire.search import parse_search
from dicomweb_server.wire.search_results import ResultWriter, remaining_text, warning

BASE = "http://h:8080/dicomweb"
STUDY, SERIES, INSTANCE = "1.2", "1.2.3", "1.2.3.4"

REQUESTS: dict[str, Any] = {
    "vr": "SQ",
    "Value": [
        {
            "00321060": {"vr": "LO", "Value": ["Head"]},
            "00400007": {"vr": "LO", "Value": ["CT head"]},
            "00400009": {"vr": "SH", "Value": ["S1"]},
        }
    ],
}
STUDY_JSON: JsonDataset = {
    "00080020": {"vr": "DA", "Value": ["20060705"]},
    "00081030": {"vr": "LO", "Value": ["Head"]},
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "DOE^JOHN"}]},
    "00100020": {"vr": "LO", "Value": ["P1"]},
    "0020000D": {"vr": "UI", "Value": [STUDY]},
}
SERIES_JSON: JsonDataset = {
    "00080060": {"vr": "CS", "Value": ["CT"]},
    "0008103E": {"vr": "LO", "Value": ["Axial"]},
    "00081010": {"vr": "SH", "Value": ["CT01"]},
    "0020000E": {"vr": "UI", "Value": [SERIES]},
    "00400275": REQUESTS,
}
INSTANCE_JSON: JsonDataset = {
    "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]},
    "00080018": {"vr": "UI", "Value": [INSTANCE]},
    "00200013": {"vr": "IS", "Value": [7]},
    "00280010": {"vr": "US", "Value": [512]},
}


METADATA: JsonDataset = {
    **INSTANCE_JSON,
    "00090010": {"vr": "LO", "Value": ["OTHER"]},
    "00090011": {"vr": "LO", "Value": ["ACME"]},
    "00091002": {"vr": "LO", "Value": ["not theirs"]},
    "00091102": {"vr": "LO", "Value": ["theirs"]},
    "00189004": {"vr": "CS", "Value": ["PRODUCT"]},
    "00081140": {
        "vr": "SQ",
        "Value": [{"00081150": {"vr": "UI"}, "00081155": {"vr": "UI", "Value": ["1.9"]}}],
    },
    "7FE00010": {"vr": "OW", "BulkDataURI": "\x01/7FE00010"},
}


def found(
    level: Level,
    study: JsonDataset = STUDY_JSON,
    syntax: str = "1.2.840.10008.1.2.4.80",
) -> Found:
    documents = {Level.STUDY: pack_document(document_of(study))}
    below: dict[str, Any] = {}
    if level >= Level.SERIES:
        documents[Level.SERIES] = pack_document(document_of(SERIES_JSON))
        below |= {"series_instance_uid": SERIES, "number_of_series_related_instances": 30}
    if level >= Level.INSTANCE:
        documents[Level.INSTANCE] = pack_document(document_of(INSTANCE_JSON))
        text = json.dumps(METADATA).encode().replace(rb"\u0001", b"\x01")
        below |= {
            "sop_instance_uid": INSTANCE,
            "transfer_syntax_uid": syntax,
            "metadata": pack_metadata(text),
        }
    return Found(
        STUDY,
        place=(),
        documents=documents,
        modalities_in_study=("MR", "CT", ""),
        sop_classes_in_study=("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"),
        number_of_study_related_series=2,
        number_of_study_related_instances=40,
        **below,
    )


def write(query: SearchQuery, what: Found) -> JsonDataset:
    """A result, of which no attribute may be there twice."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    written: JsonDataset = json.loads(ResultWriter(query, BASE).write(what), object_pairs_hook=once)
    return written


def result(level: Level, query_string: str = "", **fixed: str) -> JsonDataset:
    return write(parse_search(level, query_string, **fixed).query, found(level))


def required(level: Level) -> set[str]:
    return {a.key for a in ATTRIBUTES[level].values() if a.always}


def test_a_study_without_any_modality_has_no_list_of_them() -> None:
    """OHIF shows no studies at all where that of one is empty."""
    query = parse_search(Level.STUDY, "").query
    for none in ((), ("",)):
        assert "00080061" not in write(query, replace(found(Level.STUDY), modalities_in_study=none))


def test_a_study_has_all_required_attributes_and_what_is_computed() -> None:
    study = result(Level.STUDY)

    assert set(study) == required(Level.STUDY) | {"00080056", "00081190"}
    assert study["00080056"]["Value"] == ["ONLINE"]
    assert study["00080061"] == {"vr": "CS", "Value": ["CT", "MR"]}
    assert study["00081190"] == {"vr": "UR", "Value": [f"{BASE}/studies/{STUDY}"]}
    assert study["00100010"] == STUDY_JSON["00100010"]
    assert study["00201206"] == {"vr": "IS", "Value": [2]}
    assert study["00201208"] == {"vr": "IS", "Value": [40]}


def test_qry_26_what_is_unknown_has_its_vr_only() -> None:
    assert result(Level.STUDY)["00100030"] == {"vr": "DA"}


def test_attributes_ascend() -> None:
    assert list(result(Level.INSTANCE)) == sorted(result(Level.INSTANCE))


def test_qry_25_a_series_of_a_study_has_its_own_attributes_and_the_parents_uid() -> None:
    series = result(Level.SERIES, study_instance_uid=STUDY)

    assert set(series) == required(Level.SERIES) | {"0020000D", "0008103E", "00400275"}
    assert series["00081190"]["Value"] == [f"{BASE}/studies/{STUDY}/series/{SERIES}"]
    assert series["00201209"]["Value"] == [30]


def test_a_series_of_all_has_the_study_attributes_too() -> None:
    series = result(Level.SERIES)

    assert set(series) >= required(Level.STUDY) | required(Level.SERIES)
    assert series["00081190"]["Value"] == [f"{BASE}/studies/{STUDY}/series/{SERIES}"]


def test_instances_by_resource() -> None:
    of_series = result(Level.INSTANCE, study_instance_uid=STUDY, series_instance_uid=SERIES)
    of_study = result(Level.INSTANCE, study_instance_uid=STUDY)
    of_all = result(Level.INSTANCE)

    computed_or_known = {"00080056", "00083002", "00280010"}
    assert set(of_series) == required(Level.INSTANCE) | computed_or_known | {"0020000D", "0020000E"}
    assert set(of_study) == set(of_series) | required(Level.SERIES) | {"0008103E", "00400275"}
    assert set(of_all) >= set(of_study) | required(Level.STUDY)
    url = f"{BASE}/studies/{STUDY}/series/{SERIES}/instances/{INSTANCE}"
    assert {each["00081190"]["Value"][0] for each in (of_series, of_study, of_all)} == {url}


def test_the_available_transfer_syntax_is_one_that_can_be_sent() -> None:
    query = parse_search(Level.INSTANCE, "").query
    implicit = found(Level.INSTANCE, syntax="1.2.840.10008.1.2")

    assert result(Level.INSTANCE)["00083002"]["Value"] == ["1.2.840.10008.1.2.4.80"]
    assert write(query, implicit)["00083002"]["Value"] == ["1.2.840.10008.1.2.1"]


@pytest.mark.parametrize("name", ["00020010", "TransferSyntaxUID"])
def test_qry_20_the_transfer_syntax_is_returned_to_who_names_it(name: str) -> None:
    """As Google's toolkit for slides does; nobody else gets anything of group 0002 (JSN-03)."""
    query = parse_search(Level.INSTANCE, f"includefield={name}").query
    implicit = found(Level.INSTANCE, syntax="1.2.840.10008.1.2")

    assert result(Level.INSTANCE, f"includefield={name}")["00020010"] == {
        "vr": "UI",
        "Value": ["1.2.840.10008.1.2.4.80"],
    }
    assert write(query, implicit)["00020010"]["Value"] == ["1.2.840.10008.1.2.1"]
    assert not ResultWriter(query, BASE).returned.metadata
    assert "00020010" not in result(Level.INSTANCE, "includefield=all")
    assert "00020010" not in result(Level.STUDY, f"includefield={name}")


def test_match_keys_are_returned_with_their_stored_value() -> None:  # QRY-13, QRY-22
    study = result(Level.STUDY, "StudyDescription=He*&IssuerOfPatientID=")

    assert study["00081030"] == STUDY_JSON["00081030"]
    assert study["00100021"] == {"vr": "LO"}


def test_qry_20_includes_of_lower_levels_are_left_out() -> None:
    assert "00080060" not in result(Level.STUDY, "includefield=00080060,00081030")
    assert "00081030" in result(Level.STUDY, "includefield=00080060,00081030")


def test_qry_20_includes_of_higher_levels_are_returned() -> None:
    series = result(
        Level.SERIES,
        "includefield=PatientName,NumberOfStudyRelatedSeries,PatientSex",
        study_instance_uid=STUDY,
    )

    assert series["00100010"] == STUDY_JSON["00100010"]
    assert series["00201206"]["Value"] == [2]
    assert series["00100040"] == {"vr": "CS"}
    assert "00100020" not in series


def test_qry_21_all_is_what_is_kept_of_the_returned_levels() -> None:
    series = result(Level.SERIES, "includefield=all", study_instance_uid=STUDY)

    assert set(series) >= set(SERIES_JSON)
    assert "00081030" not in series
    assert series["00400275"] == REQUESTS


def test_qry_23_sequences_are_returned_as_far_as_they_are_asked_for() -> None:
    def items(query_string: str) -> list[set[str]]:
        value = result(Level.SERIES, query_string)["00400275"]
        return [set(item) for item in value["Value"]]

    default = {"00400009", "00401001"}
    assert items("") == [default]
    assert items("RequestAttributesSequence=") == [default]
    assert items("RequestAttributesSequence.00400009=S1") == [default]
    assert items("RequestAttributesSequence.00080050=A1") == [default]  # none in this item
    assert items("includefield=RequestAttributesSequence.00400007") == [default | {"00400007"}]
    assert items("includefield=RequestAttributesSequence") == [set(REQUESTS["Value"][0])]
    assert result(Level.SERIES)["00400275"]["Value"][0]["00401001"] == {"vr": "SH"}


def test_what_is_kept_at_no_level_comes_from_the_metadata() -> None:
    fields = "includefield=PulseSequenceName,00189004,ReferencedImageSequence.00081155,PixelData"
    instance = result(Level.INSTANCE, fields)

    assert instance["00189004"] == METADATA["00189004"]
    assert instance["00081140"]["Value"] == [{"00081155": {"vr": "UI", "Value": ["1.9"]}}]
    url = f"{BASE}/studies/{STUDY}/series/{SERIES}/instances/{INSTANCE}/bulkdata/7FE00010"
    assert instance["7FE00010"] == {"vr": "OW", "BulkDataURI": url}
    assert "00189005" not in instance
    assert "00189004" not in result(Level.SERIES, fields)  # QRY-20
    assert "00189004" not in result(Level.INSTANCE, "includefield=all")  # QRY-21


def test_a_deep_match_key_asks_for_its_path_alone() -> None:
    inner = {"00080100": {"vr": "SH", "Value": ["mm"]}, "00080104": {"vr": "LO", "Value": ["x"]}}
    sequence = {"vr": "SQ", "Value": [{"00081110": {"vr": "SQ", "Value": [inner]}}]}
    study = STUDY_JSON | {"00101002": sequence}
    query = parse_search(Level.STUDY, "00101002.00081110.00080100=mm").query

    [item] = write(query, found(Level.STUDY, study))["00101002"]["Value"]

    assert item["00081110"]["Value"] == [{"00080100": inner["00080100"]}]


def test_a_private_creator_has_no_creator_of_its_own() -> None:
    found = result(Level.INSTANCE, "00090010=ACME&00091002=")
    assert "00090010" in found or "00090011" in found
    assert not [key for key in found if key.endswith("0000")]  # JSN-03: no group lengths


def test_a_private_attribute_comes_with_its_creator_from_the_block_of_its_own() -> None:
    private = result(Level.INSTANCE, "00090010=ACME&includefield=00091002")

    assert private["00091102"]["Value"] == ["theirs"]
    assert private["00090011"]["Value"] == ["ACME"]
    assert "00091002" not in private


def test_sop_classes_in_study_are_returned_where_they_are_asked_for() -> None:
    assert "00080062" not in result(Level.STUDY)
    for asked in ("includefield=all", "includefield=00080062", "SOPClassesInStudy="):
        assert len(result(Level.STUDY, asked)["00080062"]["Value"]) == 2


def test_only_what_is_returned_has_to_be_fetched() -> None:
    def returned(level: Level, query_string: str = "", **fixed: str) -> Any:
        return ResultWriter(parse_search(level, query_string, **fixed).query, BASE).returned

    every = frozenset(Level)
    of_series = {"study_instance_uid": STUDY, "series_instance_uid": SERIES}
    assert returned(Level.INSTANCE).documents == every
    assert returned(Level.INSTANCE, **of_series).documents == {Level.INSTANCE}
    asked = returned(Level.INSTANCE, "includefield=PatientID", **of_series)
    assert asked.documents == {Level.INSTANCE, Level.STUDY}
    assert not returned(Level.INSTANCE, "includefield=all").metadata
    assert returned(Level.INSTANCE, "PulseSequenceName=*").metadata
    assert not returned(Level.STUDY, "PulseSequenceName=*").metadata
    assert returned(Level.STUDY, "includefield=SOPClassesInStudy").sop_classes


def test_4_7_what_remains_is_told_exactly_or_as_the_least() -> None:
    assert remaining_text(12) == "There are 12 additional results that can be requested"
    assert remaining_text(10000, exact=False) == (
        "There are more than 10000 additional results that can be requested"
    )
    assert remaining_text(0, exact=False).startswith("There may be additional results")


def test_the_time_zone_is_returned_at_every_level_if_known() -> None:
    """Each entity's own, where the instances of a study differ."""
    zones = dict(zip(Level, ("+0100", "+0200", "+0300"), strict=True))
    for level, zone in zones.items():
        entity = found(level)
        documents = {
            each: pack_document(
                unpack_document(packed)
                + b"\n"
                + line_of("00080201", {"vr": "SH", "Value": [zones[each]]})
            )
            for each, packed in entity.documents.items()
        }
        query = parse_search(level, "", study_instance_uid=STUDY).query
        answer = write(query, replace(entity, documents=documents))

        assert answer["00080201"]["Value"] == [zone]


def test_jsn_31_the_character_set_is_named_when_text_is_not_ascii() -> None:
    study = STUDY_JSON | {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Müller"}]}}
    query = parse_search(Level.STUDY, "").query

    answer = write(query, found(Level.STUDY, study))

    assert answer["00080005"] == {"vr": "CS", "Value": ["ISO_IR 192"]}
    assert next(iter(answer)) == "00080005"
    assert "00080005" not in result(Level.STUDY)


def test_wrn_01_warnings_are_one_line_of_ascii() -> None:
    assert warning(BASE, remaining_text(12)) == (
        f"299 {BASE}: There are 12 additional results that can be requested"
    )
    assert warning(BASE, "a\r\nX: é") == f"299 {BASE}: a  X: ?"


includes = st.lists(
    st.sampled_from(
        [a.keyword for table in ATTRIBUTES.values() for a in table.values()]
        + ["all", "RequestAttributesSequence.00400007", "00400275.00081110.00081155"]
    ),
    max_size=5,
)


@given(includes, st.sampled_from(Level), st.booleans())
def test_any_includes_add_and_never_take_away(names: list[str], level: Level, fix: bool) -> None:
    fixed = {"study_instance_uid": STUDY} if fix and level > Level.STUDY else {}

    plain = result(level, **fixed)
    answer = result(level, "includefield=" + ",".join(names), **fixed)

    assert {key: value for key, value in answer.items() if key in plain and key != "00400275"} == {
        key: value for key, value in plain.items() if key != "00400275"
    }
    assert list(answer) == sorted(answer)


def test_what_is_written_again_is_written_as_what_was_found_now() -> None:
    """Results that were written are kept: whatever they are made of tells them apart."""
    first = found(Level.INSTANCE)
    others = [
        replace(first, study_instance_uid="1.9"),
        replace(first, series_instance_uid="1.9"),
        replace(first, sop_instance_uid="1.9"),
        replace(first, modalities_in_study=("US",)),
        replace(first, number_of_study_related_series=9),
        replace(first, number_of_study_related_instances=9),
        replace(first, number_of_series_related_instances=9),
        replace(first, transfer_syntax_uid="1.2.840.10008.1.2.4.70"),
        replace(first, sop_classes_in_study=("1.9",)),
    ]
    for level in Level:
        changed = pack_document(line_of("00081030", {"vr": "LO", "Value": ["Other"]}))
        others.append(replace(first, documents={**first.documents, level: changed}))
    query = parse_search(Level.INSTANCE, "includefield=all").query
    written = [ResultWriter(query, BASE).write(each) for each in [first, *others]]

    assert len(set(written)) == len(written)
    assert [ResultWriter(query, BASE).write(each) for each in [first, *others]] == written


@pytest.mark.parametrize(
    "asked",
    [
        "includefield=all",
        "includefield=GantryID",
        "GantryID=",
        "includefield=RequestAttributesSequence",
    ],
)
def test_what_is_written_again_is_written_as_it_is_asked_for_now(asked: str) -> None:
    plain = write(parse_search(Level.SERIES, "").query, found(Level.SERIES))
    of_study = parse_search(Level.SERIES, "", study_instance_uid=STUDY).query

    assert write(parse_search(Level.SERIES, asked).query, found(Level.SERIES)) != plain
    assert write(of_study, found(Level.SERIES)) != plain
    elsewhere = ResultWriter(parse_search(Level.SERIES, "").query, "https://elsewhere")
    assert b"https://elsewhere/studies" in elsewhere.write(found(Level.SERIES))
    assert write(parse_search(Level.SERIES, "").query, found(Level.SERIES)) == plain


def test_what_was_asked_at_length_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each text would keep the query."""
    monkeypatch.setattr(search_results, "_WRITTEN", RecentBytes(8 << 20, largest=64 << 10))
    items = ",".join(f"00400275.{tag:08X}" for tag in sorted(DicomDictionary)[500:800])
    queries = ["", f"includefield={items}"]
    sizes = []
    for query_string in queries:
        write(parse_search(Level.SERIES, query_string).query, found(Level.SERIES))
        sizes.append(search_results._WRITTEN.size)
    assert 0 < sizes[0] == sizes[1]
