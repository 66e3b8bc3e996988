"""GET /, /healthz, /readyz: for people and for what watches the server."""

import re

import httpx

from tests.make import instance_with
from tests.running import RunningServer
from tests.web.asking import new_uid, store


def test_the_page_shows_what_is_stored_and_escapes_it(
    server: RunningServer, http: httpx.Client
) -> None:
    uids = {"StudyInstanceUID": new_uid(), "SOPInstanceUID": new_uid()}
    name = "<script>alert(1)</script>"
    [dataset] = store(http, instance_with(PatientName=name, **uids))
    response = httpx.get(server.url)

    assert response.status_code == 200
    assert server.base in response.text
    assert dataset.StudyInstanceUID in response.text
    assert "<script" not in response.text
    assert "script-src" in response.headers["content-security-policy"] or (
        "default-src 'none'" in response.headers["content-security-policy"]
    )
    for link in re.findall(r'(?:href|src)="([^"]+)"', response.text):
        answer = httpx.get(
            f"{server.url}/{link}", headers={"Accept": "text/html,image/*,*/*;q=0.8"}
        )
        assert answer.status_code in (200, 406), link  # a document has no picture


def test_health(server: RunningServer) -> None:
    assert httpx.get(f"{server.url}/healthz").text == "ok\n"
    assert httpx.get(f"{server.url}/readyz").text == "ready\n"


def test_the_log_has_one_line_a_request_without_patient_data(
    server: RunningServer, http: httpx.Client
) -> None:
    uids = {"StudyInstanceUID": new_uid(), "SOPInstanceUID": new_uid()}
    store(http, instance_with(PatientName="SECRET^NAME", PatientID="SECRET-ID", **uids))
    answer = http.get("studies", params={"PatientName": "SECRET*", "PatientID": "SECRET-ID"})
    http.get("studies", params={"StudyDate": "SECRET"})

    log = server.log.read_text()
    assert "SECRET" not in log
    [line] = [line for line in log.splitlines() if answer.headers["x-request-id"] in line]
    assert '"path":"/dicomweb/studies"' in line
    assert '"status":200' in line
