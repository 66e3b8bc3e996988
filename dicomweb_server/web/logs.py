"""Structured logs: one JSON object a line on standard error."""

import logging
import sys
from contextlib import suppress

import orjson
import structlog


class _Logger(structlog.BytesLogger):
    """A line that cannot be written, as on a disk that is full, is lost, and nothing else is."""

    def msg(self, message: bytes) -> None:
        with suppress(OSError):
            super().msg(message)

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg


def configure_logs(level: str) -> None:
    """Set up structlog for this process; `level` is a name of the logging module."""
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
