"""The step 0009: match keys without the spaces they begin with, as they are made since.

Spaces before a value of AE, CS, LO or SH mean nothing (PS3.5 §6.2). Earlier versions kept them in
what is compared, where what is asked does not have them. It passes once over the rows, ascending
by id, and finds nothing left where it was broken off. Documents stay as they are: what is
returned is as it was stored.

A key was cut after 512 characters with its spaces: of one so long the last characters stay
away, which only the file has. A value of an indexed attribute that was cut becomes MANY, which
whoever asks is to look at.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dicomweb_server.dicom.match_values import MANY, VALUE_LENGTH
from dicomweb_server.dicom.matching import LEADING_SPACE_VRS, vr_of
from dicomweb_server.index.database import Connection
from dicomweb_server.index.fill_documents import LOCK
from dicomweb_server.index.indexed_attributes import list_attributes

BATCH = 1000  # studies, series

RESTATE = "SELECT restate_studies($1::bigint[])"  # of their modalities


@dataclass(frozen=True, slots=True)
class _Table:
    """Where keys stand, and how rows to be mended are found: their ids, and those of studies."""

    read: str
    mend: str
    restates: bool = False


def _indented(columns: Iterable[str]) -> str:
    return f"' ' IN ({', '.join(f'left({column}, 1)' for column in columns)})"


def _trimmed(columns: Iterable[str]) -> str:
    return ", ".join(f"{column} = ltrim({column}, ' ')" for column in columns)


_OF_STUDIES = (
    *("accession_number", "study_id", "patient_id", "issuer_of_patient_id", "patient_sex"),
    "study_description",
)
_OF_SERIES = ("modality", "series_description", "body_part_examined")
_OF_REQUESTS = ("scheduled_procedure_step_id", "requested_procedure_id", "accession_number")

# ruff: noqa: S608 (names from the tuples above)
TABLES = (
    _Table(
        f"SELECT id, id AS study FROM studies WHERE id > $1 AND {_indented(_OF_STUDIES)} "
        "ORDER BY id LIMIT $2",
        f"UPDATE studies SET {_trimmed(_OF_STUDIES)} "
        f"WHERE id = ANY ($1::bigint[]) AND {_indented(_OF_STUDIES)}",
    ),
    _Table(
        f"SELECT id, study_id AS study FROM series WHERE id > $1 AND {_indented(_OF_SERIES)} "
        "ORDER BY id LIMIT $2",
        f"UPDATE series SET {_trimmed(_OF_SERIES)} "
        f"WHERE id = ANY ($1::bigint[]) AND {_indented(_OF_SERIES)}",
        restates=True,
    ),
    _Table(
        "SELECT e.id, e.study_id AS study FROM series e JOIN ("
        f"SELECT DISTINCT series_id FROM series_requests WHERE {_indented(_OF_REQUESTS)} "
        "AND series_id > $1 ORDER BY series_id LIMIT $2) r ON r.series_id = e.id ORDER BY e.id",
        f"UPDATE series_requests SET {_trimmed(_OF_REQUESTS)} "
        f"WHERE series_id = ANY ($1::bigint[]) AND {_indented(_OF_REQUESTS)}",
    ),
)
READ_VALUES = """
SELECT DISTINCT study_id AS study FROM attribute_values
 WHERE attribute_id = $1 AND left(value, 1) = ' ' AND study_id > $2 ORDER BY 1 LIMIT $3
"""
MEND_VALUES = """
UPDATE attribute_values
   SET value = CASE WHEN length(value) < $3 THEN ltrim(value, ' ') ELSE $4 END
 WHERE attribute_id = $1 AND study_id = ANY ($2::bigint[]) AND left(value, 1) = ' '
"""


async def mend_leading_spaces(conn: Connection, tell: Callable[[str], None]) -> None:
    """Mend what has them; `tell` hears of how much there was of it."""
    mended = 0
    for table in TABLES:
        mended += await _mend_table(conn, table)
    for attribute in await list_attributes(conn):
        if not attribute.dropped and vr_of(attribute.path[-1]) in LEADING_SPACE_VRS:
            mended += await _mend_values(conn, attribute.id)
    if mended:
        tell(f"Match keys: {mended} studies and series mended whose values begin with spaces")


async def _mend_table(conn: Connection, table: _Table) -> int:
    last = mended = 0
    while rows := await conn.fetch(table.read, last, BATCH):
        last = rows[-1]["id"]
        studies = sorted({row["study"] for row in rows})
        async with conn.transaction(isolation="read_committed"):
            await conn.execute(LOCK, studies)
            await conn.execute(table.mend, [row["id"] for row in rows])
            if table.restates:
                await conn.execute(RESTATE, studies)
        mended += len(rows)
    return mended


async def _mend_values(conn: Connection, attribute: int) -> int:
    last = mended = 0
    while rows := await conn.fetch(READ_VALUES, attribute, last, BATCH):
        studies = [row["study"] for row in rows]
        last = studies[-1]
        async with conn.transaction(isolation="read_committed"):
            await conn.execute(LOCK, studies)
            await conn.execute(MEND_VALUES, attribute, studies, VALUE_LENGTH, MANY)
        mended += len(studies)
    return mended
