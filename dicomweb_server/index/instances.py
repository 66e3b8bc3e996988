"""Store and delete instances, with the counts of their series and study always exact.

Locks are taken in one order by everybody: studies by UID, then series (of a study that is
locked), then instances by UID. So two groups can wait for each other only one way round.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from dicomweb_server.access.policy import Scope
from dicomweb_server.errors import NotFound, Unavailable
from dicomweb_server.index.database import Connection
from dicomweb_server.index.rows import (
    INSTANCE_COLUMNS,
    REQUEST_COLUMNS,
    SERIES_COLUMNS,
    STUDY_COLUMNS,
    Entry,
)

_ATTEMPTS = 3  # of a transaction that Postgres broke off
_ROUNDS = 8  # of leaving out what others stored meanwhile

SeriesKey = tuple[str, str]  # Study and Series Instance UID


@dataclass(frozen=True, slots=True)
class NewInstance:
    """An instance whose file is at rest and whose rows are to be made."""

    entry: Entry
    blob_key: str
    size: int  # bytes of the file
    sha256: bytes  # of the file

    @property
    def series_key(self) -> SeriesKey:
        return self.entry.study_instance_uid, self.entry.series_instance_uid


@dataclass(frozen=True, slots=True)
class Existing:
    """An instance that has the SOP Instance UID already, in whatever study and series."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    blob_key: str
    sha256: bytes
    size: int
    transfer_syntax_uid: str


FIND_EXISTING = """
SELECT s.study_instance_uid, e.series_instance_uid, i.sop_instance_uid,
       i.blob_key, i.sha256, i.size, i.transfer_syntax_uid
  FROM instances i
  JOIN series e ON e.id = i.series_id
  JOIN studies s ON s.id = e.study_id
 WHERE i.institution_id = $1 AND i.sop_instance_uid = ANY ($2::text[])
"""


async def find_existing(
    conn: Connection, institution_id: int, sop_instance_uids: Sequence[str]
) -> dict[str, Existing]:
    """Those of the SOP Instance UIDs that the institution has, whatever study they are in."""
    rows = await conn.fetch(FIND_EXISTING, institution_id, list(sop_instance_uids))
    return {row["sop_instance_uid"]: Existing(**row) for row in rows}


def _unnest(columns: Mapping[str, str], first: int) -> str:
    """``unnest($2::text[], …) AS new (a, …)``: one array argument a column, from $first on."""
    arrays = ", ".join(f"${n}::{kind}[]" for n, kind in enumerate(columns.values(), first))
    return f"unnest({arrays}) AS new ({', '.join(columns)})"


def _insert(table: str, columns: Mapping[str, str]) -> str:
    """INSERT of the rows in array arguments from $2 on; $1 is the institution of them all."""
    names = ", ".join(columns)
    return (
        f"INSERT INTO {table} (institution_id, {names}) "  # noqa: S608 - names from rows.py
        f"SELECT $1::integer, {names} FROM {_unnest(columns, 2)}"
    )


_GROUP_COUNTS = {"number_of_instances": "integer"}
_STUDY_INSERT = {**STUDY_COLUMNS, **_GROUP_COUNTS, "number_of_series": "integer", "bytes": "bigint"}
_SERIES_INSERT = {"study_id": "bigint", **SERIES_COLUMNS, **_GROUP_COUNTS}
_REQUEST_INSERT = {"series_id": "bigint", **REQUEST_COLUMNS}
_INSTANCE_INSERT = {
    "study_id": "bigint",
    "series_id": "bigint",
    **INSTANCE_COLUMNS,
    "metadata": "bytea",
    "blob_key": "text",
    "size": "bigint",
    "sha256": "bytea",
}

# What is there stays as it is: the first stored instance gives a study and a series its
# attributes (digest §4.8). The update locks the row, new or old, until the transaction ends.
PUT_STUDIES = f"""
{_insert("studies", _STUDY_INSERT)}
ON CONFLICT (study_instance_uid, institution_id) DO UPDATE
   SET number_of_instances = studies.number_of_instances + EXCLUDED.number_of_instances,
       bytes = studies.bytes + EXCLUDED.bytes,
       updated_at = now()
RETURNING study_instance_uid, id
"""  # noqa: S608
PUT_SERIES = f"""
{_insert("series", _SERIES_INSERT)}
ON CONFLICT (study_id, series_instance_uid) DO UPDATE
   SET number_of_instances = series.number_of_instances + EXCLUDED.number_of_instances
RETURNING study_id, series_instance_uid, id, number_of_instances
"""  # noqa: S608
PUT_REQUESTS = _insert("series_requests", _REQUEST_INSERT)
PUT_INSTANCES = f"""
{_insert("instances", _INSTANCE_INSERT)}
ON CONFLICT (sop_instance_uid, institution_id) DO NOTHING
RETURNING sop_instance_uid
"""

# What a study says of its series, after series came or went.
REFRESH_STUDIES = """
UPDATE studies s
   SET (number_of_series, number_of_instances, modalities) = (
         SELECT count(*), coalesce(sum(e.number_of_instances), 0),
                coalesce(array_agg(DISTINCT e.modality) FILTER (WHERE e.modality IS NOT NULL), '{}')
           FROM series e
          WHERE e.study_id = s.id)
 WHERE s.id = ANY ($1::bigint[])
"""


class _Taken(Exception):  # never leaves this module
    """Some SOP Instance UIDs are taken; the transaction is rolled back."""

    def __init__(self, sop_instance_uids: set[str]) -> None:
        self.sop_instance_uids = sop_instance_uids
        super().__init__()


async def insert_instances(
    conn: Connection, scope: Scope, group: Sequence[NewInstance]
) -> dict[str, Existing]:
    """Store a group in one transaction, with its series, studies and their counts.

    An instance whose SOP Instance UID is taken, by a row of the institution or by an earlier one
    of the group, is left out, and what has it is returned; the others are stored together or
    not at all. A UID that is not in the answer was stored by this call.

    The number of statements does not depend on the size of the group. `conn` must not be in a
    transaction. Raises NotFound if a study lies outside `scope`.
    """
    _check_scope(scope, group)
    wanted: dict[str, NewInstance] = {}
    twice: set[str] = set()
    for new in group:
        uid = new.entry.sop_instance_uid
        if wanted.setdefault(uid, new) is not new:
            twice.add(uid)
    existing: dict[str, Existing] = {}
    for _ in range(_ROUNDS):
        try:
            await _store(conn, scope.home, list(wanted.values()))
        except _Taken as taken:
            # One that was deleted since is not found now, and is tried again.
            found = await find_existing(conn, scope.home, sorted(taken.sop_instance_uids))
            existing.update(found)
            wanted = {uid: new for uid, new in wanted.items() if uid not in found}
        else:
            return existing | {uid: _as_existing(wanted[uid]) for uid in twice & wanted.keys()}
    raise Unavailable("the same instances are stored and deleted by others all the time")


def _check_scope(scope: Scope, group: Iterable[NewInstance]) -> None:
    allowed = scope.study_instance_uids
    if allowed is None:
        return
    for new in group:
        if new.entry.study_instance_uid not in allowed:
            raise NotFound(f"no study {new.entry.study_instance_uid}")


def _as_existing(new: NewInstance) -> Existing:
    described = new.entry
    return Existing(
        described.study_instance_uid,
        described.series_instance_uid,
        described.sop_instance_uid,
        new.blob_key,
        new.sha256,
        new.size,
        described.transfer_syntax_uid,
    )


async def _store(conn: Connection, institution_id: int, group: Sequence[NewInstance]) -> None:
    """`_put` in a transaction, again if Postgres broke it off for the sake of another."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            async with conn.transaction(isolation="read_committed"):
                await _put(conn, institution_id, group)
            return
        except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
            if attempt == _ATTEMPTS:
                raise


async def _put(conn: Connection, institution_id: int, group: Sequence[NewInstance]) -> None:
    """Make the rows of a group. Counts go up first, as a taken UID rolls everything back."""
    if not group:
        return
    series_groups = _by_series(group)
    study_ids = await _put_studies(conn, institution_id, group)
    series_ids, fresh = await _put_series(conn, institution_id, series_groups, study_ids)
    ordered = sorted(group, key=lambda new: new.entry.sop_instance_uid)
    keys = [new.series_key for new in ordered]
    stored = await conn.fetch(
        PUT_INSTANCES,
        institution_id,
        *_arrays(
            (
                study_ids[key[0]],
                series_ids[key],
                *new.entry.instance,
                new.entry.metadata,
                new.blob_key,
                new.size,
                new.sha256,
            )
            for key, new in zip(keys, ordered, strict=True)
        ),
    )
    if len(stored) < len(ordered):
        uids = {new.entry.sop_instance_uid for new in ordered}
        raise _Taken(uids - {row["sop_instance_uid"] for row in stored})
    if fresh:
        await _put_requests(conn, institution_id, series_groups, series_ids, fresh)
        await conn.execute(REFRESH_STUDIES, sorted({study_ids[study] for study, _ in fresh}))


def _by_series(group: Iterable[NewInstance]) -> dict[SeriesKey, list[NewInstance]]:
    """The group by study and series, in ascending order: the order in which locks are taken."""
    groups: dict[SeriesKey, list[NewInstance]] = {}
    for new in group:
        groups.setdefault(new.series_key, []).append(new)
    return dict(sorted(groups.items()))


def _arrays(rows: Iterable[tuple[object, ...]]) -> list[list[object]]:
    """Rows turned into one list a column."""
    return [list(column) for column in zip(*rows, strict=True)]


async def _put_studies(
    conn: Connection, institution_id: int, group: Iterable[NewInstance]
) -> dict[str, int]:
    studies: dict[str, list[NewInstance]] = {}
    for new in group:
        studies.setdefault(new.entry.study_instance_uid, []).append(new)
    rows = [
        (*members[0].entry.study, len(members), 0, sum(new.size for new in members))
        for _, members in sorted(studies.items())
    ]
    found = await conn.fetch(PUT_STUDIES, institution_id, *_arrays(rows))
    return {row["study_instance_uid"]: row["id"] for row in found}


async def _put_series(
    conn: Connection,
    institution_id: int,
    groups: Mapping[SeriesKey, Sequence[NewInstance]],
    study_ids: Mapping[str, int],
) -> tuple[dict[SeriesKey, int], set[SeriesKey]]:
    """The ids of all series, and which of them this group began."""
    rows = [
        (study_ids[study], *members[0].entry.series, len(members))
        for (study, _), members in groups.items()
    ]
    found = await conn.fetch(PUT_SERIES, institution_id, *_arrays(rows))
    by_key = {(row["study_id"], row["series_instance_uid"]): row for row in found}
    ids: dict[SeriesKey, int] = {}
    fresh: set[SeriesKey] = set()
    for key, members in groups.items():
        row = by_key[study_ids[key[0]], key[1]]
        ids[key] = row["id"]
        # A series without instances is never left behind, so one that has only ours is new.
        if row["number_of_instances"] == len(members):
            fresh.add(key)
    return ids, fresh


async def _put_requests(
    conn: Connection,
    institution_id: int,
    groups: Mapping[SeriesKey, Sequence[NewInstance]],
    series_ids: Mapping[SeriesKey, int],
    fresh: Iterable[SeriesKey],
) -> None:
    rows = [
        (series_ids[key], *request) for key in fresh for request in groups[key][0].entry.requests
    ]
    if rows:
        await conn.execute(PUT_REQUESTS, institution_id, *_arrays(rows))


LOCK_STUDY = """
SELECT id
  FROM studies
 WHERE study_instance_uid = $1
   AND institution_id = ANY ($2::integer[])
   AND ($3::text[] IS NULL OR study_instance_uid = ANY ($3))
 ORDER BY array_position($2, institution_id)
 LIMIT 1
   FOR UPDATE
"""
DELETE_INSTANCES = """
DELETE FROM instances i
 USING series e
 WHERE e.id = i.series_id
   AND e.study_id = $1
   AND ($2::text IS NULL OR e.series_instance_uid = $2)
   AND ($3::text IS NULL OR i.sop_instance_uid = $3)
RETURNING i.blob_key, i.size, i.series_id
"""
RECOUNT_SERIES = """
UPDATE series e
   SET number_of_instances = (SELECT count(*) FROM instances i WHERE i.series_id = e.id)
 WHERE e.id = ANY ($1::bigint[])
"""
DELETE_EMPTY_SERIES = """
DELETE FROM series WHERE id = ANY ($1::bigint[]) AND number_of_instances = 0
"""
SUBTRACT_BYTES = "UPDATE studies SET bytes = bytes - $2, updated_at = now() WHERE id = $1"
DELETE_EMPTY_STUDY = "DELETE FROM studies WHERE id = $1 AND number_of_instances = 0"


async def delete(
    conn: Connection,
    scope: Scope,
    study: str,
    series: str | None = None,
    instance: str | None = None,
) -> list[str]:
    """Delete a study, a series or an instance, by their Instance UIDs, and parents left empty.

    Returns the keys of the blobs that no row names any more. Raises NotFound for what does not
    exist, or not under these parents (RES-02), or outside `scope`.
    """
    async with conn.transaction(isolation="read_committed"):
        study_id = await conn.fetchval(
            LOCK_STUDY, study, list(scope.institution_ids), _studies(scope)
        )
        rows = await conn.fetch(DELETE_INSTANCES, study_id, series, instance)
        if not rows:
            raise NotFound("no such study, series or instance")
        touched = sorted({row["series_id"] for row in rows})
        await conn.execute(RECOUNT_SERIES, touched)
        await conn.execute(DELETE_EMPTY_SERIES, touched)
        await conn.execute(SUBTRACT_BYTES, study_id, sum(row["size"] for row in rows))
        await conn.execute(REFRESH_STUDIES, [study_id])
        await conn.execute(DELETE_EMPTY_STUDY, study_id)
    return [row["blob_key"] for row in rows]


def _studies(scope: Scope) -> list[str] | None:
    return None if scope.study_instance_uids is None else list(scope.study_instance_uids)
