"""A real Postgres for the tests that need one, started when the first of them asks for it.

TEST_DATABASE_URL names another server, where the tests may create databases; they drop no
others than those they made.
"""

import itertools
import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from dicomweb_server.index.database import open_pool
from dicomweb_server.index.embedded import start_postgres
from dicomweb_server.index.migrate import migrate

_PREFIX = f"dicomweb_test_{os.getpid()}"
_numbers = itertools.count(1)


def _in_database(url, name):
    """The same server's `url` with another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def _administer(url, statement):
    conn = await asyncpg.connect(url)
    try:
        await conn.execute(statement)
    finally:
        await conn.close()


@pytest.fixture(scope="session")
def postgres_url():
    """The URL of a server where databases may be created: ours, or that of TEST_DATABASE_URL."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
        return
    # Not pytest's folder: a socket's path is short, and Postgres may run as another user.
    folder = Path(tempfile.mkdtemp(prefix="dw-"))
    folder.chmod(0o711)
    try:
        with start_postgres(folder, fsync=False) as postgres:
            yield postgres.url
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
async def template(postgres_url):
    """The name of a database with the schema, to be copied and not to be written."""
    name = f"{_PREFIX}_template"
    await _administer(postgres_url, f'CREATE DATABASE "{name}" TEMPLATE template0')
    conn = await asyncpg.connect(_in_database(postgres_url, name))
    await migrate(conn)
    await conn.close()
    yield name
    await _administer(postgres_url, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
async def fresh_database(postgres_url):
    """Makes databases, ``await fresh_database(template)`` -> URL; they are gone after the test."""
    made = []

    async def make(template="template0"):
        name = f"{_PREFIX}_{next(_numbers)}"
        await _administer(postgres_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        made.append(name)
        return await _reached(_in_database(postgres_url, name), name)

    yield make
    for name in made:
        await _administer(postgres_url, f'DROP DATABASE "{name}" WITH (FORCE)')


async def _reached(url, name):
    """`url`, once it is certain that it leads to the new database `name` and not elsewhere."""
    conn = await asyncpg.connect(url)
    try:
        assert await conn.fetchval("SELECT current_database()") == name
    finally:
        await conn.close()
    return url


@pytest.fixture
async def database_url(fresh_database, template):
    """The URL of a database of this test's own, with the schema and nothing stored."""
    return await fresh_database(template)


@pytest.fixture
async def pool(database_url):
    """A pool of connections to a database of this test's own."""
    pool = await open_pool(database_url)
    yield pool
    await pool.close()


@pytest.fixture
async def conn(pool):
    """One connection to a database of this test's own."""
    async with pool.acquire() as conn:
        yield conn
