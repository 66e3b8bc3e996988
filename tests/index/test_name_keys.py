"""Keys of names: who meets a condition has them, and pages by them are in the order of time."""

import asyncio
import json

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicomweb_server.access.policy import Scope
from dicomweb_server.dicom.name_tokens import query_tokens
from dicomweb_server.dicom.query import (
    DateTimeRange,
    Equal,
    Fuzzy,
    Level,
    Range,
    Returned,
    SearchQuery,
    Wildcard,
)
from dicomweb_server.index import search as index
from dicomweb_server.index import search_quarters
from dicomweb_server.index.conditions import Arguments, compile_condition
from dicomweb_server.index.instances import insert_instances
from dicomweb_server.index.migrate import migrate
from dicomweb_server.index.name_keys import Kind, compile_keys, ways_by_keys
from dicomweb_server.index.rows import STUDY_COLUMNS, entry_of
from dicomweb_server.index.search_statements import compile_search
from tests.index import earlier
from tests.index.made import described, new

NAME = (0x00100010,)
SCOPE = Scope((1,))

letters = st.sampled_from("ABEIORSTÉßöЖあ山´'’-_%\\ ^=*\u200d")
names = st.text(letters, min_size=1, max_size=30)


@st.composite
def conditions(draw, name):
    """What may be asked for of someone with that name: a part of it, or anything."""
    start = draw(st.integers(0, len(name) - 1) | st.just(0))
    part = name[start : draw(st.integers(start + 1, len(name)))]
    text = draw(st.sampled_from([part, part.lower(), part[:2] + "*" + part[3:], draw(names)]))
    if draw(st.booleans()):
        return Wildcard((draw(st.sampled_from(["*{}*", "{}*", "?{}*"])).format(text),))
    words = query_tokens(text)
    return Fuzzy(words, draw(st.sampled_from([None, f"*{text}*"]))) if words else Wildcard(("*",))


ROW = """
SELECT {meets} AS meets, {having} AS having
  FROM (SELECT $1::int AS institution_id, $2::bigint AS sort_key, $3::text AS patient_name,
               $4::text AS patient_name_other, $5::text[] AS patient_name_tokens) AS s
 CROSS JOIN LATERAL (SELECT name_place(s.institution_id, quarter_of(s.sort_key)) AS place) AS places
 CROSS JOIN LATERAL (SELECT {keys}) AS keys
"""


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), name=names, institution=st.integers(1, 2**31 - 1))
async def test_who_meets_a_condition_has_its_keys(conn, data, name, institution):
    condition = data.draw(conditions(name))
    ways = ways_by_keys(SearchQuery(Level.STUDY, {NAME: condition}), SCOPE)
    if ways is None:
        return
    day = data.draw(st.sampled_from([None, "00010101", "20240331", "20240401", "99991231"]))
    of_study = {"PatientName": name, "StudyDate": day, "StudyTime": "235959"}
    row = dict(zip(STUDY_COLUMNS, entry_of(described(of_study=of_study)).study, strict=True))
    arguments = Arguments([institution, row["sort_key"], row["patient_name"]])
    arguments += [row["patient_name_other"], row["patient_name_tokens"]]
    hashed, having = compile_keys(ways, arguments)
    meets = compile_condition(NAME, condition, arguments)

    found = await conn.fetchrow(ROW.format(keys=hashed, having=having, meets=meets), *arguments)

    assert found["having"] or not found["meets"]


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("D'ANGELO^MARIA", Fuzzy(query_tokens("dangelo"))),
        ("DELL'ACQUA^MARIA", Fuzzy(query_tokens("dellacq"))),  # which sounds otherwise
        ("D'ANGELO^MARIA", Fuzzy(query_tokens("angelo mari"))),
        ("MEYER^ANNA", Fuzzy(query_tokens("maier"))),
        ("DOE^JOHN", Wildcard(("*OE^JO*",))),
        ("DOE^JOHN", Wildcard(("?OE*OHN",))),
        ("YAMADA^TAROU=山田先生^太郎", Wildcard(("*田先生*",))),
        ("YAMADA^TAROU=山田^太郎=やまだ", Wildcard(("山田*",))),
        ("YAMADA^TAROU=山田^太郎=やまだ", Wildcard(("やま*",))),
    ],
)
async def test_a_part_of_a_name_is_found_by_keys(conn, name, asked):
    await insert_instances(conn, SCOPE, [new("1.1", of_study={"PatientName": name})])
    query = SearchQuery(Level.STUDY, {NAME: asked})

    assert ways_by_keys(query, SCOPE)
    assert len(await find(conn, SCOPE, query)) == 1


@pytest.mark.parametrize(
    "asked",
    [
        Wildcard(("*",)),
        Wildcard(("*AB*",)),
        Wildcard(("A*",)),
        Wildcard(("*ABC*", "*AB*")),
        Wildcard(("*ABC*=*",)),
        Wildcard(tuple(f"*ABC{n}*" for n in range(9))),
        Fuzzy(query_tokens("ab")),
        Fuzzy(query_tokens("abc"), "*ab*"),
    ],
)
def test_what_has_no_keys_is_searched_in_another_way(asked):
    assert ways_by_keys(SearchQuery(Level.STUDY, {NAME: asked}), SCOPE) is None


async def find(conn, scope, query):
    found = await index.find(conn, scope, query, Returned(frozenset()))
    return [each.study_instance_uid for each in found]


# Studies of some years and institutions: every third has the name, two have no date.
DAYS = [None, None, "00070101", "18991231", "21010101", "99991231"]
DAYS += [f"{2020 + n // 9}{1 + n % 12:02}{1 + n % 28:02}" for n in range(40)]


def institution_of(n):
    return 1 + n // 3 % 3


@pytest.fixture
async def years(conn):
    await conn.execute("INSERT INTO institutions VALUES (2, '2'), (3, '3')")
    for n, day in enumerate(DAYS):
        name = "ROSSI^ANNA" if n % 3 == 0 else "OTHER^ONE"
        of_study = {"StudyDate": day, "PatientName": name}
        study = new(f"1.{n}", f"2.{n}", f"3.{n}", of_study=of_study, of_series={"Modality": "CT"})
        await insert_instances(conn, Scope((institution_of(n),)), [study])
    return conn


EVERYBODY = [Scope((1,)), Scope((1, 2)), Scope((1, 2, 3)), Scope((1, 2, 3), everything=True)]
COMMON = [
    {NAME: Wildcard(("*OSS*",))},
    {NAME: Fuzzy(query_tokens("rossi"))},
    {NAME: Fuzzy(query_tokens("anna"), "*oss*")},
    {NAME: Wildcard(("ROSSI*",)), (0x00080061,): Equal(("CT",))},
    {NAME: Wildcard(("RO*",)), (0x00080060,): Equal(("CT",))},
]
PERIODS = [
    None,
    Range("20210215", "20230701"),
    Range(None, "20220331"),
    DateTimeRange((0x00080030,), "20210215000000.000000", "20230701235959.999999"),
]


@pytest.mark.parametrize("scope", EVERYBODY)
@pytest.mark.parametrize("asked", COMMON)
@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("most", [1, search_quarters.MOST])
async def test_pages_go_through_the_quarters_in_the_order_of_time(
    years, monkeypatch, scope, asked, period, most
):
    monkeypatch.setattr(search_quarters, "MOST", most)
    conditions = asked | ({(0x00080020,): period} if period else {})
    low = (period and period.low) or "00000000"
    high = (period and period.high) or "99999999"
    expected = [
        f"1.{n}"
        for n, day in enumerate(DAYS)
        if n % 3 == 0
        and institution_of(n) in scope.institution_ids
        and (period is None or (day is not None and low[:8] <= day <= high[:8]))
    ]
    expected.sort()
    expected.sort(key=lambda uid: DAYS[int(uid[2:])] or "", reverse=True)

    pages = []
    for offset in range(0, len(expected) + 3, 3):
        query = SearchQuery(Level.STUDY, conditions, limit=3, offset=offset)
        pages += (await find(years, scope, query))[:3]

    assert pages == expected


# An archive without dates: of every two studies one has the name, of every hundred the other.
FILL = """
INSERT INTO studies (institution_id, study_instance_uid, sort_key, patient_name, document,
                     number_of_series, number_of_instances, bytes)
SELECT 1 + n % $1::int, '1.' || to_char(n, 'FM00000'), 0,
       'NAME' || CASE WHEN n % 2 = 0 THEN '^ANONYM' ELSE '' END
              || CASE WHEN n % 100 = 0 THEN '^LEE' ELSE '' END, '', 0, 0, 0
  FROM generate_series(1, 3000) AS n
"""


@pytest.mark.parametrize("institutions", [1, 2])
@pytest.mark.parametrize(("asked", "every"), [("*NONYM*", 2), ("*^LEE*", 100)])
async def test_of_a_quarter_that_is_full_of_a_name_few_are_fetched(
    conn, monkeypatch, institutions, asked, every
):
    monkeypatch.setattr(search_quarters, "MOST", 200)
    monkeypatch.setattr(search_quarters, "NEWEST", 100)
    await conn.execute("INSERT INTO institutions VALUES (2, '2')")
    await conn.execute(FILL, institutions)
    await conn.execute("ANALYZE studies")
    scope = Scope(tuple(range(1, institutions + 1)))
    query = SearchQuery(Level.STUDY, {NAME: Wildcard((asked,))}, limit=20)

    found = await find(conn, scope, query)
    statement, arguments = compile_search(query, scope, Returned(frozenset()))
    plan = await conn.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *arguments)

    assert found[:20] == [f"1.{n * every:05}" for n in range(1, 21)]
    passed = list(passed_over(json.loads(plan)[0]["Plan"]))
    assert 0 < max(passed) <= 200


def passed_over(node):
    """How many studies each step of a plan has read."""
    if node.get("Relation Name") == "studies":
        yield (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
    for inner in node.get("Plans", ()):
        yield from passed_over(inner)


async def test_the_quarters_are_counted(conn):
    days = "SELECT year * 10000000000 + month * 100000000 + 1000000 AS day"
    months = f"{days} FROM generate_series(1, 9999) AS year, generate_series(1, 12) AS month"
    counted = await conn.fetchrow(
        "SELECT count(DISTINCT quarter_of(day)) AS quarters, count(DISTINCT name_place(1, day)) "
        f"AS places, bool_and(quarter_of(day) <= day) AS begun FROM ({months}) AS days"
    )
    assert dict(counted) == {"quarters": 201 * 4 + 2, "places": 201 * 4 + 2, "begun": True}


@pytest.mark.parametrize("institution", [1, 32769])
async def test_keys_begin_with_the_place_of_their_quarter(conn, institution):
    for day in [0, 10101, 18991231, 19000101, 20240331, 20240401, 21001231, 21010101, 99991231]:
        row = await conn.fetchrow(
            "SELECT name_keys($1, $2, 'ABC', NULL, NULL) AS keys, name_place($1, $2) AS place,"
            " name_place($1, quarter_of($2)) AS place_of_quarter",
            institution,
            day * 1_000_000 + (235959 if day else 0),
        )
        assert row["place"] == row["place_of_quarter"]
        assert row["keys"]
        assert {key >> 32 for key in row["keys"]} == {row["place"] >> 32}


@pytest.mark.parametrize(
    ("text", "looked_up"),
    [
        ("anonymous patient 30000", [("300", "000"), ("ANO", "NYM", "OUS")]),
        ("rossi anna", [("ROS", "SSI"), ("ANN", "NNA")]),
        ("jo rossi", [("ROS", "SSI")]),
    ],
)
def test_of_several_words_those_are_looked_up_that_promise_to_be_rare(text, looked_up):
    [way] = ways_by_keys(SearchQuery(Level.STUDY, {NAME: Fuzzy(query_tokens(text))}), SCOPE)

    assert [keys.texts for word in way for keys in word if keys.kind is Kind.RUN] == looked_up


async def test_keys_of_years_that_nobody_meant_are_brought_to_their_places(empty):
    await earlier.bring_to(empty, 12)
    days = [0, 70101000000, 18500101000000, 20240101000000, 99991231000000]
    await empty.execute(
        "INSERT INTO studies (institution_id, study_instance_uid, sort_key, patient_name, document,"
        " number_of_series, number_of_instances, bytes)"
        " SELECT 1, '1.' || day, day, 'ROSSI', '', 0, 0, 0 FROM unnest($1::bigint[]) AS day",
        days,
    )
    # As a step leaves it that was broken off.
    await empty.execute("CREATE INDEX studies_name_keys_ccnew ON studies (id)")
    heard = []

    await migrate(empty, heard.append)

    assert any("before 1900" in each for each in heard)
    assert await empty.fetchval("SELECT to_regclass('studies_name_keys_ccnew')") is None
    query = SearchQuery(Level.STUDY, {NAME: Wildcard(("*OSSI*",))})
    assert await find(empty, SCOPE, query) == [f"1.{day}" for day in reversed(days)]


async def test_what_is_stored_while_places_change_is_found_as_well(new_database):
    """A server of the version before is in the midst of storing when another one upgrades."""
    async with new_database() as url:
        old, storing = await asyncpg.connect(url), await asyncpg.connect(url)
        await earlier.bring_to(old, 12)
        transaction = storing.transaction()
        await transaction.start()
        await storing.execute(
            "INSERT INTO studies (institution_id, study_instance_uid, sort_key, patient_name,"
            " document, number_of_series, number_of_instances, bytes)"
            " VALUES (1, '1.7', 18500101000000, 'ROSSI', '', 0, 0, 0)"
        )
        upgrade = asyncio.create_task(migrate(old))
        await asyncio.wait([upgrade], timeout=2)
        assert not upgrade.done()
        await transaction.commit()
        await upgrade
        query = SearchQuery(Level.STUDY, {NAME: Wildcard(("*OSSI*",))})
        assert await find(old, SCOPE, query) == ["1.7"]
        await old.close()
        await storing.close()
