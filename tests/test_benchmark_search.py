"""The databases that searches are measured on: what is in them, and that every search runs."""

import functools
import itertools

import pytest

from conformance.benchmark.search import fill
from conformance.benchmark.search.__main__ import arguments
from conformance.benchmark.search.cases import CASES
from conformance.benchmark.search.measure import Figure, measure, measure_unindexed, sizes
from conformance.benchmark.search.names import RARE, surnames
from conformance.benchmark.search.population import COMBINATIONS, INSTITUTIONS, Population
from conformance.benchmark.search.report import Run, as_markdown, searches
from conformance.benchmark.search.requests import Measured, measure_requests
from conformance.benchmark.search.rows import (
    COLUMNS,
    describe_instance,
    file_of,
    rows_below,
    study_record,
)
from dicomweb_server.access.policy import Scope
from dicomweb_server.index.database import open_pool
from dicomweb_server.index.instances import NewInstance, insert_instances
from dicomweb_server.index.rows import entry_of

STUDIES, REAL = 300, 20
TOOK = fill.Took(1, 2, 3)
HERE = {"date": "today", "cpus": 2, "cpu": "CPU", "system": "Linux", "load_average": 0.5}


@functools.cache
def population():
    return Population(STUDIES, seed=7, instances=2, real=REAL)


# Rows of a table without what depends on when and in which order they were stored, and without
# the documents that are not whole.
CONTENT = {
    "studies": "SELECT to_jsonb(t) - '{id,created_at,updated_at}'::text[] FROM studies t",
    "study_modalities": """
        SELECT to_jsonb(t) - 'study_id', s.study_instance_uid FROM study_modalities t
          JOIN studies s ON s.id = t.study_id""",
    "series": """
        SELECT to_jsonb(t) - '{id,study_id}'::text[]
                 - CASE WHEN s.accession_number = ANY ($1) THEN '{}' ELSE '{document}' END::text[],
               s.study_instance_uid FROM series t
          JOIN studies s ON s.id = t.study_id""",
    "instances": """
        SELECT to_jsonb(t) - '{id,study_id,series_id,stored_at}'::text[]
                 - CASE WHEN s.accession_number = ANY ($1) THEN '{}'
                        ELSE '{document,metadata}' END::text[],
               s.study_instance_uid, e.series_instance_uid
          FROM instances t JOIN series e ON e.id = t.series_id
          JOIN studies s ON s.id = t.study_id AND s.id = e.study_id""",
    "institution_totals": "SELECT to_jsonb(t) FROM institution_totals t",
}
INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"


@pytest.fixture(scope="module")
async def filled(new_database, template):
    """The URL of a database that the generator has filled."""
    async with new_database(template) as url:
        await fill.fill(url, population(), lambda what, share: None)
        yield url


def studies(of=None):
    made = of or population()
    return [study for chunk in range(made.chunks) for study in made.chunk(chunk)]


async def content(conn, table):
    whole = [study.accession_number for study in studies() if population().is_real(study)]
    arguments = [whole] if "$1" in CONTENT[table] else []
    return sorted(tuple(row) for row in await conn.fetch(CONTENT[table], *arguments))


async def test_rows_are_those_that_the_server_would_have_stored(filled, conn):
    await conn.executemany(
        "INSERT INTO institutions (id, code) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        [(number, f"h{number}") for number in range(1, INSTITUTIONS + 1)],
    )
    for study in studies():
        group = []
        for series, instance in itertools.product((1, 2), (1, 2)):
            made = describe_instance(study, series, instance)
            group.append(NewInstance(entry_of(made), *file_of(made.sop_instance_uid)))
        assert await insert_instances(conn, Scope((study.institution,)), group) == {}

    async with await open_pool(filled) as pool, pool.acquire() as generated:
        for table in CONTENT:
            assert await content(generated, table) == await content(conn, table), table


async def test_all_indexes_are_built_and_all_references_hold(filled, conn):
    async with await open_pool(filled) as pool, pool.acquire() as generated:
        assert sorted(await generated.fetch(INDEXES)) == sorted(await conn.fetch(INDEXES))
        assert await generated.fetchval("SELECT count(*) FROM series") == 2 * STUDIES
        assert await generated.fetchval("SELECT max(id) FROM instances") == 4 * STUDIES
        await generated.execute(
            "INSERT INTO series (study_id, institution_id, number_of_instances, document, "
            "series_instance_uid) VALUES (1, 1, 0, '', 'next'); "
            "DELETE FROM series WHERE series_instance_uid = 'next'"
        )


def rows_of(population):
    made = itertools.islice(population.chunk(0), 50)
    return [(study_record(population, study), rows_below(population, study)) for study in made]


def test_the_same_seed_gives_the_same_rows():
    again = Population(STUDIES, seed=7, instances=2)
    assert rows_of(again) == rows_of(population())
    assert rows_of(Population(STUDIES, seed=8, instances=2)) != rows_of(population())


async def test_every_search_runs_and_is_reported(filled):
    figures = await measure(filled, STUDIES, lambda what, share: None, samples=3)
    unindexed = await measure_unindexed(filled)
    found = {(figure.case, figure.restriction): figure for figure in figures}

    assert [figure.failed for figure in figures if figure.failed] == []
    assert found["patient ID", "all"].rows >= 3
    assert found["100 study UIDs", "all"].rows >= 290
    assert found["newest 101 (OHIF list)", "all"].rows == 303
    assert [each.outcome for each in unindexed if "NOWHERE" in each.name] == ["0 found, 0 more"] * 3
    run = Run(STUDIES, TOOK, figures, unindexed, await sizes(filled, list(COLUMNS)))
    text = as_markdown([run], [Measured("a request", (0.001, 0.002), 1.5, 34)], HERE)
    assert all(case.name in text for case in CASES)
    assert "· studies_newest_of_all" in text


def test_what_is_missed_is_said_to_be():
    goal = CASES[0].goals["all"]
    slow = Figure(CASES[0].name, "all", (goal.p50 / 500,), (goal.p50 / 500,), (1.0,), 101)
    broken = Figure(CASES[1].name, "all", failed="QueryCanceledError: too long")
    fast = Figure(CASES[0].name, "all", (goal.p50 / 5000,), (goal.p50 / 5000,), (1.0,), 101)
    lines = searches([Run(100, TOOK, [fast], [], []), Run(1000, TOOK, [slow, broken], [], [])])

    assert "MISSED: growth, p50" in lines[2]
    assert "QueryCanceledError" in next(line for line in lines if "too long" in line)
    assert (
        sum("MISSED" in line for line in lines) == len(lines) - 2
    )  # nothing measured, nothing met


async def test_whole_requests_are_measured(tmp_path):
    measured = await measure_requests(tmp_path, studies=3, series=4, seconds=0.2)
    assert [len(each.times) > 0 for each in measured] == [True] * 3


def test_sizes_below_the_largest_are_measured_too():
    assert arguments(["--up-to", "3000000"]).sizes == [100_000, 1_000_000, 3_000_000]
    assert arguments(["--sizes", "1000,500"]).sizes == [500, 1000]


def test_sizes_names_and_modalities_are_spread_as_in_a_large_archive():
    made = studies(Population(60_000, seed=1))
    total = len(made)

    def share(matching):
        return sum(map(matching, made)) / total

    assert len({study.uid for study in made}) == total
    assert 0.05 < share(lambda s: s.institution == 1) < 0.07
    assert 0.002 < share(lambda s: s.institution == INSTITUTIONS) < 0.005
    assert 0.2 < share(lambda s: s.modalities == ("CT",)) < 0.24
    assert 0 < share(lambda s: s.modalities == ("ECG",)) < 0.001
    assert share(lambda s: s.surname.text == "SMITH") > 0.005
    assert share(lambda s: s.surname.text == "ROSSITER") < 0.0005
    late = sum(study.day < before.day for before, study in itertools.pairwise(made))
    assert 0.04 < late / total < 0.08
    assert made[0].day[:4] == "2008"
    assert max(study.day for study in made)[:4] == "2023"


def test_there_are_as_many_names_and_combinations_as_said():
    names = [name.text for name in surnames()]
    assert len(names) == len(set(names)) == 20_000
    assert all(names.index(name) == rank for name, rank in RARE.items())
    assert len(COMBINATIONS) == 20
    assert sum(share for _, share in COMBINATIONS) == pytest.approx(100)
