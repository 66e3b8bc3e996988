"""OPTIONS of the base URI and /openapi.json, through HTTP (PS3.18 8.9, digest 6.2)."""

from pathlib import Path

import httpx
import pytest
from defusedxml import ElementTree

from dicomweb_server.web.routes import TABLE
from dicomweb_server.wire.surface import SURFACE
from dicomweb_server.wire.wadl import JSON, WADL
from tests.running import RunningServer
from tests.web.asking import assert_problem

NAMESPACE = "{http://wadl.dev.java.net/2009/02}"


def test_what_is_described_is_what_is_routed() -> None:
    routed = {
        (path.replace(":path}", "}"), method)
        for path, handlers in TABLE.items()
        for method in handlers
        if path
    }
    assert {(path, one.method) for path, ones in SURFACE.items() for one in ones} == routed
    names = [operation.name for ones in SURFACE.values() for operation in ones]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("path", ["", "/"])
def test_cap_02_capabilities_in_wadl(http: httpx.Client, path: str) -> None:
    answer = http.options(f"{http.base_url}".rstrip("/") + path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == WADL
    root = ElementTree.fromstring(answer.content)
    [resources] = root.findall(f"{NAMESPACE}resources")
    assert resources.get("base", "").endswith("/dicomweb")
    [studies] = [one for one in resources if one.get("path") == "studies"]
    assert {one.get("name") for one in studies.findall(f"{NAMESPACE}method")} == {"GET", "POST"}
    methods = list(root.iter(f"{NAMESPACE}method"))
    assert len(methods) == sum(map(len, SURFACE.values()))


def test_cap_02_capabilities_in_json(http: httpx.Client) -> None:
    answer = http.options("/", headers={"Accept": JSON})
    assert answer.headers["content-type"] == JSON
    resources = answer.json()["application"]["resources"]
    assert {one["@path"] for one in resources["resource"]} == {"studies", "series", "instances"}
    [studies] = [one for one in resources["resource"] if one["@path"] == "studies"]
    search = next(one for one in studies["method"] if one["@name"] == "GET")
    assert search["request"]["param"][0]["@default"] == "application/dicom+json"


def test_capabilities_that_have_not_changed(http: httpx.Client) -> None:
    tag = http.options("/").headers["etag"]
    again = http.options("/", headers={"If-None-Match": tag})
    assert again.status_code == 304
    other = http.options("/", headers={"If-None-Match": tag, "Accept": JSON})
    assert other.status_code == 200


def test_capabilities_in_no_other_form(http: httpx.Client) -> None:
    assert_problem(http.options("/", headers={"Accept": "image/png"}), 406)


def test_openapi_names_every_resource(http: httpx.Client) -> None:
    url = http.base_url.copy_with(path="/openapi.json")
    answer = http.get(url)
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()["paths"]) == {f"/dicomweb{path}" for path in SURFACE}
    tag = answer.headers["etag"]
    assert http.get(url, headers={"If-None-Match": tag}).status_code == 304


def test_what_is_switched_off_is_not_described(tmp_path: Path) -> None:
    """RFC 9110 §10.2.1, PS3.18 8.9: as it is configured."""
    with (
        RunningServer(tmp_path / "data", {"ALLOW_DELETE": "false"}) as server,
        httpx.Client(base_url=server.base, timeout=60) as http,
    ):
        for path, methods in (
            ("studies/1.2", "GET, HEAD, POST"),
            ("studies/1.2/series/1.3", "GET, HEAD"),
        ):
            for method in ("DELETE", "PUT"):
                refused = http.request(method, path)
                problem = assert_problem(refused, 405)
                told = sorted(refused.headers["allow"].replace(" ", "").split(","))
                assert ", ".join(told) == methods
                assert ("ALLOW_DELETE" in problem["detail"]) == (method == "DELETE")
        missing = assert_problem(http.delete("nothing"), 404)
        assert missing["detail"] == "there is no such resource"
        assert b"DELETE" not in http.options("/").content
        described = http.get(f"{server.url}/openapi.json").json()["paths"]
        assert not [path for path, methods in described.items() if "delete" in methods]
