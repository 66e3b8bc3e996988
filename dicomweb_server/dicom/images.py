"""Displayed pictures as files; thumbnails, and icons for what has no picture."""

from typing import Any

import numpy as np
import orjson

from dicomweb_server.dicom.annotations import annotated
from dicomweb_server.dicom.as_stored import is_rendering
from dicomweb_server.dicom.colour_profiles import managed, source_profile
from dicomweb_server.dicom.description import BULK_BASE, JsonDataset
from dicomweb_server.dicom.json_values import first_number
from dicomweb_server.dicom.picture_files import encode
from dicomweb_server.dicom.pixels import ImagePixel, decode_frame, image_pixel
from dicomweb_server.dicom.rendering import pixel_height, render
from dicomweb_server.dicom.viewing import DEFAULT_QUALITY, RENDERED_TYPES, RenderOptions

__all__ = ["RENDERED_TYPES", "encode", "finished", "picture", "thumbnail"]

Picture = np.ndarray[Any, np.dtype[np.uint8]]


def picture(
    metadata: bytes,
    frame: bytes,
    transfer_syntax_uid: str,
    number: int,
    options: RenderOptions,
    media_type: str,
    quality: int = DEFAULT_QUALITY,
    longest: int | None = None,
    *,
    as_stored: bool = False,
) -> bytes:
    """As `picture_of`, of the stored DICOM JSON text of the instance."""
    dataset: JsonDataset = orjson.loads(metadata.replace(BULK_BASE, b""))
    return picture_of(
        dataset,
        frame,
        transfer_syntax_uid,
        number,
        options,
        media_type,
        quality,
        longest,
        as_stored=as_stored,
    )


def picture_of(
    dataset: JsonDataset,
    frame: bytes,
    transfer_syntax_uid: str,
    number: int,
    options: RenderOptions,
    media_type: str,
    quality: int = DEFAULT_QUALITY,
    longest: int | None = None,
    *,
    as_stored: bool = False,
    image: ImagePixel | None = None,
) -> bytes:
    """One stored frame as a file of `media_type`: decoded, rendered, made small, encoded.

    `dataset` is the instance's DICOM JSON object, `frame` the bytes of frame
    `number` (from 1) as `decode_frame` takes them, `longest` the most pixels a side of a
    thumbnail may have, `as_stored` whether a JPEG stream that is a rendering may be sent as it is:
    nothing has been asked of it, `image` the data set's Image Pixel Module if it has been read.
    Raises UndecodablePixels, InvalidParameter as `render` does, and NotAcceptable for another
    media type.
    """
    image = image or image_pixel(dataset)
    if as_stored and is_rendering(frame, image, dataset, number, transfer_syntax_uid):
        return frame
    decoded = decode_frame(frame, image, transfer_syntax_uid)
    rendered = render(decoded, image, dataset, number, options)
    if longest is not None:
        rendered = thumbnail(rendered, longest, pixel_height(dataset, number))
    profile = b""
    if options.icc_profile not in ("", "no"):
        profile = source_profile(dataset, number, image.number_of_frames, frame)
    return finished(rendered, dataset, number, options, media_type, quality, profile)


def finished(
    rendered: Picture,
    dataset: JsonDataset,
    number: int,
    options: RenderOptions,
    media_type: str,
    quality: int,
    profile: bytes = b"",
) -> bytes:
    """A rendered picture of frame `number` with all that comes last: its colours converted from
    those of `profile`, then annotations (RND-01), as a file.

    To convert what has been scaled is the same, and cheaper.
    """
    rendered, profile = managed(rendered, options.icc_profile, profile)
    if options.annotations:
        count = int(first_number(dataset, "00280008") or 1)
        rendered = annotated(rendered, options.annotations, dataset, number, count, options.window)
    return encode(rendered, media_type, quality, profile)


def thumbnail(array: Picture, longest: int = 256, tall: float = 1.0) -> Picture:
    """A picture with no side longer than `longest` pixels, its aspect kept (THB-04).

    `tall`: the height of its pixels over their width, which are square afterwards. A smaller
    picture stays as it is, but for that.
    """
    from PIL import Image

    rows, columns = array.shape[0] * tall, array.shape[1]
    scale = min(1.0, longest / max(rows, columns))
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    if size == (array.shape[1], array.shape[0]):
        return array
    reduced = Image.fromarray(array).resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    return np.asarray(reduced)
