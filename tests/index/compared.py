"""What is in databases, compared: one that was upgraded, and one that the new version filled."""

import re
from dataclasses import replace

from dicomweb_server.access.policy import Scope
from dicomweb_server.dicom.name_tokens import query_tokens
from dicomweb_server.dicom.query import Equal, Fuzzy, Level, Returned, SearchQuery, UidList
from dicomweb_server.index.instances import find_existing, insert_instances
from dicomweb_server.index.search import find
from dicomweb_server.index.versions import replace_instance
from tests.index import earlier
from tests.index.earlier import bring_to, file_of, one

SCOPE = Scope((1,), principal=earlier.PRINCIPAL)

OF_SERIES = "JOIN series e ON e.id = t.series_id JOIN studies s ON s.id = e.study_id"
DUMPS = {
    "institutions": "SELECT * FROM institutions t",
    "studies": "SELECT * FROM studies t",
    "series": "SELECT s.study_instance_uid, t.* FROM series t JOIN studies s ON s.id = t.study_id",
    "series_requests": f"SELECT e.series_instance_uid, t.* FROM series_requests t {OF_SERIES}",
    "instances": f"SELECT s.study_instance_uid, e.series_instance_uid, t.* "
    f"FROM instances t {OF_SERIES}",
    "study_modalities": "SELECT * FROM study_modalities t",
    "institution_totals": "SELECT institution_id AS institution, t.* FROM institution_totals t",
    "superseded": "SELECT * FROM superseded t",
    "audit": "SELECT * FROM audit t",
    "changes": "SELECT * FROM changes t",
    "change_counter": "SELECT * FROM change_counter t",
    "indexed_attributes": "SELECT * FROM indexed_attributes t",
    "attribute_values": "SELECT * FROM attribute_values t",
    "progress": "SELECT * FROM progress t",
}
SINCE_2 = {"superseded", "audit", "changes", "change_counter"}
FORGOTTEN = re.compile(r"id|at|.*_at|(institution|study|series|instance)_id")


async def dump(conn):
    """All that is in the tables but ids and times, row by row and column by column."""
    found = {}
    for table, statement in DUMPS.items():
        rows = []
        for row in await conn.fetch(statement):
            kept = {"study_id"} if table == "studies" else set()
            rows.append({n: v for n, v in row.items() if n in kept or not FORGOTTEN.fullmatch(n)})
        found[table] = sorted(rows, key=repr)
    return found


def assert_equal(upgraded, expected, without=frozenset()):
    for table in DUMPS.keys() - without:
        assert len(upgraded[table]) == len(expected[table]), table
        for row, wanted in zip(upgraded[table], expected[table], strict=True):
            assert row == wanted, table


async def fill_old(conn, step, stored):
    await bring_to(conn, step)
    for file in stored:
        await earlier.store(conn, file, step)


async def fill_new(conn, stored):
    for file in stored:
        assert await insert_instances(conn, SCOPE, [file.new]) == {}


async def replace_new(conn, file):
    uid = file.description.sop_instance_uid
    existing = (await find_existing(conn, 1, [uid]))[uid]
    assert await replace_instance(conn, SCOPE, existing, file.new)


def replacing():
    name = {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Lüdenscheid^Jörg=山田"}
    return (
        file_of(one("2.1", 1, 1, AdmissionID="B", Modality="MR", **name), "~2"),
        file_of(one("2.3", 1, 1, PatientState="better", StudyDate="20210101"), "~2"),
    )


QUERIES = [
    {},
    {(0x00100010,): Fuzzy(query_tokens("jorg ludenscheid"))},
    {(0x00080090,): Fuzzy(query_tokens("oneil"))},
    {(0x00080060,): Equal(("SR",))},
    {(0x00080062,): UidList(("1.2.840.10008.5.1.4.1.1.66", "1.2.840.10008.5.1.4.1.1.2"))},
]


async def searches(conn):
    answers = []
    for level in Level:
        returned = Returned(frozenset(each for each in Level if each <= level), sop_classes=True)
        for conditions in QUERIES:
            query = SearchQuery(level, conditions, limit=1000)
            found = await find(conn, SCOPE, query, returned)
            assert found
            answers.append([replace(each, place=()) for each in found])  # which has ids
    return answers


GENERATED = 20_000
MANY = """
INSERT INTO {table} ({names})
SELECT {values} FROM {table} t CROSS JOIN generate_series(1, {count}) AS n WHERE t.id = 1
"""


async def multiply(conn, table, changed):
    columns = [
        row["column_name"]
        for row in await conn.fetch(
            "SELECT column_name FROM information_schema.columns WHERE table_name = $1 "
            "AND table_schema = 'public' AND column_name <> 'id' ORDER BY ordinal_position",
            table,
        )
    ]
    values = [changed.get(name, f"t.{name}") for name in columns]
    await conn.execute(
        MANY.format(
            table=table, names=", ".join(columns), values=", ".join(values), count=GENERATED
        )
    )
