"""What is known of the copies of far blobs: their names, and whether they are there.

See near_blobs, which keeps and reads them.
"""

import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache

KNOWN = 20_000  # blobs of which is known whether there is a copy, which takes 6 MB
ABSENT_SECONDS = 10.0  # after which is looked again: other processes keep copies too
USED_SECONDS = 60.0  # the time of use is no finer


@dataclass(slots=True)
class Copy:
    """What is known of one blob's copy."""

    key: str
    there: bool | None = None  # None: nothing yet
    at: float = 0.0  # time.monotonic() when that was found, or when it was used last
    size: int = 0  # of the blob, in bytes; 0 if it is not known
    _name: str = ""

    @property
    def name(self) -> str:
        """As name_of, which is asked when it is needed: a series has thousands."""
        self._name = self._name or name_of(self.key)
        return self._name

    @property
    def may_be_there(self) -> bool:
        """Whether it is worth to look for it."""
        return self.there is not False or time.monotonic() > self.at + ABSENT_SECONDS

    def found(self, *, there: bool) -> None:
        """Remember that it was seen, or that it was not."""
        self.there, self.at = there, time.monotonic()

    def found_again(self) -> bool:
        """Remember that it was read; whether that is news, as its time of use is kept."""
        if self.there and time.monotonic() < self.at + USED_SECONDS:
            return False
        self.found(there=True)
        return True


class KnownCopies:
    """What is known of the blobs that were asked for last."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Copy] = OrderedDict()  # by key, the latest last

    def of(self, key: str, size: int = 0) -> Copy:
        """What is known of that blob; `size` in bytes, if that is known."""
        copy = self._known.get(key)
        if copy is None:
            copy = self._known[key] = Copy(key)
            if len(self._known) > KNOWN:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
        copy.size = size or copy.size
        return copy

    def forget(self, key: str) -> None:
        """Know nothing of it."""
        self._known.pop(key, None)

    def __contains__(self, key: str) -> bool:
        return key in self._known


def name_of(key: str) -> str:
    """The name of a blob's copy. Its group is the study: institution/study/series/file."""
    return f"{group_of(key)}-{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def group_of(key: str) -> str:
    """The name of what is removed together."""
    return _group_of_study("/".join(key.split("/", 2)[:2]))


@lru_cache(1000)
def _group_of_study(study: str) -> str:
    return hashlib.sha256(study.encode()).hexdigest()[:16]
