"""Programs of others that read and check DICOM files accept what we make no worse than what came.

DCMTK's dcmdump and dcm2json, and dciodvfy of dicom3tools, which knows what each SOP Class has to
have. As stored is byte for byte (tests/web/test_corpus.py): here are the rewritten forms.
"""

import os
import re
import shutil
import subprocess
from collections import Counter
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom import config
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from dicomweb_server.dicom.description import BULK_BASE
from dicomweb_server.dicom.encodable import LOSSLESS_TARGETS
from dicomweb_server.dicom.json_model import parse_json_datasets
from dicomweb_server.dicom.transcode import transcode
from dicomweb_server.errors import Refusal
from tests.dicom.still_images import read_file
from tests.make import ABSENT, small_image
from tests.web.test_corpus import CORPUS

TOOLS = ("dcmdump", "dcm2json", "dciodvfy")
MISSING = [tool for tool in TOOLS if shutil.which(tool) is None]
if MISSING:
    pytest.skip(
        f"{', '.join(MISSING)} not installed: apt-get install dcmtk dicom3tools",
        allow_module_level=True,
    )

ELE = str(ExplicitVRLittleEndian)
HTJ2K = {"1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202"}  # newer than Debian's dciodvfy
LARGE = 1 << 20  # bytes
OF_PIXELS = ("00280004", "00280101", "00280103")  # photometric interpretation, bits stored, sign
DICTIONARY = {"DCMDICTPATH": os.environ.get("DCMDICTPATH", "/usr/share/libdcmtk17/dicom.dic")}

# The US Image Module wants RGB of native colour (PS3.3 C.8.5.6.1.2). Subsampled JPEG becomes
# YBR_FULL here, in which nothing is rounded.
OF_ULTRASOUND = re.compile(
    r"enumerated value <YBR_FULL> .* <Photometric Interpretation>"
    r"|enumerated value <0> .* <Planar Configuration>"
)


def cases() -> list[tuple[Path, str]]:
    """Of the files that are stored, one of each kind in a folder, with one compressed syntax in
    turn."""
    found: list[tuple[Path, str]] = []
    kinds = set()
    for path in CORPUS:
        if path.stat().st_size > LARGE or "dicomdirtests" in path.parts:
            continue
        stored = read_file(path)
        if stored is None:
            continue
        _, described = stored
        [attributes] = parse_json_datasets(described.metadata.replace(BULK_BASE, b""))
        kind = (
            path.parent,
            described.sop_class_uid,
            described.transfer_syntax_uid,
            *(attributes.get(tag, {}).get("Value", [""])[0] for tag in OF_PIXELS),
        )
        if kind not in kinds:
            kinds.add(kind)
            found.append((path, LOSSLESS_TARGETS[len(found) % len(LOSSLESS_TARGETS)]))
    return found


@pytest.mark.parametrize(
    ("path", "target"), cases(), ids=lambda value: "/".join(getattr(value, "parts", (value,))[-2:])
)
def test_what_is_made_is_accepted_as_what_came(path: Path, target: str, tmp_path: Path) -> None:
    source = readable(path, tmp_path)
    for syntax in (ELE, target):
        made = tmp_path / "made.dcm"
        made.unlink(missing_ok=True)
        try:
            transcode(path, made, syntax, inflate_limit=1 << 28, pixel_limit=1 << 28)
        except Refusal:
            continue  # it is not served so
        if made.read_bytes() == path.read_bytes():
            continue
        assert complaints("dcmdump", made) - complaints("dcmdump", source) == Counter()
        if syntax == ELE:  # which is all that dcm2json puts into JSON
            assert complaints("dcm2json", made) - complaints("dcm2json", source) == Counter()
        if syntax not in HTJ2K:
            new = complaints("dciodvfy", made) - complaints("dciodvfy", source)
            if "YBR" in pydicom.dcmread(path, force=True).get("PhotometricInterpretation", ""):
                new = Counter(
                    {line: n for line, n in new.items() if not OF_ULTRASOUND.search(line)}
                )
            assert new == Counter()


@pytest.mark.parametrize("tool", TOOLS)
def test_each_program_complains_where_it_should(tool: str, tmp_path: Path) -> None:
    path = tmp_path / "file.dcm"
    file = small_image()
    path.write_bytes(file)
    before = complaints(tool, path)
    if tool == "dciodvfy":
        path.write_bytes(small_image(ConversionType=ABSENT))  # Type 1
    else:
        path.write_bytes(file[:-10])
    assert complaints(tool, path) - before != Counter()


def readable(path: Path, folder: Path) -> Path:
    """The file, inflated by pydicom if it is deflated: dciodvfy cannot."""
    data = path.read_bytes()
    dataset = pydicom.dcmread(BytesIO(data))
    if dataset.file_meta.TransferSyntaxUID != DeflatedExplicitVRLittleEndian:
        return path
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    inflated = folder / "inflated.dcm"
    dataset.save_as(inflated)
    return inflated


def complaints(tool: str, path: Path) -> Counter[str]:
    """What a program says is wrong, without the places in the file."""
    command = {"dcmdump": ["dcmdump", "-q"], "dcm2json": ["dcm2json"], "dciodvfy": ["dciodvfy"]}
    done = subprocess.run(
        [*command[tool], str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | DICTIONARY,
        timeout=60,
        check=False,
    )
    lines = done.stderr.decode("latin-1").replace(str(path), "").splitlines()
    found = Counter(line for line in lines if re.match(r"Error|[EF]: ", line))
    if done.returncode and tool != "dciodvfy":  # whose status tells of errors that it lists
        found[f"status {done.returncode}"] += 1
    return found


@pytest.fixture(autouse=True)
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.IGNORE)
