"""Opening files without waiting for a disk, as Linux can from 5.12 on (openat2(2))."""

import ctypes
import os

_SYSCALL = 437  # openat2, on every architecture that came after it was numbered
_FROM_HERE = -100  # AT_FDCWD: what relative paths begin at
_RESOLVE_CACHED = 0x20  # only if all parts of the path are in memory


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

# Keeps the interpreter meanwhile, which takes longer to be had back than this call takes.
_call = ctypes.PyDLL(None).syscall
_call.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t]
_call.restype = ctypes.c_long


def open_cached(path: str) -> int | None:
    """A descriptor to read the file at `path` from; None if it cannot be had at once.

    That may have any reason: the way to it is not in memory, it is not there, the system or the
    file system (NFS) cannot tell. Whoever asks opens it in a thread then.
    """
    descriptor: int = _call(_SYSCALL, _FROM_HERE, os.fsencode(path), _AT, _SIZE)
    return descriptor if descriptor >= 0 else None
