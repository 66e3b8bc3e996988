"""What the machine allows: the least work that an operation can be, done by nobody's server."""

import asyncio
import io
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from conformance.benchmark.client import Address, Answer, AnswerError, Request
from conformance.benchmark.load import Ask, Sample, load

Clock = time.perf_counter


async def durable_writes(files: Sequence[bytes], *, threads: int, folder: Path) -> Sample:
    """Write each file so that a power cut does not lose it: fsync, rename, fsync of the folder."""
    numbers = count()

    def write(file: bytes) -> float:
        began = Clock()
        target = folder / f"{next(numbers)}.dcm"
        partial = target.with_suffix(".part")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            os.write(descriptor, file)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        partial.replace(target)
        _sync_folder(folder)
        return Clock() - began

    def run() -> Sample:
        began = Clock()
        with ThreadPoolExecutor(threads) as pool:
            latencies = tuple(pool.map(write, files))
        return Sample(len(files), Clock() - began, sum(map(len, files)), latencies)

    folder.mkdir(exist_ok=True)
    sample = await asyncio.to_thread(run)
    for written in folder.iterdir():
        written.unlink()
    return sample


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def static_answers(
    address: Address, lengths: Mapping[str, int], *, connections: int, seconds: float
) -> Sample:
    """Get these paths, each of so many bytes, from the static server, in random order."""

    def check_for(length: int) -> Callable[[Answer], None]:
        def check(answer: Answer) -> None:
            if answer.status != 200 or answer.length != length:
                raise AnswerError(f"static server: {answer.status}, {answer.length} bytes")

        return check

    def asks() -> Iterator[Ask]:
        each = [Ask(Request(path), check_for(length)) for path, length in lengths.items()]
        order = random.Random(0)
        while True:
            yield order.choice(each)

    return await load(address, connections, asks(), seconds=seconds)


async def jpeg_encodings(pixels: NDArray[np.int16], *, threads: int, seconds: float) -> Sample:
    """Window `pixels` (rows, columns), in HU, to 8 bits and code them as JPEG, on all cores."""
    return await asyncio.to_thread(
        _repeat, lambda: len(_displayed_jpeg(pixels)), threads=threads, seconds=seconds
    )


def _displayed_jpeg(pixels: NDArray[np.int16]) -> bytes:
    # A table of all stored values, in the order of their bit patterns, is the cheapest way
    # there is to apply a window (here 40 ± 200).
    stored = np.arange(1 << 16, dtype=np.uint16).view(np.int16).astype(np.int32)
    table = np.clip((stored + 160) * (255 / 400), 0, 255).astype(np.uint8)
    target = io.BytesIO()
    Image.fromarray(table[pixels.view(np.uint16)]).save(target, "JPEG", quality=90)
    return target.getvalue()


def _repeat(work: Callable[[], int], *, threads: int, seconds: float) -> Sample:
    began = Clock()

    def one_thread(_: int) -> list[tuple[float, int]]:
        done = []
        while (start := Clock()) < began + seconds:
            size = work()
            done.append((Clock() - start, size))
        return done

    with ThreadPoolExecutor(threads) as pool:
        done = [each for thread in pool.map(one_thread, range(threads)) for each in thread]
    return Sample(
        units=len(done),
        seconds=Clock() - began,
        payload=sum(size for _, size in done),
        latencies=tuple(latency for latency, _ in done),
    )
