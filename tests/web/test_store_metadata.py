"""STOW-RS with metadata and bulk data: which part belongs to which attribute, UIDs, text."""

import json
import socket
from typing import Any

import httpx
import pytest

from tests.make import ABSENT
from tests.make.posted import JSON, XML, Bulk, Part, native_xml, related
from tests.running import RunningServer
from tests.web.asking import FAILED, OTHER, REFERENCED, new_uid, reasons
from tests.web.posting import (
    OCTETS,
    metadata_of,
    octets,
    part,
    post_posted,
    posted_instance,
    retrieved,
    stored_paths,
)

PIXELS = bytes(range(64))
IMAGE = {
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "Rows": 8,
    "Columns": 8,
    "BitsAllocated": 8,
    "BitsStored": 8,
    "HighBit": 7,
    "PixelRepresentation": 0,
}


def image(uri: str = "pixels", **keywords: Any) -> dict[str, Any]:
    return posted_instance(**{**IMAGE, "PixelData": Bulk(uri, "OB"), **keywords})


# --- which part belongs to which attribute ----------------------------------------------------


@pytest.mark.parametrize("xml", [False, True])
@pytest.mark.parametrize(
    ("uri", "fields"),
    [
        ("https://elsewhere.example/a/b", {"Content-Location": "https://elsewhere.example/a/b"}),
        ("pixels", {"Content-Location": "pixels"}),
        ("pixels", {"content-location": "pixels"}),
        ("pixels", {"CONTENT-LOCATION": " pixels "}),
        ("/a/../pixels", {"Content-Location": "/pixels"}),
        ("cid:one@test", {"Content-ID": "<one@test>"}),
        ("cid:one@test", {"Content-ID": "one@test"}),
        ("CID:one%40test", {"content-id": "<one@test>"}),
        ("cid:a%20b", {"Content-ID": "<a b>"}),
        ("cid:one", {"Content-Location": "cid:one"}),
        ("urn:uuid:6ba7b810-9dad", {"Content-Location": "urn:uuid:6ba7b810-9dad"}),
        ("pixels?frame=1#x", {"Content-Location": "pixels?frame=1#x"}),
        ("ümlaut", {"Content-Location": "ümlaut"}),
    ],
)
def test_stow_11_a_part_is_found_by_its_location_or_its_id(
    http: httpx.Client, xml: bool, uri: str, fields: dict[str, str]
) -> None:
    bulk = ({"Content-Type": OCTETS, **fields}, PIXELS)
    answer = post_posted(http, [image(uri)], [bulk], xml=xml)

    assert answer.status_code == 200, answer.text
    assert retrieved(http, answer).PixelData == PIXELS


@pytest.mark.parametrize("absolute", ["uri", "location"])
def test_stow_11_relative_uris_are_resolved_against_the_request(
    http: httpx.Client, absolute: str
) -> None:
    study = new_uid()
    base = str(http.base_url).rstrip("/")
    for path, resolved in (("studies", f"{base}/p/1"), (f"studies/{study}", f"{base}/studies/p/1")):
        uri, location = ("p/1", resolved) if absolute == "location" else (resolved, "p/1")
        made = image(uri, StudyInstanceUID=study)
        named = study if path != "studies" else None
        answer = post_posted(http, [made], [octets(PIXELS, Content_Location=location)], study=named)
        assert answer.status_code == 200, answer.text
        assert retrieved(http, answer).PixelData == PIXELS


def test_a_location_as_written_goes_before_one_as_resolved(http: httpx.Client) -> None:
    base = str(http.base_url).rstrip("/")
    bulk = [
        octets(b"resolved", Content_Location=f"{base}/p"),
        octets(b"as it is", Content_Location="p"),
    ]
    made = posted_instance(EncapsulatedDocument=Bulk("p", "OB"))
    answer = post_posted(http, [made], bulk)

    assert retrieved(http, answer).EncapsulatedDocument == b"as it is"
    assert reasons(answer, OTHER) == [0xC000]


def test_parts_may_come_before_the_metadata_and_name_no_type(http: httpx.Client) -> None:
    parts: list[Part] = [
        octets(PIXELS, Content_Location="other"),
        ({"Content-Location": "pixels"}, PIXELS),
        ({"Content-Type": JSON}, json.dumps([image(), image("other")]).encode()),
    ]
    body, content_type = related(parts)
    answer = http.post("studies", content=body, headers={"Content-Type": content_type})

    assert answer.status_code == 200, answer.text
    assert len(stored_paths(answer)) == 2


@pytest.mark.parametrize("root", [JSON, XML])
def test_several_parts_of_metadata_of_both_kinds(http: httpx.Client, root: str) -> None:
    made = [image(f"p{number}") for number in range(5)]
    parts: list[Part] = [
        ({"Content-Type": JSON}, json.dumps(made[:2]).encode()),
        octets(PIXELS, Content_Location="p0"),
        ({"Content-Type": XML}, native_xml(made[2])),
        ({"Content-Type": f"{JSON}; charset=utf-8"}, json.dumps(made[3]).encode()),
        ({"Content-Type": "Application/DICOM+XML"}, native_xml(made[4])),
        *(octets(PIXELS, Content_Location=f"p{number}") for number in range(1, 5)),
    ]
    body, content_type = related(parts, root, more='; start="<a>"; start-info="b"; charset=x')
    answer = http.post("studies", content=body, headers={"Content-Type": content_type})

    assert answer.status_code == 200, answer.text
    assert len(stored_paths(answer)) == 5


@pytest.mark.parametrize("root", [JSON, XML])
def test_stow_03_metadata_without_a_type_is_of_that_of_the_message(
    http: httpx.Client, root: str
) -> None:
    made = posted_instance()
    content = native_xml(made) if root == XML else json.dumps([made]).encode()
    for content_type in (root, None):
        body, kind = related([({}, content)], root)
        kind = kind if content_type is None else f"{content_type}; charset=utf-8"
        body = body if content_type is None else content
        answer = http.post("studies", content=body, headers={"Content-Type": kind})
        assert answer.status_code == 200, answer.text


def test_mp_04_start_names_the_metadata_wherever_it_is(http: httpx.Client) -> None:
    parts: list[Part] = [
        octets(PIXELS, Content_ID="<p>"),
        ({"Content-ID": "<root>"}, json.dumps([image("cid:p")]).encode()),
    ]
    body, content_type = related(parts, more='; start="<root>"')
    answer = http.post("studies", content=body, headers={"Content-Type": content_type})

    assert answer.status_code == 200, answer.text
    assert retrieved(http, answer).PixelData == PIXELS


@pytest.mark.parametrize("root", [JSON, XML])
@pytest.mark.parametrize("fields", [{"Content-ID": "<root>"}, {"Content-Location": "root"}])
def test_mp_04_without_start_the_first_part_is_the_metadata(
    http: httpx.Client, root: str, fields: dict[str, str]
) -> None:
    """RFC 2387 §3.2: and its type is that of the message, where it names none."""
    made = image("cid:p")
    content = native_xml(made) if root == XML else json.dumps([made]).encode()
    parts: list[Part] = [(fields, content), ({"Content-ID": "<p>"}, PIXELS)]
    body, content_type = related(parts, root)
    answer = http.post("studies", content=body, headers={"Content-Type": content_type})

    assert answer.status_code == 200, answer.text
    assert retrieved(http, answer).PixelData == PIXELS


@pytest.mark.parametrize("xml", [False, True])
def test_stow_11_without_its_part_an_instance_fails_alone(http: httpx.Client, xml: bool) -> None:
    whole, without = image("here"), image("missing")
    answer = post_posted(http, [without, whole], [octets(PIXELS, Content_Location="here")], xml=xml)

    assert answer.status_code == 202
    assert reasons(answer) == [0xC000]
    [failure] = answer.json()[FAILED]["Value"]
    assert failure["00081155"]["Value"] == without["00080018"]["Value"]
    assert failure["00081150"]["Value"] == without["00080016"]["Value"]
    assert stored_paths(answer)[0].endswith(whole["00080018"]["Value"][0])
    assert post_posted(http, [without], xml=xml).status_code == 409


def test_a_part_that_nothing_refers_to_is_told(http: httpx.Client) -> None:
    bulk = [octets(PIXELS, Content_Location=name) for name in ("pixels", "other")]
    answer = post_posted(http, [image()], [*bulk, octets(PIXELS), part("text/plain", b"hello")])

    assert answer.status_code == 202
    assert len(stored_paths(answer)) == 1
    assert reasons(answer, OTHER) == [0xC000] * 3


def test_one_part_may_be_of_several_instances(http: httpx.Client) -> None:
    answer = post_posted(http, [image(), image()], [octets(PIXELS, Content_Location="pixels")])

    assert answer.status_code == 200
    for path in stored_paths(answer):
        assert http.get(f"{path}/frames/1", headers={"Accept": OCTETS}).content == PIXELS


def test_values_in_items_are_bulk_data_too(http: httpx.Client) -> None:
    item = {"00420011": {"vr": "OB", "BulkDataURI": "a"}, "00281201": {"vr": "OW"}}
    nested = {"00081140": {"vr": "SQ", "Value": [{"00081140": {"vr": "SQ", "Value": [item]}}]}}
    for xml in (False, True):
        made = dict(sorted((posted_instance() | nested).items()))
        answer = post_posted(http, [made], [octets(b"abc", Content_Location="a")], xml=xml)
        assert answer.status_code == 200, answer.text
        sequence = retrieved(http, answer)[0x00081140]
        assert sequence.value[0][0x00081140].value[0].EncapsulatedDocument == b"abc\0"


@pytest.mark.parametrize("vr", ["UT", "LT", "ST", "UC", "FD", "FL", "DS", "IS", "US", "UN", "OV"])
def test_stow_13_octets_are_the_value_of_any_vr_little_endian(http: httpx.Client, vr: str) -> None:
    content = "1\\2 äß".encode() if vr in ("UT", "LT", "ST", "UC") else b"12345678"
    made = posted_instance() | {
        "00090010": {"vr": "LO", "Value": ["TEST"]},
        "00091001": {"vr": vr, "BulkDataURI": "value"},
    }
    answer = post_posted(http, [made], [octets(content, Content_Location="value")])
    assert answer.status_code == 200, answer.text
    element = retrieved(http, answer).get_item(0x00091001)
    assert vr == element.VR
    assert element.value.rstrip() == content


def test_stow_12_nothing_is_ever_fetched(http: httpx.Client, server: RunningServer) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0.5)
        uris = [
            f"http://127.0.0.1:{listener.getsockname()[1]}/pixels",
            f"//127.0.0.1:{listener.getsockname()[1]}/pixels",
            "http://169.254.169.254/latest/meta-data/",
            "file:///etc/passwd",
            "/etc/passwd",
            "../../../../etc/passwd",
            "http://[",
            "data:application/octet-stream;base64,AAAA",
            "",
            "x" * 5000,
        ]
        for xml in (False, True):
            made = [image(uri) for uri in uris if uri or not xml]
            answer = post_posted(http, made, xml=xml)
            assert answer.status_code == 409
            assert reasons(answer) == [0xC000] * len(made)
            assert "root:" not in answer.text
        with pytest.raises(TimeoutError):
            listener.accept()


def test_stow_12_a_uri_of_our_own_is_not_resolved_either(http: httpx.Client) -> None:
    bulk = [octets(PIXELS, Content_Location="pixels")]
    [path] = stored_paths(post_posted(http, [image()], bulk))
    uri = f"{path}/bulkdata/7FE00010"
    assert http.get(uri, headers={"Accept": OCTETS}).content == PIXELS

    answer = post_posted(http, [image(uri)])
    assert answer.status_code == 409
    assert reasons(answer) == [0xC000]


# --- UIDs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("xml", [False, True])
@pytest.mark.parametrize("absent", [ABSENT, ""])
def test_stow_17_missing_uids_are_generated_and_told(
    http: httpx.Client, xml: bool, absent: object
) -> None:
    missing = dict.fromkeys(("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"), absent)
    made = [image(**missing), image(**missing)]
    answer = post_posted(http, made, [octets(PIXELS, Content_Location="pixels")], xml=xml)

    assert answer.status_code == 200, answer.text
    paths = stored_paths(answer)
    assert len(set(paths)) == 2
    assert len({path.rpartition("/instances/")[0] for path in paths}) == 1  # of one series
    items = answer.json()[REFERENCED]["Value"]
    for path, item in zip(paths, items, strict=True):
        [uid] = item["00081155"]["Value"]
        assert uid.startswith("2.25.")
        assert path.endswith(uid)
        assert metadata_of(http, path)["00080018"]["Value"] == [uid]
    assert answer.headers["location"] == paths[0].partition("/series/")[0]


NO_UIDS = dict.fromkeys(("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"), ABSENT)


def places(answer: httpx.Response) -> list[tuple[str, str]]:
    """Study and Series Instance UIDs of what is stored, in the order of the request."""
    steps = [path.split("/") for path in stored_paths(answer)]
    return [(each[each.index("studies") + 1], each[each.index("series") + 1]) for each in steps]


@pytest.mark.parametrize("xml", [False, True])
def test_stow_17_two_patients_are_never_of_one_study(http: httpx.Client, xml: bool) -> None:
    patients: list[dict[str, Any]] = [
        {"PatientID": "1"},
        {"PatientID": "2"},
        {"PatientID": "1"},
        {"PatientID": "1", "IssuerOfPatientID": "elsewhere"},
        {"PatientID": ""},
        {"PatientID": ""},
        {"PatientID": ABSENT},
    ]
    answer = post_posted(http, [posted_instance(**NO_UIDS, **each) for each in patients], xml=xml)

    found = places(answer)
    assert len(found) == 7
    assert found[0] == found[2]
    assert len({study for study, _ in found}) == len({series for _, series in found}) == 6


def test_stow_17_one_patient_is_of_one_study_with_a_series_for_each_modality(
    http: httpx.Client,
) -> None:
    kinds = [("CT", 1), ("SR", 1), ("CT", 1), ("CT", 2)]
    made = [posted_instance(**NO_UIDS, Modality=kind, SeriesNumber=n) for kind, n in kinds]
    found = places(post_posted(http, made))

    assert len({study for study, _ in found}) == 1
    assert found[0] == found[2]
    assert len({series for _, series in found}) == 3


def test_stow_17_a_generated_series_is_of_one_study(http: httpx.Client) -> None:
    one, other, absent = new_uid(), new_uid(), {**NO_UIDS}
    del absent["StudyInstanceUID"]
    made = [posted_instance(StudyInstanceUID=uid, **absent) for uid in (one, other, one)]
    found = places(post_posted(http, made))

    assert [study for study, _ in found] == [one, other, one]
    assert found[0] == found[2]
    assert found[0][1] != found[1][1]

    both = [posted_instance(StudyInstanceUID=uid, **absent) for uid in (one, ABSENT)]
    assert len(set(places(post_posted(http, both, study=one)))) == 1


def test_stow_17_the_study_of_the_url_is_that_of_what_names_none(http: httpx.Client) -> None:
    study = new_uid()
    made = [posted_instance(StudyInstanceUID=value) for value in (ABSENT, study, new_uid())]
    answer = post_posted(http, made, study=study)

    assert answer.status_code == 202
    assert [f"/studies/{study}/" in path for path in stored_paths(answer)] == [True, True]
    assert reasons(answer) == [0xA901]


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
@pytest.mark.parametrize("value", ["1.2.../etc", "../../etc", "1." + "2" * 63, "abc", "1..2"])
def test_stow_18_malformed_uids_are_refused(http: httpx.Client, keyword: str, value: str) -> None:
    answer = post_posted(http, [posted_instance(**{keyword: value})])
    assert answer.status_code == 409
    assert reasons(answer) + reasons(answer, OTHER) == [0x0117]
    assert "etc" not in answer.text


@pytest.mark.parametrize("value", [[1], [{}], [[]], {}, "1.2", 5, [True]], ids=str)
def test_uids_that_are_no_text_are_refused(http: httpx.Client, value: object) -> None:
    for tag in ("00080016", "00080018", "0020000D", "0020000E"):
        answer = post_posted(http, [posted_instance() | {tag: {"vr": "UI", "Value": value}}])
        assert answer.status_code == 409, answer.text
        assert reasons(answer) + reasons(answer, OTHER) in ([0x0117], [0xC000])


@pytest.mark.parametrize("value", [ABSENT, ""])
def test_stow_18_a_sop_class_is_not_generated(http: httpx.Client, value: object) -> None:
    answer = post_posted(http, [posted_instance(SOPClassUID=value)])
    assert answer.status_code == 409
    assert reasons(answer) == [0x0117]


def test_stow_20_the_same_again_is_a_success_and_another_is_refused(http: httpx.Client) -> None:
    made = image()
    bulk = [octets(PIXELS, Content_Location="pixels")]
    assert post_posted(http, [made], bulk).status_code == 200
    assert post_posted(http, [made, made], bulk, xml=True).status_code == 200
    other = post_posted(http, [made], [octets(PIXELS[::-1], Content_Location="pixels")])
    assert other.status_code == 409
    assert reasons(other) == [0x0111]


def test_trap_53_two_data_sets_of_one_uid_are_judged_one_by_one(http: httpx.Client) -> None:
    one = posted_instance()
    other = one | {"00100020": {"vr": "LO", "Value": ["P2"]}}
    answer = post_posted(http, [one, other])
    assert answer.status_code == 202
    assert len(stored_paths(answer)) == 1
    assert reasons(answer) == [0x0111]


# --- attributes -------------------------------------------------------------------------------


@pytest.mark.parametrize("xml", [False, True])
def test_trap_39_what_only_answers_have_is_left_out(http: httpx.Client, xml: bool) -> None:
    extra: dict[str, Any] = {
        "00020010": {"vr": "UI", "Value": ["1.2.840.10008.1.2.4.50"]},
        "00080000": {"vr": "UL", "Value": [5]},
        "00080054": {"vr": "AE", "Value": ["AE"]},
        "00080056": {"vr": "CS", "Value": ["ONLINE"]},
        "00080061": {"vr": "CS", "Value": ["CT"]},
        "00080062": {"vr": "UI", "Value": ["1.2"]},
        "00081190": {"vr": "UR", "Value": ["http://x/"]},
        "00083002": {"vr": "UI", "Value": ["1.2.840.10008.1.2.4.50"]},
        "00201206": {"vr": "IS", "Value": [1]},
        "00201208": {"vr": "IS", "Value": [1]},
        "00201209": {"vr": "IS", "Value": [1]},
    }
    answer = post_posted(http, [dict(sorted((posted_instance() | extra).items()))], xml=xml)
    assert answer.status_code == 200, answer.text
    dataset = retrieved(http, answer)
    assert not [tag for tag in extra if int(tag, 16) in dataset]
    assert dataset.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    [url] = stored_paths(answer)
    assert metadata_of(http, url)["00083002"]["Value"] == ["1.2.840.10008.1.2.1"]
