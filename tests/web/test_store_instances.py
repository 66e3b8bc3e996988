"""STOW-RS: what may be posted, what is answered, and what is there afterwards."""

from io import BytesIO

import httpx
import pytest
from pydicom import dcmread

from tests.make import ABSENT, instance_with, multipart_body, small_image, sr_document
from tests.web.asking import (
    DICOM,
    FAILED,
    OTHER,
    REFERENCED,
    assert_problem,
    new_uid,
    parts_of,
    path_of,
    post,
    reasons,
    store,
)


def stored_bytes(http: httpx.Client, path: str) -> bytes:
    response = http.get(path, headers={"Accept": f"{DICOM}; transfer-syntax=*"})
    assert response.status_code == 200
    return response.content


def one(**keywords: object) -> bytes:
    defaults = {
        "StudyInstanceUID": new_uid(),
        "SeriesInstanceUID": new_uid(),
        "SOPInstanceUID": new_uid(),
    }
    return instance_with(**{**defaults, **keywords})


def test_stow_19_what_is_wrong_is_stored_with_a_warning_and_listed(http: httpx.Client) -> None:
    file = one(Modality=ABSENT, PatientID=ABSENT, ContentDate=None)
    response = post(http, [file])

    assert response.status_code == 202
    [item] = response.json()[REFERENCED]["Value"]
    assert item["00081196"]["Value"] == [0xB007]
    comments = [each["00000902"]["Value"][0] for each in item["00741048"]["Value"]]
    assert comments == [
        "(0008,0023) Content Date is empty (Type 1)",
        "(0008,0060) Modality is missing (Type 1)",
        "(0010,0020) Patient ID is missing (Type 2)",
    ]
    assert stored_bytes(http, path_of(dcmread(BytesIO(file)))) == file


def test_an_instance_is_stored_and_comes_back_byte_for_byte(http: httpx.Client) -> None:
    file = one()
    response = post(http, [file])

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/dicom+json"
    dataset = dcmread(BytesIO(file))
    module = response.json()
    [item] = module[REFERENCED]["Value"]
    assert item["00081150"]["Value"] == [dataset.SOPClassUID]
    assert item["00081155"]["Value"] == [dataset.SOPInstanceUID]
    assert item["00081190"]["Value"] == [f"{str(http.base_url).rstrip('/')}/{path_of(dataset)}"]
    assert module["00081190"]["Value"] == [response.headers["location"]]
    assert FAILED not in module and OTHER not in module  # STOW-30
    assert stored_bytes(http, path_of(dataset)) == file


def test_a_single_part_is_taken_too(http: httpx.Client) -> None:
    file = one()
    response = http.post("studies", content=file, headers={"Content-Type": DICOM})

    assert response.status_code == 200
    assert stored_bytes(http, path_of(dcmread(BytesIO(file)))) == file


def test_stow_20_a_retry_is_a_success(http: httpx.Client) -> None:
    file = one()
    first, second = post(http, [file]), post(http, [file])

    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()


def test_stow_20_the_same_data_set_under_other_file_meta_is_the_same_instance(
    http: httpx.Client,
) -> None:
    file = one()
    dataset = dcmread(BytesIO(file))
    store(http, file)
    dataset.file_meta.ImplementationVersionName = "ANOTHER SENDER"
    other = BytesIO()
    dataset.save_as(other)
    assert other.getvalue() != file

    assert post(http, [other.getvalue()]).status_code == 200
    assert stored_bytes(http, path_of(dataset)) == file


def test_stow_20_another_data_set_under_the_same_uid_is_refused_and_the_first_stays(
    http: httpx.Client,
) -> None:
    uids = {
        "StudyInstanceUID": new_uid(),
        "SeriesInstanceUID": new_uid(),
        "SOPInstanceUID": new_uid(),
    }
    first, second = one(**uids, PatientID="A"), one(**uids, PatientID="B")
    [dataset] = store(http, first)
    response = post(http, [second])

    assert response.status_code == 409
    assert reasons(response) == [0x0111]
    assert stored_bytes(http, path_of(dataset)) == first


def test_the_same_uid_twice_in_one_request(http: httpx.Client) -> None:
    uids = {"SOPInstanceUID": new_uid(), "SeriesInstanceUID": new_uid()}
    study = new_uid()
    same = one(**uids, StudyInstanceUID=study)
    different = one(**uids, StudyInstanceUID=study, PatientID="OTHER")
    response = post(http, [same, same, different])

    assert response.status_code == 202
    assert len(response.json()[REFERENCED]["Value"]) == 2
    assert reasons(response) == [0x0111]


def test_a_study_in_the_path_binds_every_instance(http: httpx.Client) -> None:
    study = new_uid()
    right, wrong = one(StudyInstanceUID=study), one()
    response = post(http, [right, wrong], study)

    assert response.status_code == 202
    assert len(response.json()[REFERENCED]["Value"]) == 1
    assert reasons(response) == [0xA901]
    assert post(http, [one()], study).status_code == 409


def test_what_is_not_dicom_fails_alone(http: httpx.Client) -> None:
    response = post(http, [b"not DICOM at all", one()])

    assert response.status_code == 202
    assert reasons(response, OTHER) == [0xC000]
    assert len(response.json()[REFERENCED]["Value"]) == 1
    only = post(http, [b"not DICOM at all"])
    assert only.status_code == 409
    assert REFERENCED not in only.json()


@pytest.mark.parametrize(
    "value",
    ["", "1.2.../etc", "../../../etc/passwd", "1." + "2" * 63, "1.2.abc", "1..2", "."],
    ids=str,
)
@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_stow_18_bad_uids_are_refused(http: httpx.Client, keyword: str, value: str) -> None:
    dataset = dcmread(BytesIO(one()))
    setattr(dataset, keyword, value)
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=False)
    response = post(http, [file.getvalue()])

    assert response.status_code == 409
    [reason] = reasons(response) + reasons(response, OTHER)
    assert reason in (0x0117, 0x0120, 0x0121, 0xA900, 0xC000)
    assert "etc/passwd" not in response.text


def test_stow_02_a_request_without_parts_is_a_bad_request(http: httpx.Client) -> None:
    assert_problem(post(http, []), 400)


def test_a_body_without_its_closing_delimiter(http: httpx.Client) -> None:
    files = [one(), one()]
    body, content_type = multipart_body(files)
    headers = {"Content-Type": content_type}

    half = len(files[1]) // 2
    cut_in_second = http.post("studies", content=body[:-half], headers=headers)
    assert cut_in_second.status_code == 202  # the first part was whole: STOW-42
    assert len(cut_in_second.json()[REFERENCED]["Value"]) == 1
    assert reasons(cut_in_second, OTHER) == [0xC000]
    cut_in_first = http.post("studies", content=body[:300], headers=headers)
    assert_problem(cut_in_first, 400)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ('multipart/related; type="application/dicom"', 400),
        ('multipart/related; type="application/dicom"; boundary=', 400),
        (f'multipart/related; type="application/dicom"; boundary={"x" * 257}', 400),
        ('multipart/related; type="text/plain"; boundary=x', 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/json", 415),
        ("image/jpeg", 415),
        ("", 415),
        (";;;", 415),
    ],
)
def test_a_content_type_that_is_no_store_request(
    http: httpx.Client, content_type: str, status: int
) -> None:
    response = http.post("studies", content=b"--x--", headers={"Content-Type": content_type})
    assert response.status_code in {status, 400} if status == 415 else response.status_code == 400
    assert_problem(response, response.status_code)


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/related; type=application/dicom; boundary={}",
        'multipart/related; boundary="{}"; type="application/dicom"; transfer-syntax=1.2.3',
        'Multipart/Related;type="Application/DICOM";boundary={}',
    ],
)
def test_trap_1_13_18_forms_of_content_type_that_clients_send(
    http: httpx.Client, content_type: str
) -> None:
    body, _ = multipart_body([one()], boundary="some-boundary")
    headers = {"Content-Type": content_type.format("some-boundary")}
    assert http.post("studies", content=b"\r\n" + body, headers=headers).status_code == 200


def test_stow_05_accept_chooses_the_answer_before_anything_is_stored(http: httpx.Client) -> None:
    file = one()
    assert_problem(post(http, [file], Accept="text/plain"), 406)
    assert http.get(path_of(dcmread(BytesIO(file)))).status_code == 404

    for accept in ("application/json", "application/dicom+json", "*/*"):
        answer = post(http, [file], Accept=accept)
        assert answer.headers["content-type"] == "application/dicom+json"  # trap 24


def test_trap_19_a_chunked_body_is_taken(http: httpx.Client) -> None:
    body, content_type = multipart_body([one(), small_image(), sr_document()])
    pieces = [body[at : at + 1000] for at in range(0, len(body), 1000)]
    response = http.post("studies", content=iter(pieces), headers={"Content-Type": content_type})
    assert response.status_code in (200, 202)
    assert len(response.json()[REFERENCED]["Value"]) == 3


def test_a_part_of_another_type_fails_and_does_not_stop_the_rest(http: httpx.Client) -> None:
    body, content_type = multipart_body([one()], boundary="mixed")
    extra = b"--mixed\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
    response = http.post("studies", content=extra + body, headers={"Content-Type": content_type})
    assert response.status_code == 202
    assert reasons(response, OTHER) == [0xC000]


def test_a_study_is_found_the_moment_the_answer_is_there(http: httpx.Client) -> None:
    [dataset] = store(http, one())
    response = http.get("studies", params={"StudyInstanceUID": dataset.StudyInstanceUID})
    assert response.status_code == 200
    assert len(response.json()) == 1


def test_delete_removes_an_instance_and_its_empty_parents(http: httpx.Client) -> None:
    study, series = new_uid(), new_uid()
    files = [one(StudyInstanceUID=study, SeriesInstanceUID=series) for _ in range(2)]
    first, second = store(http, *files)

    assert http.delete(path_of(first)).status_code == 204
    assert http.get(path_of(first)).status_code == 404
    [found] = http.get("studies", params={"StudyInstanceUID": study}).json()
    assert found["00201208"]["Value"] == [1]
    assert http.delete(path_of(second)).status_code == 204
    assert http.get("studies", params={"StudyInstanceUID": study}).status_code == 204
    assert_problem(http.delete(path_of(second, 1)), 404)
    assert post(http, files).status_code == 200  # deleted may be stored again
    [part, _] = parts_of(http.get(path_of(first, 1)))
    assert part[1] in files
