"""What the blobs of a study tell of its history: which versions are current, which came before.

Of one SOP Instance UID the first blob is the instance, and each with the mark of a version that
replaces takes its place; others are what a crash left behind. The first may be marked, if what
it replaced has been purged. (What a crash left and no sweep removed then counts as what it
replaced: nobody can tell, and it is only kept for a while.)
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from dicomweb_server.archive.blob_keys import BlobName


@dataclass(frozen=True, slots=True)
class Version:
    """A blob that is, or was, an instance."""

    key: str
    name: BlobName
    size: int  # bytes

    @property
    def rank(self) -> tuple[bool, str]:
        """Of two places that have the same UID the one with the smaller rank has it.

        A version that replaced another proves that the instance was there; else the first one
        stored is it.
        """
        return not self.name.replacing, self.name.token


@dataclass(frozen=True, slots=True)
class Instance:
    """A current version, and those it replaced, the oldest first."""

    current: Version
    older: tuple[Version, ...] = ()


@dataclass(frozen=True, slots=True)
class StudyHistory:
    """What becomes of the blobs of one study.

    Stored in this order the instances give the study and its series the attributes that they
    had: those of the last version that replaced another, or else those of the first instance.
    """

    instances: list[Instance]
    left: list[Version]  # that no row named


def history_of(blobs: Iterable[Version], named: Collection[str] = ()) -> StudyHistory:
    """Sort out the blobs of one study, which come in any order.

    `named`: the keys that an index names already, whose word goes first.
    """
    by_uid: dict[str, list[Version]] = {}
    for blob in sorted(blobs, key=lambda blob: blob.name.token):
        by_uid.setdefault(blob.name.sop_instance_uid, []).append(blob)
    instances: list[Instance] = []
    left: list[Version] = []
    for versions in by_uid.values():
        instance, others = _instance_of(versions, named)
        instances.append(instance)
        left += others
    return StudyHistory(_givers_first(instances), left)


def _instance_of(
    versions: Sequence[Version], named: Collection[str]
) -> tuple[Instance, list[Version]]:
    stored = [version for version in versions if not version.name.replacing]
    first = next((version for version in stored if version.key in named), versions[0])
    kept, left = [first], list[Version]()
    for version in versions:
        in_place = version.name.series_instance_uid == first.name.series_instance_uid
        if in_place and version.name.replacing and version is not first:
            kept.append(version)
        elif version is not first and version.key not in named:
            left.append(version)
    return Instance(kept[-1], tuple(kept[:-1])), left


def _givers_first(instances: list[Instance]) -> list[Instance]:
    """The instance whose attributes the study has, then those of the series, then all others."""

    def weight(instance: Instance) -> tuple[bool, str]:
        """The least gives the attributes: the latest that replaced, then the first of all."""
        name = instance.current.name
        return (False, _inverted(name.token)) if name.replacing else (True, name.token)

    ordered = sorted(instances, key=weight)
    series: set[str] = set()
    givers, others = list[Instance](), list[Instance]()
    for instance in ordered:
        uid = instance.current.name.series_instance_uid
        (others if uid in series else givers).append(instance)
        series.add(uid)
    return givers + others


_DOWN = str.maketrans("0123456789abcdef", "fedcba9876543210")


def _inverted(token: str) -> str:
    """Sorts the other way round."""
    return token.translate(_DOWN)
