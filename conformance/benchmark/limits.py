"""What the machine allows: the least work that an operation can be, done by nobody's server."""

import asyncio
import io
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import asyncpg
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from conformance.benchmark.client import Address, Answer, AnswerError, Request
from conformance.benchmark.load import Ask, Sample, load

Clock = time.perf_counter

ROWS_PER_COMMIT = 10
METADATA_BYTES = 4096

# An instance's row as our index has it, with its keys and without the columns that cost nothing.
ROWS_TABLE = """
CREATE TABLE IF NOT EXISTS instances (
  id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  series_id        bigint NOT NULL,
  instance_number  bigint,
  sop_instance_uid text   COLLATE "C" NOT NULL UNIQUE,
  blob_key         text   COLLATE "C" NOT NULL,
  sha256           bytea  NOT NULL,
  attributes       text   NOT NULL,
  metadata         bytea  NOT NULL
);
CREATE INDEX IF NOT EXISTS instances_in_series ON instances (series_id, instance_number);
ALTER TABLE instances ALTER metadata SET STORAGE EXTERNAL;
TRUNCATE instances;
"""
PUT_ROWS = """
INSERT INTO instances (series_id, instance_number, sop_instance_uid, blob_key, sha256, attributes,
                       metadata)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::bytea[], $6::text[],
                     $7::bytea[])
"""


async def durable_writes(files: Sequence[bytes], *, threads: int, folder: Path) -> Sample:
    """Write each file so that a power cut does not lose it: fsync, rename, fsync of the folder."""
    numbers = count()

    def write(file: bytes) -> float:
        began = Clock()
        target = folder / f"{next(numbers)}.dcm"
        partial = target.with_suffix(".part")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            rest = memoryview(file)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
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

    # They stay until the whole run is over: for minutes after many files were removed, ext4 looks
    # long for the place of a new one, and servers would pay for it.
    folder = Path(tempfile.mkdtemp(dir=folder))
    return await asyncio.to_thread(run)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def group_commits(url: str, *, connections: int, seconds: float) -> Sample:
    """Insert rows of instances into the Postgres at `url`, so many connections at once.

    Each statement is one durable transaction of `ROWS_PER_COMMIT` rows; units are rows.
    """
    opened = [await asyncpg.connect(url) for _ in range(connections)]
    latencies: list[float] = []
    metadata = os.urandom(METADATA_BYTES)  # deflated metadata cannot be made any smaller
    try:
        await opened[0].execute(ROWS_TABLE)
        statements = [await connection.prepare(PUT_ROWS) for connection in opened]
        numbers = count()
        spent, began = time.process_time(), Clock()

        async def insert(series: int) -> None:
            while (start := Clock()) < began + seconds:
                group = [next(numbers) for _ in range(ROWS_PER_COMMIT)]
                await statements[series].fetch(*_rows(series, group, metadata))
                latencies.append(Clock() - start)

        async with asyncio.TaskGroup() as tasks:
            for series in range(connections):
                tasks.create_task(insert(series))
        took, spent = Clock() - began, time.process_time() - spent
    finally:
        for connection in opened:
            await connection.close()
    rows = len(latencies) * ROWS_PER_COMMIT
    return Sample(rows, took, rows * METADATA_BYTES, tuple(latencies), client_cpu_seconds=spent)


def _rows(series: int, group: Sequence[int], metadata: bytes) -> tuple[list[object], ...]:
    """The columns of `PUT_ROWS`, as long as those of a CT slice."""
    return (
        [series] * len(group),
        list(group),
        [f"2.25.{number:038}" for number in group],
        [f"default/{series:040}/{series:040}/{number:040}.dcm" for number in group],
        [number.to_bytes(32, "big") for number in group],
        ["a" * 500] * len(group),
        [metadata] * len(group),
    )


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
