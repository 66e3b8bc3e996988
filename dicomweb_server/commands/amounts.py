"""Amounts as they are typed: times and rates."""

import re
from datetime import timedelta

import typer
from pydantic import ByteSize, TypeAdapter, ValidationError

from dicomweb_server.config import Size

_TIME = re.compile(r"([0-9]{1,5})([dhms])", re.ASCII)
_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_SIZE: TypeAdapter[ByteSize] = TypeAdapter(Size)


def parse_time(text: str) -> timedelta:
    """Read a length of time: a whole number and its unit, as in ``30d``, ``24h``, ``90m``, ``0s``.

    Raises typer.BadParameter.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter("expected a number and d, h, m or s, as in 30d, 24h or 90m")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def parse_rate(text: str) -> int:
    """Read bytes a second, with a unit or without, as in ``50MiB``. Raises typer.BadParameter."""
    try:
        rate = int(_SIZE.validate_python(text.strip().removesuffix("/s")))
    except ValidationError:
        rate = 0
    if rate < 1:
        raise typer.BadParameter("expected bytes a second, as in 50MiB")
    return rate


def size_text(size: int) -> str:
    """Bytes as people read them."""
    return ByteSize(size).human_readable()
