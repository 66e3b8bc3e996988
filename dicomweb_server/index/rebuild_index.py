"""What only the making of an index from blobs asks of it."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from dicomweb_server.index.database import Connection

IS_EMPTY = "SELECT NOT EXISTS (SELECT FROM instances) AND NOT EXISTS (SELECT FROM superseded)"
COUNT = """
SELECT number_of_instances FROM studies WHERE study_instance_uid = $2 AND institution_id = $1
"""
ADD_VERSIONS = """
INSERT INTO superseded
  (institution_id, study_instance_uid, series_instance_uid, sop_instance_uid, blob_key, size,
   sha256, stored_at, replaced_at)
SELECT $1, n.*
  FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bytea[],
              $8::timestamptz[], $9::timestamptz[])
       AS n (study, series, sop, blob_key, size, sha256, stored_at, replaced_at)
 WHERE NOT EXISTS (SELECT FROM superseded v
                    WHERE v.sop_instance_uid = n.sop AND v.blob_key = n.blob_key)
"""


@dataclass(frozen=True, slots=True)
class OldVersion:
    """A row of superseded that is to be."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    blob_key: str
    size: int
    sha256: bytes
    stored_at: datetime.datetime
    replaced_at: datetime.datetime


async def is_empty(conn: Connection) -> bool:
    """Whether no row names a blob."""
    empty: bool = await conn.fetchval(IS_EMPTY)
    return empty


async def count_instances(conn: Connection, institution_id: int, study: str) -> int:
    """How many instances a study has; 0 if it does not exist."""
    return await conn.fetchval(COUNT, institution_id, study) or 0


async def add_versions(
    conn: Connection, institution_id: int, versions: Sequence[OldVersion]
) -> None:
    """Add superseded versions; those that are there are passed over."""
    columns = [[getattr(version, name) for version in versions] for name in OldVersion.__slots__]
    await conn.execute(ADD_VERSIONS, institution_id, *columns)
