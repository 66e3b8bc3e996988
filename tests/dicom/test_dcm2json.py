"""Metadata as DCMTK's dcm2json makes them: another reader besides pydicom (see test_walk.py)."""

import json
import math
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import orjson
import pytest

from dicomweb_server.dicom.description import BULK_BASE
from dicomweb_server.dicom.part10 import describe
from dicomweb_server.errors import Refusal
from tests.web.test_corpus import CORPUS

if shutil.which("dcm2json") is None:
    pytest.skip("dcm2json is not installed: apt-get install dcmtk", allow_module_level=True)

DICTIONARY = {"DCMDICTPATH": os.environ.get("DCMDICTPATH", "/usr/share/libdcmtk17/dicom.dic")}
LARGE = 1 << 20  # bytes
NOT_STORED = {"00080005", "00083002"}  # another character set here (JSN-31), and not in the file


def files() -> list[Path]:
    """Files that lie together, as the slices of a series, give one."""
    found, folders = [], set()
    for path in CORPUS:
        alike = {"ct-study", "mr-series", "volume", "dicomdirtests"} & set(path.parts)
        if path.stat().st_size < LARGE and not (alike and path.parent in folders):
            folders.add(path.parent)
            found.append(path)
    return found


@pytest.mark.parametrize("path", files(), ids=lambda path: "/".join(path.parts[-2:]))
def test_dcm2json_reads_the_same_attributes(path: Path) -> None:
    try:
        description = describe(path.read_bytes())
    except Refusal:
        return  # it is not stored
    done = subprocess.run(
        ["dcm2json", str(path)], capture_output=True, env=os.environ | DICTIONARY, check=False
    )
    if done.returncode:
        return  # compressed pixels, and what it cannot read
    ours = orjson.loads(description.metadata.replace(BULK_BASE, b"bulk"))
    compare(ours, json.loads(done.stdout), "")


def compare(ours: dict[str, Any], theirs: dict[str, Any], place: str) -> None:
    kept = {key for key in theirs if not key.startswith("0002") and not key.endswith("0000")}
    assert ours.keys() - NOT_STORED == kept - NOT_STORED, place
    for key in kept & ours.keys() - NOT_STORED:
        one, other = ours[key], theirs[key]
        if other["vr"] == "UN" and int(key[:4], 16) % 2:
            continue  # pydicom's dictionary of private attributes knows more
        assert one["vr"] == other["vr"], place + key
        if "BulkDataURI" in one:
            continue
        assert one.get("InlineBinary") == other.get("InlineBinary"), place + key
        values, others = one.get("Value", []), other.get("Value", [])
        if one["vr"] == "PN":
            assert _names(values) == _names(others), place + key
            continue
        assert len(values) == len(others), place + key
        for value, expected in zip(values, others, strict=True):
            if one["vr"] == "SQ":
                compare(value, expected, f"{place}{key}.")
            else:
                assert is_same(one["vr"], value, expected), (place + key, value, expected)


def is_same(vr: str, value: Any, expected: Any) -> bool:
    """It rounds floats to nine digits."""
    if isinstance(value, str) and isinstance(expected, str):
        return value.rstrip(" ") == expected.rstrip(" ")
    if vr in ("DS", "IS", "FL", "FD") and value is not None and expected is not None:
        return math.isclose(float(value), float(expected), rel_tol=1e-8)
    return bool(value == expected)


def _names(values: list[dict[str, str] | None]) -> list[dict[str, str]]:
    """It cuts empty components off the end of names, and leaves out names that have no others."""
    names = [{group: text.rstrip("^ ") for group, text in (name or {}).items()} for name in values]
    return [name for name in names if any(name.values())]
