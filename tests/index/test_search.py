"""A search finds in SQL what ``dicom.matching`` says matches, in one order, page by page."""

import itertools
import random
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicomweb_server.access.policy import Scope
from dicomweb_server.dicom.attributes import ATTRIBUTES
from dicomweb_server.dicom.description import Description
from dicomweb_server.dicom.matching import matches_query
from dicomweb_server.dicom.moments import date_bounds, time_bounds
from dicomweb_server.dicom.name_tokens import query_tokens
from dicomweb_server.dicom.packing import unpack_document
from dicomweb_server.dicom.query import (
    DateTimeRange,
    Empty,
    Equal,
    Every,
    Fuzzy,
    Item,
    Level,
    Range,
    Returned,
    SearchQuery,
    UidList,
    Universal,
    Wildcard,
)
from dicomweb_server.dicom.search_document import attributes_of
from dicomweb_server.errors import InvalidParameter, NotFound
from dicomweb_server.index import search as index
from dicomweb_server.index.conditions import COLUMNS, Arguments, compile_condition, is_answered
from dicomweb_server.index.instances import insert_instances
from dicomweb_server.index.search_statements import compile_search
from dicomweb_server.wire.search import parse_search
from tests.index.made import kept, new

SCOPE = Scope((1,))


def everything(level):
    """All that is kept of an entity and those above it."""
    return Returned(frozenset(each for each in Level if each <= level))


async def search(conn, scope, query):
    return await index.search(conn, scope, query, everything(query.level))


# Small pools, so that what is asked for is often there; each with what goes wrong in files.
TEXTS = ["A1", "a1", "A1 ", " A1", "A%1", "A_1", "A\\1", "é", ""]
NAMES = [
    "DOE^JOHN",
    "Doe^John^^^",
    "MÜLLER^JÖRG",
    "O'NEIL^A_B%C",
    "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "=山田^花子",
    "",
]
DATES = ["20200101", "2020.01.01", "20191231", "20209999", ""]
TIMES = ["10", "1030", "10:30:00", "103000.5", "235959.999999", "990000", ""]
NUMBERS = [1, "01", 2, -1, 2**30, 10**30, "x", 1.5]
UIDS = ["1.1", "1.2", "1.10"]
POOLS = {"text": TEXTS, "list": TEXTS, "name": NAMES, "date": DATES, "day": DATES, "time": TIMES}
POOLS |= {"number": NUMBERS, "uid": UIDS}

REQUESTS = ["ScheduledProcedureStepID", "RequestedProcedureID", "AccessionNumber"]


def made_attributes(level, chance):
    """The matchable attributes of a level that are not UIDs or computed; now and then empty."""
    fields = {}
    for attribute in ATTRIBUTES[level].values():
        kind = COLUMNS[attribute.tag].kind if attribute.tag in COLUMNS else "uid"
        if kind == "items":
            fields[attribute.keyword] = [
                {keyword: chance.choice(TEXTS) for keyword in REQUESTS if chance.random() < 0.7}
                for _ in range(chance.randrange(4))
            ]
        elif kind != "uid" and not attribute.computed:
            fields[attribute.keyword] = chance.choice([None, *POOLS[kind]])
    return fields


def archive(chance):
    """Instances of a few studies; the UIDs of study, series and instance are 1.n, 2.n, 3.n."""
    group = []
    numbers = itertools.count(1)
    for study in range(chance.randint(3, 6)):
        of_study = made_attributes(Level.STUDY, chance)
        for _ in range(chance.randint(1, 2)):
            of_series = made_attributes(Level.SERIES, chance)
            series = next(numbers)
            group += [
                new(
                    f"1.{study}",
                    f"2.{series}",
                    f"3.{next(numbers)}",
                    of_study=of_study,
                    of_series=of_series,
                    of_instance=made_attributes(Level.INSTANCE, chance),
                    sop_class=chance.choice(UIDS),
                )
                for _ in range(chance.randint(1, 2))
            ]
    return group


def wildcards(pool):
    """Values with pieces of them replaced, and patterns of nothing but pieces."""
    changed = st.builds(
        lambda value, begin, end, joker: value[:begin] + joker + value[max(begin, end) :],
        st.sampled_from(pool),
        st.integers(0, 6),
        st.integers(0, 9),
        st.sampled_from(["*", "?", "**", "?*"]),
    )
    return (changed | st.text("A1%_*?\\", min_size=1, max_size=4)).filter(
        lambda pattern: set(pattern) & {"*", "?"} and pattern.strip("=*")
    )


def ranges(bounds, pool):
    lows_and_highs = [bounds(value) for value in pool if bounds(value)]
    ends = st.none() | st.sampled_from(lows_and_highs)
    return st.builds(lambda low, high: Range(low and low[0], high and high[1]), ends, ends)


def moments():
    days = st.none() | st.sampled_from(["20191231", "20200101", "20200229"])
    times = st.sampled_from(["000000.000000", "103000.000000", "103000.999999", "235959.999999"])
    ends = st.builds(lambda day, time: day and day + time, days, times)
    return ends, ends


def conditions_on(tag, column):
    """Conditions that wire.search can make of a match key."""
    pool = POOLS.get(column.kind, [])
    match column.kind:
        case "items":
            inner = [(0x00400009,), (0x00401001,), (0x00080050,)]
            asked = st.dictionaries(
                st.sampled_from(inner),
                st.builds(lambda v: Equal((v,)), st.sampled_from(TEXTS).filter(str.strip))
                | st.builds(lambda p: Wildcard((p,)), wildcards(TEXTS)),
                min_size=1,
            )
            return st.builds(Item, asked)
        case "uid":
            uids = (
                UIDS
                if tag == 0x00080016
                else [f"{tag % 7}.{n}" for n in range(5)] + UIDS + ["2.1", "3.2"]
            )
            return st.builds(
                lambda some: UidList(tuple(some)), st.lists(st.sampled_from(uids), min_size=1)
            )
        case "classes":
            return st.builds(
                lambda some: UidList(tuple(some)), st.lists(st.sampled_from(UIDS), min_size=1)
            )
        case "text" | "list":
            values = st.sampled_from(pool).filter(str.strip)
            some = st.lists(values, min_size=1, max_size=2).map(tuple)
            several = some.map(Every) if column.kind == "list" else st.just(Empty())
            return (
                some.map(Equal)
                | st.lists(wildcards(pool), min_size=1, max_size=2).map(tuple).map(Wildcard)
                | several
                | st.just(Empty())
            )
        case "name":
            values = st.sampled_from(
                [*pool, "doe^john", "muller^jorg", "山田^太郎", "=山田^太郎", "DOE^JOHN="]
            ).filter(str.strip)
            patterns = wildcards([*pool, "山田^太郎", "=山田^太郎"])
            words = st.sampled_from(["doe", "JOHN D", "muler", "mueller j", "oneil", "山", "zzz"])
            return (
                st.builds(lambda v: Equal((v,)), values)
                | st.builds(lambda p: Wildcard((p,)), patterns)
                | st.builds(Fuzzy, words.map(query_tokens), st.none() | patterns)
                | st.just(Empty())
            )
        case "number":
            return st.builds(
                lambda v: Equal((str(v),)), st.sampled_from([1, "01", "+1", 2, -1, 2**30, 7, "x"])
            )
        case "time":
            return st.builds(lambda v: Equal((v,)), st.sampled_from(TIMES)) | ranges(
                time_bounds, TIMES
            )
        case "date" | "day":
            dates = st.builds(lambda v: Equal((v,)), st.sampled_from(DATES)) | ranges(
                date_bounds, DATES
            )
            if tag not in (0x00080020, 0x00400244):
                return dates
            time_tag = 0x00080030 if tag == 0x00080020 else tag + 1
            return dates | st.builds(DateTimeRange, st.just((time_tag,)), *moments())
    raise AssertionError(column.kind)


# By kind and then by attribute, so that the many attributes of text are not all that is asked.
KINDS = sorted({column.kind for column in COLUMNS.values()})
KEYS = (
    st.sampled_from(KINDS)
    .flatmap(lambda kind: st.sampled_from([t for t, c in COLUMNS.items() if c.kind == kind]))
    .flatmap(
        lambda tag: st.tuples(
            st.just((tag,)),
            st.one_of(*[conditions_on(tag, COLUMNS[tag])] * 5, st.just(Universal())),
        )
    )
)


@st.composite
def queries(draw):
    level = draw(st.sampled_from(Level))
    study = draw(st.sampled_from([None, None, "1.0", "1.1"])) if level > Level.STUDY else None
    series = draw(st.sampled_from([None, "2.1"])) if study and level > Level.SERIES else None
    return SearchQuery(
        level,
        dict(draw(st.lists(KEYS, min_size=1, max_size=2))),
        study_instance_uid=study,
        series_instance_uid=series,
        limit=100,
    )


@dataclass
class Entities:
    """What is stored as the oracle sees it: by level, UID -> (entity, what is beneath it)."""

    of: dict

    @classmethod
    def stored_as(cls, group):
        """First stored wins; Modalities in Study is computed."""
        studies, series = {}, {}
        leaves = []
        for d in map(kept, group):
            studies.setdefault(d.study_instance_uid, dict(d.study))
            series.setdefault(d.series_instance_uid, dict(d.series))
            leaf = {
                Level.STUDY: studies[d.study_instance_uid],
                Level.SERIES: series[d.series_instance_uid],
                Level.INSTANCE: d.instance,
            }
            leaves.append((d, leaf))
        for study, attributes in studies.items():
            found = {
                value
                for d, leaf in leaves
                if d.study_instance_uid == study
                for value in leaf[Level.SERIES].get("00080060", {}).get("Value", [])
            }
            attributes["00080061"] = {"vr": "CS", "Value": sorted(found)}
            of_study = [d for d, _ in leaves if d.study_instance_uid == study]
            classes = {d.sop_class_uid for d in of_study}
            attributes["00080062"] = {"vr": "UI", "Value": sorted(classes)}
            attributes["00201206"] = {
                "vr": "IS",
                "Value": [len({d.series_instance_uid for d in of_study})],
            }
            attributes["00201208"] = {"vr": "IS", "Value": [len(of_study)]}
        for uid, attributes in series.items():
            count = sum(d.series_instance_uid == uid for d, _ in leaves)
            attributes["00201209"] = {"vr": "IS", "Value": [count]}
        return cls(
            {
                level: {
                    uid: (leaf, [below for other, below in leaves if uid in uids_of(other)])
                    for d, leaf in leaves
                    for uid in [uids_of(d)[level - 1]]
                }
                for level in Level
            }
        )


def uids_of(description: Description):
    return (
        description.study_instance_uid,
        description.series_instance_uid,
        description.sop_instance_uid,
    )


def found_uid(found, level):
    return (found.study_instance_uid, found.series_instance_uid, found.sop_instance_uid)[level - 1]


institutions = itertools.count(100)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    seed=st.integers(0, 10**6),
    asked=st.lists(queries(), min_size=8, max_size=16),
    others=st.sampled_from([(), (10**6, 10**6 + 1)]),  # institutions that have nothing
)
async def test_sql_finds_what_the_matcher_matches(shared_pool, seed, asked, others):
    group = archive(random.Random(seed))  # far cheaper than drawn value by value
    institution = next(institutions)  # each example has an archive of its own
    entities = Entities.stored_as(group)
    async with shared_pool.acquire() as conn:
        await conn.execute(
            "INSERT INTO institutions VALUES ($1, $2)", institution, str(institution)
        )
        await insert_instances(conn, Scope((institution,)), group)
        scope = Scope((institution, *others))
        for query in asked:
            expected = {
                uid
                for uid, (entity, below) in entities.of[query.level].items()
                if matches_query(query, entity, below)
            }
            try:
                page = await search(conn, scope, query)
            except NotFound:
                assert not expected
                continue
            uids = [found_uid(found, query.level) for found in page.found]
            assert set(uids) == expected
            assert len(uids) == len(expected)
            assert page.remaining == 0
            rest = await search(conn, scope, replace(query, limit=0))
            assert rest.remaining == len(expected)


def test_every_column_is_of_the_level_that_has_the_attribute():
    assert {(tag, column.level) for tag, column in COLUMNS.items()} <= {
        (tag, level)
        for level, table in ATTRIBUTES.items()
        for tag, attribute in table.items()
        if attribute.matchable
    }


@pytest.fixture
async def dated(conn):
    """Studies out of order: two of one moment, one later that day, one undated, one older."""
    moments = {
        "1.1": ("20200101", "1000"),
        "1.5": ("20200101", "1000"),
        "1.2": ("20200101", "1130"),
        "1.3": (None, None),
        "1.4": ("20191231", None),
    }
    group = []
    for n, (study, (date, time)) in enumerate(moments.items()):
        for number in (10, 9, None):
            series = f"2.{n}.{number or 0}"
            group += [
                new(
                    study,
                    series,
                    f"3.{n}.{number or 0}.{instance}",
                    of_study={"StudyDate": date, "StudyTime": time, "PatientName": f"P{n}"},
                    of_series={"SeriesNumber": number, "Modality": f"M{n}"},
                    of_instance={"InstanceNumber": -instance},
                )
                for instance in (1, 2)
            ]
    await insert_instances(conn, SCOPE, group)
    return conn


NEWEST_FIRST = ["1.2", "1.1", "1.5", "1.4", "1.3"]


async def test_studies_come_newest_first_then_by_uid(dated):
    """§4.7; a study without a date comes last."""
    page = await search(dated, SCOPE, SearchQuery(Level.STUDY))
    assert [found.study_instance_uid for found in page.found] == NEWEST_FIRST


async def test_series_and_instances_follow_the_order_of_their_studies(dated):
    page = await search(dated, SCOPE, SearchQuery(Level.SERIES))
    assert [found.study_instance_uid for found in page.found[::3]] == NEWEST_FIRST
    assert [found.series_instance_uid for found in page.found[:3]] == ["2.2.9", "2.2.10", "2.2.0"]

    page = await search(dated, SCOPE, SearchQuery(Level.INSTANCE))
    assert [found.study_instance_uid for found in page.found[::6]] == NEWEST_FIRST
    assert [found.sop_instance_uid for found in page.found[:3]] == [
        "3.2.9.2",
        "3.2.9.1",
        "3.2.10.2",
    ]


@pytest.mark.parametrize("scope", [SCOPE, Scope((2, 1))])
@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("limit", [1, 2, 7])
async def test_pages_follow_each_other_without_gap_or_repetition(dated, scope, level, limit):
    whole = await search(dated, scope, SearchQuery(level))
    assert whole.remaining == 0
    pages = []
    for offset in range(0, len(whole.found) + limit, limit):
        page = await search(dated, scope, SearchQuery(level, limit=limit, offset=offset))
        pages += page.found
        assert page.remaining == max(len(whole.found) - offset - limit, 0)
    assert pages == whole.found


ORDERS = ["", "SeriesNumber", "-SeriesNumber", "StudyTime", "-StudyTime", "StudyDate,-PatientName"]


@pytest.mark.parametrize("scope", [SCOPE, Scope((2, 1))])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("limit", [1, 4])
async def test_each_page_leads_to_the_next(dated, scope, order, limit):
    """By the place of its last result, which may have no value there."""
    query = parse_search(Level.SERIES, f"orderby={order}").query
    whole = (await search(dated, scope, query)).found
    pages = []
    page = await search(dated, scope, replace(query, limit=limit))
    while page.found:
        pages += page.found
        assert page.remaining == len(whole) - len(pages)
        after = replace(query, limit=limit, after=page.found[-1].place)
        page = await search(dated, scope, after)
    assert pages == whole
    assert len(whole) == 15


async def test_a_limit_of_nothing_tells_how_many_there_are(dated):
    page = await search(dated, SCOPE, SearchQuery(Level.STUDY, limit=0))
    assert (page.found, page.remaining) == ([], 5)


async def test_an_offset_beyond_all_numbers_finds_nothing(dated):
    page = await search(dated, SCOPE, SearchQuery(Level.STUDY, offset=10**30))
    assert (page.found, page.remaining) == ([], 0)


async def test_what_is_found_comes_with_all_above_it(dated):
    query = SearchQuery(Level.INSTANCE, {(0x00080018,): UidList(("3.2.9.2",))})
    [found] = (await search(dated, SCOPE, query)).found

    assert found.study_instance_uid == "1.2"
    kept = {each: attributes_of(unpack_document(it)) for each, it in found.documents.items()}
    assert kept[Level.STUDY]["00080020"]["Value"] == ["20200101"]
    assert kept[Level.SERIES]["00200011"]["Value"] == [9]
    assert kept[Level.INSTANCE]["00200013"]["Value"] == [-2]
    assert found.modalities_in_study == ("M2",)
    assert found.number_of_study_related_series == 3
    assert found.number_of_study_related_instances == 6
    assert found.number_of_series_related_instances == 2
    assert found.transfer_syntax_uid == "1.2.840.10008.1.2.1"
    [study] = (
        await search(dated, SCOPE, SearchQuery(Level.STUDY, {(0x00080061,): Equal(("M2",))}))
    ).found
    assert study.series_instance_uid is study.sop_instance_uid is None


@pytest.mark.parametrize(
    ("study", "series"), [("9.9", None), ("9.9", "2.0.9"), ("1.1", "2.1.9"), ("1.1", "9.9")]
)
async def test_a_parent_that_does_not_exist_is_not_found(dated, study, series):
    """QRY-03."""
    query = SearchQuery(Level.INSTANCE, study_instance_uid=study, series_instance_uid=series)
    with pytest.raises(NotFound):
        await search(dated, SCOPE, query)


async def test_a_parent_in_which_nothing_matches_gives_an_empty_page(dated):
    none = {(0x00200013,): Equal(("77",))}
    query = SearchQuery(Level.INSTANCE, none, study_instance_uid="1.1")
    assert (await search(dated, SCOPE, query)).found == []
    query = replace(query, series_instance_uid="2.0.9")
    assert (await search(dated, SCOPE, query)).found == []


@pytest.mark.parametrize("level", Level)
async def test_a_search_sees_its_scope_alone(dated, level):
    query = SearchQuery(level)
    page = await search(dated, Scope((1,), ("1.2", "1.3")), query)
    assert {found.study_instance_uid for found in page.found} == {"1.2", "1.3"}
    for scope in (Scope((2,)), Scope(()), Scope((1,), ())):
        assert (await search(dated, scope, query)).found == []
        with pytest.raises(NotFound):
            await search(dated, scope, SearchQuery(Level.SERIES, study_instance_uid="1.1"))


@pytest.mark.parametrize("level", Level)
async def test_institutions_are_searched_together_in_one_order(dated, level):
    await dated.execute("INSERT INTO institutions VALUES (2, 'other')")
    later = {"StudyDate": "20200101", "StudyTime": "1030"}
    await insert_instances(dated, Scope((2,)), [new("1.1", "8.1", "8.2", of_study=later)])
    query = SearchQuery(level, {(0x00080020,): Range("20200101", None)}, limit=1000)

    page = await search(dated, Scope((1, 2)), query)

    studies = [
        key for key, _ in itertools.groupby(found.study_instance_uid for found in page.found)
    ]
    assert (
        studies[:3] == ["1.2", "1.1", "1.5"] if level is not Level.STUDY else ["1.2", "1.1", "1.1"]
    )
    short = await search(dated, Scope((1, 2)), replace(query, limit=2))
    assert short.found == page.found[:2]
    assert short.remaining == len(page.found) - 2


async def test_a_universal_item_asks_for_nothing(dated):
    """C.2.2.2.6: all keys of the item universal is universal matching, sequence or none."""
    for conditions in (
        {(0x00400275,): Item({(0x00400009,): Universal()})},
        {(0x00400275,): Universal()},
    ):
        assert len((await search(dated, SCOPE, SearchQuery(Level.SERIES, conditions))).found) == 15


@pytest.mark.parametrize("tag", [0x00080062, 0x00201206, 0x00201208, 0x00201209])
async def test_what_the_index_counts_is_never_empty(dated, tag):
    """It is in no document: a judge would take it for absent."""
    assert (await search(dated, SCOPE, SearchQuery(Level.SERIES, {(tag,): Empty()}))).found == []
    assert is_answered((tag,), Empty())


async def test_a_dotted_key_is_matched_within_the_items(conn):
    request = {"ScheduledProcedureStepID": "S1"}
    await insert_instances(conn, SCOPE, [new(of_series={"RequestAttributesSequence": [request]})])
    for value, matches in (("S1", 1), ("S2", 0)):
        query = SearchQuery(Level.SERIES, {(0x00400275,): Item({(0x00400009,): Equal((value,))})})
        assert len((await search(conn, SCOPE, query)).found) == matches


@pytest.mark.parametrize(
    ("path", "condition"),
    [
        ((0x00081080,), Equal(("x",))),
        ((0x00200011,), Wildcard(("1*",))),
        ((0x00200011,), Empty()),
        ((0x00080020,), Empty()),
        ((0x00100010,), Range("20200101", None)),
        ((0x00400275,), Item({(0x00400007,): Equal(("x",))})),
        ((0x00400275,), Item({(0x00400009,): Empty()})),
        ((0x00100020, 0x00100020), Equal(("x",))),
        ((0x00100030,), DateTimeRange((0x00100032,), "20200101000000.000000", None)),
    ],
)
def test_what_sql_cannot_tell_is_left_to_the_matcher(path, condition):
    assert not is_answered(path, condition)
    assert compile_condition(path, condition, Arguments()) == "TRUE"


@pytest.mark.parametrize("condition", [Equal(("a\0b",)), Wildcard(("a\0*",))])
def test_what_postgres_cannot_hold_is_refused(condition):
    with pytest.raises(InvalidParameter):
        compile_condition((0x00100020,), condition, Arguments())


async def test_who_may_see_nothing_finds_no_name(dated):
    query = SearchQuery(Level.STUDY, {(0x00100010,): Wildcard(("P*",))})
    assert (await search(dated, Scope(()), query)).found == []


def test_no_value_stands_in_the_text_of_a_statement():
    value = "x'; DROP TABLE studies; --"
    asked = {(0x00100010,): Wildcard((value + "*",)), (0x00100020,): Equal((value,))}
    query = SearchQuery(Level.SERIES, asked, study_instance_uid=value, series_instance_uid=value)
    statement, arguments = compile_search(query, Scope((1,), (value,)), everything(query.level))

    assert "DROP" not in statement
    assert sum("DROP TABLE" in str(argument) for argument in arguments) == 5


async def test_a_query_asked_again_finds_what_its_scope_and_columns_have(dated):
    """The statement of a query is kept with it."""
    await dated.execute("INSERT INTO institutions VALUES (2, 'other')")
    await insert_instances(dated, Scope((2,)), [new("1.1", "8.1", "8.2"), new("1.9", "9.1", "9.2")])
    query = SearchQuery(Level.STUDY, limit=1000)
    scopes = {
        Scope((1,)): NEWEST_FIRST,
        Scope((2,)): ["1.1", "1.9"],
        Scope((1,), ("1.2", "1.3")): ["1.2", "1.3"],
        Scope((1, 2), ("1.9",)): ["1.9"],
        Scope((2, 1), ("1.2",)): ["1.2"],
        Scope((3,)): [],
    }
    for scope, sop_classes in random.Random(1).choices(
        list(itertools.product(scopes, (False, True))), k=60
    ):
        returned = Returned(frozenset({Level.STUDY}), sop_classes=sop_classes)
        found = await index.find(dated, scope, query, returned)
        assert [each.study_instance_uid for each in found] == scopes[scope]
        assert all(bool(each.sop_classes_in_study) == sop_classes for each in found)

    assert query.made
    assert not replace(query, limit=1).made
    wide = Scope(tuple(range(1, 30)))
    query = replace(query)
    assert len(await index.find(dated, wide, query, returned)) == len(NEWEST_FIRST) + 2
    assert not query.made
