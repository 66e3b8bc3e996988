"""Versions: an instance that comes again may replace what is stored; the old one is kept until it
is purged. Which of the two happens is the institution's policy (digest 5.4, STOW-20).
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dicomweb_server.access.policy import Scope
from dicomweb_server.errors import NotFound
from dicomweb_server.index.audit import Changed, note_audit
from dicomweb_server.index.database import Connection
from dicomweb_server.index.indexed_attributes import AttributeList
from dicomweb_server.index.instances import Existing, NewInstance, with_arguments

Duplicates = Literal["refuse", "replace"]

POLICY = "SELECT duplicates FROM institutions WHERE id = $1"
SET_POLICY = "UPDATE institutions SET duplicates = $2 WHERE code = $1 RETURNING id"


async def duplicates_policy(conn: Connection, institution_id: int) -> Duplicates:
    """What the institution wants done with an instance that comes again, and differs."""
    policy: Duplicates = await conn.fetchval(POLICY, institution_id)
    return policy


async def set_duplicates_policy(conn: Connection, institution: str, policy: Duplicates) -> None:
    """Change the policy of the institution with this code. Raises NotFound."""
    if await conn.fetchval(SET_POLICY, institution, policy) is None:
        raise NotFound(f"there is no institution {institution}")


REPLACE = """
SELECT replace_instance($1, $2, $3, $4::new_study[], $5::new_series[], $6::new_request[],
                        $7::new_instance[], $8::new_value[], $9)
"""


async def replace_instance(
    conn: Connection,
    scope: Scope,
    existing: Existing,
    new: NewInstance,
    attributes: AttributeList | None = None,
) -> bool:
    """Put `new` in the place of `existing`, of the same study and series, in one transaction.

    The new version gives its series and study their attributes. False if `existing` is no
    longer what is stored: another has replaced or deleted it. `attributes`: as of
    ``insert_instances``.
    """

    async def replace(*arguments: object) -> bool:
        done: bool = await conn.fetchval(
            REPLACE, scope.home, scope.principal, existing.blob_key, *arguments
        )
        return done

    return await with_arguments(conn, [new], attributes, replace)


# The study's row is touched, as with each change of its instances (``series_frames``); before its
# instance, as everywhere, so that nobody waits for each other.
HEAL = """
WITH study AS (
  UPDATE studies SET updated_at = now()
   WHERE id = (SELECT study_id FROM instances
                WHERE institution_id = $1 AND sop_instance_uid = $2 AND blob_key = $3)
  RETURNING id)
UPDATE instances i SET blob_key = $4
  FROM study
 WHERE i.study_id = study.id
   AND i.institution_id = $1 AND i.sop_instance_uid = $2 AND i.blob_key = $3
RETURNING i.id
"""


async def heal_instance(conn: Connection, scope: Scope, existing: Existing, blob_key: str) -> bool:
    """Let the row of `existing`, whose blob is lost, name another blob with the same bytes.

    False if `existing` is no longer what is stored.
    """
    healed = await conn.fetchval(
        HEAL, scope.home, existing.sop_instance_uid, existing.blob_key, blob_key
    )
    return healed is not None


async def note_refused(conn: Connection, scope: Scope, new: NewInstance) -> None:
    """Note in the audit that an instance was refused because another has its UID."""
    entry = new.entry
    changed = Changed(scope.home, entry.study_instance_uid, 1, entry.sop_instance_uid)
    await note_audit(conn, scope, "refuse", [changed])


NAMED = """
SELECT blob_key FROM instances WHERE sop_instance_uid = ANY ($1::text[])
 UNION ALL
SELECT blob_key FROM superseded WHERE sop_instance_uid = ANY ($1::text[])
"""


async def named_keys(conn: Connection, sop_instance_uids: Sequence[str]) -> set[str]:
    """The keys of all blobs that rows with these SOP Instance UIDs name, superseded ones too."""
    rows = await conn.fetch(NAMED, list(sop_instance_uids))
    return {row["blob_key"] for row in rows}


@dataclass(frozen=True, slots=True)
class Superseded:
    """A version that another replaced."""

    id: int
    institution_id: int
    study_instance_uid: str
    sop_instance_uid: str
    blob_key: str
    size: int


PURGEABLE = """
SELECT id, institution_id, study_instance_uid, sop_instance_uid, blob_key, size
  FROM superseded
 WHERE replaced_at < $1 AND id > $2
 ORDER BY id
 LIMIT $3
"""
PURGE = "DELETE FROM superseded WHERE id = ANY ($1::bigint[]) RETURNING id"


async def find_purgeable(
    conn: Connection, before: datetime.datetime, after: int, limit: int
) -> list[Superseded]:
    """At most `limit` versions replaced before a moment, with ids above `after`, in order."""
    return [Superseded(**row) for row in await conn.fetch(PURGEABLE, before, after, limit)]


async def purge(conn: Connection, scope: Scope, versions: Sequence[Superseded]) -> None:
    """Forget versions, whose blobs are then to be removed, and note it in the audit."""
    async with conn.transaction(isolation="read_committed"):
        rows = await conn.fetch(PURGE, [version.id for version in versions])
        gone = {row["id"] for row in rows}  # others were deleted meanwhile, by another entry
        changed = [
            Changed(v.institution_id, v.study_instance_uid, 1, v.sop_instance_uid)
            for v in versions
            if v.id in gone
        ]
        await note_audit(conn, scope, "purge", changed)
