"""What an instance's row is recognized by: it changes with all that answers are made of."""

import hashlib
from collections.abc import Iterable

ROW_ID = 8  # bytes of a mark, by which they are in order

# What changes with a file, when it was stored or its row made anew, and the length of its metadata,
# which is known without reading what is kept out of the row; after the row's number.
MARK = """int8send(i.id) || i.sha256
         || timestamptz_send(i.stored_at) || int4send(octet_length(i.metadata))"""


def digest_of(marks: Iterable[bytes]) -> bytes:
    """The digest of a ``digest.Version`` that holds the instances with these marks."""
    return hashlib.sha256(b"".join(mark[ROW_ID:] for mark in sorted(marks))).digest()
