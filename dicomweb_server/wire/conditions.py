"""Entity tags and the conditions that name them (RFC 9110 §8.8.3 and §13).

All tags that the server makes are strong: one stands for the same bytes wherever it is seen.
"""

import hashlib
import re
from collections.abc import Sequence

from dicomweb_server.errors import PreconditionFailed

_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_DIGITS = 32  # hexadecimal, of 128 bits


def entity_tag(*seed: str | int | bytes) -> str:
    """The tag of what is made of `seed` and of nothing else, with its quotes."""
    parts = [each if isinstance(each, bytes) else str(each).encode() for each in seed]
    lengths = ",".join([str(len(part)) for part in parts])  # so that no two lists look the same
    digest = hashlib.sha256(b":".join([lengths.encode(), *parts]))
    return f'"{digest.hexdigest()[:_DIGITS]}"'


def coded_tag(tag: str, coding: str) -> str:
    """The tag of the same content in a content coding (CCH-04)."""
    return f'{tag[:-1]}-{coding}"'


def boundary_of(tag: str) -> str:
    """A boundary for the multipart body that `tag` stands for, the same each time (MP-02).

    No part can hold it, though it is no secret: the tag is a digest of all that the parts are
    made of, so that who wanted a file to hold it would have to find one that holds a digest of
    itself.
    """
    return hashlib.sha256(b"boundary of " + tag.encode()).hexdigest()[:_DIGITS]


def _listed(header: str) -> list[tuple[bool, str]]:
    """The tags of a list and whether each is weak; what is none is passed over."""
    return [(bool(weak), tag) for weak, tag in _TAG.findall(header)]


def check_match(if_match: str | None, tags: Sequence[str]) -> None:
    """Raise PreconditionFailed if If-Match names none of `tags` (RFC 9110 §13.1.1).

    `tags`: those of the representations that the request may get; there is one at least, tagged
    or not, so that ``*`` always holds.
    """
    if if_match is None or if_match.strip() == "*":
        return
    if not any(not weak and tag in tags for weak, tag in _listed(if_match)):
        raise PreconditionFailed("the resource is no longer what If-Match names")


def is_unmodified(if_none_match: str | None, tags: Sequence[str]) -> str | None:
    """The tag for a 304: the one of `tags` that If-None-Match names, compared weakly, or the
    first for ``*``; empty if there is no tag to give. None if the answer is to be sent
    (RFC 9110 §13.1.2)."""
    if if_none_match is None:
        return None
    if if_none_match.strip() == "*":
        return tags[0] if tags else ""
    named = {tag for _, tag in _listed(if_none_match)}
    return next((tag for tag in tags if tag in named), None)


def range_applies(if_range: str | None, tag: str | None) -> bool:
    """Whether a range may be sent of the representation with `tag` (RFC 9110 §13.1.5): not if
    If-Range names another, a weak tag or a date."""
    return if_range is None or (tag is not None and if_range.strip() == tag)
