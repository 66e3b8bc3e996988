"""GET /ohif/…: a viewer that others wrote, as a small folder of pages made here."""

import gzip
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import brotli
import httpx
import pytest

from tests.running import RunningServer

BUNDLE = "app.bundle.0123456789abcdef.js"
SCRIPT = b"console.log('a bundle');\n" * 200
WASM = bytes(range(256)) * 8192  # 2 MiB: sent in pieces
PAGE = (
    '<!doctype html><title>OHIF</title><script>window.PUBLIC_URL="/ohif/"</script>'
    f'<script defer src="/ohif/{BUNDLE}"></script><div id="root"></div>'
)
FILES = {
    "index.html": PAGE.encode(),
    "app-config.js": b"window.config = {};",
    BUNDLE: SCRIPT,
    f"{BUNDLE}.br": brotli.compress(SCRIPT),
    f"{BUNDLE}.gz": gzip.compress(SCRIPT),
    "0ddf166f7a343eda.wasm": WASM,
    "1602.css": b"body { color: red }",
    "assets/icon.png": b"\x89PNG",
    "installed": b"@ohif/app",
    "note.exe": b"MZ",
}

ROUTES = ["", "/", "/index.html", "/viewer?StudyInstanceUIDs=1.2", "/viewer/", "/microscopy"]
ROUTES += ["/segmentation/dicomweb", "/tmtv", "/local", "/notfoundstudy"]

NOTHING = ["nothing.js", "viewer.map", "viewer/a/b", "viewer/..%2f..%2fsecret.json", "assets"]
NOTHING += ["..%2fsecret.json", "%2e%2e/secret.json", "assets/..%2f..%2fsecret.json", "admin"]
NOTHING += ["....//secret.json", "%2fetc%2fpasswd", "//etc/passwd", "assets/passwd.json"]
NOTHING += ["assets%5cicon.png", "app-config.js%00", "%ff%fe.js", "a" * 4000]
NOTHING += [f"{BUNDLE}.br", "installed", "note.exe"]


def install(folder: Path, **changed: bytes) -> None:
    """Put the pages into `folder`, as `make ohif` does: at once."""
    making = folder.with_name("making")
    for name, content in (FILES | changed).items():
        path = making / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    if folder.exists():
        shutil.rmtree(folder)
    making.rename(folder)


@pytest.fixture(scope="module")
def ohif_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server behind a proxy that puts /pacs before its paths, with OHIF."""
    folder = tmp_path_factory.mktemp("ohif")
    install(folder / "ohif")
    (folder / "ohif" / "assets" / "passwd.json").symlink_to("/etc/passwd")
    (folder / "secret.json").write_text("{}")
    settings = {"PUBLIC_URL": "https://clinic.example/pacs", "OHIF_DIR": str(folder / "ohif")}
    with RunningServer(folder / "data", settings) as running:
        yield running


@pytest.fixture(scope="module")
def viewer(ohif_server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=ohif_server.url, timeout=60) as client:
        client.headers["Accept-Encoding"] = "identity"
        yield client


@pytest.mark.parametrize(
    ("name", "media_type", "cache"),
    [
        (BUNDLE, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"),
        ("0ddf166f7a343eda.wasm", "application/wasm", "public, max-age=31536000, immutable"),
        ("app-config.js", "text/javascript; charset=utf-8", "public, no-cache"),
        ("1602.css", "text/css; charset=utf-8", "public, no-cache"),
        ("assets/icon.png", "image/png", "public, no-cache"),
    ],
)
def test_files_are_sent_with_their_type_and_how_long_they_last(
    viewer: httpx.Client, name: str, media_type: str, cache: str
) -> None:
    response = viewer.get(f"/ohif/{name}")
    assert response.status_code == 200
    assert response.content == FILES[name]
    assert response.headers["content-type"] == media_type
    assert response.headers["cache-control"] == cache
    assert response.headers["content-length"] == str(len(FILES[name]))
    assert response.headers["x-content-type-options"] == "nosniff"
    tag = response.headers["etag"]
    again = viewer.get(f"/ohif/{name}", headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    head = viewer.head(f"/ohif/{name}")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(FILES[name]))


def test_pages_and_workers_are_isolated_from_other_origins(viewer: httpx.Client) -> None:
    for name in ("", BUNDLE, "0ddf166f7a343eda.wasm"):
        headers = viewer.get(f"/ohif/{name}").headers
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cross-origin-embedder-policy"] == "require-corp"
        assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("coding", ["br", "gzip"])
def test_a_file_goes_packed_to_who_takes_that(viewer: httpx.Client, coding: str) -> None:
    whole = viewer.get(f"/ohif/{BUNDLE}")
    packed = viewer.get(f"/ohif/{BUNDLE}", headers={"Accept-Encoding": coding})
    assert packed.headers["content-encoding"] == coding
    assert packed.content == SCRIPT
    assert int(packed.headers["content-length"]) < len(SCRIPT)
    assert packed.headers["etag"] != whole.headers["etag"]
    assert packed.headers["vary"] == whole.headers["vary"] == "Accept-Encoding"
    tag = {"If-None-Match": packed.headers["etag"], "Accept-Encoding": coding}
    assert viewer.get(f"/ohif/{BUNDLE}", headers=tag).status_code == 304


def test_brotli_is_preferred_unless_it_is_refused(viewer: httpx.Client) -> None:
    def coding(header: str) -> str | None:
        found = viewer.get(f"/ohif/{BUNDLE}", headers={"Accept-Encoding": header})
        return found.headers.get("content-encoding")

    assert coding("gzip, deflate, br, zstd") == "br"
    assert coding("gzip, br;q=0") == "gzip"
    assert coding("zstd") is None


def test_a_part_of_a_file_can_be_had(viewer: httpx.Client) -> None:
    part = viewer.get("/ohif/0ddf166f7a343eda.wasm", headers={"Range": "bytes=1000000-1000009"})
    assert (part.status_code, part.content) == (206, WASM[1000000:1000010])


@pytest.mark.parametrize("route", ROUTES)
def test_routes_of_the_application_give_its_page(viewer: httpx.Client, route: str) -> None:
    response = viewer.get(f"/ohif{route}")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["cache-control"] == "public, no-cache"
    assert '<div id="root">' in response.text
    tag = {"If-None-Match": response.headers["etag"]}
    assert viewer.get(f"/ohif{route}", headers=tag).status_code == 304


def test_the_page_names_the_path_that_clients_see(viewer: httpx.Client) -> None:
    text = viewer.get("/ohif").text
    assert f'src="/pacs/ohif/{BUNDLE}"' in text
    assert 'window.PUBLIC_URL="/pacs/ohif/"' in text


def test_the_policy_allows_its_own_scripts_and_nothing_from_elsewhere(viewer: httpx.Client) -> None:
    policy = viewer.get("/ohif").headers["content-security-policy"]
    directives = dict(each.strip().split(" ", 1) for each in policy.split(";"))
    assert directives["default-src"] == "'self'"
    assert re.search(r"'sha256-[A-Za-z0-9+/]{43}='", directives["script-src"])
    assert "unsafe-inline" not in directives["script-src"]
    assert directives["frame-ancestors"] == "'self'"
    for sources in directives.values():
        assert "*" not in sources and "//" not in sources and "https:" not in sources
    of_a_picture = viewer.get("/ohif/assets/icon.png").headers["content-security-policy"]
    assert "sandbox" in of_a_picture and "script-src" not in of_a_picture


@pytest.mark.parametrize("path", NOTHING)
def test_nothing_else_is_there(viewer: httpx.Client, path: str) -> None:
    response = viewer.get(f"/ohif/{path}")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


def test_the_viewer_can_be_asked_for_only(viewer: httpx.Client) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert viewer.request(method, "/ohif/viewer").status_code == 405


def test_it_comes_changes_and_goes_while_the_server_runs(
    server: RunningServer, http: httpx.Client
) -> None:
    folder = server.data_dir / "ohif"
    url = f"{server.url}/ohif"

    def installed() -> object:
        return httpx.get(f"{server.url}/page.json").json()["ohif"]

    absent = httpx.get(url)
    assert (absent.status_code, installed()) == (404, False)
    try:
        install(folder)
        assert (httpx.get(url).status_code, installed()) == (200, True)
        assert httpx.get(f"{url}/{BUNDLE}").content == SCRIPT
        newer = "app.bundle.fedcba9876543210.js"
        install(folder, **{newer: b"newer", "app-config.js": b"window.config = 1"})
        (folder / BUNDLE).unlink()
        assert httpx.get(f"{url}/{newer}").content == b"newer"
        assert httpx.get(f"{url}/app-config.js").content == b"window.config = 1"
        assert httpx.get(f"{url}/{BUNDLE}").status_code == 404
    finally:
        shutil.rmtree(folder)
    assert (httpx.get(url).status_code, installed()) == (404, False)
    assert httpx.get(f"{url}/app-config.js").status_code == 404


def test_a_folder_that_is_not_ohif_is_not_served(server: RunningServer) -> None:
    folder = server.data_dir / "ohif"
    try:
        install(folder)
        for number in range(10_001):
            os.close(os.open(folder / f"{number}.js", os.O_CREAT))
        assert httpx.get(f"{server.url}/ohif").status_code == 404
        assert httpx.get(f"{server.url}/ohif/1.js").status_code == 404
    finally:
        shutil.rmtree(folder)
