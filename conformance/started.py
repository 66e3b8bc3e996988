"""Servers that the suite starts itself, on data of their own: ours, and Debian's Orthanc."""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from conformance.benchmark import orthanc
from conformance.benchmark.processes import free_port
from conformance.benchmark.servers import begin_ours, start_orthanc

OURS, ORTHANC = "ours", "orthanc"
ORIGIN = "https://viewer.example"  # that the checks of CORS come from
MISSING = (
    "Orthanc is not installed: apt-get install --no-install-recommends orthanc orthanc-dicomweb "
    "orthanc-postgresql"
)


@contextmanager
def started(which: str) -> Iterator[str]:
    """The base URI of a server that ends with the context, and its data with it.

    Ours is as a user starts it, and allowed to delete. Raises FileNotFoundError without Orthanc.
    """
    with tempfile.TemporaryDirectory(prefix="conformance-") as name, ExitStack() as stack:
        folder = Path(name)
        if which == OURS:
            data = folder / "data"
            data.mkdir()
            begun = begin_ours(stack, data, free_port(), ALLOW_DELETE="true", CORS_ORIGINS=ORIGIN)
        else:
            program = orthanc.find_program()
            if program is None:
                raise FileNotFoundError(MISSING)
            begun = start_orthanc(stack, folder, program)
        address = asyncio.run(begun).address
        yield f"http://{address.host}:{address.port}{address.base}"
