"""Searches of some thousand studies, on all servers, and beside the statements alone."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle
from urllib.parse import urlsplit

import asyncpg
import orjson

from conformance.benchmark.client import Address, AnswerError, Request
from conformance.benchmark.goals import Goal
from conformance.benchmark.items import DICOM_JSON, STUDIES_LISTED, store_asks
from conformance.benchmark.load import Sample, load
from conformance.benchmark.retrieve import run
from conformance.benchmark.retrieve.items import Item
from conformance.benchmark.retrieve.measure import Steady
from conformance.benchmark.retrieve.wanted import (
    INCLUDED,
    Wanted,
    listed,
    series_path,
    series_search,
    worklist,
)
from dicomweb_server.access.policy import DEFAULT_INSTITUTION, Scope
from dicomweb_server.dicom.query import Level, Returned, SearchQuery
from dicomweb_server.index.database import open_pool
from dicomweb_server.index.search_statements import compile_search
from dicomweb_server.wire.search import parse_search
from dicomweb_server.wire.search_results import ResultWriter
from tests.make import Instance, study_of

PATIENTS = 100  # that are searched for in turn
POSTGRES_ALONE = "Postgres alone"

_LEVELS = {"studies": Level.STUDY, "series": Level.SERIES, "instances": Level.INSTANCE}


@dataclass(frozen=True)
class Register:
    """So many small `studies`, and one with a series of so many instances, from a `seed`."""

    seed: int
    studies: int

    @cached_property
    def small(self) -> Sequence[Instance]:
        """One instance of each study."""
        seeds = range(self.seed, self.seed + self.studies)
        return [study_of(1, 1, seed=seed, rows=8, columns=8)[0] for seed in seeds]

    @cached_property
    def large(self) -> Sequence[Instance]:
        """The long series."""
        return study_of(1, self.studies, seed=self.seed + self.studies, rows=8, columns=8)

    async def store(self, server: Address) -> None:
        """Store it all. Raises AnswerError if not all of it is reported as stored."""
        await load(server, 4, store_asks([*self.small, *self.large], batch=20))

    def items(self) -> list[Item]:
        """What is searched for."""
        some = self.small[:PATIENTS]
        count = min(STUDIES_LISTED, self.studies)
        list_ = [worklist(count)]
        patients = [patient_search(str(dict(one.keywords)["PatientID"]), 1) for one in some]
        names = [_name_search(one, [*self.small, self.large[0]]) for one in some]
        series = [series_search(one) for one in some]
        soon, at_once = (Goal("p50_ms", 6),), (Goal("p50_ms", 1.2),)
        newest = f"the {count} newest studies, as OHIF lists them"
        many = f"the {self.studies:,} instances of a series"
        return [
            Item("list-1", newest, Steady(list_, 1), (), soon),
            Item("list-8", "the same, 8 connections", Steady(list_, 8), ()),
            Item("patient-1", "a study by Patient ID", Steady(patients, 1), (), at_once),
            Item("patient-8", "the same, 8 connections", Steady(patients, 8), ()),
            Item("name-1", "studies by what the name begins with", Steady(names, 1), ()),
            Item("series-of-1", "the series of a study", Steady(series, 1), ()),
            Item(
                "instances-1",
                many,
                Steady([_instances(self.large)], 1),
                (),
                (Goal("p50_ms", 30),) if self.studies == 1000 else (),
            ),
        ]


def patient_search(patient_id: str, count: int) -> Wanted:
    """The `count` studies of a patient."""
    request = Request(f"/studies?PatientID={patient_id}", DICOM_JSON)
    return Wanted(request, listed(count, "0020000D", "search for a patient"))


def _name_search(one: Instance, among: Sequence[Instance]) -> Wanted:
    """Those whose names begin as that of `one`, but for the last digit."""
    prefix = str(dict(one.keywords)["PatientName"]).partition("^")[0][:-1]
    count = sum(str(dict(each.keywords)["PatientName"]).startswith(prefix) for each in among)
    request = Request(f"/studies?PatientName={prefix}*&limit=101&{INCLUDED}", DICOM_JSON)
    return Wanted(request, listed(count, "0020000D", "search by name"))


def _instances(series: Sequence[Instance]) -> Wanted:
    path = f"{series_path(series[0])}/instances?limit={len(series) + 1}"
    return Wanted(
        Request(path, DICOM_JSON), listed(len(series), "00080018", "instances of a series")
    )


def some_found(what: str, path: str) -> Wanted:
    """A search that finds something."""

    def look(body: bytes) -> None:
        if not orjson.loads(body):
            raise AnswerError(f"{what}: nothing found")

    return Wanted(Request(path, DICOM_JSON), look)


@dataclass(frozen=True, slots=True)
class Bench(run.Bench):
    """The rounds of retrieving, and after each the statements alone in the database of ours."""

    database_url: str

    async def _round(self, result: run.Result, number: int) -> None:
        await run.Bench._round(self, result, number)
        way = result.item.way
        assert isinstance(way, Steady)
        result.limit.append(
            await statements_alone(self.database_url, way.wanted, way.connections, self.seconds)
        )


async def statements_alone(
    url: str, wanted: Sequence[Wanted], connections: int, seconds: float
) -> Sample:
    """Run the statements of these searches over so many connections, and fetch what they find.

    Nothing of the rows is looked at or sent on: no server that asks this Postgres is faster.
    """
    compiled = [compile_search(query, _SCOPE, returned) for query, returned in map(asked, wanted)]
    source = cycle(compiled)
    latencies: list[float] = []
    async with await open_pool(url, min_size=connections, max_size=connections) as pool:

        async def client(until: float) -> None:
            async with pool.acquire() as conn:
                for statement, arguments in source:
                    if (start := time.perf_counter()) >= until:
                        return
                    rows = await conn.fetch(statement, *arguments)
                    latencies.append(time.perf_counter() - start)
                    if not rows:
                        raise AnswerError("a statement alone found nothing")

        async with asyncio.TaskGroup() as group:  # each connection prepares its statements
            for _ in range(connections):
                group.create_task(client(time.perf_counter() + seconds / 4))
        latencies.clear()
        spent, began = time.process_time(), time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(client(began + seconds))
        took, spent = time.perf_counter() - began, time.process_time() - spent
    return Sample(len(latencies), took, 0, tuple(latencies), client_cpu_seconds=spent)


_SCOPE = Scope((DEFAULT_INSTITUTION,))
"""As our server has it of who is not known."""


def asked(wanted: Wanted) -> tuple[SearchQuery, Returned]:
    """What our server understands of the request."""
    parts = urlsplit(wanted.request.path)
    *above, level = parts.path.strip("/").split("/")
    study, series = (*above[1::2], None, None)[:2]
    parsed = parse_search(
        _LEVELS[level], parts.query, study_instance_uid=study, series_instance_uid=series
    )
    return parsed.query, ResultWriter(parsed.query, "").returned


async def archived(url: str, seed: int, samples: int = 40) -> list[Item]:
    """Searches of a large archive that was filled with made studies, for some that are there."""
    conn = await asyncpg.connect(url)
    try:
        rows = await conn.fetch(_DRAWN, DEFAULT_INSTITUTION, str(seed), samples)
    finally:
        await conn.close()
    patients = [patient_search(row["patient_id"], row["count"]) for row in rows]
    page = f"limit={STUDIES_LISTED}&{INCLUDED}"
    days = [some_found("day", f"/studies?StudyDate={row['study_date']}&{page}") for row in rows]
    return list(_archived_items([worklist(STUDIES_LISTED)], patients, days, page))


def _archived_items(
    list_: Sequence[Wanted], patients: Sequence[Wanted], days: Sequence[Wanted], page: str
) -> Iterator[Item]:
    names = [
        some_found("name", f"/studies?PatientName={prefix}*&{page}")
        for prefix in ("LEE", "SMITH", "GARC", "MU")
    ]
    yield Item("archive-list", "the 101 newest studies", Steady(list_, 1), (), (Goal("p50_ms", 6),))
    yield Item(
        "archive-patient", "studies by Patient ID", Steady(patients, 1), (), (Goal("p50_ms", 1.2),)
    )
    yield Item("archive-day", "studies of one day", Steady(days, 1), ())
    yield Item("archive-name", "101 studies by what the name begins with", Steady(names, 1), ())


_DRAWN = """
SELECT s.patient_id, s.study_date,
       (SELECT count(*) FROM studies o
         WHERE o.patient_id = s.patient_id AND o.institution_id = s.institution_id) AS count
  FROM studies s WHERE s.institution_id = $1 ORDER BY md5(s.id || $2) LIMIT $3
"""
