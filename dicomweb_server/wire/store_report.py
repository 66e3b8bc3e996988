"""What became of stored instances: the Store Instances Response Module (PS3.18 Annex I, 10.5.3).

One value an instance goes in; the module as a DICOM JSON object and the HTTP status come out.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.errors import MalformedContent
from dicomweb_server.wire.resources import instance_url, study_url

_MAX_COMMENT = 64  # characters of Error Comment, LO
_PATH_KEPT = 24  # characters at the least of a path: an item and an attribute in it
# What is wrong with an attribute, as the readers of data sets say it: path (BLK-04), reason.
_AT_A_PATH = re.compile(r"([0-9A-F]{8}(?:/[0-9A-F]{1,8})*): (.+)")


@dataclass(frozen=True, slots=True)
class Reason:
    """A Failure Reason or Warning Reason: its code, where it is defined, what it says.

    `text` is for whoever has to mend the sender: an Error Comment, of 64 characters at the most.
    """

    code: int
    clause: str
    text: str

    @property
    def kind(self) -> str:
        """``warning`` for what is stored all the same, else ``failure``."""
        return "warning" if self.code >> 12 == 0xB else "failure"


# All that are ever told; conformance/STATEMENT.md has the same table.
REASONS: dict[str, Reason] = {
    "processing_failure": Reason(
        0x0110, "PS3.18 I.2.2", "It could not be processed in the time or memory there is"
    ),
    "duplicate": Reason(
        0x0111, "PS3.7 Annex C", "Another object with this SOP Instance UID is kept"
    ),
    "invalid_instance": Reason(0x0117, "PS3.7 Annex C", "A UID is missing or is no UID"),
    "out_of_resources": Reason(
        0xA700, "PS3.18 I.2.2", "It is larger than the server takes, or there is no space"
    ),
    "other_study": Reason(
        0xA901, "PS3.18 I.2.2", "Study Instance UID is not that of the request's URL"
    ),
    "cannot_understand": Reason(0xC000, "PS3.18 I.2.2", "It is damaged, incomplete or not DICOM"),
    "transfer_syntax_not_supported": Reason(
        0xC122, "PS3.18 I.2.2", "It is in no transfer syntax that DICOM has"
    ),
    "not_conformant": Reason(0xB007, "PS3.18 I.2.1", "It is kept; what is wrong is listed"),
}


@dataclass(frozen=True, slots=True)
class Stored:
    """An instance that is kept, durable and retrievable (STOW-40).

    `problems`: what is wrong with it, plainly and without its content; told with the
    `warning_reason`. `new`: whether it was not there before this request (STOW-20).
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    warning_reason: int | None = None
    problems: tuple[str, ...] = ()
    new: bool = True


@dataclass(frozen=True, slots=True)
class Failed:
    """A part of the request that is not kept. The UIDs are None where they could not be read.

    `comment` says plainly why, without content of the instance.
    """

    sop_class_uid: str | None
    sop_instance_uid: str | None
    reason: int
    comment: str = ""


Result = Stored | Failed


def failed(
    name: str,
    sop_class_uid: str | None = None,
    sop_instance_uid: str | None = None,
    comment: str | None = None,
) -> Failed:
    """A failure for one of REASONS, by its name; its text is the comment unless one is given."""
    reason = REASONS[name]
    return Failed(sop_class_uid, sop_instance_uid, reason.code, comment or reason.text)


def report(results: Sequence[Stored | Failed], base_url: str) -> tuple[int, JsonDataset]:
    """The HTTP status and the Store Instances Response Module (digest 5.5 and 5.6).

    200: all stored, without a warning. 202: some stored, and some failed or with a warning.
    409: nothing stored. A sequence is absent, not empty, where there is nothing to put into it
    (STOW-30). Raises MalformedContent if there are no results at all (STOW-02).
    """
    if not results:
        raise MalformedContent("the request holds no instance")
    stored = [result for result in results if isinstance(result, Stored)]
    failures = [result for result in results if isinstance(result, Failed)]
    named = [failure for failure in failures if failure.sop_instance_uid is not None]
    nameless = [failure for failure in failures if failure.sop_instance_uid is None]
    module: JsonDataset = {"00081190": _retrieve_url(stored, base_url)}
    for key, items in (
        ("00081198", [_failed_sop(failure) for failure in named]),
        ("00081199", [_referenced_sop(instance, base_url) for instance in stored]),
        ("0008119A", [_reason(failure) for failure in nameless]),
    ):
        if items:
            module[key] = {"vr": "SQ", "Value": items}
    return _status(stored, failures), module


def _status(stored: Sequence[Stored], failures: Sequence[Failed]) -> int:
    if not stored:
        return 409
    warned = any(instance.warning_reason is not None for instance in stored)
    return 202 if failures or warned else 200


def _retrieve_url(stored: Sequence[Stored], base_url: str) -> dict[str, Any]:
    """That of the study; empty unless all that was stored is in one."""
    studies = {instance.study_instance_uid for instance in stored}
    return _of("UR", study_url(base_url, studies.pop())) if len(studies) == 1 else {"vr": "UR"}


def _referenced_sop(instance: Stored, base_url: str) -> JsonDataset:
    url = instance_url(
        base_url,
        instance.study_instance_uid,
        instance.series_instance_uid,
        instance.sop_instance_uid,
    )
    item = {
        "00081150": _of("UI", instance.sop_class_uid),
        "00081155": _of("UI", instance.sop_instance_uid),
        "00081190": _of("UR", url),
    }
    if instance.warning_reason is not None:
        item["00081196"] = _of("US", instance.warning_reason)
        item |= _comments(instance.problems)
    return item


def _failed_sop(failure: Failed) -> JsonDataset:
    sop_class_uid, sop_instance_uid = failure.sop_class_uid, failure.sop_instance_uid
    return {
        "00081150": {"vr": "UI"} if sop_class_uid is None else _of("UI", sop_class_uid),
        "00081155": {"vr": "UI"} if sop_instance_uid is None else _of("UI", sop_instance_uid),
        **_reason(failure),
    }


def _reason(failure: Failed) -> JsonDataset:
    return {"00081197": _of("US", failure.reason), **_comments((failure.comment,))}


def _comments(comments: Sequence[str]) -> JsonDataset:
    """Failed Attributes Sequence with an Error Comment an item (STOW-31), which takes ASCII only
    (PS3.7 Annex C)."""
    items = [{"00000902": _of("LO", _line(comment))} for comment in comments if comment.strip()]
    return {"00741048": {"vr": "SQ", "Value": items}} if items else {}


def _line(comment: str) -> str:
    """One line of ASCII, not longer than an Error Comment may be.

    Of a long comment on an attribute the reason comes first, and of the attribute's path the end
    stays, which tells the most.
    """
    plain = " ".join(comment.encode("ascii", "replace").decode("ascii").split())
    found = _AT_A_PATH.fullmatch(plain)
    if len(plain) <= _MAX_COMMENT or found is None:
        return _cut(plain, _MAX_COMMENT)
    path, reason = found.groups()
    room = _MAX_COMMENT - len(" at ")
    reason = _cut(reason, room - min(len(path), _PATH_KEPT))
    return f"{reason} at {_end_of(path, room - len(reason))}"


def _cut(text: str, most: int) -> str:
    """`text` by whole words, or within the first if that is too long."""
    if len(text) <= most:
        return text
    kept = text[: most - len("...") + 1]
    return f"{(kept.rpartition(' ')[0] or kept[:-1]).rstrip()}..."


def _end_of(path: str, most: int) -> str:
    if len(path) <= most:
        return path
    steps = path[-(most - len("...")) :].split("/")[1:]
    if len(steps[0]) < len("00080100"):  # an item's number, its sequence cut off
        del steps[0]
    return "/".join(["...", *steps])


def _of(vr: str, value: str | int) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]}
