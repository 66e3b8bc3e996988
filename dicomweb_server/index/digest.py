"""Whether a study, series or instance is as it was, and what syntaxes it is in: one statement
each, which reads no metadata."""

from dataclasses import dataclass

from dicomweb_server.access.policy import Scope
from dicomweb_server.errors import NotFound
from dicomweb_server.index.database import Connection
from dicomweb_server.index.marks import MARK, ROW_ID
from dicomweb_server.index.retrieve import (
    INSTANCE_OF,
    STUDY_OF,
    TABLES,
    no_parent,
    scope_arguments,
)


@dataclass(frozen=True, slots=True)
class Version:
    """What a resource holds now.

    `digest` covers which instances there are, their files, when each was stored or its row made
    anew, and the length of its metadata. `transfer_syntaxes` are those of the files.
    """

    digest: bytes
    instances: int
    transfer_syntaxes: frozenset[str]


_DIGEST = f"""count(*) AS instances, array_agg(DISTINCT i.transfer_syntax_uid) AS transfer_syntaxes,
       sha256(string_agg(substr({MARK}, {ROW_ID} + 1), '' ORDER BY i.id)) AS digest"""

DIGEST_OF_INSTANCES = f"""
SELECT {_DIGEST}
  FROM {TABLES}
 WHERE e.study_id = {STUDY_OF}
   AND ($4::text IS NULL OR e.series_instance_uid = $4)
"""  # noqa: S608 - put together from constants

DIGEST_OF_INSTANCE = f"""
SELECT {_DIGEST}
  FROM {INSTANCE_OF}
"""  # noqa: S608


COUNT_SYNTAXES = f"""
SELECT i.transfer_syntax_uid, count(*) AS instances
  FROM {TABLES}
 WHERE e.study_id = {STUDY_OF}
   AND ($4::text IS NULL OR e.series_instance_uid = $4)
 GROUP BY i.transfer_syntax_uid
"""  # noqa: S608


async def count_syntaxes(
    conn: Connection, scope: Scope, study: str, series: str | None = None
) -> dict[str, int]:
    """How many instances of a study or series are in each transfer syntax. Raises NotFound."""
    rows = await conn.fetch(COUNT_SYNTAXES, *scope_arguments(study, scope), series)
    if not rows:
        raise NotFound(no_parent(study, series))
    return {row["transfer_syntax_uid"]: row["instances"] for row in rows}


async def version_of(
    conn: Connection,
    scope: Scope,
    study: str,
    series: str | None = None,
    instance: str | None = None,
) -> Version:
    """What a study, series or instance holds now. Raises NotFound."""
    key = (*scope_arguments(study, scope), series)
    if instance is None:
        row = await conn.fetchrow(DIGEST_OF_INSTANCES, *key)
    else:
        row = await conn.fetchrow(DIGEST_OF_INSTANCE, *key, instance)
    assert row is not None
    if not row["instances"]:
        raise NotFound(no_parent(study, series) if instance is None else f"no instance {instance}")
    return Version(row["digest"], row["instances"], frozenset(row["transfer_syntaxes"]))
