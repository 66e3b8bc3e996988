"""What the index says of the blobs and of itself, page by page, for whoever checks it."""

from dataclasses import dataclass
from typing import Any

from dicomweb_server.index.database import Connection


@dataclass(frozen=True, slots=True)
class Kept:
    """A blob that a row names, and what the row says of it."""

    id: int  # of the row
    study_instance_uid: str
    sop_instance_uid: str
    blob_key: str
    size: int  # bytes
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Counted:
    """A series, or a study (without a Series Instance UID), whose counts were compared."""

    id: int
    study_instance_uid: str
    series_instance_uid: str | None
    counters: str  # the wrong ones, and what they should be


INSTANCES = """
SELECT i.id, s.study_instance_uid, i.sop_instance_uid, i.blob_key, i.size, i.sha256
  FROM instances i JOIN studies s ON s.id = i.study_id
 WHERE i.id > $1
 ORDER BY i.id
 LIMIT $2
"""
INSTANCES_OF_STUDY = """
SELECT i.id, s.study_instance_uid, i.sop_instance_uid, i.blob_key, i.size, i.sha256
  FROM studies s JOIN series e ON e.study_id = s.id JOIN instances i ON i.series_id = e.id
 WHERE i.id > $1 AND s.study_instance_uid = $3
 ORDER BY i.id
 LIMIT $2
"""
SUPERSEDED = """
SELECT id, study_instance_uid, sop_instance_uid, blob_key, size, sha256
  FROM superseded
 WHERE id > $1
 ORDER BY id
 LIMIT $2
"""
SUPERSEDED_OF_STUDY = """
SELECT v.id, v.study_instance_uid, v.sop_instance_uid, v.blob_key, v.size, v.sha256
  FROM studies s
  JOIN series e ON e.study_id = s.id
  JOIN instances i ON i.series_id = e.id
  JOIN superseded v
    ON v.sop_instance_uid = i.sop_instance_uid AND v.institution_id = i.institution_id
 WHERE v.id > $1 AND s.study_instance_uid = $3
 ORDER BY v.id
 LIMIT $2
"""
STILL_NAMED = """
SELECT EXISTS (SELECT FROM instances WHERE sop_instance_uid = $1 AND blob_key = $2)
    OR EXISTS (SELECT FROM superseded WHERE sop_instance_uid = $1 AND blob_key = $2)
"""
TOTALS = """
SELECT coalesce(sum(number_of_instances), 0)::bigint AS blobs,
       coalesce(sum(bytes), 0)::bigint AS bytes
  FROM (SELECT number_of_instances, bytes FROM studies
         WHERE $1::text IS NULL OR study_instance_uid = $1
         UNION ALL
        SELECT 1, size FROM superseded
         WHERE $1::text IS NULL OR study_instance_uid = $1) AS held
"""
SERIES = """
SELECT e.id, s.study_instance_uid, e.series_instance_uid, e.number_of_instances,
       (SELECT count(*) FROM instances i WHERE i.series_id = e.id) AS true_instances
  FROM series e JOIN studies s ON s.id = e.study_id
 WHERE e.id > $1 AND ($3::text IS NULL OR s.study_instance_uid = $3)
 ORDER BY e.id
 LIMIT $2
"""
STUDIES = """
SELECT s.id, s.study_instance_uid, NULL AS series_instance_uid,
       s.number_of_series, s.number_of_instances, s.bytes, t.*
  FROM studies s
 CROSS JOIN LATERAL (
       SELECT count(DISTINCT e.id) AS true_series, count(i.id) AS true_instances,
              coalesce(sum(i.size), 0)::bigint AS true_bytes
         FROM series e LEFT JOIN instances i ON i.series_id = e.id
        WHERE e.study_id = s.id) t
 WHERE s.id > $1 AND ($3::text IS NULL OR s.study_instance_uid = $3)
 ORDER BY s.id
 LIMIT $2
"""
_COUNTERS = {
    "number_of_series": "true_series",
    "number_of_instances": "true_instances",
    "bytes": "true_bytes",
}


async def kept_instances(
    conn: Connection, after: int, limit: int, study: str | None = None
) -> list[Kept]:
    """The blobs of at most `limit` instances with ids above `after`, in order of ids."""
    if study is None:
        rows = await conn.fetch(INSTANCES, after, limit)
    else:
        rows = await conn.fetch(INSTANCES_OF_STUDY, after, limit, study)
    return [Kept(**row) for row in rows]


async def kept_versions(
    conn: Connection, after: int, limit: int, study: str | None = None
) -> list[Kept]:
    """The same of superseded versions."""
    if study is None:
        rows = await conn.fetch(SUPERSEDED, after, limit)
    else:
        rows = await conn.fetch(SUPERSEDED_OF_STUDY, after, limit, study)
    return [Kept(**row) for row in rows]


async def still_named(conn: Connection, kept: Kept) -> bool:
    """Whether a row names the blob now: an instance that holds it, or a superseded version."""
    named: bool = await conn.fetchval(STILL_NAMED, kept.sop_instance_uid, kept.blob_key)
    return named


async def count_kept(conn: Connection, study: str | None = None) -> tuple[int, int]:
    """Blobs that rows name, and their bytes, as the studies say."""
    row = await conn.fetchrow(TOTALS, study)
    assert row is not None  # an aggregate has one row
    return row["blobs"], row["bytes"]


async def counted_series(
    conn: Connection, after: int, limit: int, study: str | None = None
) -> list[Counted]:
    """At most `limit` series with ids above `after`; `counters` is empty where all are right."""
    return [_counted(dict(row)) for row in await conn.fetch(SERIES, after, limit, study)]


async def counted_studies(
    conn: Connection, after: int, limit: int, study: str | None = None
) -> list[Counted]:
    """The same of studies."""
    return [_counted(dict(row)) for row in await conn.fetch(STUDIES, after, limit, study)]


def _counted(row: dict[str, Any]) -> Counted:
    wrong = [
        f"{name} is {row[name]} and should be {row[true]}"
        for name, true in _COUNTERS.items()
        if name in row and row[name] != row[true]
    ]
    return Counted(
        row["id"], row["study_instance_uid"], row["series_instance_uid"], ", ".join(wrong)
    )
