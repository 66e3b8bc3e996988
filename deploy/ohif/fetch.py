"""Fetch OHIF, a viewer that others wrote, and lay it out for the server to serve at ``/ohif/``.

``python -m deploy.ohif.fetch`` puts it where the server's settings say (OHIF_DIR). The npm
package holds the built pages, so that nothing of it is installed or run here. It is had through
npm, from the registry that this machine's npm is set to, and is what was pinned or is refused.

The pages are built to lie at the root of an address. What says so, the build's public path, is
changed to the folder that they are loaded from; nothing else of the code is touched.
"""

import base64
import gzip
import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

import brotli

from dicomweb_server.config import Settings

PACKAGE = "@ohif/app"
VERSION = "3.13.2"  # pinned: without it npm picks a version by its own Node's age
SHA512 = "WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="

CONFIG = Path(__file__).with_name("app-config.js")
FETCH_SECONDS = 300
STAMP = "installed"  # the last file that is written: names all that went in

# 139 of its 204 MB are a runtime for neural networks, which has its models from elsewhere; maps
# are for who debugs OHIF. The service workers load code from elsewhere, and end those of others.
LEFT_OUT = re.compile(
    r"ort/.*|.*\.map|sw\.js|init-service-worker\.js|google\.js|_headers|_redirects|serve\.json"
)

# Pattern of names, what stands there, what is to stand there, how often at least. In a page the
# address is known (index.html says it), in a worker it is where the worker's own script lies.
_PUBLIC_PATH = '__webpack_require__.p = self.PUBLIC_URL || new URL("./", self.location).pathname;'
_IMPORT = "browserImportFunction('/dicom-microscopy-viewer/"
CHANGES = (
    ("*.js", '__webpack_require__.p = "/";', _PUBLIC_PATH, 8),
    (
        "app.bundle.*.js",
        "('/dicom-microscopy-viewer/",
        "(self.PUBLIC_URL + 'dicom-microscopy-viewer/",
        1,
    ),
    ("*.css", "url(/", "url(", 1),
    ("manifest.json", '"/assets/', '"assets/', 1),
    ("assets/*", '"/assets/', '"', 1),
    (
        "index.html",
        '<script rel="preload" as="script" type="module" src="/init-service-worker.js"></script>',
        "",
        1,
    ),
    ("index.html", '="/', '="/ohif/', 10),
)

_PACKED = {".js", ".css", ".html", ".json", ".svg", ".wasm", ".xml", ".webapp", ".jsonc"}
_LEAST_PACKED = 1000  # bytes


class OhifError(Exception):
    """OHIF cannot be had; says why."""


def main() -> int:
    """Fetch OHIF into the folder of the settings. Gives the exit status."""
    folder = Settings().ohif_folder
    try:
        done = fetch(folder)
    except OhifError as error:
        print(f"OHIF was not installed: {error}", file=sys.stderr)
        return 1
    print(f"OHIF {VERSION} {'is' if done else 'was already'} in {folder}")
    print("The server shows it at /ohif/, one that runs already too.")
    return 0


def fetch(folder: Path) -> bool:
    """Put OHIF into `folder`, unless just this is there already; gives whether it did.

    What was in the folder is replaced as a whole. Raises OhifError if the package cannot be
    fetched, is not the one that was pinned, or is not built as expected; and for a folder that
    holds something else.
    """
    stamp = _stamp()
    if _is_stamped(folder, stamp):
        return False
    if folder.is_dir() and any(folder.iterdir()) and not (folder / STAMP).is_file():
        raise OhifError(f"{folder} holds something else")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".ohif-") as scratch:
        making = Path(scratch)
        tarball = _download(making)
        _check(tarball)
        pages = _unpack(tarball, making)
        _change(pages)
        shutil.copyfile(CONFIG, pages / "app-config.js")
        _pack(pages)
        (pages / STAMP).write_text(stamp)
        _put(pages, folder, making / "replaced")
    return True


def _stamp() -> str:
    """Names all that the folder is made of: the package, our configuration, and this file."""
    digest = hashlib.sha256(CONFIG.read_bytes() + Path(__file__).read_bytes())
    return f"{PACKAGE} {VERSION} {digest.hexdigest()}\n"


def _is_stamped(folder: Path, stamp: str) -> bool:
    try:
        return (folder / STAMP).read_text() == stamp
    except OSError:
        return False


def _download(folder: Path) -> Path:
    command = ["npm", "pack", f"{PACKAGE}@{VERSION}", "--silent", f"--pack-destination={folder}"]
    try:
        # What it prints is the file's name; complaints go to standard error.
        subprocess.run(  # noqa: S603  a list of our own
            command,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=FETCH_SECONDS,
            cwd=folder,
        )
    except FileNotFoundError as error:
        raise OhifError("npm is needed, and is not there (as root: apt-get install npm)") from error
    except (subprocess.SubprocessError, OSError) as error:
        raise OhifError(f"{PACKAGE} {VERSION} could not be fetched with npm: {error}") from error
    found = list(folder.glob("*.tgz"))
    if len(found) != 1:
        raise OhifError(f"npm left {len(found)} packages, not one")
    return found[0]


def _check(tarball: Path) -> None:
    with tarball.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").digest()
    found = base64.b64encode(digest).decode()
    if found != SHA512:
        raise OhifError(f"{tarball.name} is not the file that was pinned: its SHA-512 is {found}")


def _unpack(tarball: Path, folder: Path) -> Path:
    """The pages, with the licence beside them."""
    pages = folder / "package" / "dist"
    with tarfile.open(tarball) as archive:
        for member in filter(_is_wanted, archive):
            _write(archive, member, folder)
    (folder / "package" / "LICENSE").rename(pages / "LICENSE")
    return pages


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """A file of the package; nothing else is taken. Not ``extractall`` with a filter, which Debian
    12's Python 3.11.2 does not have yet. Raises OhifError for a path that leads out.
    """
    path = PurePosixPath(member.name)
    content = archive.extractfile(member) if member.isfile() else None
    if content is None:
        return
    if path.is_absolute() or ".." in path.parts:
        raise OhifError(f"the package has a file {member.name!r}")
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    with content, target.open("wb") as file:
        shutil.copyfileobj(content, file)


def _is_wanted(member: tarfile.TarInfo) -> bool:
    if member.name == "package/LICENSE":
        return True
    folder, _, name = member.name.partition("/dist/")
    return folder == "package" and LEFT_OUT.fullmatch(name) is None


def _change(pages: Path) -> None:
    """Move the pages from the root of an address to a folder of it.

    Raises OhifError where what is to be changed does not stand: it was built otherwise then.
    """
    for pattern, old, new, least in CHANGES:
        count = 0
        for path in sorted(pages.glob(pattern)):
            if not path.is_file() or old.encode() not in (content := path.read_bytes()):
                continue
            count += content.count(old.encode())
            path.write_bytes(content.replace(old.encode(), new.encode()))
        if count < least:
            raise OhifError(f"{pattern} holds {old!r} {count} times, not {least}")
    # Both copies of the page's own script; the server puts the path of PUBLIC_URL before it.
    index = pages / "index.html"
    if index.read_text().count('window.PUBLIC_URL="/ohif/"') != 2:
        raise OhifError("index.html does not say where it lies")


def _pack(pages: Path) -> None:
    """Beside each file that gets smaller by it, the same in Brotli and in gzip: 17 MB of script
    cross the network as 2.7."""
    for path in sorted(pages.rglob("*")):
        if path.suffix not in _PACKED or path == pages / "index.html":
            continue
        content = path.read_bytes()
        if len(content) < _LEAST_PACKED:
            continue
        for suffix, packed in (
            (".br", brotli.compress(content, quality=9)),
            (".gz", gzip.compress(content, 9, mtime=0)),
        ):
            if len(packed) < len(content):
                path.with_name(path.name + suffix).write_bytes(packed)


def _put(pages: Path, folder: Path, replaced: Path) -> None:
    """Rename `pages` to `folder`, so that a folder that is there is whole."""
    if folder.exists():
        folder.rename(replaced)
    pages.rename(folder)


if __name__ == "__main__":
    sys.exit(main())
