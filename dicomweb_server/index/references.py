"""Which of the instances that a document names are stored, and where."""

from collections.abc import Sequence
from dataclasses import dataclass

from dicomweb_server.access.policy import Scope
from dicomweb_server.index.database import Connection
from dicomweb_server.index.retrieve import scope_arguments

# A document names SOP Instance UIDs; what study and series it says they are in may be wrong.
FIND_INSTANCES = """
SELECT DISTINCT ON (i.sop_instance_uid)
       s.study_instance_uid, e.series_instance_uid, i.sop_instance_uid
  FROM instances i
  JOIN series e ON e.id = i.series_id
  JOIN studies s ON s.id = e.study_id
 WHERE i.sop_instance_uid = ANY ($1)
   AND i.institution_id = ANY ($2::integer[])
   AND ($3::text[] IS NULL OR s.study_instance_uid = ANY ($3))
 ORDER BY i.sop_instance_uid, array_position($2, i.institution_id)
"""


@dataclass(frozen=True, slots=True)
class Triple:
    """The UIDs of an instance that is stored."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str


async def find_instances(
    conn: Connection, scope: Scope, sop_instance_uids: Sequence[str]
) -> list[Triple]:
    """Those of the instances that are stored, by SOP Instance UID and in its order; one stored
    in several institutions is that of the first of the scope."""
    _, institutions, studies = scope_arguments("", scope)
    rows = await conn.fetch(FIND_INSTANCES, list(sop_instance_uids), institutions, studies)
    return [Triple(*row) for row in rows]
