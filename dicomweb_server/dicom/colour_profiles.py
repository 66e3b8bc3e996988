"""ICC profiles of rendered pictures (PS3.18 §8.3.5.1.6, digest 3.3.5), by LittleCMS.

What is no profile of RGB colours counts as absent, and the colours then as sRGB: grey pictures,
and whatever is damaged.
"""

from collections.abc import Iterator
from functools import lru_cache
from io import BytesIO
from typing import Any

import numpy as np

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.json_values import (
    binary,
    first_text,
    functional_group,
    values,
)
from dicomweb_server.errors import UndecodablePixels, ValueElsewhere

Picture = np.ndarray[Any, np.dtype[np.uint8]]

_ICC_PROFILE = "00282000"
_OPTICAL_PATHS, _IDENTIFIER = "00480105", "00480106"
_PATH_OF_FRAME = "00480207"
MAX_PROFILE = 4 << 20  # bytes

# Red, green, blue and white as x, y (CIE 1931): Adobe RGB (1998), and ROMM RGB (ISO 22028-2)
_ADOBE = ((0.64, 0.33, 0.21, 0.71, 0.15, 0.06), (0.3127, 0.3290))
_ROMM = ((0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001), (0.3457, 0.3585))
_ADOBE_GAMMA = 563 / 256
_ROMM_TOE = 1 / 512  # of linear light; below it the curve is a line


@lru_cache
def standard_profile(name: str) -> bytes:
    """The profile of a well-known space: srgb, adobergb or rommrgb. The same bytes each time."""
    import imagecodecs

    if name == "srgb":
        made = imagecodecs.cms_profile("srgb")
    elif name == "adobergb":
        primaries, white = _ADOBE
        made = imagecodecs.cms_profile(
            "rgb", primaries=primaries, whitepoint=white, gamma=_ADOBE_GAMMA
        )
    else:
        primaries, white = _ROMM
        signal = np.linspace(0, 1, 1024)
        light = np.where(signal < 16 * _ROMM_TOE, signal / 16, signal**1.8)
        curve = (light * 65535 + 0.5).astype(np.uint16)
        made = imagecodecs.cms_profile(
            "rgb", primaries=primaries, whitepoint=white, transferfunction=curve
        )
    day = b"".join(part.to_bytes(2) for part in (2024, 1, 1, 0, 0, 0))
    return bytes(made[:24]) + day + bytes(made[36:])  # not when it was made: it would differ


def source_profile(dataset: JsonDataset, frame: int, count: int, stream: bytes = b"") -> bytes:
    """The profile that a file states for the colours of a frame, from 1 of `count`: of its optical
    path, of the image, or within its code `stream`; empty if there is none that makes sense.

    Raises ValueElsewhere for one that is too large to be in the metadata, and UndecodablePixels
    for one of more than MAX_PROFILE: to take the colours for others would show wrong ones.
    """
    candidates = _candidates(dataset, frame, count, stream)
    return next((found for found in candidates if found and is_rgb(found)), b"")


def _candidates(
    dataset: JsonDataset, frame: int, count: int, stream: bytes
) -> Iterator[bytes | None]:
    """One after the other: a large one is fetched only where none before it makes sense."""
    yield _of_optical_path(dataset, frame, count)
    yield _stated(dataset)
    yield _in_stream(stream)


def _of_optical_path(dataset: JsonDataset, frame: int, count: int) -> bytes | None:
    """That of the path which the frame names; where none is named, frames of all positions come
    path by path (PS3.3 C.7.6.17.3)."""
    paths = [item for item in values(dataset, _OPTICAL_PATHS) if isinstance(item, dict)]
    if not paths:
        return None
    named = functional_group(dataset, frame, _PATH_OF_FRAME)
    if named is not None:
        identifier = first_text(named, _IDENTIFIER)
        chosen = [path for path in paths if first_text(path, _IDENTIFIER) == identifier]
    else:
        chosen = [paths[min((frame - 1) * len(paths) // max(count, 1), len(paths) - 1)]]
    return _stated(chosen[0]) if chosen else None


def _stated(dataset: JsonDataset) -> bytes | None:
    element = dataset.get(_ICC_PROFILE)
    path = element.get("BulkDataURI") if isinstance(element, dict) else None
    if path is not None:
        raise ValueElsewhere(str(path).lstrip("/"))
    found = binary(dataset, _ICC_PROFILE)
    if found is not None and len(found) > MAX_PROFILE:
        raise UndecodablePixels("the ICC profile of the image is too large to be applied")
    return found


def _in_stream(stream: bytes) -> bytes | None:
    """The profile that a JPEG stream carries."""
    from PIL import Image

    if stream[:2] != b"\xff\xd8":
        return None
    try:
        with Image.open(BytesIO(stream)) as image:
            found = image.info.get("icc_profile")
    except Exception:  # whatever the stream is, it has none
        return None
    return found if isinstance(found, bytes) else None


def is_rgb(profile: bytes) -> bool:
    """Whether LittleCMS takes it for a profile of RGB colours that can be converted from."""
    return len(profile) <= MAX_PROFILE and _transform(profile, "srgb") is not None


def managed(picture: Picture, wanted: str, source: bytes) -> tuple[Picture, bytes]:
    """A picture in the colours that `iccprofile` asks for, and the profile to embed.

    `wanted`: yes for the colours as they are, or the space to convert them to; empty or no for no
    profile. `source`: the profile of the picture, as `source_profile` gives it. A picture with a
    profile is one of RGB, (rows, columns, 3).
    """
    if wanted in ("", "no"):
        return picture, b""
    if picture.ndim == 2:
        picture, source = np.repeat(picture[:, :, np.newaxis], 3, axis=2), b""
    if wanted == "yes":
        return picture, source or standard_profile("srgb")
    if source or wanted != "srgb":
        picture = _converted(picture, source or standard_profile("srgb"), wanted)
    return picture, standard_profile(wanted)


def _converted(picture: Picture, source: bytes, target: str) -> Picture:
    from PIL import Image, ImageCms

    transform = _transform(source, target)
    assert transform is not None
    converted = ImageCms.applyTransform(Image.fromarray(picture), transform)
    return np.asarray(converted)


@lru_cache(maxsize=4)
def _transform(source: bytes, target: str) -> Any:
    """From the colours of a profile to a well-known space; None if the profile is of no use."""
    from PIL import ImageCms

    try:
        opened = ImageCms.getOpenProfile(BytesIO(source))
        if opened.profile.xcolor_space.strip() != "RGB":
            return None
        return ImageCms.buildTransform(
            opened,
            ImageCms.getOpenProfile(BytesIO(standard_profile(target))),
            "RGB",
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except Exception:  # LittleCMS's own errors, or what a damaged profile makes of its fields
        return None
