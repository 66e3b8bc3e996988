"""Real still images for the pixel tests, as the server knows them: described once, frames cut."""

import os
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pydicom

from dicomweb_server.dicom.description import BULK_BASE, Description, JsonDataset
from dicomweb_server.dicom.frames import cut_frame, fragments_of, frame_range, is_video
from dicomweb_server.dicom.part10 import describe, is_deflated, read_file_meta
from dicomweb_server.errors import Refusal

BUNDLED = Path(pydicom.__file__).parent / "data" / "test_files"


@dataclass(frozen=True)
class StillImage:
    path: Path
    file: bytes  # inflated if the transfer syntax is deflated
    description: Description

    @property
    def transfer_syntax_uid(self) -> str:
        return self.description.transfer_syntax_uid

    @property
    def count(self) -> int:
        assert self.description.frames is not None
        return self.description.frames.count

    @property
    def dataset(self) -> JsonDataset:
        text = self.description.metadata.replace(BULK_BASE, b"")
        dataset: JsonDataset = orjson.loads(text)
        return dataset

    def frame(self, number: int) -> bytes:
        table = self.description.frames
        assert table is not None
        offset, length = frame_range(table, number)
        raw = self.file[offset : offset + length]
        return cut_frame(table, number, raw, fragments_of(table, number))


def described(file: bytes) -> StillImage:
    """A file made in code as a still image. Raises Refusal if it is no file that is stored."""
    return StillImage(Path("made"), file, describe(file))


def read_file(path: Path) -> tuple[bytes, Description] | None:
    """A file, with its data set inflated, and what is said of it; None if it is not stored."""
    file = path.read_bytes()
    inflated = None
    try:
        meta = read_file_meta(file)
        if is_deflated(meta.transfer_syntax_uid):
            inflate = zlib.decompressobj(-zlib.MAX_WBITS).decompress
            inflated = file[: meta.dataset_offset] + inflate(file[meta.dataset_offset :])
        return inflated or file, describe(file, inflated)
    except (Refusal, zlib.error):
        return None


def read_still_image(path: Path) -> StillImage | None:
    """The file as a still image, None if it is none or no file that would be stored."""
    found = read_file(path)
    if found is None:
        return None
    file, description = found
    if description.frames is None or is_video(description.transfer_syntax_uid):
        return None
    return StillImage(path, file, description)


def still_images() -> Iterator[StillImage]:
    """Those that come with pydicom, and those of the folder DICOM_CORPUS if it is set."""
    corpus = os.environ.get("DICOM_CORPUS")
    folders = [BUNDLED, Path(corpus)] if corpus else [BUNDLED]
    seen = set()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name not in seen:
                if folder == BUNDLED:
                    seen.add(path.name)  # the corpus has these too
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    image = read_still_image(path)
                if image:
                    yield image
