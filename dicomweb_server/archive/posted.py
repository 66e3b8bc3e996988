"""Instances posted as metadata and bulk data (PS3.18 §10.5.2, digest 5.2): parts are received
into the scratch folder, files are made of them, and go the way of all others.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.assembly import (
    MAX_INSTANCES,
    MAX_URIS_TOTAL,
    Assembled,
    Plan,
    Posted,
    assemble,
    split_metadata,
)
from dicomweb_server.archive.plans import Plans, Received, named, refused
from dicomweb_server.archive.scratch import remove
from dicomweb_server.archive.staging import StagedFile, Staging, not_written, passing_staging
from dicomweb_server.archive.store import Intake
from dicomweb_server.archive.workers import (
    Longer,
    WorkerFailed,
    WorkerStorageFailed,
    seconds_for,
)
from dicomweb_server.dicom.json_model import MAX_TEXT
from dicomweb_server.errors import (
    ContentTooLarge,
    MalformedContent,
    MalformedMultipart,
    Refusal,
    Unavailable,
    UnsupportedMedia,
    where,
)
from dicomweb_server.wire.bulk_parts import METADATA, XML, BulkParts, PartType
from dicomweb_server.wire.store_report import Failed, failed

log = structlog.get_logger()

AHEAD = 4  # files that are made at a time for one request
MAX_UNUSED = 100  # parts without use that are reported one by one


@dataclass(slots=True)
class PostedIntake:
    """The parts of one request, and the instances that they make."""

    intake: Intake
    request_url: str
    _metadata: list[tuple[PartType, StagedFile]] = field(default_factory=list)
    _refusals: list[Refusal] = field(default_factory=list)  # of metadata
    _bulk: list[Received] = field(default_factory=list)
    _scratch: list[Path] = field(default_factory=list)
    _uris: int = 0  # of all data sets
    _uris_size: int = 0  # characters of them

    @property
    def _archive(self) -> Archive:
        return self.intake.archive

    def new_part(self, kind: PartType) -> Staging:
        """Where the content of the next part is to be received."""
        limit = MAX_TEXT if kind.media_type in METADATA else None
        staging = passing_staging(self._archive, limit)
        self._scratch.append(staging.path)
        return staging

    def accept(self, kind: PartType, file: StagedFile) -> None:
        """Take in a complete part."""
        if kind.media_type in METADATA:
            self._metadata.append((kind, file))
        else:
            self._bulk.append(Received(kind, file))

    def lose(self, kind: PartType, failure: Failed) -> None:
        """Take note of a part that could not be received."""
        self._bulk.append(Received(kind, failure))

    def refuse(self, failure: Failed) -> None:
        """Take note of a part of metadata that is not to be read."""
        self._refusals.append(MalformedContent(failure.comment))

    async def finish(self) -> None:
        """The request is complete: make the instances and hand them to the intake.

        Raises MalformedContent and its kinds if no metadata can be read at all, Unavailable.
        """
        try:
            posted = await self._split()
            parts = BulkParts(self.request_url)
            for number, received in enumerate(self._bulk):
                parts.add(number, received.kind)
            await self._make(Plans(self.intake, parts, self._bulk), posted)
            for number in parts.unused(range(len(self._bulk)))[:MAX_UNUSED]:
                self.intake.fail(self._unused(number))
        finally:
            await self.discard()

    def _unused(self, number: int) -> Failed:
        file = self._bulk[number].file
        if isinstance(file, Failed):
            return file
        return failed("cannot_understand", comment="a part that no metadata refers to")

    async def discard(self) -> None:
        """Remove what was received; what is being made of it is waited for."""
        scratch, self._scratch = self._scratch, []
        await remove(*scratch)

    async def _split(self) -> list[Posted]:
        """The data sets of all metadata parts. Raises as `finish`."""
        if any(received.kind.media_type in METADATA for received in self._bulk):
            raise Unavailable("the metadata could not be kept; try again")
        posted: list[Posted] = []
        refusals = self._refusals
        if not self._metadata and not refusals:
            raise MalformedMultipart("the request has no part with metadata")
        for kind, file in self._metadata:
            try:
                found = await self._split_part(file.path, kind.media_type == XML)
            except (MalformedContent, WorkerFailed) as error:
                refusals.append(error)
                continue
            self._scratch += [each.path for each in found]
            posted += self._within_bounds(found)
            if len(posted) > MAX_INSTANCES:
                raise ContentTooLarge(f"more than {MAX_INSTANCES} data sets")
        if refusals and not posted:
            raise refusals[0]
        for refusal in refusals:
            self.intake.fail(failed("cannot_understand", comment=str(refusal)))
        return posted

    async def _split_part(self, path: Path, xml: bool) -> list[Posted]:
        try:
            return await self._archive.workers.run_to_the_end(split_metadata, path, xml, path.stem)
        except MalformedContent:
            raise
        except WorkerStorageFailed as error:
            raise Unavailable(not_written(error).comment, retry_after=300) from None
        except BaseException:  # a worker was killed, or nobody waits for what it made
            made = await asyncio.to_thread(list, path.parent.glob(f"{path.stem}-*.metadata"))
            await remove(*made)
            raise

    def _within_bounds(self, found: Sequence[Posted]) -> list[Posted]:
        """Data sets, refused if the URIs of the request are too many to be held: each part of
        metadata has bounds of its own, and there may be many."""
        kept = []
        for each in found:
            size = sum(map(len, each.uris))
            if self._uris + len(each.uris) > MAX_URIS_TOTAL or self._uris_size + size > MAX_TEXT:
                each = replace(each, uris=(), refusal="too many BulkDataURIs")
            else:
                self._uris += len(each.uris)
                self._uris_size += size
            kept.append(each)
        return kept

    async def _make(self, plans: Plans, posted: Sequence[Posted]) -> None:
        """Make the files, some at a time, and hand them on in their order."""
        under_way: deque[asyncio.Task[StagedFile | Failed]] = deque()
        left = iter(posted)
        try:
            while True:
                while len(under_way) < AHEAD and (following := next(left, None)) is not None:
                    plan = await plans.plan(following)
                    under_way.append(asyncio.create_task(self._assemble(following, plan)))
                if not under_way:
                    return
                made = await under_way[0]
                under_way.popleft()
                if isinstance(made, Failed):
                    self.intake.fail(made)
                else:
                    await self.intake.accept(made)
        finally:
            for task in under_way:  # the request was cut off
                task.add_done_callback(_remove_made)

    async def _assemble(self, posted: Posted, plan: Plan | Failed) -> StagedFile | Failed:
        if isinstance(plan, Failed):
            return plan
        try:
            made = await self._archive.workers.run_to_the_end(_as_long_as_it_takes(plan), plan)
        except Unavailable:
            raise
        except UnsupportedMedia as refusal:
            return refused("transfer_syntax_not_supported", posted, str(refusal))
        except ContentTooLarge as refusal:
            return refused("out_of_resources", posted, str(refusal))
        except WorkerStorageFailed as error:
            return named(not_written(error), posted)
        except WorkerFailed as refusal:
            await remove(plan.target, plan.target.with_suffix(".pixels"))
            return refused("processing_failure", posted, str(refusal))
        except Refusal as refusal:
            return refused("cannot_understand", posted, str(refusal))
        except Exception as error:  # a bug costs one instance, not the request (STOW-41)
            log.error("an instance could not be made", where=where(error))
            return refused("processing_failure", posted, "")
        return StagedFile(plan.target, made.size, made.sha256, made.problems)


def _as_long_as_it_takes(plan: Plan) -> Longer[[Plan], Assembled]:
    size = sum(part.size for parts in plan.parts.values() for part in parts)
    return Longer(assemble, seconds_for(min(size, plan.size_limit)))


def _remove_made(task: "asyncio.Task[StagedFile | Failed]") -> None:
    with suppress(asyncio.CancelledError, Refusal):
        made = task.result()
        if isinstance(made, StagedFile):
            made.path.unlink(missing_ok=True)
