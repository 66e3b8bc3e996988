"""What the log says, and that it costs no request."""

import io
import logging
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import orjson
import pytest
import structlog

from dicomweb_server.web.logs import configure_logs


@pytest.fixture(autouse=True)
def unchanged() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_a_line_is_a_json_object(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(buffer=written))
    configure_logs("info")

    structlog.get_logger().info("request", status=200)
    structlog.get_logger().debug("of no interest")

    [line] = written.getvalue().splitlines()
    assert (
        orjson.loads(line).items() >= {"event": "request", "status": 200, "level": "info"}.items()
    )


def test_what_the_database_driver_logs_is_one_line_too(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(buffer=written))
    configure_logs("info")
    configure_logs("info")  # in a process that is set up again

    try:
        raise FileNotFoundError("/home/patient name")
    except FileNotFoundError:
        logging.getLogger("asyncpg.pool").exception("retrying")

    [line] = map(orjson.loads, written.getvalue().splitlines())
    assert (line["event"], line["level"], line["of"]) == ("retrying", "error", "asyncpg.pool")
    assert line["where"].startswith("FileNotFoundError at test_logs.py:")
    assert "patient" not in str(line)


@pytest.mark.parametrize("level", ["info", "warning", "error"])
def test_a_log_that_cannot_be_written_costs_nothing(
    monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    with open("/dev/full", "wb", buffering=0) as full:
        monkeypatch.setattr(sys, "stderr", SimpleNamespace(buffer=full))
        configure_logs("info")

        getattr(structlog.get_logger(), level)("the disk is full")  # and nothing is raised
