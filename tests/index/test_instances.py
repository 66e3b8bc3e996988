"""Storing and deleting: one winner for each SOP Instance UID, counts that are always right."""

import asyncio
import random
import struct
import zlib
from collections import Counter

import asyncpg
import pytest

from dicomweb_server.access.policy import Scope
from dicomweb_server.dicom.packing import pack_metadata, unpack_metadata
from dicomweb_server.errors import NotFound, Unavailable
from dicomweb_server.index import rows
from dicomweb_server.index.database import open_pool, translated
from dicomweb_server.index.delete import delete
from dicomweb_server.index.instances import (
    find_existing,
    insert_instances,
)
from tests.index.made import new

SCOPE = Scope((1,))


async def counts(conn):
    """Every stored counter beside what it should be: (study, series…) -> (stored, true)."""
    studies = await conn.fetch("""
        SELECT s.study_instance_uid AS uid, s.modalities,
               s.number_of_series, s.number_of_instances, s.bytes,
               (SELECT count(*) FROM series e WHERE e.study_id = s.id) AS true_series,
               (SELECT count(*) FROM instances i WHERE i.study_id = s.id) AS true_instances,
               (SELECT sum(size) FROM instances i WHERE i.study_id = s.id) AS true_bytes,
               ARRAY (SELECT DISTINCT modality FROM series e
                       WHERE e.study_id = s.id AND modality IS NOT NULL
                       ORDER BY modality) AS true_modalities
          FROM studies s""")
    for row in studies:
        assert row["number_of_series"] == row["true_series"]
        assert row["number_of_instances"] == row["true_instances"]
        assert row["bytes"] == row["true_bytes"]
        assert row["modalities"] == row["true_modalities"]
    series = await conn.fetch("""
        SELECT number_of_instances,
               (SELECT count(*) FROM instances i WHERE i.series_id = e.id) AS true_instances
          FROM series e""")
    for row in series:
        assert row["number_of_instances"] == row["true_instances"] > 0
    return {
        row["uid"]: (row["number_of_series"], row["number_of_instances"], row["modalities"])
        for row in studies
    }


CT, MR = {"Modality": "CT"}, {"Modality": "MR"}


async def test_a_group_is_stored_with_its_parents_and_their_counts(conn):
    group = [
        new("1.1", "1.1.1", "1.1.1.1", of_series=CT, size=10),
        new("1.1", "1.1.2", "1.1.2.1", of_series=MR, size=20),
        new("1.1", "1.1.1", "1.1.1.2", of_series=CT, size=30),
        new("1.2", "1.2.1", "1.2.1.1", of_series=CT, size=40),
    ]

    assert await insert_instances(conn, SCOPE, group) == {}
    assert await counts(conn) == {"1.1": (2, 3, ["CT", "MR"]), "1.2": (1, 1, ["CT"])}


async def test_later_groups_add_to_what_is_there(conn):
    await insert_instances(conn, SCOPE, [new("1.1", "1.1.1", "1.1.1.1", of_series=MR)])
    await insert_instances(conn, SCOPE, [new("1.1", "1.1.1", "1.1.1.2", of_series=MR)])
    await insert_instances(conn, SCOPE, [new("1.1", "1.1.2", "1.1.2.1", of_series=CT)])

    assert await counts(conn) == {"1.1": (2, 3, ["CT", "MR"])}


async def test_the_first_stored_instance_gives_the_study_its_attributes(conn):
    first = new("1.1", "1.1.2", "1.1.2.1", of_study={"PatientID": "FIRST"})
    second = new("1.1", "1.1.1", "1.1.1.1", of_study={"PatientID": "SECOND"})
    third = new("1.1", "1.1.1", "1.1.1.2", of_study={"PatientID": "THIRD"})

    await insert_instances(conn, SCOPE, [first, second])
    await insert_instances(conn, SCOPE, [third])

    assert await conn.fetchval("SELECT patient_id FROM studies") == "FIRST"


async def test_what_is_taken_is_left_out_and_the_rest_is_stored(conn):
    await insert_instances(conn, SCOPE, [new("1.1", "1.1.1", "1.1.1.1", blob_key="old")])
    group = [
        new("1.1", "1.1.1", "1.1.1.1", blob_key="new"),
        new("1.9", "1.9.1", "1.1.1.1", blob_key="elsewhere"),
        new("1.1", "1.1.1", "1.1.1.2"),
    ]

    taken = await insert_instances(conn, SCOPE, group)

    assert list(taken) == ["1.1.1.1"]
    assert taken["1.1.1.1"].blob_key == "old"
    assert taken == await find_existing(conn, 1, ["1.1.1.1", "7.7"])
    assert await counts(conn) == {"1.1": (1, 2, [])}  # and no empty study 1.9


async def test_twice_in_a_group_the_first_wins(conn):
    group = [
        new("1.1", "1.1.1", "1.1.1.1", blob_key="first"),
        new("1.2", "1.2.1", "1.1.1.1", blob_key="second"),
    ]

    taken = await insert_instances(conn, SCOPE, group)

    assert taken["1.1.1.1"].blob_key == "first"
    assert taken["1.1.1.1"].study_instance_uid == "1.1"
    assert await counts(conn) == {"1.1": (1, 1, [])}


async def test_institutions_do_not_see_each_others_uids(conn):
    await conn.execute("INSERT INTO institutions (id, code) VALUES (2, 'other')")
    for institution in (1, 2):
        assert await insert_instances(conn, Scope((institution,)), [new()]) == {}

    assert await conn.fetchval("SELECT count(*) FROM instances") == 2


async def test_a_study_outside_the_scope_is_not_stored(conn):
    with pytest.raises(NotFound):
        await insert_instances(conn, Scope((1,), ("9.9",)), [new("1.1")])
    assert await counts(conn) == {}


async def test_the_number_of_statements_does_not_grow_with_the_group(conn):
    await insert_instances(conn, SCOPE, [new()])  # the driver asks for the types it meets first
    statements = Counter()
    conn._con.add_query_logger(lambda record: statements.update([record.query]))
    sizes = []
    for begin, size in ((0, 1), (100, 60)):
        statements.clear()
        group = [
            new(f"1.{begin + n % 5}", f"1.{n % 5}.{begin}", f"2.{begin + n}") for n in range(size)
        ]
        await insert_instances(conn, SCOPE, group)
        await asyncio.sleep(0)  # loggers are called in the loop's next round
        sizes.append(statements.total())

    assert sizes[0] == sizes[1] > 0


HOSTILE = {
    "PatientID": "nul\0within" + "x" * 5000,
    "PatientName": "half a pair \ud800^" + "ä" * 9000,
    "AccessionNumber": "\0",
    "StudyDate": "20209999",
    "StudyTime": "never",
}


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("new_study", rows.STUDY_COLUMNS),
        ("new_series", ("study", *rows.SERIES_COLUMNS)),
        ("new_request", ("series", *rows.REQUEST_COLUMNS)),
        (
            "new_instance",
            ("series", *rows.INSTANCE_COLUMNS, "metadata", "blob_key", "size", "sha256"),
        ),
    ],
)
async def test_rows_have_their_values_in_the_order_of_the_types(conn, name, columns):
    found = await conn.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass ORDER BY attnum", name
    )
    assert [row["attname"] for row in found] == list(columns)


async def test_damaged_values_are_stored_without_harm(conn):
    instance = new(
        of_study=HOSTILE,
        of_series={"SeriesNumber": 10**30, "RequestAttributesSequence": [{}, HOSTILE]},
        of_instance={"InstanceNumber": "x", "Rows": 2**40, "NumberOfFrames": 1.5},
    )

    await insert_instances(conn, SCOPE, [instance])

    row = await conn.fetchrow("SELECT * FROM studies")
    assert row["patient_id"].startswith("nulwithinxxx")
    assert row["sort_key"] == 0
    assert row["accession_number"] is row["study_date"] is row["study_time"] is None
    assert await conn.fetchval("SELECT series_number FROM series") is None
    numbers = await conn.fetchrow("SELECT instance_number, rows, number_of_frames FROM instances")
    assert tuple(numbers) == (None, None, None)


async def test_connections_that_race_for_the_same_studies_have_one_winner_each(database_url):
    """Six writers store overlapping groups of the same three new studies, in disorder."""
    uids = [
        (f"1.{s}", f"1.{s}.{e}", f"1.{s}.{e}.{i}")
        for s in range(3)
        for e in range(3)
        for i in range(8)
    ]
    pool = await open_pool(database_url, max_size=6)

    async def write(writer):
        order = random.Random(writer).sample(uids, len(uids))
        lost = 0
        async with pool.acquire() as conn:
            for begin in range(0, len(order), 12):
                group = [
                    new(
                        *each,
                        of_series={"Modality": f"M{each[1][-1]}"},
                        blob_key=f"{writer}/{each[2]}",
                    )
                    for each in order[begin : begin + 12]
                ]
                taken = await insert_instances(conn, SCOPE, group)
                lost += len(taken)
                mine = {new.blob_key for new in group if new.entry.sop_instance_uid not in taken}
                stored.update(mine)
        return lost

    stored = set()
    lost = await asyncio.gather(*(write(writer) for writer in range(6)))
    async with pool.acquire() as conn:
        keys = {row[0] for row in await conn.fetch("SELECT blob_key FROM instances")}
        assert keys == stored
        assert len(keys) == len(uids)
        assert sum(lost) == 5 * len(uids)
        assert await counts(conn) == {f"1.{s}": (3, 24, ["M0", "M1", "M2"]) for s in range(3)}
    await pool.close()


async def test_counts_stay_right_while_others_store_and_delete(database_url):
    """Writers and deleters of the same UIDs, some of them moving between studies."""
    pool = await open_pool(database_url, max_size=5)

    async def write(writer):
        chance = random.Random(writer)
        async with pool.acquire() as conn:
            for _ in range(15):
                group = [
                    new(
                        f"1.{s}",
                        f"1.{s}.{chance.randrange(2)}",
                        f"3.{chance.randrange(12)}",
                        of_series=CT,
                    )
                    for s in (chance.randrange(2) for _ in range(4))
                ]
                await insert_instances(conn, SCOPE, group)

    async def remove(remover):
        chance = random.Random(remover)
        async with pool.acquire() as conn:
            for _ in range(25):
                await asyncio.sleep(0)
                study = f"1.{chance.randrange(2)}"
                series = chance.choice([None, f"{study}.{chance.randrange(2)}"])
                instance = series and chance.choice([None, f"3.{chance.randrange(12)}"])
                try:
                    assert await delete(conn, SCOPE, study, series, instance)
                except NotFound:
                    missed.append(study)

    missed = []
    await asyncio.gather(write(1), write(2), write(3), remove(4), remove(5))
    async with pool.acquire() as conn:
        await counts(conn)
    await pool.close()


@pytest.fixture
async def stored(conn):
    await insert_instances(
        conn,
        SCOPE,
        [
            new("1.1", "1.1.1", "1.1.1.1", of_series=CT, size=1),
            new("1.1", "1.1.1", "1.1.1.2", of_series=CT, size=2),
            new("1.1", "1.1.2", "1.1.2.1", of_series=MR, size=4),
            new("1.2", "1.2.1", "1.2.1.1", of_series=MR, size=8),
        ],
    )
    return conn


async def test_a_deleted_instance_leaves_its_siblings(stored):
    assert await delete(stored, SCOPE, "1.1", "1.1.1", "1.1.1.1") == ["1.1/1.1.1/1.1.1.1"]
    assert await counts(stored) == {"1.1": (2, 2, ["CT", "MR"]), "1.2": (1, 1, ["MR"])}


async def test_the_last_instance_takes_its_series_with_it(stored):
    await delete(stored, SCOPE, "1.1", "1.1.2", "1.1.2.1")
    assert await counts(stored) == {"1.1": (1, 2, ["CT"]), "1.2": (1, 1, ["MR"])}


async def test_the_last_series_takes_its_study_with_it(stored):
    assert len(await delete(stored, SCOPE, "1.1", "1.1.1")) == 2
    assert await delete(stored, SCOPE, "1.1", "1.1.2") == ["1.1/1.1.2/1.1.2.1"]
    assert await counts(stored) == {"1.2": (1, 1, ["MR"])}


async def test_a_study_is_deleted_whole(stored):
    assert len(await delete(stored, SCOPE, "1.1")) == 3
    assert await counts(stored) == {"1.2": (1, 1, ["MR"])}
    assert await insert_instances(stored, SCOPE, [new("1.1", "1.1.1", "1.1.1.1")]) == {}


@pytest.mark.parametrize(
    "uids",
    [
        ("9.9",),
        ("1.1", "1.2.1"),
        ("1.2", "1.1.1"),
        ("1.1", "1.1.2", "1.1.1.1"),
        ("1.2", "1.1.1", "1.1.1.1"),
    ],
)
async def test_what_is_not_there_under_these_parents_cannot_be_deleted(stored, uids):
    with pytest.raises(NotFound):
        await delete(stored, SCOPE, *uids)
    assert len(await counts(stored)) == 2


@pytest.mark.parametrize("scope", [Scope((2,)), Scope((1,), ()), Scope((1,), ("1.2",)), Scope(())])
async def test_what_is_outside_the_scope_cannot_be_deleted(stored, scope):
    with pytest.raises(NotFound):
        await delete(stored, scope, "1.1")
    assert len(await counts(stored)) == 2


def test_packed_metadata_can_be_read_alone_and_joined():
    texts = [b'{"00080005":{}}', b"", "ä".encode() * 5000]
    packed = [pack_metadata(text) for text in texts]

    assert [unpack_metadata(each) for each in packed] == texts
    assert zlib.decompressobj(-15).decompress(b"".join(packed)) == b"".join(texts)


async def test_a_statement_that_takes_too_long_is_unavailable(conn):
    await conn.execute("SET statement_timeout = '20ms'")
    with pytest.raises(Unavailable), translated():
        await conn.execute("SELECT pg_sleep(5)")


async def test_a_database_that_is_away_is_unavailable(tmp_path):
    with pytest.raises(Unavailable):
        await open_pool(f"postgresql://nobody@/none?host={tmp_path}")
    with pytest.raises(Unavailable):
        await open_pool("postgresql://nobody@127.0.0.1:1/none")


async def test_a_wrong_statement_is_a_bug_and_not_unavailable(conn):
    with pytest.raises(Exception, match="nonsense") as failure, translated():
        await conn.execute("SELECT nonsense")
    assert not isinstance(failure.value, Unavailable)


async def test_a_connection_that_has_just_been_told_to_end_is_unavailable(database_url):
    conn = await asyncpg.connect(database_url)
    said = b"SFATAL\0VFATAL\x00C57P01\0Mterminating connection\0\0"
    # As it comes from the network, in the moment before the connection is closed.
    conn._protocol.data_received(b"E" + struct.pack(">I", len(said) + 4) + said)
    try:
        with pytest.raises(Unavailable), translated():
            await conn.execute("BEGIN")
    finally:
        conn.terminate()
