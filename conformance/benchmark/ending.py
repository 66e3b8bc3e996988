"""How the programs of the benchmark end: with a status, and a line on what was wrong."""

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn

import uvloop

from conformance.benchmark.client import AnswerError
from dicomweb_server.index.embedded import EmbeddedPostgresError


def run_to_the_end(benchmark: Coroutine[Any, Any, int]) -> NoReturn:
    """Run it and exit with its status; with one line if no server can be measured."""
    try:
        sys.exit(uvloop.run(benchmark))
    except (AnswerError, EmbeddedPostgresError, OSError) as error:
        sys.exit(f"benchmark: {error}")
    except asyncio.CancelledError:
        sys.exit(128 + signal.SIGTERM)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
