"""What is stored on every server to be rendered: series of several kinds of image."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
from pydicom import uid as uids

from tests.make import ct_pixels, small_image, study_of, uid


@dataclass(frozen=True, slots=True)
class Picture:
    """One stored frame; `file` makes the PS3.10 file."""

    study_uid: str
    series_uid: str
    sop_uid: str
    file: Callable[[], bytes]

    @property
    def path(self) -> str:
        """The path of its instance."""
        return f"/studies/{self.study_uid}/series/{self.series_uid}/instances/{self.sop_uid}"


@dataclass(frozen=True)
class Kind:
    """A series of one kind of image, of `rows` x `columns` pixels."""

    name: str
    rows: int
    columns: int
    pictures: Sequence[Picture]


def ct(seed: int, count: int) -> Kind:
    """CT slices of 16 bits, with the header of a scanner."""
    series = study_of(1, count, seed=seed)
    pictures = [Picture(one.study_uid, one.series_uid, one.sop_uid, one.file) for one in series]
    return Kind("ct", 512, 512, pictures)


def coded_ct(seed: int, count: int, name: str, syntax: str) -> Kind:
    """The same slices in a compressed transfer syntax."""

    def pixels(number: int) -> np.ndarray[Any, Any]:
        raw = ct_pixels(number=number, rows=512, columns=512, seed=seed)
        return np.frombuffer(raw, "<i2").reshape(1, 512, 512)

    shape = {"bits": 16, "signed": True, "transfer_syntax": syntax}
    return _kind(name, seed, count, pixels, 512, 512, RescaleSlope="1", **shape)


def ultrasound(seed: int, count: int) -> Kind:
    """Colour frames of 640 x 480."""

    def pixels(number: int) -> np.ndarray[Any, Any]:
        grey = _phantom(480, 640, number) >> 8
        colour = np.stack([grey, grey // 2, 255 - grey], -1).astype(np.uint8)
        return np.where((grey > 100)[..., np.newaxis], colour, grey[..., np.newaxis])[
            np.newaxis
        ].astype(np.uint8)

    return _kind("us", seed, count, pixels, 480, 640, photometric="RGB", bits=8)


def mammography(seed: int, count: int) -> Kind:
    """Large images of 12 bits."""

    def pixels(number: int) -> np.ndarray[Any, Any]:
        return (_phantom(3328, 2560, number) >> 4)[np.newaxis].astype(np.uint16)

    window = {"WindowCenter": "2048", "WindowWidth": "4096"}
    return _kind("mg", seed, count, pixels, 3328, 2560, bits=12, **window)


@lru_cache(maxsize=4)
def _noise(rows: int, columns: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(rows).normal(0, 400, (rows, columns))


def _phantom(rows: int, columns: int, number: int) -> np.ndarray[Any, Any]:
    """A round body with a little noise, 0 to 65535; another for each number."""
    y, x = np.ogrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    body = np.clip(1.1 - (x * x + y * y), 0, 1) * 50_000 + 4000 * np.sin(9 * x + number)
    shifted = np.roll(_noise(rows, columns), number, 0)
    return np.clip(body + shifted + 4000, 0, 65535).astype(np.int64)


def _kind(
    name: str,
    seed: int,
    count: int,
    pixels: Callable[[int], np.ndarray[Any, Any]],
    rows: int,
    columns: int,
    **keywords: Any,
) -> Kind:
    study, series = uid("render study", name, seed), uid("render series", name, seed)

    def picture(number: int) -> Picture:
        sop = uid("render", name, seed, number)

        @cache
        def file() -> bytes:
            return small_image(
                rows=rows,
                columns=columns,
                pixels=pixels(number),
                StudyInstanceUID=study,
                SeriesInstanceUID=series,
                SOPInstanceUID=sop,
                InstanceNumber=str(number),
                **keywords,
            )

        return Picture(study, series, sop, file)

    return Kind(name, rows, columns, [picture(number) for number in range(1, count + 1)])


def all_kinds(seed: int, slices: int) -> dict[str, Kind]:
    """Every kind, by name."""
    kinds = [
        ct(seed, slices),
        ultrasound(seed + 1, 30),
        mammography(seed + 2, 4),
        coded_ct(seed + 3, 40, "j2k", str(uids.JPEG2000Lossless)),
        coded_ct(seed + 4, 40, "htj2k", str(uids.HTJ2KLossless)),
    ]
    return {kind.name: kind for kind in kinds}
