"""GET /, /healthz, /readyz: for people and for what watches the server."""

import json
import re
from collections.abc import Iterable
from typing import Any

import httpx
import pytest

from dicomweb_server import __version__
from dicomweb_server.web.page import PAGES
from tests.make import instance_with
from tests.running import RunningServer
from tests.web.asking import new_uid, store

# Bytes: the page is looked at over slow lines too.
FIRST_VIEW = 150_000  # of the files that the list needs
VIEWER = 130_000  # of those that the viewer needs beside them
LIMIT = 150_000  # of all that is sent, in a coding


def files() -> dict[str, bytes]:
    """The files of the page by their path, without the slash before it."""
    return {
        path.relative_to(PAGES).as_posix(): path.read_bytes()
        for path in PAGES.rglob("*")
        if path.is_file()
    }


def words(name: str) -> dict[str, Any]:
    """What a file of js/i18n exports."""
    text = (PAGES / "js" / "i18n" / f"{name}.js").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text.removeprefix("export default ").rstrip().rstrip(";"))
    return found


def test_every_file_of_the_page_is_sent_with_its_type_and_guards(server: RunningServer) -> None:
    types = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
    for name, content in files().items():
        path = "" if name == "index.html" else name
        answer = httpx.get(f"{server.url}/{path}")
        assert answer.content == content, name
        kind = types[name.rpartition(".")[2]]
        assert answer.headers["content-type"] == f"{kind}; charset=utf-8", name
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-cache"
        policy = answer.headers["content-security-policy"]
        assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} <= set(
            policy.split("; ")
        )
        assert "unsafe" not in policy


def test_what_the_page_links_to_is_there(server: RunningServer) -> None:
    found = re.findall(r'(?:href|src)="([^"#:]+)"', files()["index.html"].decode())
    assert "js/app.js" in found
    for link in found:
        assert httpx.get(f"{server.url}/{link}").status_code == 200, link


def test_nothing_of_the_page_is_inline() -> None:
    """What the policy would bar."""
    page = files()["index.html"].decode()
    assert re.findall(r"<script(?![^>]* src=)", page) == []
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:", page) == []


def test_an_unchanged_file_is_not_sent_again(server: RunningServer) -> None:
    for coding in ("identity", "gzip"):
        headers = {"Accept-Encoding": coding}
        first = httpx.get(f"{server.url}/app.css", headers=headers)
        assert first.headers.get("content-encoding", "identity") == coding
        headers["If-None-Match"] = first.headers["etag"]
        again = httpx.get(f"{server.url}/app.css", headers=headers)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
    head = httpx.head(f"{server.url}/")
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize(
    "path",
    ["js/", "js/i18n/xx.js", "pages/index.html", "..%2fpage.py", "js/..%2f..%2fpage.py", "page.py"],
)
def test_nothing_but_the_files_of_the_page_is_sent(server: RunningServer, path: str) -> None:
    assert httpx.get(f"{server.url}/{path}").status_code == 404


def imported(name: str) -> set[str]:
    """A module of the page, and those that it imports before it runs."""
    found, waiting = set[str](), [name]
    while waiting:
        one = waiting.pop()
        if one in found:
            continue
        found.add(one)
        text = (PAGES / one).read_text(encoding="utf-8")
        for path in re.findall(r"^import [^;]*?from '([^']+)';", text, re.MULTILINE | re.DOTALL):
            waiting.append(str((PAGES / one).parent.joinpath(path).resolve().relative_to(PAGES)))
    return found


def weight(names: Iterable[str]) -> int:
    return sum((PAGES / name).stat().st_size for name in names)


def test_the_list_is_small() -> None:
    """What a browser loads for the first view, as it lies on the disk: no coding, no build step.

    The viewer, the words for it and its style come when it is opened.
    """
    page = files()["index.html"].decode()
    modules = imported("js/app.js")
    assert set(re.findall(r'<link rel="modulepreload" href="([^"]+)"', page)) < modules
    sheets = set(re.findall(r'<link rel="stylesheet" href="([^"]+)"', page))
    of_list = {"index.html", "js/theme.js", *sheets, *modules}
    of_viewer = imported("js/viewer/index.js") - modules | {"viewer.css"}
    for tag in ("en", "it", "fr", "de"):
        assert weight({*of_list, f"js/i18n/{tag}.js"}) <= FIRST_VIEW
        assert weight({*of_viewer, f"js/i18n/viewer-{tag}.js"}) <= VIEWER
    languages = {name for name in files() if name.startswith("js/i18n/")}
    assert of_list | of_viewer | languages == set(files())  # nothing is left out of the sum


def test_all_of_the_page_is_small(server: RunningServer) -> None:
    """All files of it together, the viewer and four languages too, as browsers get them."""
    sent = 0
    headers = {"Accept-Encoding": "gzip, deflate, br, zstd"}
    for name in files():
        path = "" if name == "index.html" else name
        with httpx.stream("GET", f"{server.url}/{path}", headers=headers) as answer:
            sent += sum(map(len, answer.iter_raw()))
    assert sent <= LIMIT


def test_the_page_names_no_other_host() -> None:
    for name, content in files().items():
        assert re.findall(rb"\b(?:https?|wss?):|[\"'(=]//", content) == [], name


def test_the_page_has_the_same_words_in_every_language() -> None:
    names = {path.stem for path in (PAGES / "js" / "i18n").iterdir()}
    kinds = {name.removesuffix(name[-2:]) for name in names}
    assert names == {kind + tag for kind in kinds for tag in ("en", "it", "fr", "de")}
    for kind in kinds:
        english = words(f"{kind}en")
        for tag in ("it", "fr", "de"):
            other = words(kind + tag)
            assert list(other) == list(english), f"{kind}{tag}"
            for key, text in other.items():
                assert slots(text) == slots(english[key]), f"{kind}{tag}: {key}"


def slots(text: str | dict[str, str]) -> set[str] | dict[str, set[str]]:
    """The places for values in a text, or in those for one and for other."""
    if isinstance(text, dict):
        assert set(text) == {"one", "other"} and all(text.values())
        # "one" may be a word: "un altro".
        return set(re.findall(r"\{\w+\}", text["other"]))
    assert text
    return set(re.findall(r"\{\w+\}", text))


def test_every_word_that_the_page_asks_for_is_there() -> None:
    known = {key for kind in ("", "viewer-") if has(kind) for key in words(f"{kind}en")}
    for name, content in files().items():
        for key in re.findall(r"\bt\(\s*'([^']+)'", content.decode()):
            assert key in known, f"{name}: {key}"


def has(kind: str) -> bool:
    return (PAGES / "js" / "i18n" / f"{kind}en.js").exists()


def test_the_page_is_told_of_the_server(server: RunningServer, http: httpx.Client) -> None:
    told = httpx.get(f"{server.url}/page.json")
    assert told.headers["cache-control"] == "private, no-store"
    assert told.json()["base"] == server.base
    assert told.json()["version"] == __version__
    before = httpx.get(f"{server.url}/summary.json").json()
    uids = {name: new_uid() for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")}
    store(http, instance_with(**uids))
    after = httpx.get(f"{server.url}/summary.json").json()
    assert {key: after[key] - before[key] for key in ("studies", "series", "instances")} == {
        "studies": 1,
        "series": 1,
        "instances": 1,
    }
    assert after["bytes"] > before["bytes"]


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
