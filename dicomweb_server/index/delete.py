"""Delete instances; what is left of their series and study then speaks of the others alone."""

import asyncpg

from dicomweb_server.access.policy import Scope
from dicomweb_server.errors import NotFound, Unavailable
from dicomweb_server.index.audit import Changed, note_audit
from dicomweb_server.index.changes import append_changes
from dicomweb_server.index.database import Connection
from dicomweb_server.index.indexed_attributes import is_stale
from dicomweb_server.index.restating import FIND_STUDY, Restating
from dicomweb_server.index.retrieve import scope_arguments

_ROUNDS = 8  # of trying again because others changed the list of indexed attributes

LOCK_STUDY = FIND_STUDY + "   FOR UPDATE"
DELETE_INSTANCES = """
DELETE FROM instances i
 USING series e
 WHERE e.id = i.series_id
   AND e.study_id = $1
   AND ($2::text IS NULL OR e.series_instance_uid = $2)
   AND ($3::text IS NULL OR i.sop_instance_uid = $3)
RETURNING i.blob_key, i.size, i.series_id, i.sop_instance_uid, e.series_instance_uid
"""
RECOUNT_SERIES = "SELECT recount_series($1)"
DELETE_EMPTY_SERIES = """
DELETE FROM series WHERE id = ANY ($1::bigint[]) AND number_of_instances = 0 RETURNING id
"""
RESTATE_STUDIES = "SELECT restate_studies($1)"
DELETE_SUPERSEDED = """
DELETE FROM superseded
 WHERE sop_instance_uid = ANY ($1::text[]) AND institution_id = $2
RETURNING blob_key
"""
SUBTRACT_BYTES = "UPDATE studies SET bytes = bytes - $2, updated_at = now() WHERE id = $1"
DELETE_EMPTY_STUDY = "DELETE FROM studies WHERE id = $1 AND number_of_instances = 0 RETURNING id"
ADD_TOTALS = "SELECT add_totals($1, $2, $3, $4)"


async def delete(
    conn: Connection,
    scope: Scope,
    study: str,
    series: str | None = None,
    instance: str | None = None,
    restating: Restating | None = None,
) -> list[str]:
    """Delete a study, a series or an instance, by their Instance UIDs, and parents left empty.

    What they replaced goes with them: what is deleted shall be gone, and an index made again
    from the blobs would bring an older version back. So do the attributes that they gave their
    series and study, which get those of what is left; `restating` may know them already.

    Returns the keys of the blobs that no row names any more. Raises NotFound for what does not
    exist, or not under these parents (RES-02), or outside `scope`.
    """
    restating = restating or Restating()
    for _ in range(_ROUNDS):
        try:
            return await _delete(conn, scope, study, series, instance, restating)
        except asyncpg.PostgresError as error:
            if not is_stale(error):
                raise
        await restating.renew(conn)
    raise Unavailable("the list of indexed attributes changes all the time")


async def _delete(
    conn: Connection,
    scope: Scope,
    study: str,
    series: str | None,
    instance: str | None,
    restating: Restating,
) -> list[str]:
    async with conn.transaction(isolation="read_committed"):
        locked = await conn.fetchrow(LOCK_STUDY, *scope_arguments(study, scope))
        study_id = locked["id"] if locked else None
        rows = await conn.fetch(DELETE_INSTANCES, study_id, series, instance)
        if not locked or not rows:
            raise NotFound("no such study, series or instance")
        institution_id = locked["institution_id"]
        touched = sorted({row["series_id"] for row in rows})
        await conn.execute(RECOUNT_SERIES, touched)
        empty_series = await conn.fetch(DELETE_EMPTY_SERIES, touched)
        uids = [row["sop_instance_uid"] for row in rows]
        older = await conn.fetch(DELETE_SUPERSEDED, uids, institution_id)
        await conn.execute(SUBTRACT_BYTES, study_id, sum(row["size"] for row in rows))
        if series is not None:
            await restating.restate(conn, institution_id, locked["id"], series, instance)
        await conn.execute(RESTATE_STUDIES, [study_id])
        empty_study = await conn.fetch(DELETE_EMPTY_STUDY, study_id)
        await note_audit(conn, scope, "delete", [Changed(institution_id, study, len(rows))])
        await append_changes(
            conn,
            institution_id,
            "deleted",
            [(study, row["series_instance_uid"], row["sop_instance_uid"]) for row in rows],
        )
        await restating.check(conn)
        less = (-len(empty_study), -len(empty_series), -len(rows))
        await conn.execute(ADD_TOTALS, institution_id, *less)
    return [row["blob_key"] for row in (*rows, *older)]
