"""Give what is stored already the values of an attribute that is to be indexed.

Rows are read without a lock and their values computed elsewhere. What is written is only for
those that are still as they were read: others have been replaced since, by a store that knew of
the attribute and gave them its values. Meanwhile their studies are locked, in the order in which
stores lock them, so that nothing changes before the end of the transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from dicomweb_server.dicom.attributes import level_of
from dicomweb_server.dicom.query import Level
from dicomweb_server.index.attribute_values import IndexedAttribute
from dicomweb_server.index.database import Connection
from dicomweb_server.index.indexed_attributes import is_stale
from dicomweb_server.index.progress import save_progress


@dataclass(frozen=True, slots=True)
class Row:
    """An entity that is to get its values."""

    id: int
    content: bytes  # its document, or the metadata of an instance, packed
    mark: bytes  # another one where the content is another one


class AttributeGone(Exception):
    """The attribute was dropped while its values were made."""


_TABLES = {Level.STUDY: "studies", Level.SERIES: "series", Level.INSTANCE: "instances"}
_MARKS = {Level.STUDY: "document", Level.SERIES: "document", Level.INSTANCE: "sha256"}
_STUDIES = {Level.STUDY: "id", Level.SERIES: "study_id", Level.INSTANCE: "study_id"}
# The entity in columns of attribute_values, and how its values are found.
_PLACES = {
    Level.STUDY: "x.id, NULL::bigint, NULL::bigint",
    Level.SERIES: "x.study_id, x.id, NULL::bigint",
    Level.INSTANCE: "x.study_id, x.series_id, x.id",
}
_OWN = {
    Level.STUDY: "v.study_id = x.id AND v.series_id IS NULL",
    Level.SERIES: "v.series_id = x.id AND v.instance_id IS NULL",
    Level.INSTANCE: "v.instance_id = x.id",
}
_SAME = {
    level: f"{table} x JOIN unnest($2::bigint[], $3::bytea[]) AS n (id, mark) "
    f"ON n.id = x.id AND n.mark = x.{_MARKS[level]}"
    for level, table in _TABLES.items()
}

LAST = {level: f"SELECT coalesce(max(id), 0) FROM {table}" for level, table in _TABLES.items()}  # noqa: S608
LOCK = {
    level: "SELECT s.id FROM studies s WHERE s.id = ANY (ARRAY("  # noqa: S608
    f"SELECT {_STUDIES[level]} FROM {table} WHERE id = ANY ($1::bigint[]))) "
    "ORDER BY s.study_instance_uid, s.institution_id FOR NO KEY UPDATE"
    for level, table in _TABLES.items()
}
REMOVE = {
    level: f"DELETE FROM attribute_values v USING {_SAME[level]} "  # noqa: S608
    f"WHERE v.attribute_id = $1 AND {_OWN[level]}"
    for level in Level
}
WRITE = {
    level: "INSERT INTO attribute_values "  # noqa: S608
    "(attribute_id, institution_id, study_id, series_id, instance_id, value) "
    f"SELECT $1, x.institution_id, {_PLACES[level]}, m.value FROM {_SAME[level]} "
    "JOIN unnest($4::bigint[], $5::text[]) AS m (id, value) ON m.id = x.id"
    for level in Level
}
ANALYZE = "ANALYZE attribute_values"


def is_in_documents(attribute: IndexedAttribute) -> bool:
    """Whether documents hold it; if not, only the metadata of instances does."""
    return level_of(attribute.path[0]) is not None


def read_statement(attribute: IndexedAttribute) -> str:
    """What reads rows after an id, up to another one."""
    content = "document" if is_in_documents(attribute) else "metadata"
    level = attribute.level
    return (
        f"SELECT id, {content} AS content, {_MARKS[level]} AS mark FROM {_TABLES[level]} "  # noqa: S608
        "WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3"
    )


async def last_id(conn: Connection, level: Level) -> int:
    """The greatest id of the entities of a level; 0 if there are none."""
    last: int = await conn.fetchval(LAST[level])
    return last


async def read_rows(
    conn: Connection, attribute: IndexedAttribute, after: int, last: int, limit: int
) -> list[Row]:
    """At most `limit` entities of the attribute's level, by ascending id."""
    rows = await conn.fetch(read_statement(attribute), after, last, limit)
    return [Row(**row) for row in rows]


async def write_values(
    conn: Connection,
    attribute: IndexedAttribute,
    rows: Sequence[Row],
    values: Sequence[Sequence[str]],
    work: str,
) -> None:
    """Put the values of each of `rows` in the place of what it has, and note in the progress of
    `work` how far that is. Raises AttributeGone."""
    level = attribute.level
    ids, marks = [row.id for row in rows], [row.mark for row in rows]
    owners = [row.id for row, own in zip(rows, values, strict=True) for _ in own]
    texts = [text for own in values for text in own]
    try:
        async with conn.transaction(isolation="read_committed"):
            await conn.execute(LOCK[level], ids)
            await conn.execute(REMOVE[level], attribute.id, ids, marks)
            await conn.execute(WRITE[level], attribute.id, ids, marks, owners, texts)
            await save_progress(conn, {work: ids[-1]})
    except asyncpg.ForeignKeyViolationError as error:
        if is_stale(error):
            raise AttributeGone from None
        raise


async def analyze_values(conn: Connection) -> None:
    """Let the planner know what values there are."""
    await conn.execute(ANALYZE)
