"""What the archive holds, in a few numbers."""

from dataclasses import dataclass

from dicomweb_server.access.policy import Scope
from dicomweb_server.index.database import Connection, Pool, acquire


@dataclass(frozen=True, slots=True)
class Summary:
    """Totals over the scope."""

    studies: int
    series: int
    instances: int
    bytes: int


# One pass over the studies, whose counters are exact.
TOTALS = """
SELECT count(*) AS studies,
       coalesce(sum(number_of_series), 0)::bigint AS series,
       coalesce(sum(number_of_instances), 0)::bigint AS instances,
       coalesce(sum(bytes), 0)::bigint AS bytes
  FROM studies
 WHERE institution_id = ANY ($1::integer[])
   AND ($2::text[] IS NULL OR study_instance_uid = ANY ($2))
"""


async def summarise(conn: Connection, scope: Scope) -> Summary:
    """Totals of what `scope` sees."""
    studies = None if scope.study_instance_uids is None else list(scope.study_instance_uids)
    totals = await conn.fetchrow(TOTALS, list(scope.institution_ids), studies)
    assert totals is not None
    return Summary(**totals)


async def ping(pool: Pool) -> None:
    """Raises Unavailable unless the database answers."""
    async with acquire(pool) as conn:
        await conn.execute("SELECT 1")
