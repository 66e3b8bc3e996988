"""Attributes are indexed beside whatever is stored, and searches find the same with and without."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path as Folder
from typing import Any

import pytest
from pydicom.dataset import Dataset

from dicomweb_server.archive import attribute_index
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.attribute_index import (
    CannotIndex,
    Filled,
    check_path,
    drop_attribute,
    index_attribute,
)
from dicomweb_server.archive.search import search
from dicomweb_server.dicom.attributes import level_of
from dicomweb_server.dicom.match_values import match_values
from dicomweb_server.dicom.packing import unpack_document, unpack_metadata
from dicomweb_server.dicom.query import (
    Condition,
    DateTimeRange,
    Empty,
    Equal,
    Item,
    Level,
    Path,
    Range,
    Returned,
    SearchQuery,
    UidList,
    Wildcard,
)
from dicomweb_server.dicom.search_document import attributes_of
from dicomweb_server.errors import NotFound, Unavailable
from dicomweb_server.index.attribute_fill import AttributeGone
from dicomweb_server.index.attribute_values import whole_dataset
from dicomweb_server.index.database import acquire
from dicomweb_server.index.indexed_attributes import add_attribute, read_attributes
from dicomweb_server.index.progress import alone_with_attributes, read_progress
from dicomweb_server.wire.store_report import Stored
from tests.archive.opened import TESTER, opened_twice, remove, rows, set_policy, store
from tests.make import instance_with

COMMENTS, OTHER_IDS = (0x00104000,), (0x00101002, 0x00100020)  # of studies
INSTITUTION, OPERATORS, SERIES_DATE = (0x00080080,), (0x00081070,), (0x00080021,)  # of series
IMAGE_COMMENTS, ACQUIRED = (0x00204000,), (0x0008002A,)  # kept of instances
KVP, EVENT, CODE = (0x00180060,), (0x00083010,), (0x00082218, 0x00080100)  # in metadata alone
STEP = (0x00400275, 0x00400007)  # beside columns
ALL = [COMMENTS, OTHER_IDS, INSTITUTION, OPERATORS, SERIES_DATE]
ALL += [IMAGE_COMMENTS, ACQUIRED, KVP, EVENT, CODE, STEP]


class Silent:
    def begin(self, last: int, position: int, filled: Filled) -> None:
        self.last = last

    def advance(self, position: int, filled: Filled) -> None:
        assert position <= self.last


def items(keyword: str, values: list[str]) -> list[Dataset]:
    made = []
    for value in values:
        item = Dataset()
        setattr(item, keyword, value)
        made.append(item)
    return made


def about(chance: random.Random) -> dict[str, Any]:
    """Attributes of every level, some of them absent."""
    text = ["A", "b ", "St. Mary", "x" * 200 + "y", "100%_\\z", None]
    made = {
        "PatientComments": chance.choice(text),
        "OtherPatientIDsSequence": items("PatientID", chance.sample(["I1", "I2", "I3"], 2)),
        "InstitutionName": chance.choice(text[:3]),
        "OperatorsName": chance.choice(["Müller^Jörg", ["A^B", "Yamada=山田"], None]),
        "SeriesDate": chance.choice(["20200101", "20191231", None]),
        "SeriesTime": chance.choice(["1030", None]),
        "ImageComments": chance.choice(text),
        "AcquisitionDateTime": chance.choice(["20200101103000+0100", "2020", None]),
        "KVP": chance.choice(["120", "120.0", "80.5", None]),
        "IrradiationEventUID": chance.choice(["1.2.3", "1.2.30"]),
        "AnatomicRegionSequence": items("CodeValue", chance.sample(["T-1", "T-2", "T-3"], 1)),
        "RequestAttributesSequence": items("ScheduledProcedureStepDescription", ["head", "neck"]),
    }
    return {name: value for name, value in made.items() if chance.random() < 0.8}


def file(study: int, series: int, number: int, chance: random.Random) -> bytes:
    uids = (f"1.{study}", f"1.{study}.{series}", f"1.{study}.{series}.{number}")
    names = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    day = f"202001{study % 28 + 1:02}"
    fixed = {"StudyDate": day, "SeriesNumber": series, "InstanceNumber": number}
    return instance_with(**dict(zip(names, uids, strict=True)), **fixed, **about(chance))


def files(chance: random.Random, studies: range = range(1, 7)) -> list[bytes]:
    return [
        file(study, series, number, chance)
        for study in studies
        for series in range(1, chance.randint(2, 3))
        for number in range(1, chance.randint(2, 4))
    ]


CONDITIONS: list[dict[Path, Condition]] = [
    {COMMENTS: Equal(("A",))},
    {COMMENTS: Wildcard(("x*y",))},
    {COMMENTS: Wildcard(("100%_\\*",))},
    {COMMENTS: Empty()},
    {OTHER_IDS[:1]: Item({OTHER_IDS[1:]: Equal(("I2",))})},
    {INSTITUTION: Equal(("b",))},
    {INSTITUTION: Wildcard(("St*",)), KVP: Equal(("120",))},
    {INSTITUTION: Wildcard(("*Mary",)), (0x00080060,): Equal(("OT",))},
    {OPERATORS: Equal(("muller^jorg",))},
    {OPERATORS: Wildcard(("*=山*",))},
    {SERIES_DATE: Range("20200101", None)},
    {SERIES_DATE: DateTimeRange((0x00080031,), "20200101000000.000000", None, 60)},
    {IMAGE_COMMENTS: Equal(("x" * 200 + "y",))},
    {ACQUIRED: Range("20200101090000.000000", "20200101095959.999999")},
    {KVP: Equal(("120",)), IMAGE_COMMENTS: Wildcard(("?",))},
    {KVP: Equal(("8.05e1",)), (0x00100020,): Equal(("P1",))},
    {EVENT: UidList(("1.2.3", "9.9"))},
    {CODE[:1]: Item({CODE[1:]: Wildcard(("T-?",))})},
    {STEP[:1]: Item({STEP[1:]: Equal(("neck",)), (0x00400009,): Empty()})},
]


async def pages(archive: Archive) -> list[Any]:
    """What every search finds, page by page."""
    found = []
    for conditions in CONDITIONS:
        for level in Level:
            returned = Returned(frozenset(each for each in Level if each <= level))
            for offset in (0, 2):
                query = SearchQuery(level, conditions, limit=2 + 100 * offset, offset=offset)
                page = await search(archive, TESTER, query, returned)
                found.append((page.found, page.remaining, page.exact))
    return found


async def held(archive: Archive) -> Counter[tuple[Any, ...]]:
    """All values that are there, by attribute and entity."""
    statement = """
        SELECT a.path, v.institution_id, v.study_id, v.series_id, v.instance_id, v.value
          FROM attribute_values v JOIN indexed_attributes a ON a.id = v.attribute_id"""
    return Counter(tuple(row) for row in await rows(archive, statement))


async def due(archive: Archive, paths: list[Path]) -> Counter[tuple[Any, ...]]:
    """All values that a fresh start would give."""
    found: Counter[tuple[Any, ...]] = Counter()
    for path in paths:
        level = level_of(path[0])
        own = level or Level.INSTANCE
        table, columns = {
            Level.STUDY: ("studies", "id AS study_id, NULL AS series_id, NULL AS instance_id"),
            Level.SERIES: ("series", "study_id, id AS series_id, NULL AS instance_id"),
            Level.INSTANCE: ("instances", "study_id, series_id, id AS instance_id"),
        }[own]
        content = "metadata" if level is None else "document"
        statement = f"SELECT institution_id, {columns}, {content} AS content FROM {table}"
        for row in await rows(archive, statement):
            *entity, packed = row
            dataset = (
                whole_dataset(unpack_metadata(packed))
                if level is None
                else attributes_of(unpack_document(packed))
            )
            text = ".".join(f"{tag:08X}" for tag in path)
            found.update((text, *entity, value) for value in match_values(path, dataset))
    return found


@pytest.fixture
async def archives(
    tmp_path: Folder, new_database: Any, template: str
) -> AsyncIterator[tuple[Archive, Archive]]:
    async with (
        new_database(template) as url,
        opened_twice(tmp_path / "data", url) as both,
    ):
        yield both


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DOCUMENTS", "WHOLE", "REMOVED"):
        monkeypatch.setattr(attribute_index, name, 2)


@pytest.fixture
def always_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches learn at once of what is ready."""
    monkeypatch.setattr("dicomweb_server.index.indexed_attributes._SECONDS", -1.0)


@pytest.mark.usefixtures("small_batches", "always_looking")
async def test_searches_find_the_same_before_while_and_after(
    archives: tuple[Archive, Archive],
) -> None:
    archive, other = archives
    await store(archive, files(random.Random(1)))
    before = await pages(archive)
    assert sum(bool(found) for found, _, _ in before) > len(before) / 2

    for path in ALL:
        async with acquire(archive.pool) as conn:
            await add_attribute(conn, path)
    await store(archive, files(random.Random(2), range(20, 23)))
    for study in (20, 21, 22):
        await remove(archive, f"1.{study}")
    assert await pages(archive) == before
    for path in ALL:
        filled = await index_attribute(archive, path, Silent())
        assert filled.values and not filled.was_ready
        assert await pages(other) == before
    assert await held(archive) == await due(archive, ALL)

    for path in ALL:
        await drop_attribute(other.pool, path, lambda count: None)
        assert await pages(archive) == before
    assert not await held(archive)


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("seed", range(4))
async def test_what_is_stored_replaced_and_deleted_meanwhile_has_its_values(
    archives: tuple[Archive, Archive], seed: int
) -> None:
    archive, other = archives
    await set_policy(archive, "replace")
    chance = random.Random(seed)
    await store(archive, files(chance, range(1, 13)))
    indexing = chance.sample(ALL, 4)
    done = asyncio.Event()

    async def change(process: Archive, chance: random.Random) -> None:
        while not done.is_set():
            study = chance.randint(1, 16)
            match chance.randrange(4):
                case 0 | 1:
                    new = [file(study, 1, chance.randint(1, 4), chance) for _ in range(2)]
                    await store(process, new)
                case 2:
                    await store(process, files(chance, range(study, study + 2)))
                case 3:
                    with contextlib.suppress(NotFound):
                        await remove(process, f"1.{study}")

    changing = [
        asyncio.create_task(change(process, random.Random(seed * 10 + number)))
        for number, process in enumerate([archive, other, other])
    ]
    for path in indexing:
        await index_attribute(archive, path, Silent())
        await asyncio.sleep(0.05)
    await drop_attribute(other.pool, indexing[0], lambda count: None)
    done.set()
    await asyncio.gather(*changing)

    assert await held(archive) == await due(archive, indexing[1:])
    assert len(await held(archive)) > 10
    for row in await rows(archive, "SELECT count(*) AS n, sum(number_of_instances) FROM studies"):
        assert row["n"] > 3


async def test_a_process_that_knows_nothing_of_it_stores_values_all_the_same(
    archives: tuple[Archive, Archive],
) -> None:
    archive, other = archives
    one, two = (file(1, 1, number, random.Random(5)) for number in (1, 2))
    async with acquire(archive.pool) as conn:
        for path in ALL:
            await add_attribute(conn, path)
    assert other.attributes.known.all == ()

    await store(other, [one])

    assert len(other.attributes.known.all) == len(ALL)
    assert await held(archive) == await due(archive, ALL)
    await store(other, [two])
    assert await held(archive) == await due(archive, ALL)
    # One row of the feed for each: what was refused has left nothing.
    assert [r["sequence"] for r in await rows(archive, "SELECT sequence FROM changes")] == [1, 2]

    for path in ALL[:-1]:
        await drop_attribute(archive.pool, path, lambda count: None)
    await set_policy(archive, "replace")
    changed = [file(1, 1, 1, random.Random(6)), file(2, 1, 1, random.Random(7))]
    assert all(isinstance(result, Stored) for result in await store(other, changed))
    assert await held(archive) == await due(archive, ALL[-1:])


async def test_a_drop_while_a_search_is_under_way_hides_nothing(
    archives: tuple[Archive, Archive],
) -> None:
    """It knows the attribute as ready, and its values are gone."""
    archive, other = archives
    await store(archive, [file(1, 1, 1, random.Random(3))])
    query = SearchQuery(Level.SERIES, {STEP[:1]: Item({STEP[1:]: Equal(("neck",))})})
    await index_attribute(archive, STEP, Silent())
    async with acquire(archive.pool) as conn:
        await archive.attributes.reload(conn)
        assert archive.attributes.known.ready
    assert len((await search(archive, TESTER, query, Returned(frozenset()))).found) == 1

    await drop_attribute(other.pool, STEP, lambda count: None)

    assert archive.attributes.known.ready
    assert len((await search(archive, TESTER, query, Returned(frozenset()))).found) == 1
    assert not archive.attributes.known.ready


async def test_what_another_search_read_meanwhile_hides_nothing(
    archives: tuple[Archive, Archive],
) -> None:
    """The list that a search went by is the one that still has to hold, not the newest known."""
    archive, other = archives
    await index_attribute(archive, STEP, Silent())
    async with acquire(archive.pool) as conn:
        asked_by = await archive.attributes.reload(conn)
        await drop_attribute(other.pool, STEP, lambda count: None)
        await archive.attributes.reload(conn)  # by whoever
        assert not await archive.attributes.still_holds(conn, asked_by.version)
        assert await archive.attributes.still_holds(conn, archive.attributes.known.version)


@pytest.mark.usefixtures("small_batches")
async def test_it_goes_on_where_it_was_broken_off(archives: tuple[Archive, Archive]) -> None:
    archive, other = archives
    await store(archive, files(random.Random(4), range(1, 10)))

    class Stopping(Silent):
        def advance(self, position: int, filled: Filled) -> None:
            if filled.entities >= 4:
                raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await index_attribute(archive, STEP, Stopping())
    async with acquire(archive.pool) as conn:
        known = await read_attributes(conn)
        assert known.ready == {}
        assert len(await read_progress(conn, "attribute ")) == 1

    filled = await index_attribute(other, STEP, Silent())

    [[series]] = await rows(archive, "SELECT count(*) FROM series")
    assert filled.resumed and 0 < filled.entities <= series - 4
    assert await held(archive) == await due(archive, [STEP])
    assert (await index_attribute(archive, STEP, Silent())).was_ready
    async with acquire(archive.pool) as conn:
        assert await read_progress(conn, "attribute ") == {}


@pytest.mark.usefixtures("small_batches")
async def test_a_drop_that_was_broken_off_can_be_undone(archives: tuple[Archive, Archive]) -> None:
    archive, _ = archives
    await store(archive, files(random.Random(4)))
    await index_attribute(archive, EVENT, Silent())

    def stop(count: int) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await drop_attribute(archive.pool, EVENT, stop)
    assert await held(archive) != await due(archive, [EVENT])

    filled = await index_attribute(archive, EVENT, Silent())

    assert not filled.resumed
    assert await held(archive) == await due(archive, [EVENT])


async def test_only_one_works_on_the_list_at_a_time(archives: tuple[Archive, Archive]) -> None:
    archive, other = archives
    async with alone_with_attributes(archive.pool):
        with pytest.raises(Unavailable):
            await index_attribute(other, KVP, Silent())
        with pytest.raises(Unavailable):
            await drop_attribute(other.pool, KVP, lambda count: None)
    await index_attribute(other, KVP, Silent())


async def test_an_attribute_that_vanishes_while_it_is_indexed(
    archives: tuple[Archive, Archive], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, _ = archives
    await store(archive, files(random.Random(4)))
    write = attribute_index.write_values

    async def write_late(*arguments: Any) -> None:
        await rows(archive, "DELETE FROM indexed_attributes RETURNING id")
        await write(*arguments)

    monkeypatch.setattr(attribute_index, "write_values", write_late)
    with pytest.raises(AttributeGone):
        await index_attribute(archive, STEP, Silent())


@pytest.mark.parametrize(
    "path",
    [
        (0x00100020,),
        (0x00400275, 0x00400009),
        (0x00400275,),
        (0x00080056,),
        (0x00081140,),
        (0x7FE00010,),
        (0x00091001,),
        (0x00080080, 0x00080100),
    ],
)
def test_what_cannot_be_indexed_is_refused(path: Path) -> None:
    with pytest.raises(CannotIndex):
        check_path(path)


@pytest.mark.parametrize("path", ALL)
def test_what_can_be_indexed(path: Path) -> None:
    check_path(path)
