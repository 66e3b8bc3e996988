"""Store instances, with the counts of their series and study always exact.

Locks are taken in one order by everybody: studies by UID, then series (of a study that is
locked), then instances by UID, then the counter of the change feed. So two groups can wait for
each other only one way round.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import asyncpg

from dicomweb_server.access.policy import Scope
from dicomweb_server.dicom.query import Level
from dicomweb_server.errors import NotFound, Unavailable
from dicomweb_server.index.attribute_values import Attributes
from dicomweb_server.index.database import Connection
from dicomweb_server.index.indexed_attributes import AttributeList, is_stale
from dicomweb_server.index.rows import Entry, with_values

T = TypeVar("T")

_ATTEMPTS = 3  # of a transaction that Postgres broke off
_ROUNDS = 8  # of trying again what others had and deleted meanwhile

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


# What is there already is looked for first: to store a group and to find some of it taken costs
# updates of its study and series that come to nothing. In one statement with the storing, which
# does not take place if any of it is found: a round trip costs as much as either.
STORE = f"""
WITH found AS MATERIALIZED ({FIND_EXISTING.replace("$2", "$9")})
SELECT true AS before, sop_instance_uid AS wanted, * FROM found
 UNION ALL
SELECT false, stored.*
  FROM store_instances($1, $2, $3::new_study[], $4::new_series[], $5::new_request[],
                       $6::new_instance[], $7::new_value[], $8) stored
 WHERE NOT EXISTS (SELECT FROM found)
"""  # noqa: S608  the text of another statement


async def insert_instances(
    conn: Connection,
    scope: Scope,
    group: Sequence[NewInstance],
    attributes: AttributeList | None = None,
) -> dict[str, Existing]:
    """Store a group in one transaction, with its series, studies, their counts, the change feed
    and the audit.

    An instance whose SOP Instance UID is taken, by a row of the institution or by an earlier one
    of the group, is left out, and what has it is returned; the others are stored together or
    not at all. A UID that is not in the answer was stored by this call.

    One statement, whatever the size of the group; a second for the others if some of its UIDs
    are taken; and again if the list of indexed `attributes` is another one by now. `conn` must
    not be in a transaction. Raises NotFound if a study lies outside `scope`.
    """
    _check_scope(scope, group)
    wanted: dict[str, NewInstance] = {}
    twice: set[str] = set()
    for new in group:
        uid = new.entry.sop_instance_uid
        if wanted.setdefault(uid, new) is not new:
            twice.add(uid)
    existing: dict[str, Existing] = {}
    left = wanted
    for _ in range(_ROUNDS):
        rows = await _store(conn, scope, list(left.values()), attributes)
        existing.update({row["wanted"]: _existing(row) for row in rows if row["blob_key"]})
        if any(row["before"] for row in rows):  # nothing was stored yet
            left = {uid: new for uid, new in left.items() if uid not in existing}
        else:
            # What had the UID was deleted in between: the next round has a chance.
            left = {row["wanted"]: wanted[row["wanted"]] for row in rows if not row["blob_key"]}
        if not left:
            return existing | {
                uid: _as_existing(wanted[uid]) for uid in twice if uid not in existing
            }
    raise Unavailable("the same instances are stored and deleted by others all the time")


def _check_scope(scope: Scope, group: Iterable[NewInstance]) -> None:
    allowed = scope.study_instance_uids
    if allowed is None:
        return
    for new in group:
        if new.entry.study_instance_uid not in allowed:
            raise NotFound(f"no study {new.entry.study_instance_uid}")


def _existing(row: asyncpg.Record) -> Existing:
    return Existing(**{field.name: row[field.name] for field in fields(Existing)})


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


async def _store(
    conn: Connection,
    scope: Scope,
    group: Sequence[NewInstance],
    attributes: AttributeList | None,
) -> list[asyncpg.Record]:
    """Call the function of the schema, again if Postgres broke it off for the sake of another."""
    uids = [new.entry.sop_instance_uid for new in group]

    async def store(*arguments: object) -> list[asyncpg.Record]:
        asked = (scope.home, scope.principal, *arguments, uids)
        for _ in range(_ATTEMPTS - 1):
            try:
                return await conn.fetch(STORE, *asked)
            except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
                continue
        return await conn.fetch(STORE, *asked)

    return await with_arguments(conn, group, attributes, store)


async def with_arguments(
    conn: Connection,
    group: Sequence[NewInstance],
    attributes: AttributeList | None,
    store: Callable[..., Awaitable[T]],
) -> T:
    """Call `store` with the arguments of a group; again, with other values, where it finds that
    other attributes are indexed now. `attributes`: what is known of them already."""
    attributes = attributes or AttributeList()
    stale = False
    for _ in range(_ROUNDS):
        group = await _brought_up(conn, group, attributes, stale=stale)
        try:
            return await store(*arguments_of(group))
        except asyncpg.PostgresError as error:
            if not is_stale(error):
                raise
        stale = True
    raise Unavailable("the list of indexed attributes changes all the time")


async def _brought_up(
    conn: Connection, group: Sequence[NewInstance], attributes: AttributeList, *, stale: bool
) -> Sequence[NewInstance]:
    """The group with values of one version of the list, the newest; of a newer one if `stale`."""
    versions = {new.entry.attributes for new in group} | {attributes.known.version}
    if len(versions) == 1 and not stale:
        return group
    if stale or max(versions) > attributes.known.version:
        await attributes.reload(conn)
    return await asyncio.to_thread(_with_values, group, attributes.known)


def _with_values(group: Sequence[NewInstance], attributes: Attributes) -> list[NewInstance]:
    return [replace(new, entry=with_values(new.entry, attributes)) for new in group]


def arguments_of(group: Sequence[NewInstance]) -> tuple[object, ...]:
    """The arguments of the schema's functions: rows of studies, series, requests and instances,
    each with its parent's place from 1, of values of indexed attributes, and the version of
    those attributes, which is the same for all of the group.

    Of a study or series the first instance of the group gives the row.
    """
    studies: dict[str, int] = {}
    series: dict[SeriesKey, int] = {}
    study_rows: list[tuple[object, ...]] = []
    series_rows: list[tuple[object, ...]] = []
    request_rows: list[tuple[object, ...]] = []
    instance_rows: list[tuple[object, ...]] = []
    value_rows: list[tuple[object, ...]] = []
    for new in group:
        entry, key = new.entry, new.series_key
        begins = Level.INSTANCE  # or what else begins with it
        if key not in series:
            begins = Level.SERIES
            if entry.study_instance_uid not in studies:
                begins = Level.STUDY
                study_rows.append(entry.study)
                studies[entry.study_instance_uid] = len(study_rows)
            series_rows.append((studies[entry.study_instance_uid], *entry.series))
            series[key] = len(series_rows)
            request_rows.extend((series[key], *request) for request in entry.requests)
        instance_rows.append((series[key], *_row_of(new)))
        if entry.values:
            places = (studies[entry.study_instance_uid], series[key], len(instance_rows))
            value_rows.extend(_value_rows(entry, begins, places))
    version = group[0].entry.attributes if group else 0
    return study_rows, series_rows, request_rows, instance_rows, value_rows, version


def _value_rows(
    entry: Entry, begins: Level, places: tuple[int, int, int]
) -> Iterable[tuple[object, ...]]:
    """The values of what begins with an instance, each with the places of its entity and those
    above it."""
    for attribute, level, text in entry.values:
        if level >= begins:
            above: tuple[int | None, ...] = places[:level]
            yield (attribute, *above, *(None,) * (len(Level) - level), text)


def _row_of(new: NewInstance) -> tuple[object, ...]:
    """The values of an instance's row, in the order of the type new_instance."""
    entry = new.entry
    return (*entry.instance, entry.metadata, new.blob_key, new.size, new.sha256)
