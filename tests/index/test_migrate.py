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


@pytest.fixture
async def two(new_database, template):
    """Two connections to one such database."""
    async with new_database(template) as url:
        conns = [await asyncpg.connect(url) for _ in range(2)]
        yield conns
        for conn in conns:
            await conn.close()


async def catalog(conn):
    return {
        name: [tuple(row) for row in await conn.fetch(query)] for name, query in CATALOG.items()
    }


async def test_migrations_lead_exactly_to_the_schema_on_one_page(conn, empty):
    await empty.execute(SCHEMA.read_text())
    migrated = await catalog(conn)

    assert await catalog(empty) == migrated
    assert {row[0] for row in migrated["columns"]} == {
        "attribute_values", "audit", "change_counter", "changes", "indexed_attributes",
        "institution_totals", "institutions", "instances", "leases", "progress",
        "schema_migrations", "series", "series_requests", "studies", "study_modalities",
        "superseded",
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


@pytest.fixture
def with_steps(monkeypatch):
    """Lets the program bring steps beyond its own."""
    released = migrations()

    def add(*texts):
        later = [
            Migration(number, f"{number:04}_later.sql", text)
            for number, text in enumerate(texts, len(released) + 1)
        ]
        monkeypatch.setattr(module, "migrations", lambda: [*released, *later])

    return add


async def applied(conn):
    return await conn.fetchval("SELECT max(number) FROM schema_migrations")


async def test_a_migration_that_fails_leaves_nothing_of_itself(conn, with_steps):
    before = await applied(conn)
    with_steps("CREATE TABLE one (x int)", "CREATE TABLE two (x int); SELECT nonsense")

    with pytest.raises(asyncpg.UndefinedColumnError):
        await migrate(conn)

    assert await applied(conn) == before + 1  # the step before it stays
    assert await conn.fetchval("SELECT to_regclass('one')") == "one"
    assert await conn.fetchval("SELECT to_regclass('two')") is None
    with_steps("CREATE TABLE one (x int)", "CREATE TABLE two (x int)")
    assert [step.number for step in await migrate(conn)] == [before + 2]


async def test_paragraphs_outside_a_transaction_can_be_begun_again(conn, with_steps):
    before = await applied(conn)
    beginning = """-- Outside a transaction

CREATE TABLE IF NOT EXISTS one (x int);
INSERT INTO one VALUES (1);

"""
    with_steps(f"{beginning}INSERT INTO one VALUES (2);\nSELECT nonsense;")
    with pytest.raises(asyncpg.UndefinedColumnError):
        await migrate(conn)
    assert await applied(conn) == before
    assert [row["x"] for row in await conn.fetch("SELECT x FROM one")] == [1]

    with_steps(f"{beginning}-- A comment alone is no paragraph.\n\nINSERT INTO one VALUES (3);")
    await migrate(conn)
    assert await applied(conn) == before + 1
    assert [row["x"] for row in await conn.fetch("SELECT x FROM one")] == [1, 1, 3]


async def test_an_index_whose_building_broke_off_is_built_anew(conn, with_steps):
    await conn.execute("CREATE TABLE one (x int); INSERT INTO one VALUES (1), (1)")
    for name in ("one_x", "an_operators_own"):
        with pytest.raises(asyncpg.UniqueViolationError):
            await conn.execute(f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON one (x)")
    with_steps(
        "-- Outside a transaction\n\nCREATE INDEX CONCURRENTLY IF NOT EXISTS one_x ON one (x);"
    )

    await migrate(conn)

    valid = {
        row["name"]: row["indisvalid"]
        for row in await conn.fetch(
            "SELECT indexrelid::regclass::text AS name, indisvalid FROM pg_index "
            "WHERE indrelid = 'one'::regclass"
        )
    }
    assert valid == {"one_x": True, "an_operators_own": False}


async def test_who_holds_a_lock_is_waited_for(two, with_steps, monkeypatch):
    monkeypatch.setattr(module, "_PAUSE_OF_LOCKS", 0.05)
    monkeypatch.setattr(module, "_TRIES_UNTOLD", 1)
    with_steps("SET LOCAL lock_timeout = '20ms'; LOCK TABLE audit; CREATE TABLE one (x int)")
    conn, other = two
    holding = other.transaction()
    await holding.start()
    await other.execute("SELECT count(*) FROM audit")
    heard = []
    waiting = asyncio.create_task(migrate(conn, heard.append))
    while len(heard) < 3:
        await asyncio.sleep(0.01)
    await holding.rollback()
    await waiting
    assert "waits for a moment" in heard[1]
    assert await conn.fetchval("SELECT to_regclass('one')") == "one"


async def test_a_new_database_is_made_without_a_word(empty):
    heard = []
    await migrate(empty, heard.append)
    assert heard == []


def test_a_step_of_python_is_known_by_its_name_and_version():
    steps = [step for step in migrations() if step.work is not None]
    assert [(step.number, step.name, step.sha256) for step in steps] == [
        (
            5,
            "0005_search_documents",
            "08032e13ba021eeae34ba3097c9a2c5f36c4ed29a3602c8fd6fa94f2a574fe75",
        ),
        (
            9,
            "0009_leading_spaces",
            "4f26e8f14f8c778d1588f3a748953fb715373c4df00c2872482fa821e9df74a8",
        ),
        (
            14,
            "0014_name_places_index",
            "544d79694b1f31d2307fead2c3afdb1e49381b0e45467eddcb3441a6606ac54b",
        ),
    ]
