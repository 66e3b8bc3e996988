"""The keys of blobs: ``institution/study/series/{sop}~{token}.dcm``, readable and never reused.

Institutions get a folder of their own name; there is one until more can be configured. Tokens
ascend with time, and a version that replaces another has a mark behind its token, so that the
blobs alone tell which version is the current one.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from dicomweb_server.archive.scratch import new_token, time_of
from dicomweb_server.index.rows import Entry
from dicomweb_server.wire.resources import is_uid

REPLACING = "+"

_UID = "([0-9.]+)"
_STAMP = "([0-7][0-9a-f]{23,39})"  # of a year that the calendar has
_KEY = re.compile(rf"([^/]+)/{_UID}/{_UID}/{_UID}~{_STAMP}(\+?)\.dcm", re.ASCII)


def blob_key(entry: Entry, token: str | None = None, *, replacing: bool = False) -> str:
    """A new key, never used before: what it names never changes or comes back. `token`: a new
    one of its own, if it was made before."""
    folder = f"default/{entry.study_instance_uid}/{entry.series_instance_uid}"
    mark = REPLACING if replacing else ""
    return f"{folder}/{entry.sop_instance_uid}~{token or new_token()}{mark}.dcm"


@dataclass(frozen=True, slots=True)
class BlobName:
    """What a key says of its blob."""

    institution: str  # its code
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    token: str
    replacing: bool

    @property
    def made_at(self) -> datetime:
        """When the key was made: just before the blob was put, and its row after it."""
        return time_of(self.token)


def read_blob_key(key: str) -> BlobName | None:
    """The parts of a key that `blob_key` made; None for what lies there under another name."""
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    institution, study, series, sop, token, mark = match.groups()
    if not (is_uid(study) and is_uid(series) and is_uid(sop)):
        return None
    return BlobName(institution, study, series, sop, token, bool(mark))
