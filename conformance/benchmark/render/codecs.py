"""What no server can go below: decoding, a lookup table and encoding, in one process, one after
the other, of images that lie in memory."""

import time
from collections.abc import Callable
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import generate_frames

from conformance.benchmark.load import Sample
from conformance.benchmark.render.items import Item

IMAGES = 30  # of a kind that are held for it, at most

Array = np.ndarray[Any, Any]


def codecs_alone(item: Item, seconds: float) -> Sample:
    """Make the item's pictures for some seconds."""
    works = prepared(item)
    done, size, latencies = 0, 0, []
    began = spent = time.perf_counter()
    cpu = time.process_time()
    while spent < began + seconds:
        start = spent
        size += works[done % len(works)]()
        spent = time.perf_counter()
        latencies.append(spent - start)
        done += 1
    taken = time.process_time() - cpu
    return Sample(done, spent - began, size, tuple(latencies), client_cpu_seconds=taken)


_held: dict[str, list[Callable[[], Array]]] = {}


def prepared(item: Item) -> list[Callable[[], int]]:
    """For each picture what makes it; gives its length."""
    if item.kind.name not in _held:
        _held[item.kind.name] = [_decoder(one.file()) for one in item.kind.pictures[:IMAGES]]
    table = window_table()
    return [_work(item, decode, table) for decode in _held[item.kind.name]]


def window_table() -> Array:
    """The window 40 ± 200 for every bit pattern of 16 bits."""
    stored = np.arange(1 << 16, dtype=np.uint16).view(np.int16).astype(np.float64)
    return np.clip((stored + 160) * (255 / 399) + 0.5, 0, 255).astype(np.uint8)


def _decoder(file: bytes) -> Callable[[], Array]:
    dataset = dcmread(BytesIO(file))
    syntax = dataset.file_meta.TransferSyntaxUID
    shape = (dataset.Rows, dataset.Columns, dataset.SamplesPerPixel)
    if not syntax.is_encapsulated:
        data: bytes = dataset.PixelData
        kind = f"<u{dataset.BitsAllocated // 8}"
        return lambda: np.frombuffer(data, kind).reshape(shape).squeeze()
    stream = next(generate_frames(dataset.PixelData, number_of_frames=1))
    if syntax.startswith("1.2.840.10008.1.2.4.20"):
        return lambda: np.asarray(imagecodecs.htj2k_decode(stream)).view(np.uint16)
    return lambda: np.asarray(imagecodecs.jpeg2k_decode(stream)).view(np.uint16)


def _work(item: Item, decode: Callable[[], Array], table: Array) -> Callable[[], int]:
    def work() -> int:
        picture = decode()
        if picture.ndim == 2:
            picture = table.take(picture)
        if "viewport" in item.query:
            size = item.pixels if any(item.pixels) else (256, 256)
            picture = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))
        return len(encoded(picture, item.accept))

    return work


def encoded(picture: Array, media_type: str) -> bytes:
    """A picture of 8 bits as PNG or JPEG."""
    if media_type == "image/png":
        file = BytesIO()
        Image.fromarray(picture).save(file, "PNG", compress_level=1)
        return file.getvalue()
    if picture.ndim == 2:
        return bytes(imagecodecs.jpeg8_encode(picture, level=90))
    return bytes(
        imagecodecs.jpeg8_encode(
            picture, level=90, colorspace="RGB", outcolorspace="YCBCR", subsampling="444"
        )
    )
