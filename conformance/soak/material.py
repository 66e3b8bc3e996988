"""What is stored: instances of many kinds, made in code from a seed, and damaged ones."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any

import numpy as np
from pydicom import uid as uids

from conformance.soak.ledger import Kept
from tests.make import (
    ct_instance,
    ct_pixels,
    encapsulated_pdf,
    small_image,
    small_pixels,
    sr_document,
    uid,
)


def digest(data: bytes) -> str:
    """SHA-256 in hex."""
    return sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class Made:
    """One instance, made. `frame` holds the stored values of its first frame, if it has any."""

    study_uid: str
    series_uid: str
    sop_uid: str
    kind: str
    file: bytes
    frame: bytes = b""
    frames: int = 0

    def kept(self) -> Kept:
        """What the ledger has to know of it."""
        frame = digest(self.frame) if self.frame else ""
        file = digest(self.file)
        return Kept(self.series_uid, self.sop_uid, self.kind, file, file, frame, self.frames)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an instance belongs, and its number."""

    study_uid: str
    series_uid: str
    sop_uid: str
    patient_id: str
    number: int


def _about(place: Place) -> dict[str, Any]:
    return {
        "StudyInstanceUID": place.study_uid,
        "SeriesInstanceUID": place.series_uid,
        "SOPInstanceUID": place.sop_uid,
        "InstanceNumber": str(place.number),
        "PatientID": place.patient_id,
    }


def _ct(place: Place, seed: int, size: int) -> Made:
    file = ct_instance(
        study_uid=place.study_uid,
        series_uid=place.series_uid,
        sop_uid=place.sop_uid,
        number=place.number,
        rows=size,
        columns=size,
        seed=seed,
        PatientID=place.patient_id,
        PatientName=f"Soak{seed:06}^Anna",
    )
    frame = ct_pixels(number=place.number, rows=size, columns=size, seed=seed)
    return Made(place.study_uid, place.series_uid, place.sop_uid, "ct", file, frame, 1)


def _small(place: Place, seed: int, kind: str, photometric: str, bits: int, syntax: str) -> Made:
    frames = 1 + seed % 4
    shape: dict[str, Any] = {
        "photometric": photometric,
        "bits": bits,
        "frames": frames,
        "seed": seed,
    }
    about = _about(place) | {"PatientName": f"Soak{seed:06}^Boris"}
    shape |= {"rows": 64, "columns": 96}
    file = small_image(transfer_syntax=syntax, **shape, **about)
    pixels = small_pixels(**shape)
    frame = pixels[0].tobytes()
    return Made(place.study_uid, place.series_uid, place.sop_uid, kind, file, frame, frames)


def _large(place: Place, seed: int) -> Made:
    """Of 12 MB: it is streamed, and to S3 sent in several parts."""
    frames, size = 24, 512
    pixels = np.random.default_rng(seed).integers(0, 4096, (frames, size, size), np.uint16)
    file = small_image(
        frames=frames, rows=size, columns=size, bits=12, pixels=pixels, **_about(place)
    )
    frame = pixels[0].tobytes()
    return Made(place.study_uid, place.series_uid, place.sop_uid, LARGE, file, frame, frames)


def _document(place: Place, seed: int, kind: str, make: Callable[..., bytes]) -> Made:
    file = make(seed=seed, **_about(place))
    return Made(place.study_uid, place.series_uid, place.sop_uid, kind, file)


LARGE = "large"
IMPLICIT = "implicit"
"""The kind that is sent in Explicit VR to who does not ask for it by name (PS3.18 8.7.3.5.2)."""

_SMALL = {
    IMPLICIT: ("MONOCHROME2", 12, uids.ImplicitVRLittleEndian),
    "rle": ("MONOCHROME2", 16, uids.RLELossless),
    "jpeg-ls": ("MONOCHROME2", 12, uids.JPEGLSLossless),
    "jpeg 2000": ("MONOCHROME2", 16, uids.JPEG2000Lossless),
    "htj2k": ("MONOCHROME2", 12, uids.HTJ2KLossless),
    "rgb": ("RGB", 8, uids.ExplicitVRLittleEndian),
}

KINDS: dict[str, Callable[[Place, int], Made]] = {
    "ct": partial(_ct, size=256),
    "ct large": partial(_ct, size=512),
    **{
        kind: partial(_small, kind=kind, photometric=photometric, bits=bits, syntax=syntax)
        for kind, (photometric, bits, syntax) in _SMALL.items()
    },
    LARGE: _large,
    "report": partial(_document, kind="report", make=sr_document),
    "pdf": partial(_document, kind="pdf", make=encapsulated_pdf),
}


def make_study(seed: int, kind: str, n_series: int, n_instances: int) -> tuple[str, list[Made]]:
    """A study of one kind of instances, with its Patient ID. The same `seed`, the same bytes."""
    patient_id = f"SOAK{seed}"
    made = [
        KINDS[kind](
            Place(
                study_uid=uid("soak study", seed),
                series_uid=uid("soak series", seed, series),
                sop_uid=uid("soak", seed, series, number),
                patient_id=patient_id,
                number=number,
            ),
            seed,
        )
        for series in range(1, n_series + 1)
        for number in range(1, n_instances + 1)
    ]
    return patient_id, made


def damaged(made: Made, order: random.Random) -> bytes:
    """The file cut off in its header, in a way that no one can take for a whole one."""
    return made.file[: order.randrange(150, 600)]


def other_pixels(made: Made) -> bytes:
    """The same instance with one byte of its pixels changed: a duplicate that differs."""
    changed = bytearray(made.file)
    changed[-2] ^= 1
    return bytes(changed)
