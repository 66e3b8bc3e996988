"""The step 0005: documents, name tokens, SOP Classes and modalities of what was there before.

It passes once over the instances, ascending by id: the first of a study or series comes before
its others and fills its parents too. While it is at work the new version may store, replace and
delete; what has a document is complete and is left alone. It may be broken off anywhere: a batch
and how far it got are one transaction.
"""

import asyncio
import time
from collections.abc import Callable

from dicomweb_server.index.database import Connection
from dicomweb_server.index.earlier_documents import Documents, Earlier, make_documents
from dicomweb_server.index.progress import forget_progress, read_progress, save_progress

WORK = "fill documents"  # in the table progress
BATCH = 500  # instances
BATCH_BYTES = 16 << 20  # of their packed metadata
_EVERY = 10.0  # seconds between two words about it

LAST = "SELECT coalesce(max(id), 0) FROM instances"
# Lengths are known without reading the values.
READ = """
SELECT i.id, i.series_id, i.study_id, i.metadata,
       ARRAY(SELECT DISTINCT left(path, 8) FROM jsonb_object_keys(i.bulk) AS path) AS bulk,
       CASE WHEN s.document IS NULL THEN s.attributes END AS study,
       CASE WHEN e.document IS NULL THEN e.attributes END AS series,
       CASE WHEN i.document IS NULL THEN i.attributes END AS instance
  FROM (SELECT b.*, sum(octet_length(b.metadata)) OVER
                      (ORDER BY b.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
          FROM (SELECT * FROM instances WHERE id > $1 ORDER BY id LIMIT $2) b) i
  LEFT JOIN series e ON e.id = i.series_id
  LEFT JOIN studies s ON s.id = i.study_id
 WHERE coalesce(i.before, 0) <= $3
 ORDER BY i.id
"""
# Whoever changes a study, its series or instances locks it first, several in this order.
LOCK = """
SELECT FROM studies WHERE id = ANY ($1::bigint[]) ORDER BY study_instance_uid, institution_id
   FOR NO KEY UPDATE
"""
FILL_INSTANCES = """
UPDATE instances i SET document = n.document
  FROM unnest($1::bigint[], $2::bytea[]) AS n (id, document)
 WHERE i.id = n.id AND i.document IS NULL
"""
FILL_SERIES = """
UPDATE series e
   SET document = n.document,
       sop_classes = ARRAY(SELECT DISTINCT i.sop_class_uid FROM instances i
                            WHERE i.series_id = e.id ORDER BY 1)
  FROM unnest($1::bigint[], $2::bytea[]) AS n (id, document)
 WHERE e.id = n.id AND e.document IS NULL
"""
FILL_STUDIES = """
UPDATE studies s
   SET document = n.document, patient_name_tokens = string_to_array(n.patient, E'\\n'),
       referring_physician_name_tokens = string_to_array(n.referring, E'\\n')
  FROM unnest($1::bigint[], $2::bytea[], $3::text[], $4::text[])
       AS n (id, document, patient, referring)
 WHERE s.id = n.id AND s.document IS NULL
"""
FILL_MODALITIES = """
INSERT INTO study_modalities (study_id, sort_key, institution_id, modality, study_instance_uid)
SELECT s.id, s.sort_key, s.institution_id, m.modality, s.study_instance_uid
  FROM studies s, unnest(s.modalities) AS m (modality)
 WHERE s.id = ANY ($1::bigint[])
ON CONFLICT DO NOTHING
"""
# Parents without an instance, which no version leaves behind; but NOT NULL would not have them.
CHILDLESS = (
    "SELECT 0 AS series, id AS study, attributes AS of_study, NULL AS of_series "
    "FROM studies WHERE document IS NULL LIMIT $1",
    "SELECT id AS series, study_id AS study, NULL AS of_study, attributes AS of_series "
    "FROM series WHERE document IS NULL LIMIT $1",
)
ANALYZE = "ANALYZE studies, series, instances, study_modalities"


async def fill_documents(conn: Connection, tell: Callable[[str], None]) -> None:
    """Fill what lacks it, from where an earlier run got to; `tell` hears how it goes on."""
    begin = (await read_progress(conn, WORK)).get(WORK, 0)
    pace = _Pace(begin, await conn.fetchval(LAST), tell)
    rows = await _read(conn, begin)
    made = await asyncio.to_thread(make_documents, rows) if rows else None
    while made is not None:
        # The next batch is made while this one is written. Of a study that goes over both it
        # makes a document too, which comes second and is not taken.
        rows = await _read(conn, made.last)
        making = asyncio.create_task(asyncio.to_thread(make_documents, rows)) if rows else None
        try:
            await _write(conn, made)
        finally:
            following = await making if making else None
        pace.advance(made)
        made = following
    await _fill_childless(conn)
    if pace.done:
        await conn.execute(ANALYZE)  # or the first searches would be planned for what was there
        pace.end()
    await forget_progress(conn, WORK)


async def _read(conn: Connection, after: int) -> list[Earlier]:
    return [
        Earlier(
            row["id"],
            row["series_id"],
            row["study_id"],
            row["metadata"],
            frozenset(row["bulk"]),
            row["study"],
            row["series"],
            row["instance"],
        )
        for row in await conn.fetch(READ, after, BATCH, BATCH_BYTES)
    ]


async def _write(conn: Connection, made: Documents) -> None:
    async with conn.transaction(isolation="read_committed"):
        await conn.execute(LOCK, sorted(made.parents))
        await conn.execute(FILL_INSTANCES, list(made.instances), list(made.instances.values()))
        await conn.execute(FILL_SERIES, list(made.series), list(made.series.values()))
        names = [made.tokens[each] for each in made.studies]
        await conn.execute(
            FILL_STUDIES,
            list(made.studies),
            list(made.studies.values()),
            [patient for patient, _ in names],
            [referring for _, referring in names],
        )
        await conn.execute(FILL_MODALITIES, list(made.studies))
        if made.last:
            await save_progress(conn, {WORK: made.last})


async def _fill_childless(conn: Connection) -> None:
    for statement in CHILDLESS:
        while rows := await conn.fetch(statement, BATCH):
            earlier = [
                Earlier(
                    0, row["series"], row["study"], b"", frozenset(),
                    row["of_study"], row["of_series"], None,
                )
                for row in rows
            ]  # fmt: skip
            await _write(conn, make_documents(earlier))


class _Pace:
    """How fast it goes, and how much of it is done."""

    def __init__(self, begin: int, last: int, tell: Callable[[str], None]) -> None:
        self.done = 0  # instances
        self._last = last
        self._tell = tell
        self._began = self._told = time.monotonic()
        if begin:
            tell(f"Documents: going on at {self._share(begin)}")

    def advance(self, made: Documents) -> None:
        self.done += made.count
        if time.monotonic() - self._told >= _EVERY:
            self._told = time.monotonic()
            self._tell(f"Documents: {self._share(made.last)} done, {self._rate()}")

    def end(self) -> None:
        self._tell(f"Documents: {self.done} instances done, {self._rate()}")

    def _share(self, position: int) -> str:
        return f"{min(position / max(self._last, 1), 1):.1%} of the instances"

    def _rate(self) -> str:
        return f"{self.done / max(time.monotonic() - self._began, 1e-3):.0f} a second"
