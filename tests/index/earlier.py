"""Databases as earlier versions made them, and what their servers wrote into them.

The INSERTs are written here by hand: what wrote such rows is no longer there.
"""

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest.mock import patch

import orjson
import pydicom
from pydicom import Dataset

from dicomweb_server.dicom.attributes import KEPT
from dicomweb_server.dicom.description import Description
from dicomweb_server.dicom.part10 import describe
from dicomweb_server.dicom.query import Level
from dicomweb_server.errors import Refusal
from dicomweb_server.index import earlier_documents
from dicomweb_server.index import migrate as module
from dicomweb_server.index.instances import NewInstance
from dicomweb_server.index.rows import (
    INSTANCE_COLUMNS,
    REQUEST_COLUMNS,
    SERIES_COLUMNS,
    STUDY_COLUMNS,
    entry_of,
)
from tests.make import instance_with

LARGEST = 1 << 20  # bytes of a file
PRINCIPAL = "anonymous"

# What searches of these versions read, in their words.
OLD_SEARCH = """
SELECT s.study_instance_uid, s.attributes AS study, s.modalities, s.number_of_series,
       s.number_of_instances, e.series_instance_uid, e.attributes AS series,
       e.number_of_instances AS number_in_series, i.sop_instance_uid, i.attributes AS instance,
       i.transfer_syntax_uid
  FROM studies s JOIN series e ON e.study_id = s.id JOIN instances i ON i.series_id = e.id
 WHERE s.institution_id = $1 AND s.patient_name LIKE $2
 ORDER BY s.sort_key DESC, s.study_instance_uid, s.id LIMIT 101
"""
OLD_RETRIEVE = """
SELECT i.metadata, i.blob_key
  FROM instances i JOIN series e ON e.id = i.series_id JOIN studies s ON s.id = e.study_id
 WHERE i.institution_id = $1 ORDER BY i.id DESC LIMIT 5
"""


@dataclass(frozen=True)
class File:
    """A file that is stored, as it is described and as the new version takes it."""

    description: Description
    new: NewInstance


def file_of(content, mark=""):
    description = describe(content)
    key = f"default/{description.study_instance_uid}/{description.sop_instance_uid}{mark}.dcm"
    digest = hashlib.sha256(content).digest()
    return File(description, NewInstance(entry_of(description), key, len(content), digest))


def one(study, series, sop, **keywords):
    uids = {"StudyInstanceUID": study, "SeriesInstanceUID": f"{study}.{series}"}
    return instance_with(**uids, SOPInstanceUID=f"{study}.{series}.{sop}", **keywords)


def _item(**keywords):
    item = Dataset()
    for keyword, value in keywords.items():
        setattr(item, keyword, value)
    return item


def made_files():
    """Files with what is kept now and was not before, in the first of a study or in others."""
    newly = {
        "PatientName": "Müller-Lüdenscheidt^Jörg",
        "SpecificCharacterSet": "ISO_IR 192",
        "AdmissionID": "A1",
        "Allergies": ["NUTS", "BEES"],
        "TimezoneOffsetFromUTC": "+0100",
        "GantryID": "G1",
        "PatientState": "calm",
    }
    device = _item(UniqueDeviceIdentifier="U", EncapsulatedDocument=bytes(9000))
    return [
        one("2.1", 1, 1, **newly),
        # The second in everything: another value of what the first has, and more than it.
        one("2.1", 1, 2, **newly | {"AdmissionID": "A2", "PatientComments": "late"}),
        one("2.1", 1, 3, PregnancyStatus=4, SoftwareVersions="9"),
        one("2.1", 2, 1, Modality="SR", **newly | {"GantryID": "G2"}),
        one("2.2", 1, 1, UDISequence=[device], OperatorIdentificationSequence=[_item()]),
        one("2.2", 1, 2, UDISequence=[_item(UniqueDeviceIdentifier="V")]),
        one("2.2", 1, 10, RequestAttributesSequence=[_item(ScheduledProcedureStepID="S")]),
        one("2.3", 1, 1, RequestAttributesSequence=[_item(RequestedProcedureID="R")] * 2),
        one("2.4", 1, 1, PatientName="", ReferringPhysicianName="O'Neil^Ann", StudyDate="20200102"),
    ]


@cache
def files():
    """pydicom's and ours, each SOP Instance UID once."""
    folder = Path(pydicom.__file__).parent / "data"
    paths = [*folder.glob("test_files/**/*.dcm"), *folder.glob("charset_files/*.dcm")]
    contents = [path.read_bytes() for path in sorted(paths) if path.stat().st_size < LARGEST]
    found = {}
    for content in [*contents, *made_files()]:
        try:
            file = file_of(content)
        except Refusal:
            continue
        found.setdefault(file.description.sop_instance_uid, file)
    assert len(found) > 40
    return list(found.values())


# ------------------------------------------------------------------------------- databases


@contextmanager
def only_steps(last):
    """While it lasts, the program knows the steps up to `last` alone."""
    steps = module.migrations()[:last]
    with patch.object(module, "migrations", lambda: steps):
        yield


async def bring_to(conn, step):
    with only_steps(step):
        await module.migrate(conn)


async def _insert(conn, table, values):
    names = ", ".join(values)
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    return await conn.fetchrow(
        f"INSERT INTO {table} ({names}) VALUES ({places}) RETURNING *", *values.values()
    )


def attributes_text(level, attributes):
    """JSON of what was kept then."""
    kept = KEPT[level] - earlier_documents._NEW[level]
    return orjson.dumps({key: attributes[key] for key in attributes if key in kept}).decode()


def _columns(names, values, level, attributes):
    row = dict(zip(names, values, strict=True))
    row = {name: value for name, value in row.items() if not name.endswith(("document", "tokens"))}
    return row | {"attributes": attributes_text(level, attributes), "institution_id": 1}


def study_columns(file):
    return _columns(STUDY_COLUMNS, file.new.entry.study, Level.STUDY, file.description.study)


def series_columns(file):
    return _columns(SERIES_COLUMNS, file.new.entry.series, Level.SERIES, file.description.series)


def instance_columns(file):
    new = file.new
    row = _columns(INSTANCE_COLUMNS, new.entry.instance, Level.INSTANCE, file.description.instance)
    kept = {"metadata": new.entry.metadata, "blob_key": new.blob_key}
    return row | kept | {"size": new.size, "sha256": new.sha256}


REFRESH = """
UPDATE studies s
   SET number_of_series = (SELECT count(*) FROM series WHERE study_id = s.id),
       number_of_instances = (SELECT count(*) FROM instances WHERE study_id = s.id),
       bytes = (SELECT sum(size) FROM instances WHERE study_id = s.id),
       modalities = (SELECT coalesce(array_agg(DISTINCT modality)
                                     FILTER (WHERE modality IS NOT NULL), '{}')
                       FROM series WHERE study_id = s.id)
 WHERE s.id = $1
"""


async def store(conn, file, step):
    """Store one instance as the server of that step's version did."""
    entry = file.new.entry
    study = await conn.fetchrow(
        "SELECT * FROM studies WHERE study_instance_uid = $1", entry.study_instance_uid
    )
    counts = {"number_of_series": 1, "number_of_instances": 1, "bytes": 0}
    study = study or await _insert(conn, "studies", study_columns(file) | counts)
    series = await conn.fetchrow(
        "SELECT * FROM series WHERE study_id = $1 AND series_instance_uid = $2",
        study["id"],
        entry.series_instance_uid,
    )
    if series is None:
        parent = {"study_id": study["id"], "number_of_instances": 0}
        series = await _insert(conn, "series", series_columns(file) | parent)
        await _put_requests(conn, file, series["id"])
    parents = {"study_id": study["id"], "series_id": series["id"]}
    await _insert(conn, "instances", instance_columns(file) | parents)
    await conn.execute(
        "UPDATE series SET number_of_instances = number_of_instances + 1 WHERE id = $1",
        series["id"],
    )
    await conn.execute(REFRESH, study["id"])
    if step >= 2:
        await _note(conn, entry, "store", "stored")


async def _put_requests(conn, file, series_id):
    for request in file.new.entry.requests:
        row = dict(zip(REQUEST_COLUMNS, request, strict=True))
        await _insert(conn, "series_requests", row | {"series_id": series_id, "institution_id": 1})


async def _note(conn, entry, action, kind):
    uids = {"study_instance_uid": entry.study_instance_uid, "institution_id": 1}
    sops = [entry.sop_instance_uid]
    named = {"sop_instance_uids": sops} if action == "replace" else {}
    deed = {"principal": PRINCIPAL, "action": action, "instances": 1}
    await _insert(conn, "audit", uids | deed | named)
    sequence = await conn.fetchval("UPDATE change_counter SET last = last + 1 RETURNING last")
    changed = {"sequence": sequence, "kind": kind, "sop_instance_uids": sops}
    await _insert(
        conn, "changes", uids | changed | {"series_instance_uid": entry.series_instance_uid}
    )


async def replace(conn, file):
    """Replace an instance as the server of step 2 did."""
    entry = file.new.entry
    old = await conn.fetchrow(
        "SELECT * FROM instances WHERE sop_instance_uid = $1", entry.sop_instance_uid
    )
    version = {name: old[name] for name in ("size", "stored_at", "blob_key", "sha256")}
    uids = {name: getattr(entry, name) for name in ("study_instance_uid", "series_instance_uid")}
    sop = {"sop_instance_uid": entry.sop_instance_uid, "institution_id": 1}
    await _insert(conn, "superseded", version | uids | sop)
    await _update(conn, "instances", old["id"], instance_columns(file))
    await _update(conn, "series", old["series_id"], series_columns(file))
    await _update(conn, "studies", old["study_id"], study_columns(file))
    await conn.execute("DELETE FROM series_requests WHERE series_id = $1", old["series_id"])
    await _put_requests(conn, file, old["series_id"])
    await conn.execute(REFRESH, old["study_id"])
    await _note(conn, entry, "replace", "replaced")


async def _update(conn, table, row_id, values):
    sets = ", ".join(f"{name} = ${number}" for number, name in enumerate(values, 2))
    await conn.execute(f"UPDATE {table} SET {sets} WHERE id = $1", row_id, *values.values())
