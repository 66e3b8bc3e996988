"""The schema is reached by migrations alone, once, and never goes back."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

import dicomweb_server.index
from dicomweb_server.index import migrate as module
from dicomweb_server.index.migrate import Migration, SchemaMismatchError, migrate, migrations

SCHEMA = Path(dicomweb_server.index.__file__).parent / "schema.sql"

CATALOG = {
    "columns": """
        SELECT c.relname, row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum), a.attname,
               format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attstorage, a.attidentity,
               l.collname, s.stat,
               pg_get_expr(d.adbin, d.adrelid)
          FROM pg_class c
          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
     LEFT JOIN pg_collation l ON l.oid = a.attcollation
    CROSS JOIN LATERAL (SELECT to_jsonb(a) -> 'attstattarget' AS stat) s
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' ORDER BY 1, 2""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
         WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2""",
    "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
    "options": """
        SELECT relname, relkind::text, reloptions FROM pg_class
         WHERE relnamespace = 'public'::regnamespace ORDER BY 1""",
    "functions": """
        SELECT p.proname, pg_get_functiondef(p.oid) FROM pg_proc p
         WHERE p.pronamespace = 'public'::regnamespace
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
         ORDER BY 1""",
    "types": """
        SELECT c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), l.collname
          FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
     LEFT JOIN pg_collation l ON l.oid = a.attcollation
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'c' ORDER BY 1, 2""",
    "extensions": "SELECT extname FROM pg_extension ORDER BY 1",
    "institutions": "SELECT * FROM institutions ORDER BY 1",
}


@pytest.fixture
async def conn(new_database, template):
    """A connection to a database of this test's own, whose history it may falsify."""
    async with new_database(template) as url:
        conn = await asyncpg.connect(url)
        yield conn
        await conn.close()


async def catalog(conn):
    return {
        name: [tuple(row) for row in await conn.fetch(query)] for name, query in CATALOG.items()
    }


@pytest.fixture
async def empty(new_database):
    """A connection to a database of this test's own, without a schema."""
    async with new_database() as url:
        conn = await asyncpg.connect(url)
        yield conn
        await conn.close()


async def test_migrations_lead_exactly_to_the_schema_on_one_page(conn, empty):
    await empty.execute(SCHEMA.read_text())
    migrated = await catalog(conn)

    assert await catalog(empty) == migrated
    assert {row[0] for row in migrated["columns"]} == {
        "attribute_values", "audit", "change_counter", "changes", "indexed_attributes",
        "institution_totals", "institutions", "instances", "progress", "schema_migrations",
        "series", "series_requests", "studies", "study_modalities", "superseded",
    }  # fmt: skip


async def test_migrating_twice_changes_nothing(conn, empty):
    assert await migrate(empty) == migrations()
    assert await migrate(empty) == []
    assert await migrate(conn) == []


async def test_of_servers_that_start_together_one_migrates(new_database):
    async with new_database() as url:
        conns = [await asyncpg.connect(url) for _ in range(3)]
        applied = await asyncio.gather(*(migrate(conn) for conn in conns))
        for conn in conns:
            await conn.close()

    assert sorted(map(len, applied)) == [0, 0, len(migrations())]


async def test_a_newer_schema_is_refused(conn):
    await conn.execute("INSERT INTO schema_migrations VALUES (9999, '9999_later.sql', 'ab')")

    with pytest.raises(SchemaMismatchError, match=r"newer than this program.*9999_later"):
        await migrate(conn)


async def test_an_altered_schema_is_refused(conn):
    await conn.execute("UPDATE schema_migrations SET sha256 = 'ab' WHERE number = 1")

    with pytest.raises(SchemaMismatchError, match="another text of migration 1"):
        await migrate(conn)


async def test_a_migration_that_fails_leaves_nothing_behind(empty, monkeypatch):
    broken = [*migrations(), Migration(9999, "9999_broken.sql", "SELECT 1; SELECT nonsense")]
    monkeypatch.setattr(module, "migrations", lambda: broken)

    with pytest.raises(asyncpg.UndefinedColumnError):
        await migrate(empty)
    assert await empty.fetchval("SELECT to_regclass('studies')") is None
    assert await empty.fetchval("SELECT to_regclass('schema_migrations')") is None
