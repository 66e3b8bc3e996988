"""Targets: what reads whole files and writes them anew: other transfer syntaxes, ZIP files."""

import contextlib
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from dicomweb_server.archive.importing import Source, Unreadable, _Reader, _Zips, find_sources
from dicomweb_server.dicom.part10 import read_file_meta
from dicomweb_server.dicom.rewriting import open_source
from dicomweb_server.dicom.transcode import transcode
from dicomweb_server.dicom.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    JPEG_LS_LOSSLESS,
    RLE_LOSSLESS,
)
from dicomweb_server.errors import ContentTooLarge, NotPart10, UndecodablePixels

_LIMIT = 1 << 20  # bytes

# Planar Configuration, High Bit, an Extended Offset Table, padding
_OF_THE_ENCODING = {"00280006", "00280102", "7FE00001", "7FE00002", "FFFCFFFC"}


@cache
def _folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="fuzz-")


def _path(name: str) -> Path:
    return Path(_folder().name, name)


def reencoding(data: bytes) -> None:
    """A file in another transfer syntax has the attributes that it had (WADO-02, TS-02)."""
    source, target = _path("source"), _path("target")
    source.write_bytes(data)
    try:
        keys = _keys(source)
    except (NotPart10, ContentTooLarge):
        return
    for syntax in (EXPLICIT_VR_LITTLE_ENDIAN, RLE_LOSSLESS, JPEG_LS_LOSSLESS):
        target.unlink(missing_ok=True)
        try:
            transcode(source, target, syntax, inflate_limit=_LIMIT, pixel_limit=_LIMIT)
        except (NotPart10, ContentTooLarge, UndecodablePixels):
            assert not target.exists()
            continue
        assert read_file_meta(target.read_bytes()).transfer_syntax_uid == syntax
        assert _keys(target) == keys


def _keys(path: Path) -> set[str]:
    """The attributes of a file, without those that tell how it is encoded."""
    found = open_source(path, path.parent, _LIMIT).walk().attributes
    return {key for key in found if not key.endswith("0000")} - _OF_THE_ENCODING


def zip_file(data: bytes) -> None:
    """The members of a ZIP file are had, or each is told to be unreadable."""
    path = _path("zip")
    path.write_bytes(data)
    zips = _Zips()
    try:
        for source in list(find_sources([path]))[:20]:
            _read(zips, source)
    finally:
        zips.close()


def _read(zips: _Zips, source: Source) -> None:
    if source.reason:
        return
    with contextlib.suppress(Unreadable):
        reader = _Reader(zips, source)
        try:
            for _ in range(3):
                if not reader.read():
                    break
        finally:
            reader.close()
