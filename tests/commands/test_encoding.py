"""A database that cannot hold every name is refused before anything is made in it."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from dicomweb_server.commands.serving import CannotServeError, prepare_database
from tests.commands.running import run

OTHERS = ["LATIN1", "SQL_ASCII", "EUC_JP"]


async def fetch(url: str, statement: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(statement)
    finally:
        await connection.close()


@pytest.fixture
async def other(postgres_url: str, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The URL of a new database with the encoding of the parameter."""
    name = f"dicomweb_test_{os.getpid()}_{request.param}"
    how = f"ENCODING '{request.param}' TEMPLATE template0 LOCALE_PROVIDER libc"
    await fetch(postgres_url, f"CREATE DATABASE \"{name}\" {how} LC_COLLATE 'C' LC_CTYPE 'C'")
    yield urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}"))
    await fetch(postgres_url, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.mark.parametrize(
    ("other", "encoding"), [*zip(OTHERS, OTHERS, strict=True)], indirect=["other"]
)
async def test_another_encoding_is_named_with_a_way_out(other: str, encoding: str) -> None:
    with pytest.raises(CannotServeError, match=f"is encoded in {encoding}") as refused:
        await prepare_database(other)

    assert "CREATE DATABASE … ENCODING 'UTF8'" in str(refused.value)
    assert await fetch(other, "SELECT relname FROM pg_class WHERE relname ~ 'schema_m'") == []


@pytest.mark.parametrize("other", ["LATIN1"], indirect=True)
@pytest.mark.parametrize("arguments", [["serve"], ["import", "README.md"], ["institution", "list"]])
async def test_the_server_and_commands_say_it_and_end(
    tmp_path: Path, other: str, arguments: list[str]
) -> None:
    ended = await asyncio.to_thread(run, tmp_path, *arguments, DATABASE_URL=other, PORT="0")

    assert ended.returncode == 1
    assert "is encoded in LATIN1" in ended.stderr


async def test_one_of_any_locale_will_do_if_it_is_utf8(postgres_url: str) -> None:
    name = f"dicomweb_test_{os.getpid()}_utf8"
    how = "ENCODING 'UTF8' TEMPLATE template0 LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C'"
    await fetch(postgres_url, f'CREATE DATABASE "{name}" {how}')
    try:
        await prepare_database(urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}")))
    finally:
        await fetch(postgres_url, f'DROP DATABASE "{name}" WITH (FORCE)')
