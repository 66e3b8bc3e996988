"""`make ohif`: only what was pinned goes into the folder, and only as a whole."""

import base64
import gzip
import hashlib
import io
import os
import tarfile
from pathlib import Path

import brotli
import pytest

from deploy.ohif import fetch as ohif
from deploy.ohif.fetch import OhifError, fetch


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of that name which packs what is called ``package.tgz`` beside it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "npm"
    program.write_text(
        "#!/bin/sh\n"
        'for word; do case "$word" in --pack-destination=*) to=${word#*=};; esac; done\n'
        f'/bin/cp "{folder}/package.tgz" "$to/ohif-app.tgz"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def package(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def test_another_package_than_the_pinned_one_is_refused(npm: Path, tmp_path: Path) -> None:
    package(npm / "package.tgz", {"dist/index.html": b"evil"})
    target = tmp_path / "data" / "ohif"
    with pytest.raises(OhifError, match="not the file that was pinned"):
        fetch(target)
    assert os.listdir(target.parent) == []


@pytest.mark.parametrize("name", ["dist/../../outside", "dist/../../../outside"])
def test_a_package_cannot_write_beside_its_folder(
    npm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    package(npm / "package.tgz", {"LICENSE": b"MIT", "dist/index.html": b"", name: b"evil"})
    content = (npm / "package.tgz").read_bytes()
    digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    monkeypatch.setattr(ohif, "SHA512", digest)
    with pytest.raises(OhifError, match="outside"):
        fetch(tmp_path / "data" / "ohif")
    assert list(tmp_path.rglob("outside")) == []


def test_what_npm_cannot_fetch_is_said(npm: Path, tmp_path: Path) -> None:
    with pytest.raises(OhifError, match="could not be fetched with npm"):
        fetch(tmp_path / "ohif")
    (npm / "npm").unlink()
    with pytest.raises(OhifError, match="npm is needed"):
        fetch(tmp_path / "ohif")


def test_a_folder_with_something_else_is_left_alone(npm: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(b"precious")
    with pytest.raises(OhifError, match="holds something else"):
        fetch(tmp_path / "photos")
    assert os.listdir(tmp_path / "photos") == ["one.jpg"]


def test_pages_that_are_built_otherwise_are_refused(
    npm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(npm / "package.tgz", {"LICENSE": b"MIT", "dist/index.html": b"<p>", "dist/sw.js": b""})
    content = (npm / "package.tgz").read_bytes()
    digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    monkeypatch.setattr(ohif, "SHA512", digest)
    with pytest.raises(OhifError, match=r"\*\.js holds .* 0 times, not 8"):
        fetch(tmp_path / "data" / "ohif")
    assert os.listdir(tmp_path / "data") == []


def test_pages_are_moved_to_their_folder_packed_and_replaced(
    npm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assets = " ".join(f'<link href="/assets/{number}.png">' for number in range(9))
    files = {
        "LICENSE": b"MIT",
        "README.md": b"not wanted",
        "dist/index.html": b'<script>window.PUBLIC_URL="/"</script>'
        + f"{ohif.CHANGES[-2][1]}{assets}".encode()
        + b'<script>window.PUBLIC_URL="/"</script>',
        "dist/manifest.json": b'{"src": "/assets/1.png"}',
        "dist/assets/manifest.webapp": b'{"60": "/assets/60.png"}',
        "dist/app.bundle.css": b"src:url(/a34f9d1faa5f3315.woff2)",
        "dist/app.bundle.0f6159c501addfe9.js": ohif.CHANGES[1][1].encode()
        + b'__webpack_require__.p = "/";' * 8
        + b" " * 2000,
        "dist/sw.js": b"importScripts('https://elsewhere.example/x.js')",
        "dist/ort/ort.wasm": b"large",
        "dist/app-config.js": b"its own",
    }
    package(npm / "package.tgz", files)
    content = (npm / "package.tgz").read_bytes()
    digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    monkeypatch.setattr(ohif, "SHA512", digest)
    target = tmp_path / "ohif"

    assert fetch(target)
    assert sorted(str(path.relative_to(target)) for path in target.rglob("*")) == [
        *("LICENSE", "app-config.js", "app-config.js.br", "app-config.js.gz"),
        "app.bundle.0f6159c501addfe9.js",
        *("app.bundle.0f6159c501addfe9.js.br", "app.bundle.0f6159c501addfe9.js.gz"),
        *("app.bundle.css", "assets", "assets/manifest.webapp", "index.html", "installed"),
        "manifest.json",
    ]
    assert (target / "app-config.js").read_bytes() == ohif.CONFIG.read_bytes()
    index = (target / "index.html").read_text()
    assert index.count('window.PUBLIC_URL="/ohif/"') == 2
    assert index.count('href="/ohif/assets/') == 9
    assert "service-worker" not in index
    assert '"60.png"' in (target / "assets" / "manifest.webapp").read_text()
    script = (target / "app.bundle.0f6159c501addfe9.js").read_bytes()
    assert script.count(b"self.PUBLIC_URL || new URL") == 8
    assert brotli.decompress(script_packed(target, ".br")) == script
    assert gzip.decompress(script_packed(target, ".gz")) == script

    assert not fetch(target)  # it is there
    (target / "installed").write_text("another release")
    (target / "old.js").write_text("old")
    assert fetch(target)
    assert not (target / "old.js").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def script_packed(target: Path, suffix: str) -> bytes:
    return (target / f"app.bundle.0f6159c501addfe9.js{suffix}").read_bytes()
