"""Writes dicomweb_server/dicom/requirements.json from highdicom's tables of PS3.3.

``make requirements``. Those tables are read out of the standard's text, and not everything that
they have at the top level stands there without a condition; see DOUBTFUL.
"""

from pathlib import Path
from typing import Any

import orjson
from highdicom._standard_utils import (
    get_iod_module_map,
    get_module_attribute_map,
    get_sop_class_iod_map,
)
from pydicom.datadict import tag_for_keyword

FILE = Path(__file__).parents[2] / "dicomweb_server/dicom/requirements.json"

# Attributes of a module that are not asked for, though the table has them as mandatory.
DOUBTFUL = {
    # Of macros that are included by the Value Type of the root content item, a CONTAINER.
    "sr-document-content": {
        "ConceptCodeSequence",
        "GraphicData",
        "GraphicType",
        "MeasuredValueSequence",
        "ReferencedFrameOfReferenceUID",
        "ReferencedSOPSequence",
        "TabulatedValuesSequence",
        "TemporalRangeType",
    },
    # Type 1C in the modules of the images that have it (C.8.5.6, C.8.6.3): one frame needs none.
    "multi-frame": {"FrameIncrementPointer"},
}


def requirements() -> dict[str, Any]:
    """What the file holds: see ``dicomweb_server.dicom.requirements``."""
    sop_classes, iods = get_sop_class_iod_map(), get_iod_module_map()
    mandatory = {
        iod: {module["key"] for module in iods[iod] if module["usage"] == "M"}
        for iod in set(sop_classes.values())
    }
    rows = get_module_attribute_map()  # it lacks a few modules of the newest IODs
    modules = {
        name: _by_type(name, rows.get(name, [])) for name in set().union(*mandatory.values())
    }
    asking = {iod: sorted(filter(modules.get, names)) for iod, names in mandatory.items()}
    return {
        "sop_classes": {uid: iod for uid, iod in sop_classes.items() if asking[iod]},
        "iods": {iod: names for iod, names in asking.items() if names},
        "modules": {name: by_type for name, by_type in modules.items() if by_type},
    }


def _by_type(module: str, rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    """The keys of a module's top-level attributes of Type 1 and of Type 2, where it has any."""
    doubtful = DOUBTFUL.get(module, set())
    found: dict[str, list[str]] = {}
    for kind in ("1", "2"):
        keywords = {row["keyword"] for row in rows if not row["path"] and row["type"] == kind}
        if keywords - doubtful:
            found[kind] = sorted(_key(keyword) for keyword in keywords - doubtful)
    return found


def _key(keyword: str) -> str:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return f"{tag:08X}"


def written() -> bytes:
    """The file as it is written: an entry a line, so that a change of the standard is seen."""
    sections = []
    for name, table in requirements().items():
        lines = [
            f"{orjson.dumps(key).decode()}:{orjson.dumps(value).decode()}"
            for key, value in sorted(table.items())
        ]
        sections.append(f'"{name}":{{\n' + ",\n".join(lines) + "\n}")
    return ("{\n" + ",\n".join(sections) + "\n}\n").encode("ascii")


if __name__ == "__main__":
    FILE.write_bytes(written())
