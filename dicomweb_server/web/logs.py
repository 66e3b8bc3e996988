"""Structured logs: one JSON object a line on standard error."""

import logging
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog

from dicomweb_server.errors import where


class _Logger(structlog.BytesLogger):
    """A line that cannot be written, as on a disk that is full, is lost, and nothing else is."""

    def msg(self, message: bytes) -> None:
        with suppress(OSError):
            super().msg(message)

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg


class _OfLibrary(logging.Handler):
    """What a library logs, as a line of ours: without the messages of exceptions, see `where`."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        about = {} if error is None else {"where": where(error)}
        structlog.get_logger().log(record.levelno, record.getMessage(), of=record.name, **about)


def configure_logs(level: str) -> None:
    """Set up structlog for this process; `level` is a name of the logging module."""
    # A pool that cannot connect says so again and again, with a traceback.
    logging.getLogger("asyncpg").handlers[:] = [_OfLibrary(logging.WARNING)]
    logging.getLogger("asyncpg").propagate = False
    structlog.configure(
        processors=[_line],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=lambda *_: _Logger(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )


def _line(logger: object, level: str, event: MutableMapping[str, Any]) -> bytes:
    """The object of one line. One step, not structlog's three: there is one for each request."""
    del logger
    time = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return orjson.dumps({**event, "level": level, "time": time}, default=repr)
