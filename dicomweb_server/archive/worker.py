"""The other end of ``archive.workers``: one process, one piece of work after the other.

Run as ``python -m dicomweb_server.archive.worker DESCRIPTOR MEMORY``.
"""

import importlib
import os
import pickle
import resource
import signal
import socket
import struct
import sys
import threading
import time

from dicomweb_server.errors import Refusal, where

_LENGTH = struct.Struct("<Q")
READY = b"!"  # said once, when the first piece of work can be taken


def main() -> None:
    """Answer calls until the server closes the connection or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; we are told
    memory = int(sys.argv[2])
    if memory:
        # Data, not address space: files are mapped, and may be larger than any memory limit.
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    _leave_with(os.getppid())
    # What the work needs takes seconds to import; better now than in somebody's request.
    importlib.import_module("dicomweb_server.archive.work").warm_up()
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        stream = connection.makefile("rwb", buffering=1 << 20)
        try:
            stream.write(READY)
            stream.flush()
        except OSError:  # the program has left already: a command that had little to do
            os._exit(0)
        while head := stream.read(_LENGTH.size):
            if len(head) < _LENGTH.size:
                return
            (length,) = _LENGTH.unpack(head)
            answer = _answer(stream.read(length))
            stream.write(_LENGTH.pack(len(answer)))
            stream.write(answer)
            stream.flush()


def _answer(message: bytes) -> bytes:
    try:
        function, args, kwargs = pickle.loads(message)  # noqa: S301  from our own process
        return pickle.dumps(("done", function(*args, **kwargs)), protocol=5)
    except Refusal as refusal:
        return pickle.dumps(("refused", refusal), protocol=5)
    except MemoryError:
        return pickle.dumps(("memory", None), protocol=5)
    except OSError as error:
        # Without a number it is not the system's but a library's, about the content.
        found = ("failed", where(error)) if not error.errno else ("os", (error.errno, where(error)))
        return pickle.dumps(found, protocol=5)
    except Exception as error:
        return pickle.dumps(("failed", where(error)), protocol=5)


def _leave_with(parent: int) -> None:
    """Leave when the server does, also from the middle of a decoder."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    main()
