"""Planning of a File-set: its DICOMDIR is written, and its files are numbered, before the first
byte of it is sent."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from functools import partial
from uuid import UUID

from dicomweb_server.access.policy import Action
from dicomweb_server.access.principal import Principal
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.file_set import ROW, FileSet, file_id
from dicomweb_server.archive.read_ahead import in_order
from dicomweb_server.archive.spool import Spool
from dicomweb_server.archive.work import directory_records
from dicomweb_server.dicom.directory import (
    LEAF,
    PATIENT,
    SERIES,
    Directory,
    Numbers,
    Record,
    Reference,
    belongs_to_no_patient,
)
from dicomweb_server.index.file_set import File, read_files
from dicomweb_server.index.retrieve import Page, Position
from dicomweb_server.wire.zip_format import member_name

# Instances whose records a worker makes in one go, and bytes of their packed metadata: a message
# to a worker is put together on the event loop.
_BATCH = 100
_BATCH_BYTES = 1 << 20


class _Planner:
    """Writes the DICOMDIR and the rows, a page of instances at a time."""

    def __init__(self, archive: Archive, seed: bytes) -> None:
        """`seed`: what the File-set UID is made of."""
        self._archive = archive
        uid = UUID(bytes=hashlib.sha256(b"File-set of " + seed).digest()[:16], version=4)
        self._records = Directory(f"2.25.{uid.int}")
        folder = archive.settings.tmp_dir
        self._directory, self._rows = Spool(folder), Spool(folder)
        self._planned = FileSet(archive, self._directory, self._rows)
        self._series_uid: str | None = None
        self._series = self._instance = 0
        self._lacking = range(PATIENT, LEAF)  # levels whose records are to come
        self._rows_length = 0

    async def begin(self) -> None:
        await self._directory.write([(0, self._records.head)])

    async def add(self, page: Page[File]) -> None:
        """A batch is prepared when it is its turn; two workers make records at a time."""
        rows: list[tuple[int, bytes]] = []
        run = self._archive.workers.run
        making = (
            partial(run, directory_records, self._asked(files, rows))
            for files in batches_of(page.items)
        )
        async with aclosing(in_order(making, most=2)) as batches:
            async for batch in batches:
                await self._write(batch)
        await self._rows.write(rows)

    def _asked(
        self, files: Sequence[File], rows: list[tuple[int, bytes]]
    ) -> list[tuple[bytes, Reference, Numbers, Sequence[int]]]:
        """What a worker is asked for `files`, which are added to the plan, and to `rows`."""
        asked: list[tuple[bytes, Reference, Numbers, Sequence[int]]] = []
        for file in files:
            found = file.location
            if found.series_instance_uid != self._series_uid:
                self._series_uid = found.series_instance_uid
                self._series, self._instance = self._series + 1, 0
                self._lacking = self._lacking or range(SERIES, LEAF)
            self._instance += 1
            numbers = self._series, self._instance
            name = file_id(*numbers)
            uids = found.sop_class_uid, found.sop_instance_uid, found.transfer_syntax_uid
            asked.append((file.packed, Reference(name, *uids), numbers, self._lacking))
            if not belongs_to_no_patient(found.sop_class_uid):  # which has none of them
                self._lacking = range(0)
            key = found.blob_key.encode()
            row = ROW.pack(*numbers, found.size, found.sha256, len(key)) + key
            rows.append((self._rows_length, row))
            self._planned.add_file(member_name(name), found.size, self._rows_length)
            self._rows_length += len(row)
        return asked

    async def _write(self, batch: Sequence[Sequence[Record]]) -> None:
        """Append the records of a batch."""
        pieces: list[tuple[int, bytes]] = []
        for records in batch:
            for record in records:
                at = self._records.length
                item, patches = self._records.add(record)
                pieces += [(at, item), *patches]
        await self._directory.write(pieces)

    async def close(self) -> None:
        """There will be no plan."""
        await self._planned.close()

    async def finish(self) -> FileSet:
        at = self._records.length
        await self._directory.write([(at, self._records.finish())])
        self._planned.finish(self._records.length)
        return self._planned


def batches_of(files: Sequence[File]) -> Iterator[Sequence[File]]:
    """The files in their order, in batches that are small enough; none is empty."""
    start = size = 0
    for at, file in enumerate(files):
        size += len(file.packed)
        if at > start and (at - start == _BATCH or size > _BATCH_BYTES):
            yield files[start:at]
            start, size = at, len(file.packed)
    if files:
        yield files[start:]


async def plan_file_set(
    archive: Archive,
    principal: Principal,
    seed: bytes,
    study: str,
    series: str | None = None,
    instance: str | None = None,
) -> FileSet:
    """Plan the File-set of a resource. `seed`: what stands for all that it holds, and makes its
    UID. The same resource with the same seed gives the same bytes.

    Raises NotFound; ContentTooLarge for what no DICOMDIR can hold; Unavailable.
    """
    planner = _Planner(archive, seed)
    try:
        await planner.begin()
        after: Position | None = None
        while True:
            async with archive.session(principal, Action.RETRIEVE) as session:
                page = await read_files(session.conn, session.scope, study, series, instance, after)
            await planner.add(page)
            after = page.after
            if after is None:
                return await planner.finish()
    except BaseException:
        await planner.close()
        raise
