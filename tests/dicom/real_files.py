"""Metadata of the files that pydicom comes with, and of those in DICOM_CORPUS."""

import os
from collections.abc import Iterator
from pathlib import Path

import pydicom

from dicomweb_server.dicom.description import BULK_BASE, BulkValue, JsonDataset
from dicomweb_server.dicom.json_model import parse_json_datasets
from dicomweb_server.dicom.part10 import describe
from dicomweb_server.errors import Refusal

_BUNDLED = Path(pydicom.__file__).parent / "data"
_LARGEST = 20 << 20  # bytes


def real_metadata() -> Iterator[tuple[str, JsonDataset, dict[str, BulkValue]]]:
    """Name, attributes, and bulk data by URI ("bulk/" and a path) of each that can be stored."""
    found = [*_BUNDLED.glob("test_files/**/*.dcm"), *_BUNDLED.glob("charset_files/*.dcm")]
    if corpus := os.environ.get("DICOM_CORPUS"):
        found += Path(corpus).glob("**/*")
    for path in found:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            continue
        try:
            description = describe(path.read_bytes())
        except Refusal:
            continue
        [attributes] = parse_json_datasets(description.metadata.replace(BULK_BASE, b"bulk"))
        bulk = {f"bulk/{path}": value for path, value in description.bulk.items()}
        yield path.name, attributes, bulk
