"""What the archive holds, in a few numbers, and what came last: for its home page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dicomweb_server.access.policy import Scope
from dicomweb_server.dicom.packing import unpack_document
from dicomweb_server.dicom.person_name import groups
from dicomweb_server.dicom.search_document import attributes_of
from dicomweb_server.index.database import Connection, Pool, acquire


@dataclass(frozen=True, slots=True)
class StudyLine:
    """A study as a line of a list; its attributes as text to be shown, empty if unknown."""

    study_instance_uid: str
    patient_name: str  # the groups that there are, as in "Yamada^Tarou=山田^太郎"
    patient_id: str
    study_description: str
    study_date: str
    modalities: tuple[str, ...]
    series: int
    instances: int


@dataclass(frozen=True, slots=True)
class Summary:
    """Totals over the scope, and the studies that came last, the newest first."""

    studies: int
    series: int
    instances: int
    bytes: int
    latest: list[StudyLine]


_SCOPE = """institution_id = ANY ($1::integer[])
   AND ($2::text[] IS NULL OR study_instance_uid = ANY ($2))"""

# One pass over the studies, whose counters are exact.
TOTALS = f"""
SELECT count(*) AS studies,
       coalesce(sum(number_of_series), 0)::bigint AS series,
       coalesce(sum(number_of_instances), 0)::bigint AS instances,
       coalesce(sum(bytes), 0)::bigint AS bytes
  FROM studies
 WHERE {_SCOPE}
"""  # noqa: S608

# Identities ascend in the order of arrival, and have an index.
LATEST = f"""
SELECT study_instance_uid, document, modalities, number_of_series, number_of_instances
  FROM studies
 WHERE {_SCOPE}
 ORDER BY id DESC
 LIMIT $3
"""  # noqa: S608


async def summarise(conn: Connection, scope: Scope, latest: int = 20) -> Summary:
    """Totals of what `scope` sees, and the `latest` studies by the arrival of their first
    instance."""
    studies = None if scope.study_instance_uids is None else list(scope.study_instance_uids)
    seen = (list(scope.institution_ids), studies)
    totals = await conn.fetchrow(TOTALS, *seen)
    assert totals is not None
    lines = [_line(row) for row in await conn.fetch(LATEST, *seen, latest)]
    return Summary(**totals, latest=lines)


async def ping(pool: Pool) -> None:
    """Raises Unavailable unless the database answers."""
    async with acquire(pool) as conn:
        await conn.execute("SELECT 1")


def _line(row: Any) -> StudyLine:
    attributes = attributes_of(unpack_document(row["document"]))
    return StudyLine(
        study_instance_uid=row["study_instance_uid"],
        patient_name=_shown(attributes, "00100010"),
        patient_id=_shown(attributes, "00100020"),
        study_description=_shown(attributes, "00081030"),
        study_date=_shown(attributes, "00080020"),
        modalities=tuple(row["modalities"]),
        series=row["number_of_series"],
        instances=row["number_of_instances"],
    )


def _shown(attributes: Mapping[str, Any], key: str) -> str:
    """The first value of an attribute as text."""
    value = next(iter(attributes.get(key, {}).get("Value", [])), None)
    if isinstance(value, Mapping):
        return "=".join(groups(value)).rstrip("=")
    return "" if value is None else str(value)
