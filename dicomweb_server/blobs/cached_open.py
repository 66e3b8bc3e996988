"""Opening files without waiting for a disk, as Linux can from 5.12 on (openat2(2))."""

import ctypes
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

_SYSCALL = 437  # openat2, on every architecture that came after it was numbered
_FROM_HERE = -100  # AT_FDCWD: what relative paths begin at
_RESOLVE_CACHED = 0x20  # only if all parts of the path are in memory
_OCTAL = re.compile(r"\\([0-7]{3})")
_LOCAL = frozenset({"bcachefs", "btrfs", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs"})


class _How(ctypes.Structure):
    """struct open_how."""

    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


# What is no file, as a pipe, is not waited for either.
_HOW = _How(os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, 0, _RESOLVE_CACHED)
_AT, _SIZE = ctypes.addressof(_HOW), ctypes.sizeof(_HOW)


def _syscall() -> Callable[..., int] | None:
    if sys.platform != "linux":  # elsewhere that number is another's
        return None
    # Keeps the interpreter meanwhile, which takes longer to be had back than this call takes.
    call = ctypes.PyDLL(None).syscall
    call.argtypes = [
        ctypes.c_long,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_void_p,
        ctypes.c_size_t,
    ]
    call.restype = ctypes.c_long
    return call


_call = _syscall()


def open_cached(path: str) -> int | None:
    """A descriptor to read the file at `path` from; None if it cannot be had at once.

    That may have any reason: the way to it is not in memory, it is not there, the system cannot
    tell. Whoever asks opens it in a thread then. Only for files of a disk of this machine: some
    file systems (NFS of version 4, FUSE) ask others when a file is opened, and that is waited for.
    """
    if _call is None:
        return None
    descriptor = _call(_SYSCALL, _FROM_HERE, os.fsencode(path), _AT, _SIZE)
    return descriptor if descriptor >= 0 else None


def is_local(folder: Path) -> bool:
    """Whether `folder` is on a file system of this machine, which opens files by itself."""
    return _call is not None and _type_of(folder.resolve()) in _LOCAL


def _type_of(folder: Path) -> str:
    """The type of the file system that holds `folder`, as in proc_pid_mountinfo(5); "" if the
    system does not tell."""
    found = nearest = ""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    for mount in mounts:  # where two have one place, the later is seen
        about, _, source = mount.partition(" - ")
        place = _OCTAL.sub(lambda code: chr(int(code[1], 8)), about.split(" ")[4])
        if folder.is_relative_to(place) and len(place) >= len(nearest):
            nearest, found = place, source.split(" ")[0]
    return found
