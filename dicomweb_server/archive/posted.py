"""Instances posted as metadata and bulk data (PS3.18 §10.5.2, digest 5.2): parts are received
into the scratch folder, files are made of them, and go the way of all others.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID, uuid4

import structlog

from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.assembly import (
    MAX_INSTANCES,
    Part,
    Plan,
    Posted,
    assemble,
    split_metadata,
)
from dicomweb_server.archive.staging import StagedFile, Staging, passing_staging
from dicomweb_server.archive.store import Intake
from dicomweb_server.archive.workers import WorkerFailed
from dicomweb_server.dicom import completion
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
from dicomweb_server.wire.resources import is_uid
from dicomweb_server.wire.store_report import Failed, failed

log = structlog.get_logger()

AHEAD = 4  # files that are made at a time for one request
MAX_UNUSED = 100  # parts without use that are reported one by one


@dataclass(slots=True)
class _Received:
    """A part, or why it could not be received."""

    kind: PartType
    file: StagedFile | Failed


@dataclass(slots=True)
class PostedIntake:
    """The parts of one request, and the instances that they make."""

    intake: Intake
    request_url: str
    _metadata: list[tuple[PartType, StagedFile]] = field(default_factory=list)
    _bulk: list[_Received] = field(default_factory=list)
    _scratch: list[Path] = field(default_factory=list)

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
            self._bulk.append(_Received(kind, file))

    def lose(self, kind: PartType, failure: Failed) -> None:
        """Take note of a part that could not be received."""
        self._bulk.append(_Received(kind, failure))

    async def finish(self) -> None:
        """The request is complete: make the instances and hand them to the intake.

        Raises MalformedContent and its kinds if no metadata can be read at all, Unavailable.
        """
        try:
            posted = await self._split()
            parts = BulkParts(self.request_url)
            for number, received in enumerate(self._bulk):
                parts.add(number, received.kind)
            await self._make(list(self._plans(posted, parts)))
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
        await asyncio.to_thread(_remove, scratch)

    async def _split(self) -> list[Posted]:
        """The data sets of all metadata parts. Raises as `finish`."""
        if any(received.kind.media_type in METADATA for received in self._bulk):
            raise Unavailable("the metadata could not be kept; try again")
        if not self._metadata:
            raise MalformedMultipart("the request has no part with metadata")
        posted: list[Posted] = []
        refusals: list[Refusal] = []
        for kind, file in self._metadata:
            try:
                found = await self._split_part(file.path, kind.media_type == XML)
            except (MalformedContent, ContentTooLarge, WorkerFailed) as error:
                refusals.append(error)
                continue
            self._scratch += [each.path for each in found]
            posted += found
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
        except BaseException:  # a worker was killed, or nobody waits for what it made
            made = await asyncio.to_thread(list, path.parent.glob(f"{path.stem}-*.metadata"))
            await asyncio.to_thread(_remove, made)
            raise

    def _plans(
        self, posted: Sequence[Posted], parts: BulkParts
    ) -> Iterator[tuple[Posted, Plan | Failed]]:
        """What each instance is to be made of. UIDs that are missing are generated, of a study
        and a series the same for all of the request (STOW-17)."""
        shared: dict[int, UUID] = {tag: uuid4() for tag in (completion.STUDY, completion.SERIES)}
        for each in posted:
            if each.refusal:
                yield each, _refused("cannot_understand", each, each.refusal)
                continue
            meant = {uri: parts.find(uri) for uri in each.uris}
            if not all(meant.values()):
                comment = "a BulkDataURI that no part of the request has"
                yield each, _refused("cannot_understand", each, comment)
                continue
            found = {uri: [self._part(n) for n in numbers] for uri, numbers in meant.items()}
            lost = [part for some in found.values() for part in some if isinstance(part, Failed)]
            if lost:
                yield each, _named(lost[0], each)
                continue
            whole = {
                uri: [part for part in some if isinstance(part, Part)]
                for uri, some in found.items()
            }
            yield each, self._plan(each, whole, {**shared, completion.SOP_INSTANCE: uuid4()})

    def _plan(
        self, posted: Posted, parts: Mapping[str, Sequence[Part]], generated: Mapping[int, UUID]
    ) -> Plan:
        settings = self._archive.settings
        return Plan(
            metadata=posted.path,
            target=self._archive.scratch_file(".part"),
            parts=parts,
            study_instance_uid=self.intake.study_instance_uid,
            generated=generated,
            pixel_limit=settings.pixel_limit_bytes,
            size_limit=settings.max_instance_bytes,
            floor=settings.min_free_bytes,
        )

    def _part(self, number: int) -> Part | Failed:
        received = self._bulk[number]
        kind, file = received.kind, received.file
        if isinstance(file, Failed):
            return file
        return Part(file.path, file.size, kind.media_type, kind.transfer_syntax)

    async def _make(self, plans: Sequence[tuple[Posted, Plan | Failed]]) -> None:
        """Make the files, some at a time, and hand them on in their order."""
        under_way: deque[asyncio.Task[StagedFile | Failed]] = deque()
        left = iter(plans)
        try:
            while True:
                while len(under_way) < AHEAD and (following := next(left, None)) is not None:
                    under_way.append(asyncio.create_task(self._assemble(*following)))
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
            made = await self._archive.workers.run_to_the_end(assemble, plan)
        except Unavailable:
            raise
        except UnsupportedMedia as refusal:
            return _refused("transfer_syntax_not_supported", posted, str(refusal))
        except ContentTooLarge as refusal:
            return _refused("out_of_resources", posted, str(refusal))
        except WorkerFailed as refusal:
            await asyncio.to_thread(_remove, [plan.target, plan.target.with_suffix(".pixels")])
            return _refused("processing_failure", posted, str(refusal))
        except Refusal as refusal:
            return _refused("cannot_understand", posted, str(refusal))
        except Exception as error:  # a bug costs one instance, not the request (STOW-41)
            log.error("an instance could not be made", where=where(error))
            return _refused("processing_failure", posted, "")
        return StagedFile(plan.target, made.size, made.sha256, made.problems)


def _refused(reason: str, posted: Posted, comment: str) -> Failed:
    return _named(failed(reason, comment=comment), posted)


def _named(failure: Failed, posted: Posted) -> Failed:
    """A failure with the UIDs of its instance, as far as they are UIDs."""
    sop_class, sop_instance = (
        uid if uid is not None and is_uid(uid) else None
        for uid in (posted.sop_class_uid, posted.sop_instance_uid)
    )
    return replace(failure, sop_class_uid=sop_class, sop_instance_uid=sop_instance)


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _remove_made(task: "asyncio.Task[StagedFile | Failed]") -> None:
    with suppress(asyncio.CancelledError, Refusal):
        made = task.result()
        if isinstance(made, StagedFile):
            made.path.unlink(missing_ok=True)
