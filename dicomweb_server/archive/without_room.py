"""Files that are made to be read where the disk has no room for them: in memory, if they are small.

Most instances lie there in a form that is not sent as it is (Implicit VR, PS3.18 §8.7.3.5.2), and
reading goes on when a disk is full. The function here runs in workers.
"""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

MOST = 16 << 20  # bytes of one file


def made_in_memory(make: Callable[..., None], source: Path, **options: int | str) -> bytes | None:
    """What ``make(source, target, **options)`` writes; None if that is more than `MOST`."""
    number = os.memfd_create("made")
    try:
        with _at_most(MOST):
            make(source, Path(f"/proc/self/fd/{number}"), **options)
        return os.pread(number, MOST, 0)
    except OSError:
        if os.fstat(number).st_size >= MOST:
            return None
        raise
    finally:
        os.close(number)


@contextmanager
def _at_most(size: int) -> Iterator[None]:
    """No file of this process may become larger: to write on is an OSError then."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
