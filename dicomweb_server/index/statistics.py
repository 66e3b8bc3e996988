"""What the planner takes the tables for, where it would take full ones for empty.

A table that is analysed, or vacuumed, when nothing is left in it counts as empty, however many
rows come after that, until it is analysed again. Of tables without rows all plans cost the same,
so each row of one may be met with all rows of two others: a look-up takes minutes in an archive
of some hundred studies. Autovacuum notices within a minute or so, this within a second.
"""

from dataclasses import dataclass, field

from dicomweb_server.index.database import Connection

# Of a table that was ever larger than a few rows the planner makes no such plans. Its own counts
# come late; those of the institutions are exact.
FORGOTTEN = """
SELECT held.name, greatest(held.rows, pg_stat_get_live_tuples(c.oid))::bigint AS rows
  FROM (SELECT coalesce(sum(studies), 0) AS studies, coalesce(sum(series), 0) AS series,
               coalesce(sum(instances), 0) AS instances
          FROM institution_totals) t
 CROSS JOIN LATERAL (VALUES
         ('studies', t.studies), ('series', t.series), ('instances', t.instances),
         ('study_modalities', 0), ('series_requests', 0), ('attribute_values', 0)
       ) AS held (name, rows)
  JOIN pg_class c ON c.oid = held.name::regclass
 WHERE c.relpages > 0 AND c.reltuples BETWEEN 0 AND 9
   AND greatest(held.rows, pg_stat_get_live_tuples(c.oid)) > 2 * c.reltuples + 1
"""
_ANALYZE = "ANALYZE {}"


@dataclass(slots=True)
class Statistics:
    """Sees to it that no table counts as empty which is not."""

    _done: dict[str, int] = field(default_factory=dict)  # rows, where that was of no help

    async def renew(self, conn: Connection) -> list[str]:
        """Analyse the tables that hold far more than the planner knows of; returns their names."""
        renewed = []
        for name, rows in await conn.fetch(FORGOTTEN):
            if self._done.get(name) != rows:
                await conn.execute(_ANALYZE.format(name))
                self._done[name] = rows
                renewed.append(name)
        return renewed
