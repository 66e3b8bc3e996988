"""A real Postgres for the tests that need one, started when the first of them asks for it.
So is an S3 server (see tests/s3.py).

TEST_DATABASE_URL names another server, where the tests may create databases; they drop no
others than those they made.
"""

import itertools
import os
import shutil
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from hypothesis import settings

from dicomweb_server.index.database import open_pool
from dicomweb_server.index.embedded import start_postgres
from dicomweb_server.index.migrate import migrate
from tests.s3 import s3_server

# An example takes as long as whatever runs beside it lets it.
settings.register_profile("beside others", deadline=None)
settings.load_profile("beside others")

# Files of few tests that take long. Begun first, they are not what all others wait for at the end.
_LONG = [
    "commands/test_maintenance.py",
    "commands/test_attributes.py",
    "web/test_large.py",
    "web/test_metadata_cache.py",
    "blobs/test_blob_stores.py",
    "web/test_hostile_posted.py",
    "index/test_upgrade.py",
    "faults/test_kills.py",
    "blobs/test_s3_faults.py",
    "test_serve.py",
    "archive/test_attribute_index.py",
    "archive/test_duplicates.py",
    "archive/test_importing.py",
    "archive/test_rebuild_index.py",
    "archive/test_search.py",
    "hostile/test_faults.py",
    "test_benchmark_retrieve.py",
    "test_benchmark_search.py",
]
_TESTS = Path(__file__).parent
assert all((_TESTS / name).exists() for name in _LONG)

_PREFIX = f"dicomweb_test_{os.getpid()}"
_numbers = itertools.count(1)


def pytest_collection_modifyitems(items):
    """Long files first; all others as they were found."""
    places = {_TESTS / name: place for place, name in enumerate(_LONG)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


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


@pytest.fixture(scope="session")
def new_database(postgres_url):
    """Makes databases: ``async with new_database(template) as url``; gone after the context."""

    @asynccontextmanager
    async def make(template="template0"):
        name = f"{_PREFIX}_{next(_numbers)}"
        await _administer(postgres_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        try:
            yield await _reached(_in_database(postgres_url, name), name)
        finally:
            await _administer(postgres_url, f'DROP DATABASE "{name}" WITH (FORCE)')

    return make


async def _reached(url, name):
    """`url`, once it is certain that it leads to the new database `name` and not elsewhere."""
    conn = await asyncpg.connect(url)
    try:
        assert await conn.fetchval("SELECT current_database()") == name
    finally:
        await conn.close()
    return url


@pytest.fixture(scope="session")
async def _emptied_url(new_database, template):
    """One database for all tests that only store: emptying is ten times faster than making."""
    async with new_database(template) as url:
        yield url


@pytest.fixture
async def database_url(_emptied_url):
    """The URL of a database with the schema and nothing stored, for this test alone."""
    await _administer(
        _emptied_url,
        "DELETE FROM studies; DELETE FROM institutions WHERE code <> 'default'; "
        "DELETE FROM institution_totals; DELETE FROM indexed_attributes; "
        "DELETE FROM leases",
    )
    return _emptied_url


@pytest.fixture(scope="module")
async def shared_url(new_database, template):
    """The URL of a database for all tests of a module, which keep apart by what they store."""
    async with new_database(template) as url:
        yield url


@pytest.fixture(scope="module")
async def shared_pool(shared_url):
    """A pool of connections to `shared_url`."""
    pool = await open_pool(shared_url)
    yield pool
    await pool.close()


@pytest.fixture
async def pool(database_url):
    """A pool of connections to `database_url`."""
    pool = await open_pool(database_url)
    yield pool
    await pool.close()


@pytest.fixture
async def conn(pool):
    """One connection to `database_url`."""
    async with pool.acquire() as conn:
        yield conn


@pytest.fixture(scope="session")
def s3(tmp_path_factory):
    """The S3_* settings that lead to a bucket of an S3 server."""
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server
