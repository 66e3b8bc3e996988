"""Who did what, kept in the index (PS3.15 A.5): written with what was done, never changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dicomweb_server.access.policy import Scope
from dicomweb_server.index.database import Connection

Deed = Literal["store", "replace", "refuse", "delete", "purge"]

NOTE = """
INSERT INTO audit
  (institution_id, principal, action, study_instance_uid, instances, sop_instance_uids)
SELECT n.institution_id, $1, $2, n.study_instance_uid, n.instances,
       CASE WHEN n.sop_instance_uid IS NOT NULL THEN ARRAY[n.sop_instance_uid] END
  FROM unnest($3::integer[], $4::text[], $5::integer[], $6::text[])
       AS n (institution_id, study_instance_uid, instances, sop_instance_uid)
"""


@dataclass(frozen=True, slots=True)
class Changed:
    """What something was done to: some instances of a study, or one of them."""

    institution_id: int
    study_instance_uid: str
    instances: int = 1
    sop_instance_uid: str | None = None


async def note_audit(
    conn: Connection, scope: Scope, deed: Deed, changed: Sequence[Changed]
) -> None:
    """Add an entry for each of `changed`, in the transaction of `conn` if it is in one.

    What is stored is noted by the function store_instances itself.
    """
    await conn.execute(
        NOTE,
        scope.principal,
        deed,
        [each.institution_id for each in changed],
        [each.study_instance_uid for each in changed],
        [each.instances for each in changed],
        [each.sop_instance_uid for each in changed],
    )
