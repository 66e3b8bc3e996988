"""Small files as they arrive: written, described and put at rest in one go.

Each journey to a thread or to a worker process costs as much as a small file does, so a thread
does all that is to be done with one, up to the index. There it is described in this process,
where untrusted bytes must not keep the event loop waiting: from its head alone, and one file at a
time. One whose head does not tell everything goes the long way, through a worker.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from dicomweb_server.archive.blob_keys import blob_key
from dicomweb_server.archive.staging import FLUSH, StagedFile, Staging
from dicomweb_server.blobs.store import Place
from dicomweb_server.dicom.part10 import describe, read_file_meta
from dicomweb_server.dicom.transfer_syntaxes import is_encapsulated
from dicomweb_server.index.attribute_values import NO_ATTRIBUTES, Attributes
from dicomweb_server.index.rows import Entry, entry_of

# Bytes from the beginning that are looked at. The worst that fits into them takes 7 ms; the head
# of a CT slice has 5 kB.
HEAD = 16 << 10
_SEEN = 64  # bytes at the beginning of a value that may decide what it is

Wanted = Callable[[Entry], bool]


def arrive(
    stagings: Sequence[Staging],
    place: Place | None,
    wanted: Wanted,
    attributes: Attributes = NO_ATTRIBUTES,
) -> list[StagedFile | OSError]:
    """Files that are in memory, written. For a thread. `attributes` are those that are indexed.

    Those that can be described here have their entry, and are flushed. Of these, those that are
    `wanted` are at rest under their blob's key, if `place` puts blobs there. The others are
    still to be flushed, as after `complete_all`. What cannot be written leaves nothing.
    """
    arrived = [_arrive(staging, attributes) for staging in stagings]
    if place is None:
        return arrived
    keys = {
        number: blob_key(file.entry, file.token)
        for number, file in enumerate(arrived)
        if isinstance(file, StagedFile) and file.entry is not None and wanted(file.entry)
    }
    errors = place([(stagings[number].path, key) for number, key in keys.items()])
    for (number, key), error in zip(keys.items(), errors, strict=True):
        file = arrived[number]
        if error is None and isinstance(file, StagedFile):
            arrived[number] = replace(file, blob_key=key)
    return arrived


def _arrive(staging: Staging, attributes: Attributes) -> StagedFile | OSError:
    pieces = staging.pieces
    try:
        staged = staging.complete()
        staging.begin_flush()
        entry = describe_head(pieces, staged.size, attributes)
        if entry is None:
            return staged  # flushed while a worker describes it
        staging.flush()
    except OSError as error:
        with suppress(OSError):  # nothing can be removed from a disk that cannot be written
            staging.remove()
        return error
    return replace(staged, entry=entry)


# One walk at a time: the event loop then waits for the interpreter behind one thread at most,
# and no longer than a thread may keep it.
_walking = threading.Lock()
_sheet = bytearray(2 * FLUSH)  # whose bytes from HEAD on stay zero


def describe_head(
    pieces: Iterable[bytes | memoryview], size: int, attributes: Attributes = NO_ATTRIBUTES
) -> Entry | None:
    """The entry of a file of `size` bytes, cut into `pieces`, as a worker would give it; None if
    that takes more than its head, or if it has none.

    The walk gets zeros in place of what is behind the head. If it then finds that Pixel Data
    begins within the head and is all the rest, it has seen no byte that is not the file's own.
    """
    if size > len(_sheet):
        return None
    with _walking:
        at = 0
        for piece in pieces:
            part = piece[: HEAD - at]
            _sheet[at : at + len(part)] = part
            at += len(part)
            if at == HEAD:
                break
        try:
            with memoryview(_sheet)[:size] as view:
                return _entry(view, attributes)
        except Exception:  # a worker finds out what it is, and may crash of it
            return None


def _entry(view: memoryview, attributes: Attributes) -> Entry | None:
    if len(view) > HEAD and is_encapsulated(read_file_meta(view).transfer_syntax_uid):
        return None
    description = describe(view)
    frames, size = description.frames, len(view)
    if size > HEAD and (
        frames is None or frames.offset > HEAD - _SEEN or frames.offset + frames.length != size
    ):
        return None
    return entry_of(description, attributes)
