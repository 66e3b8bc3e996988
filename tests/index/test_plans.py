"""The main searches and look-ups walk indexes, already with a few thousand studies."""

import pytest

from dicomweb_server.access.policy import Scope
from dicomweb_server.dicom.query import (
    Equal,
    Fuzzy,
    Level,
    Range,
    Returned,
    SearchQuery,
    UidList,
    Wildcard,
)
from dicomweb_server.index import (
    bulk_data,
    delete,
    digest,
    file_set,
    frame_batches,
    instances,
    metadata_runs,
    pictures,
    retrieve,
    series_frames,
)
from dicomweb_server.index import search as index
from dicomweb_server.index.database import open_pool
from dicomweb_server.index.frame_batches import AskedFrame
from dicomweb_server.index.search_statements import compile_search as compile_any
from tests.index.filling import FILL, nodes

SCOPE = Scope((1,))


def returned(query):
    return Returned(frozenset(level for level in Level if level <= query.level))


def compile_search(query, scope):
    return compile_any(query, scope, returned(query))


@pytest.fixture(scope="module")
async def filled(shared_pool):
    async with shared_pool.acquire() as conn:
        await conn.execute(FILL)
        yield conn


NAME, REFERRING = (0x00100010,), (0x00080090,)
SEARCHES = {
    "newest": (Level.STUDY, {}, "studies_newest"),
    "a day": (Level.STUDY, {(0x00080020,): Range("20200103", "20200103")}, "studies_newest"),
    "patient": (Level.STUDY, {(0x00100020,): Equal(("P77",))}, "studies_patient_id"),
    "accession": (Level.STUDY, {(0x00080050,): Equal(("A77",))}, "studies_accession"),
    "accession prefix": (Level.STUDY, {(0x00080050,): Wildcard(("A77*",))}, "studies_accession"),
    "study id": (Level.STUDY, {(0x00200010,): Equal(("S77",))}, "studies_study_id"),
    "uids": (Level.STUDY, {(0x0020000D,): UidList(("1.1", "1.2"))}, "studies_uid"),
    "name": (Level.STUDY, {NAME: Equal(("DOE^JOHN",))}, "studies_by_patient_name"),
    "name prefix": (Level.STUDY, {NAME: Wildcard(("ABC*",))}, "studies_by_patient_name"),
    "ideographic": (
        Level.STUDY, {NAME: Wildcard(("山田^12*",))}, "studies_patient_name_ideographic"
    ),
    "name infix": (Level.STUDY, {NAME: Wildcard(("*ABCDE*",))}, "studies_name_keys"),
    "short name infix": (Level.STUDY, {NAME: Wildcard(("*AB*",))}, "studies_newest"),
    "referring": (Level.STUDY, {REFERRING: Wildcard(("ABC*",))}, "studies_referring"),
    "rare modality": (Level.STUDY, {(0x00080061,): Equal(("ECG",))}, "study_modalities_newest"),
    "modality": (Level.STUDY, {(0x00080061,): Equal(("CT",))}, "study_modalities_newest"),
    "modalities": (Level.STUDY, {(0x00080061,): Equal(("CT", "ECG"))}, "study_modalities_newest"),
    "fuzzy": (Level.STUDY, {NAME: Fuzzy((frozenset({"ABCDE"}),))}, "studies_name_keys"),
    "rare series": (Level.SERIES, {(0x00080060,): Equal(("ECG",))}, "study_modalities_newest"),
    "a series": (Level.SERIES, {(0x0020000E,): UidList(("1.7.1",))}, "series_uid"),
    "study of a series": (Level.STUDY, {(0x0020000E,): UidList(("1.7.1",))}, "series_uid"),
    "newest series": (Level.SERIES, {}, "studies_newest"),
    "newest instances": (Level.INSTANCE, {}, "studies_newest"),
    "an instance": (Level.INSTANCE, {(0x00080018,): UidList(("1.7.1.1",))}, "instances_uid"),
}  # fmt: skip


@pytest.mark.parametrize("search", SEARCHES)
async def test_a_search_walks_the_index_made_for_it(filled, search):
    level, conditions, index = SEARCHES[search]
    statement, arguments = compile_search(SearchQuery(level, conditions, limit=20), SCOPE)
    plan = await nodes(filled, statement, *arguments)

    assert index in {name for _, name in plan}
    assert "Seq Scan" not in {kind for kind, _ in plan}


EVERYBODY = (SCOPE, Scope((1, 2, 3, 4, 5)), Scope((1, 2, 3, 4, 5), everything=True))


@pytest.mark.parametrize("scope", EVERYBODY)
@pytest.mark.parametrize("level", Level)
async def test_for_many_uids_not_all_studies_are_walked_whoever_asks(filled, level, scope):
    uids = UidList(tuple(f"1.{n}" for n in range(150)))
    query = SearchQuery(level, {(0x0020000D,): uids}, limit=20)
    names = {name for _, name in await nodes(filled, *_flat(compile_search(query, scope)))}

    assert not names & {"studies_newest", "studies_newest_of_all"}


@pytest.mark.parametrize("series", [None, "1.7.1"])
@pytest.mark.parametrize("level", [Level.SERIES, Level.INSTANCE])
async def test_the_content_of_one_study_is_found_through_its_uid(filled, level, series):
    query = SearchQuery(level, study_instance_uid="1.7", series_instance_uid=series)
    plan = await nodes(filled, *_flat(compile_search(query, SCOPE)))

    assert "studies_uid" in {name for _, name in plan}
    assert "Seq Scan" not in {kind for kind, _ in plan}


def _flat(compiled):
    statement, arguments = compiled
    return statement, *arguments


TRIPLE = ("1.7", [1], None, "1.7.1", "1.7.1.1")


async def kept_plans(pool, statement, ask):
    """How often a statement was run by a plan for all arguments, and by one for these alone."""
    async with pool.acquire() as conn:
        for _ in range(12):
            await ask(conn)
        return tuple(
            await conn.fetchrow(
                "SELECT generic_plans, custom_plans FROM pg_prepared_statements "
                "WHERE statement = $1",
                statement,
            )
        )


async def test_searches_are_planned_for_their_very_arguments(shared_pool, filled):
    query = SearchQuery(Level.STUDY, {NAME: Wildcard(("ABC*",))})
    statement, _ = compile_search(query, SCOPE)

    async def ask(conn):
        await index.find(conn, SCOPE, query, returned(query))

    assert await kept_plans(shared_pool, statement, ask) == (0, 12)


async def test_a_frame_costs_no_planning(shared_url, filled):
    uids = (TRIPLE[0], *TRIPLE[3:])
    async with await open_pool(shared_url, plan_anew=False) as pool:
        for statement, ask in (
            (retrieve.LOCATE_INSTANCE, lambda c: retrieve.locate_instance(c, SCOPE, *uids)),
            (retrieve.READ_METADATA, lambda c: retrieve.read_metadata(c, SCOPE, *uids[:2])),
            (
                frame_batches.LOCATE_MANY,
                lambda c: frame_batches.locate_many(c, SCOPE, [AskedFrame(*uids, 1)]),
            ),
        ):
            assert await kept_plans(pool, statement, ask) == (7, 5)


FIRST_PAGE = (None, None, None, None)
MANY = (["1.7.1"] * 8, ["1.7.1.1"] * 8, [1] * 8)
LOOKUPS = {
    "instance": (retrieve.LOCATE_INSTANCE, *TRIPLE),
    "frames": (retrieve.LOCATE_FRAMES, *TRIPLE, [1]),
    "many frames": (frame_batches.LOCATE_MANY, ["1.7"] * 8, [1], None, *MANY),
    "frames of many": (frame_batches.COUNT_FRAMES_OF, "1.7", [1], None, *MANY[:2]),
    "frames of a series": (series_frames.FRAMES_OF_SERIES, *TRIPLE[:4], True),
    "version of a study": (series_frames.STUDY_VERSION, *TRIPLE[:3]),
    "series of an instance": (retrieve.SERIES_OF, *TRIPLE[:3], TRIPLE[4]),
    "first of some classes": (
        retrieve.FIRST_OF_CLASSES,
        *TRIPLE[:4],
        ["1.2.840.10008.5.1.4.1.1.2"],
    ),
    "bulk": (retrieve.LOCATE_BULK, *TRIPLE, "7FE00010"),
    "study": (retrieve.LOCATE_INSTANCES, *TRIPLE[:3], None, *FIRST_PAGE),
    "series": (retrieve.LOCATE_INSTANCES, *TRIPLE[:4], *FIRST_PAGE),
    "next page": (retrieve.LOCATE_INSTANCES, *TRIPLE[:3], None, 1, "1.7.1", 1, "1.7.1.1"),
    "study metadata": (retrieve.READ_METADATA, *TRIPLE[:3], None, *FIRST_PAGE),
    "instance metadata": (retrieve.READ_METADATA_OF_INSTANCE, *TRIPLE),
    "files of a study": (file_set.READ_FILES, *TRIPLE[:3], None, *FIRST_PAGE),
    "a file": (file_set.READ_FILE, *TRIPLE),
    "bulk data of a study": (bulk_data.LIST_BULK_DATA, *TRIPLE[:3], None, *FIRST_PAGE),
    "pixel data of a series": (bulk_data.LIST_PIXEL_DATA, *TRIPLE[:4], *FIRST_PAGE),
    "all bulk data": (bulk_data.LOCATE_ALL_BULK, *TRIPLE),
    "study digest": (digest.DIGEST_OF_INSTANCES, *TRIPLE[:3], None),
    "series digest": (digest.DIGEST_OF_INSTANCES, *TRIPLE[:4]),
    "instance digest": (digest.DIGEST_OF_INSTANCE, *TRIPLE),
    "runs of a study": (metadata_runs.LIST_MARKS, *TRIPLE[:3], None),
    "runs of a series": (metadata_runs.LIST_MARKS, *TRIPLE[:4]),
    "a run": (metadata_runs.READ_RUNS, "1.7", [1], [7, 8]),
    "thumbnail": (retrieve.REPRESENTATIVE, *TRIPLE[:3], None),
    "rendered frames": (pictures.COUNT_FRAMES, *TRIPLE[:3], None, ["1.2"]),
    "rendered parts": (pictures.LOCATE_IMAGES, *TRIPLE[:3], None, *FIRST_PAGE, ["1.2"]),
    "existing": (instances.FIND_EXISTING, 1, ["1.7.1.1", "1.8.1.1"]),
    "deleted": (delete.DELETE_INSTANCES, 7, None, None),
    "refreshed": (delete.RESTATE_STUDIES, [7]),
}


@pytest.mark.parametrize("lookup", LOOKUPS)
async def test_a_lookup_scans_no_table(filled, lookup):
    plan = await nodes(filled, *LOOKUPS[lookup])
    assert "Seq Scan" not in {kind for kind, _ in plan}


@pytest.mark.parametrize(
    "lookup",
    [
        "instance",
        "frames",
        "many frames",
        "frames of many",
        "series of an instance",
        "bulk",
        "instance metadata",
        "a file",
        "all bulk data",
        "instance digest",
    ],
)
@pytest.mark.parametrize("preferred", ["enable_indexscan", "enable_bitmapscan"])
async def test_an_instance_is_not_looked_for_among_all_of_its_series(filled, lookup, preferred):
    """Whatever is known of how many those are: while a series is being stored, nothing."""
    await filled.execute(f"SET {preferred} = off")
    try:
        plan = await nodes(filled, *LOOKUPS[lookup])
    finally:
        await filled.execute(f"RESET {preferred}")
    assert "instances_in_series" not in {index for _, index in plan}
    assert "instances_uid" in {index for _, index in plan}
