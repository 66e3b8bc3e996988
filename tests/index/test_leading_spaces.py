"""Match keys that earlier versions made of values with leading spaces become those of this one
(PS3.5 §6.2)."""

from dataclasses import replace

import asyncpg
import pytest
from pydicom import Dataset

from dicomweb_server.dicom import match_values
from dicomweb_server.dicom.match_values import MANY, VALUE_LENGTH
from dicomweb_server.index import leading_spaces, rows
from dicomweb_server.index.indexed_attributes import add_attribute, make_ready, read_attributes
from dicomweb_server.index.instances import insert_instances
from dicomweb_server.index.leading_spaces import mend_leading_spaces
from dicomweb_server.index.rows import with_values
from tests.index.compared import SCOPE, assert_equal, dump
from tests.index.earlier import file_of, one

STATION, COMMENTS, CODE = (0x00081010,), (0x00204000,), (0x00081032, 0x00080100)
OF_STUDY = {
    "PatientID": " LEAD4",
    "IssuerOfPatientID": "  HOSPITAL",
    "AccessionNumber": " ACC 1",
    "StudyID": " S1",
    "PatientSex": " O",
    "StudyDescription": " Chest",
}
OF_SERIES = {"SeriesDescription": " axial ", "BodyPartExamined": " CHEST", "Modality": " OT"}


def item(**keywords):
    made = Dataset()
    for keyword, value in keywords.items():
        setattr(made, keyword, value)
    return made


def files():
    request = item(
        ScheduledProcedureStepID=" STEP", RequestedProcedureID="  PROC", AccessionNumber=" ACC"
    )
    codes = [item(CodeValue=" C1"), item(CodeValue="C2")]
    for study in range(1, 6):
        of_study = OF_STUDY if study % 2 else {"PatientID": "P2", "AccessionNumber": "A 2"}
        of_study = {**of_study, "ProcedureCodeSequence": codes}
        more = {"RequestAttributesSequence": [request], "ImageComments": "  indented"}
        yield one(f"1.{study}", 1, 1, **of_study, **OF_SERIES, StationName=" ROOM 1", **more)
        yield one(f"1.{study}", 2, 1, **of_study, Modality="OT", StationName="ROOM 2")
        yield one(f"1.{study}", 3, 1, **of_study, Modality="MR")


def as_before(monkeypatch):
    """What made the keys of earlier versions, and what knows of keys that were made."""
    monkeypatch.setattr(rows, "clean", lambda text: text.rstrip(" \0").replace("\0", ""))
    monkeypatch.setattr(match_values, "without_padding", lambda value, _: str(value).rstrip(" \0"))
    forget_rows(monkeypatch)


def forget_rows(monkeypatch):
    monkeypatch.setattr(rows, "_study_rows", {})
    monkeypatch.setattr(rows, "_series_rows", {})


async def fill(conn, contents):
    for path in (STATION, COMMENTS, CODE):
        await add_attribute(conn, path)
    attributes = await read_attributes(conn)
    for each in attributes.all:
        await make_ready(conn, each.id)
    for content in contents:
        new = file_of(content).new
        new = replace(new, entry=with_values(new.entry, attributes))
        assert await insert_instances(conn, SCOPE, [new]) == {}


@pytest.fixture
async def conns(new_database, template):
    async with new_database(template) as one_url, new_database(template) as other_url:
        one_conn, other_conn = await asyncpg.connect(one_url), await asyncpg.connect(other_url)
        yield one_conn, other_conn
        await one_conn.close()
        await other_conn.close()


@pytest.mark.parametrize("batch", [2, 1000])
async def test_earlier_keys_become_those_that_are_made_now(conns, monkeypatch, batch):
    monkeypatch.setattr(leading_spaces, "BATCH", batch)
    old, new = conns
    with monkeypatch.context() as patch:
        as_before(patch)
        await fill(old, files())
    forget_rows(monkeypatch)
    await fill(new, files())
    assert await dump(old) != await dump(new)
    assert await old.fetchval("SELECT modalities FROM studies LIMIT 1") == [" OT", "MR", "OT"]
    heard = []

    await mend_leading_spaces(old, heard.append)

    assert_equal(await dump(old), await dump(new))
    assert await old.fetchval("SELECT modalities FROM studies LIMIT 1") == ["MR", "OT"]
    # 3 studies, 5 series, requests of 5; codes of 5 studies, and of 5 the station.
    assert heard == ["Match keys: 23 studies and series mended whose values begin with spaces"]
    await mend_leading_spaces(old, heard.append)
    assert len(heard) == 1


async def test_a_value_that_was_cut_is_left_to_the_matcher(conns, monkeypatch):
    old, _ = conns
    with monkeypatch.context() as patch:
        as_before(patch)
        await fill(old, [one("1.1", 1, 1, StationName=" " + "x" * VALUE_LENGTH)])
    await mend_leading_spaces(old, lambda _: None)
    assert await old.fetchval("SELECT value FROM attribute_values") == MANY
