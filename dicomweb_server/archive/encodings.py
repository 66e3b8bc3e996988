"""Instances and frames encoded anew in a transfer syntax that a client names.

Whether that can be done is told by the attributes of the image, which are only read where one of
these syntaxes is asked for.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any
from uuid import UUID

from dicomweb_server.access.principal import Principal
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.content import Content, ScratchFile
from dicomweb_server.archive.kept_frames import kept_frame
from dicomweb_server.archive.metadata import instance_metadata, metadata
from dicomweb_server.archive.sources import Source, made_of_frame, make_scratch
from dicomweb_server.archive.staging import check_room
from dicomweb_server.archive.work import transcoded_frame, what_can_be_encoded
from dicomweb_server.archive.workers import Longer
from dicomweb_server.dicom.encodable import LOSSY_TARGETS
from dicomweb_server.dicom.frames import media_type_of
from dicomweb_server.dicom.transcode import transcode
from dicomweb_server.index.retrieve import FrameLocation, Location
from dicomweb_server.wire.offers import DICOM, may_be_encoded_in

# What code streams are made and read with: other versions of them may make other ones.
_CODECS = ("imagecodecs", "pyjpegls", "pylibjpeg-openjpeg", "pylibjpeg-rle", "python-gdcm")
CODECS = " ".join(version(name) for name in (*_CODECS, "pillow"))

_SLOW_ENCODER = 5e6  # bytes of pixels a second, decoded and encoded on a busy machine
_BATCH = 100  # instances whose attributes a worker looks at in one go


@dataclass(frozen=True, slots=True)
class Encodings:
    """What one instance can be encoded in besides what it is stored in.

    `frame_size`: of a decoded frame, in bytes; `frames` as its attributes state, for how long
    it may take.
    """

    targets: tuple[str, ...]
    frame_size: int
    frames: int
    packed: bytes = b""  # metadata, for frames

    def seconds(self, archive: Archive) -> float:
        """The time that encoding the instance may take beyond that of other work."""
        size = min(self.frame_size * self.frames, archive.settings.pixel_limit_bytes)
        return size / _SLOW_ENCODER


def is_lossy_allowed(archive: Archive) -> bool:
    """Whether the operator lets images be encoded with loss, for who asks for it (TS-06)."""
    return archive.settings.lossy_quality > 0


def possible_targets(archive: Archive, stored: str) -> tuple[str, ...]:
    """The syntaxes that images stored as `stored` may be encoded in."""
    return may_be_encoded_in(stored, lossy=is_lossy_allowed(archive))


def how_encoded(archive: Archive, target: str) -> str:
    """What the bytes of an encoding depend on besides what is encoded, for tags."""
    quality = archive.settings.lossy_quality if target in LOSSY_TARGETS else ""
    return f"{CODECS} {quality}"


def _derived_uid(archive: Archive, location: Location, target: str) -> str:
    """The SOP Instance UID of an image with loss: the same for the same bytes."""
    seed = f"{location.sha256.hex()} {target} {how_encoded(archive, target)}"
    digest = hashlib.sha256(b"derived image " + seed.encode()).digest()
    return f"2.25.{UUID(bytes=digest[:16], version=4).int}"


async def encodings_of(archive: Archive, principal: Principal, location: Location) -> Encodings:
    """Of an instance located before. Raises NotFound, Unavailable if it was replaced since."""
    row = await instance_metadata(archive, principal, location)
    targets = possible_targets(archive, location.transfer_syntax_uid)
    [found] = await archive.workers.run(what_can_be_encoded, [row.packed], targets)
    return Encodings(*found, row.packed)


async def encodings_of_several(
    archive: Archive,
    principal: Principal,
    study: str,
    series: str | None,
    targets: Sequence[str],
) -> dict[str, Encodings]:
    """Those of `targets` that each instance of a study or series can be encoded in, by SOP
    Instance UID. Raises NotFound."""
    found: dict[str, Encodings] = {}
    after = None
    while True:
        page = await metadata(archive, principal, study, series, after=after)
        for start in range(0, len(page.items), _BATCH):
            rows = page.items[start : start + _BATCH]
            packed = [row.packed for row in rows]
            told = await archive.workers.run(what_can_be_encoded, packed, targets)
            for row, one in zip(rows, told, strict=True):
                found[row.sop_instance_uid] = Encodings(*one)
        after = page.after
        if after is None:
            return found


async def encoded_instance(
    archive: Archive, location: Location, target: str, encodings: Encodings
) -> Content:
    """A PS3.10 file in one of the syntaxes that the instance can be encoded in.

    A few at a time, and none where it might fill the disk. Raises UndecodablePixels for frames
    that are not what its attributes say, WorkerFailed, ContentTooLarge, NotPart10; Unavailable.
    """
    settings = archive.settings
    loss: dict[str, Any] = {}
    if target in LOSSY_TARGETS:
        loss["quality"] = settings.lossy_quality
        loss["derived_uid"] = _derived_uid(archive, location, target)
    async with archive.workers.turn(), archive.blobs.local(location.blob_key) as source:
        check_room(archive)
        file = await make_scratch(
            archive,
            Longer(transcode, encodings.seconds(archive)),
            source,
            transfer_syntax_uid=target,
            inflate_limit=settings.inflate_limit_bytes,
            pixel_limit=settings.pixel_limit_bytes,
            **loss,
        )
    return Content.of_scratch(file, DICOM, target)


async def encoded_frame(
    archive: Archive,
    source: Source,
    found: FrameLocation,
    position: int,
    number: int,
    target: str,
    encodings: Encodings,
    since: float,
) -> Content:
    """One frame in one of the syntaxes that its instance can be encoded in; `position` as for
    ``frame_bytes``, `since` as for ``kept_frame``. Kept when made.

    Raises UndecodablePixels, WorkerFailed, ContentTooLarge.
    """

    async def make() -> bytes | ScratchFile:
        return await made_of_frame(
            archive,
            source,
            found,
            position,
            number,
            transcoded_frame,
            encodings.packed,
            found.location.transfer_syntax_uid,
            target,
            archive.settings.lossy_quality if target in LOSSY_TARGETS else None,
            extra_seconds=encodings.frame_size / _SLOW_ENCODER,
        )

    how = how_encoded(archive, target)
    code = await kept_frame(archive, found, position, number, target, how, since, make)
    return Content.of_made(code, media_type_of(target), target)
