"""The change feed: what was stored, replaced and deleted, in an order that readers can follow.

Numbers ascend without a gap and become visible in their order: whoever has read up to a number
has missed nothing below it, whatever was committed when.
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from dicomweb_server.access.policy import Scope
from dicomweb_server.index.database import Connection


@dataclass(frozen=True, slots=True)
class Change:
    """What one transaction did to one series. `kind`: stored, replaced or deleted."""

    sequence: int
    at: datetime.datetime
    institution_id: int
    kind: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uids: list[str]


APPEND = "SELECT append_changes($1, $2, $3::text[], $4::text[], $5::text[])"


async def append_changes(
    conn: Connection, institution_id: int, kind: str, instances: Sequence[tuple[str, str, str]]
) -> None:
    """Add what was done to `instances`: Study, Series and SOP Instance UIDs.

    The last statement of a transaction: nobody else can end one with changes until this ends.
    """
    studies, series, sops = (list(column) for column in zip(*instances, strict=True))
    await conn.execute(APPEND, institution_id, kind, studies, series, sops)


READ = """
SELECT sequence, at, institution_id, kind, study_instance_uid, series_instance_uid,
       sop_instance_uids
  FROM changes
 WHERE sequence > $1
   AND institution_id = ANY ($2::integer[])
   AND ($3::text[] IS NULL OR study_instance_uid = ANY ($3))
 ORDER BY sequence
 LIMIT $4
"""


async def read_changes(conn: Connection, scope: Scope, after: int, limit: int) -> list[Change]:
    """At most `limit` changes with a number above `after` that lie within `scope`, in order."""
    studies = None if scope.study_instance_uids is None else list(scope.study_instance_uids)
    rows = await conn.fetch(READ, after, list(scope.institution_ids), studies, limit)
    return [Change(**row) for row in rows]
