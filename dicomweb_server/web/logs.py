"""Structured logs: one JSON object a line on standard error."""

import logging
import sys
from contextlib import suppress

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
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=lambda *_: _Logger(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
