"""What is known of instances without looking at them: which of those that a document names are
stored, and what a study or series is of."""

from collections.abc import Sequence
from dataclasses import dataclass

from dicomweb_server.access.policy import Scope
from dicomweb_server.errors import NotFound
from dicomweb_server.index.database import Connection
from dicomweb_server.index.retrieve import STUDY_OF, no_parent, scope_arguments

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

FIRST_SOP_CLASS = f"""
SELECT e.sop_classes[1] AS sop_class_uid
  FROM series e
 WHERE e.study_id = {STUDY_OF}
   AND ($4::text IS NULL OR e.series_instance_uid = $4)
 ORDER BY e.series_number NULLS LAST, e.series_instance_uid
 LIMIT 1
"""  # noqa: S608 - put together from constants


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


async def first_sop_class(
    conn: Connection, scope: Scope, study: str, series: str | None = None
) -> str:
    """A SOP class of a series, or of the first of a study (THB-04); empty if there is none.
    Raises NotFound."""
    row = await conn.fetchrow(FIRST_SOP_CLASS, *scope_arguments(study, scope), series)
    if row is None:
        raise NotFound(no_parent(study, series))
    return row["sop_class_uid"] or ""
