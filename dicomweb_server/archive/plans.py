"""Of which parts of a request its instances are to be made (PS3.18 §10.5.2, STOW-11)."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from dicomweb_server.archive.assembly import Part, Parts, Plan, Posted
from dicomweb_server.archive.generated_uids import GeneratedUids
from dicomweb_server.archive.staging import StagedFile, in_thread
from dicomweb_server.archive.store import Intake
from dicomweb_server.wire.bulk_parts import BulkParts, PartType
from dicomweb_server.wire.resources import is_uid
from dicomweb_server.wire.store_report import Failed, failed

# A location may have many parts, and a data set many spellings of it.
MAX_REFERENCES = 1 << 20  # from one instance to parts
MAX_REFERENCES_TOTAL = 4_000_000  # of one request

_NO_PART = "a BulkDataURI that no part of the request has"

Group = Parts | Failed


@dataclass(slots=True)
class Received:
    """A part, or why it could not be received."""

    kind: PartType
    file: StagedFile | Failed


@dataclass(slots=True)
class Plans:
    """What the instances of one request are to be made of, one after the other."""

    intake: Intake
    parts: BulkParts
    received: Sequence[Received]
    _uids: GeneratedUids = field(init=False)
    _groups: dict[int, Group] = field(default_factory=dict)  # by the identity of their numbers
    _references: int = 0  # from instances to parts, so far

    def __post_init__(self) -> None:
        self._uids = GeneratedUids(self.intake.study_instance_uid)

    async def plan(self, posted: Posted) -> Plan | Failed:
        """That of the next instance. A thread looks for its parts: of many it takes a while."""
        if posted.refusal:
            return refused("cannot_understand", posted, posted.refusal)
        assert posted.belonging is not None
        found = await in_thread(self._find, posted)
        if isinstance(found, Failed):
            return found
        settings = self.intake.archive.settings
        return Plan(
            metadata=posted.path,
            target=self.intake.archive.scratch_file(".part"),
            parts=found,
            study_instance_uid=self.intake.study_instance_uid,
            generated=self._uids.of(posted.belonging),
            pixel_limit=settings.pixel_limit_bytes,
            size_limit=settings.max_instance_bytes,
            floor=settings.min_free_bytes,
        )

    def _find(self, posted: Posted) -> dict[str, Sequence[Part]] | Failed:
        """The parts of each URI. What is not found first decides, the others are still looked
        for as they are written: nobody is to be told that nothing names their parts."""
        found: dict[str, Sequence[Part]] = {}
        references, failure = 0, None
        for uri in posted.uris:
            numbers = self.parts.find(uri, resolve=failure is None)
            if failure is not None:
                continue
            references += len(numbers)
            if not numbers:
                failure = refused("cannot_understand", posted, _NO_PART)
            elif references > min(MAX_REFERENCES, MAX_REFERENCES_TOTAL - self._references):
                failure = refused("cannot_understand", posted, "too many parts")
            elif isinstance(group := self._group(numbers), Failed):
                failure = named(group, posted)
            else:
                found[uri] = group
        if failure is not None:
            return failure
        self._references += references
        return found

    def _group(self, numbers: Sequence[int]) -> Group:
        """The parts of one location, made once, or why one of them could not be received."""
        group = self._groups.get(id(numbers))
        if group is None:
            group = self._groups[id(numbers)] = self._new_group(numbers)
        return group

    def _new_group(self, numbers: Sequence[int]) -> Group:
        group: list[Part] = []
        for number in numbers:
            kind, file = self.received[number].kind, self.received[number].file
            if isinstance(file, Failed):
                return file
            group.append(Part(file.path, file.size, kind.media_type, kind.transfer_syntax))
        return Parts(group)


def refused(reason: str, posted: Posted, comment: str) -> Failed:
    """An instance that cannot be made."""
    return named(failed(reason, comment=comment), posted)


def named(failure: Failed, posted: Posted) -> Failed:
    """A failure with the UIDs of its instance, as far as they are UIDs."""
    sop_class, sop_instance = (
        uid if uid is not None and is_uid(uid) else None
        for uid in (posted.sop_class_uid, posted.sop_instance_uid)
    )
    return replace(failure, sop_class_uid=sop_class, sop_instance_uid=sop_instance)
