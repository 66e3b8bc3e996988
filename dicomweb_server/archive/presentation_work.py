"""What workers do for presentation states. Plain functions: run through ``workers``."""

import os
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from dicomweb_server.archive.large_frames import Frame, read_frame
from dicomweb_server.archive.segmentation_work import Background
from dicomweb_server.archive.work import uncompressed_value
from dicomweb_server.dicom.blending import (
    BLENDING,
    MAX_PLANES,
    Plane,
    Superimposed,
    blended_set,
    nearest,
    plane_of,
)
from dicomweb_server.dicom.colour_profiles import source_profile
from dicomweb_server.dicom.description import BULK_BASE, JsonDataset
from dicomweb_server.dicom.image_pixel import image_pixel
from dicomweb_server.dicom.images import finished
from dicomweb_server.dicom.json_values import first_number, first_text
from dicomweb_server.dicom.overlays import embedded_overlays
from dicomweb_server.dicom.packing import pack_metadata, unpack_metadata
from dicomweb_server.dicom.pixels import NATIVE, Array, decode_frame
from dicomweb_server.dicom.presentation_state import (
    MaskRule,
    mask_rule,
    present,
    references,
)
from dicomweb_server.dicom.viewing import PROFILES, RenderOptions
from dicomweb_server.errors import UndecodablePixels


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to be read to show what a presentation state is for."""

    references: list[tuple[Any, ...]]  # of ``Reference``; plain ones are there in a moment
    mask: MaskRule
    study: str = ""  # of the references; empty for that of the state
    over: "Plan | None" = None  # of what a blending state lays on them


def presentation_plan(packed_state: bytes) -> Plan:
    """Read a presentation state's metadata for what it refers to. Raises UndecodablePixels for a
    blending state that cannot be shown."""
    state = _dataset(packed_state, {})
    if first_text(state, "00080016") != BLENDING:
        return Plan(_plain(state), mask_rule(state))
    below, over = (blended_set(state, name) for name in ("UNDERLYING", "SUPERIMPOSED"))
    laid_on = Plan(_plain(over), MaskRule(), first_text(over, "0020000D"))
    return Plan(_plain(below), MaskRule(), first_text(below, "0020000D"), laid_on)


def _plain(holder: JsonDataset) -> list[tuple[Any, ...]]:
    return [tuple(each) for each in references(holder)]


def planes_of(
    packed_metadata: Sequence[bytes], wanted: Mapping[str, Sequence[int]]
) -> list[tuple[int, int, Plane]]:
    """Where frames lie of those images of several that are `wanted`, by SOP Instance UID with the
    frames, none for all: which image, from 0, which frame, from 1, and its plane."""
    found: list[tuple[int, int, Plane]] = []
    for index, packed in enumerate(packed_metadata):
        dataset = _dataset(packed, {})
        frames = wanted.get(first_text(dataset, "00080018"))
        if frames is None or "7FE00010" not in dataset:
            continue
        count = int(first_number(dataset, "00280008") or 1)
        for number in frames or range(1, min(count, MAX_PLANES) + 1):
            plane = plane_of(dataset, number) if number <= count else None
            if plane is not None:
                found.append((index, number, plane))
    return found


def plane_below(packed_metadata: bytes, number: int, planes: Sequence[Plane]) -> int | None:
    """Which of `planes` frame `number` of an image lies in; ``nearest``."""
    plane = plane_of(_dataset(packed_metadata, {}), number)
    if plane is None:
        raise UndecodablePixels("an image whose place is not told")
    return nearest(plane, [Plane(*each) for each in planes])


@dataclass(frozen=True, slots=True)
class StoredValue:
    """A binary value that is not in the metadata: itself, or the local file that it lies in."""

    data: bytes | Path
    offset: int  # bytes
    length: int  # bytes
    word: int  # bytes of a word that is big endian; 1 for little endian

    def read(self) -> bytes:
        """The value in little endian. Raises UndecodablePixels for a file that ends before."""
        if isinstance(self.data, bytes):
            found = self.data
        else:
            with self.data.open("rb") as file:
                found = os.pread(file.fileno(), self.length, self.offset)
        if len(found) < self.length:
            raise UndecodablePixels("a value is not where it was")
        return uncompressed_value(found, self.word)


@dataclass(frozen=True, slots=True)
class StateParts:
    """A presentation state as a worker takes it: packed metadata, and by path the binary values
    that are not in it."""

    packed: bytes
    values: Mapping[str, StoredValue]
    image_values: Mapping[str, StoredValue]  # of the image, for its overlays
    masks: Sequence[Frame]
    averaged: Sequence[Frame]
    over: Background | None = None  # what a blending state lays on the image


def presented_frame(
    packed_metadata: bytes,
    frame: Frame,
    transfer_syntax_uid: str,
    number: int,
    state: StateParts,
    options: RenderOptions,
    media_type: str,
    quality: int,
    longest: int | None,
    texts: bool,
) -> bytes:
    """One frame of an image as a presentation state shows it, encoded; ``present``.

    Raises UndecodablePixels.
    """
    dataset = _dataset(packed_metadata, state.image_values)
    image = image_pixel(dataset)
    data = read_frame(frame)
    if transfer_syntax_uid in NATIVE:
        dataset |= embedded_overlays(dataset, data, image)
    decoded = decode_frame(data, image, transfer_syntax_uid)

    def others(frames: Sequence[Frame]) -> list[Array]:
        return [decode_frame(read_frame(f), image, transfer_syntax_uid).array for f in frames]

    over = None
    if state.over is not None:
        laid_on = _dataset(state.over.packed, {})
        pixel = image_pixel(laid_on)
        data = read_frame(state.over.frame)
        shown = decode_frame(data, pixel, state.over.transfer_syntax_uid)
        over = Superimposed(shown, pixel, laid_on, state.over.number)
    presentation = _dataset(state.packed, state.values)
    picture = present(
        decoded,
        image,
        dataset,
        number,
        presentation,
        options,
        others(state.masks),
        others(state.averaged),
        over=over,
        longest=longest,
        texts=texts,
    )
    profile = source_profile(presentation, 1, 1)
    if profile and not options.icc_profile and media_type in PROFILES:
        options = replace(options, icc_profile="yes")  # digest 3.3.5
    return finished(picture, dataset, number, options, media_type, quality, profile)


def with_value(packed_metadata: bytes, path: str, value: bytes) -> bytes:
    """Packed metadata with one more binary value in it."""
    dataset = _dataset(packed_metadata, {path: StoredValue(value, 0, len(value), 1)})
    return pack_metadata(orjson.dumps(dataset))


def _dataset(packed_metadata: bytes, values: Mapping[str, StoredValue]) -> JsonDataset:
    """The metadata of an instance, with `values` put where they are referred to."""
    text = unpack_metadata(packed_metadata).replace(BULK_BASE, b"")
    dataset: JsonDataset = orjson.loads(text)
    for path, stored in values.items():
        value = stored.read()
        *steps, tag = path.split("/")
        holder: Any = dataset
        for sequence, item in zip(steps[::2], steps[1::2], strict=True):
            holder = holder[sequence]["Value"][int(item) - 1]
        attribute = holder[tag]
        attribute.pop("BulkDataURI", None)
        if attribute["vr"] == "FL":
            whole = len(value) - len(value) % 4
            attribute["Value"] = np.frombuffer(value[:whole], "<f4").tolist()
        else:
            attribute["InlineBinary"] = b64encode(value).decode()
    return dataset
