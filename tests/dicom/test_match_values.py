"""What an index keeps of values never turns away what the matcher matches."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dicomweb_server.dicom.description import BULK_BASE
from dicomweb_server.dicom.match_values import (
    MANY,
    MOST_VALUES,
    VALUE_LENGTH,
    Prefilter,
    kind_of,
    match_values,
    number_text,
    prefilter,
)
from dicomweb_server.dicom.matching import matches_dataset, wildcard_matches
from dicomweb_server.dicom.moments import moved
from dicomweb_server.dicom.name_tokens import query_tokens
from dicomweb_server.dicom.part10 import describe
from dicomweb_server.dicom.query import (
    Condition,
    DateTimeRange,
    Empty,
    Equal,
    Every,
    Fuzzy,
    Item,
    Path,
    Range,
    Reading,
    UidList,
    Wildcard,
)
from tests.strategies import datasets, file_of

LONG = "x" * 130


def meets(asked: Prefilter, value: str) -> bool:
    """What ``index.attribute_conditions`` says in SQL."""
    if value == MANY:
        return True
    match asked:
        case Equal(values):
            return value in values
        case Range(low, high):
            return (low is None or low <= value) and (high is None or value <= high)
        case Wildcard(patterns):
            return any(_follows(pattern, value) for pattern in patterns)


def _follows(pattern: str, value: str) -> bool:
    literal = pattern.replace("?", "*").partition("*")[0]
    if len(value) == VALUE_LENGTH and value.startswith(literal[:VALUE_LENGTH]):
        return True
    return wildcard_matches(pattern, value)


def paths_in(dataset: Any, above: Path = ()) -> dict[Path, list[Any]]:
    """The attributes of a data set and of its items, with their values."""
    found: dict[Path, list[Any]] = {}
    for key, attribute in dataset.items():
        path = (*above, int(key, 16))
        values = attribute.get("Value", [])
        found.setdefault(path, []).extend(v for v in values if v is not None)
        for item in values if attribute["vr"] == "SQ" else []:
            for inner, more in paths_in(item, path).items():
                found.setdefault(inner, []).extend(more)
    return found


def texts_of(value: Any) -> str:
    return "=".join(value.values()) if isinstance(value, dict) else str(value)


@st.composite
def conditions(draw: st.DrawFn, kind: str, values: list[Any]) -> Condition:
    """Conditions on an attribute that has these values, most of them met."""
    stored = [texts_of(value) for value in values]
    text = st.sampled_from([*stored, "x", "", " ", "=", "a=b", LONG]) if stored else st.just("x")
    text = text.flatmap(
        lambda t: st.sampled_from([t, t + " ", " " + t, t.lower(), t + "^", "=" + t, t + "="])
    )
    some = st.lists(text, min_size=1, max_size=2).map(tuple)
    jokers = st.sampled_from(["*", "?", "**", "*?"])
    patterns = st.builds(
        lambda t, begin, end, joker: t[:begin] + joker + t[max(begin, end) :],
        text,
        st.integers(0, 5),
        st.integers(0, 140),
        jokers,
    )
    ways = [some.map(Equal), some.map(Every), some.map(UidList), st.just(Empty())]
    if kind in ("text", "name", "number"):
        ways.append(st.lists(patterns, min_size=1, max_size=2).map(tuple).map(Wildcard))
    if kind == "name":
        ways.append(st.builds(Fuzzy, text.map(query_tokens), st.none() | patterns))
    ends: dict[str, list[str | None]] = {
        "date": [None, "00010101", "20200101", "99991231", *map(str, stored)],
        "time": [None, "000000.000000", "103000.000000", "235960.999999"],
        "moment": [None, "00010101000000.000000", "20200101103000.000000"],
    }
    if kind in ends:
        end = st.sampled_from(ends[kind])
        ways.append(st.builds(Range, end, end))
    if kind == "date":
        moment = st.sampled_from([None, "00010101000000.000000", "20200101235960.999999"])
        zones = st.none() | st.integers(-720, 840)
        ways.append(st.builds(DateTimeRange, st.just((0x00080030,)), moment, moment, zones))
    return draw(st.one_of(ways))


def nested(path: Path, condition: Condition) -> dict[Path, Condition]:
    return {path: condition} if len(path) == 1 else {path[:1]: Item(nested(path[1:], condition))}


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_nothing_that_matches_is_turned_away(data: st.DataObject) -> None:
    description = describe(file_of(data.draw(datasets())))
    dataset = json.loads(description.metadata.replace(BULK_BASE, b""))
    known = {path: values for path, values in paths_in(dataset).items() if kind_of(path)}
    assume(known)
    for _ in range(12):
        path = data.draw(st.sampled_from(sorted(known)))
        kind = kind_of(path)
        assert kind is not None
        condition = data.draw(conditions(kind, known[path]))
        reading = Reading(zone=data.draw(st.integers(-720, 840)))
        if not matches_dataset(nested(path, condition), dataset, reading):
            continue
        asked = prefilter(path, condition)
        if asked is not None:
            values = match_values(path, dataset)
            assert any(meets(asked, value) for value in values), (path, condition, values)


@pytest.mark.parametrize(
    ("vr", "stored", "condition"),
    [
        ("00080080", [LONG + "tail"], Equal((LONG + "tail  ",))),
        ("00080080", [LONG + "tail"], Wildcard(("x*tail",))),
        ("00080080", ["a\0b", "c\ud800d"], Wildcard(("a?b",))),
        ("00080080", ["a\0b", "c\ud800d"], Equal(("c\ud800d",))),
        ("00080080", [" "], Wildcard(("* ",))),
        ("00080080", ["  " + LONG], Equal((LONG,))),
        ("00081010", ["A", " ROOM 1"], Wildcard(("ROOM*",))),
        ("00204000", [" indented"], Equal((" indented",))),
        ("00080080", [""], Equal((" ",))),
        ("00081070", [{"Alphabetic": "Müller^Jörg", "Ideographic": "山田"}], Equal(("山田",))),
        ("00081070", [{"Alphabetic": "Müller^Jörg"}], Equal(("MULLER^JORG^^",))),
        ("00081070", [{"Alphabetic": "A", "Ideographic": "山田"}], Equal(("=山田",))),
        ("00081070", [{"Alphabetic": "A"}], Wildcard(("*=*",))),
        ("00081070", [{"Alphabetic": "A" * 200}], Wildcard(("A*A",))),
        ("00180060", [1e-07, 120], Equal(("120.00",))),
        ("00180060", [1e-07, 120], Equal(("0.0000001",))),
        ("00180060", [-0.0], Equal(("0",))),
        ("0008002A", ["20200101120000+1400"], Range("20191231220000.000000", None)),
        ("0008002A", ["2020"], Range(None, "20200101000000.000000")),
        ("0020000D", ["1.2.3"], UidList(("1.2.4", "1.2.3"))),
        ("00080008", ["ORIGINAL", "PRIMARY"], Every(("PRIMARY", "ORIGINAL"))),
        ("00080021", ["2020.01.02"], Equal(("20200102",))),
        ("00080031", ["10:30"], Range("103000.000000", "103059.999999")),
    ],
)
def test_values_that_files_have(vr: str, stored: list[Any], condition: Condition) -> None:
    dataset = {vr: {"vr": "??", "Value": stored}}
    path = (int(vr, 16),)
    assert matches_dataset({path: condition}, dataset)

    asked = prefilter(path, condition)
    values = match_values(path, dataset)

    assert asked is None or any(meets(asked, value) for value in values)
    assert all(value and len(value) <= VALUE_LENGTH and "\0" not in value for value in values)


@pytest.mark.parametrize("zone", [-720, 0, 840])
def test_a_date_time_is_found_whatever_zone_is_meant(zone: int) -> None:
    dataset = {"0008002A": {"vr": "DT", "Value": ["20200101120000"]}}
    moment = moved("20200101120000.000000", -zone)
    condition = Range(moment, moment)
    assert matches_dataset({(0x0008002A,): condition}, dataset, Reading(zone=zone))

    asked = prefilter((0x0008002A,), condition)

    assert asked is not None
    assert any(meets(asked, value) for value in match_values((0x0008002A,), dataset))


@pytest.mark.parametrize("zone", ["-1200", "+0000", "+1400"])
@pytest.mark.parametrize("local_zone", [-720, 0, 840])
def test_a_date_time_of_no_zone_is_found_in_a_data_set_of_any(zone: str, local_zone: int) -> None:
    """Its own, or that of what it stands in (MAT-05)."""
    start, clock = 0x00404005, "20200101120000.000000"
    moment = moved(clock, -local_zone)
    condition = Range(moment, moment, clock, clock)
    item = {"00404005": {"vr": "DT", "Value": ["20200101120000"]}}
    told = {"00080201": {"vr": "SH", "Value": [zone]}}
    within = {"00400100": {"vr": "SQ", "Value": [item]}}
    for path, dataset in (((start,), item | told), ((0x00400100, start), within | told)):
        assert matches_dataset(nested(path, condition), dataset, Reading(zone=local_zone))

        asked = prefilter(path, condition)

        assert asked is not None
        assert any(meets(asked, value) for value in match_values(path, dataset))


def test_values_of_all_items_are_found() -> None:
    def item(*inner: str) -> dict[str, Any]:
        code = [{"00080100": {"vr": "SH", "Value": [text]}} for text in inner]
        return {"00081140": {"vr": "SQ", "Value": code}}

    dataset = {"00081115": {"vr": "SQ", "Value": [item("a", "b "), None, item(), item("c")]}}
    assert match_values((0x00081115, 0x00081140, 0x00080100), dataset) == {"a", "b", "c"}
    assert match_values((0x00081115, 0x00080100), dataset) == frozenset()
    assert match_values((0x00080100,), dataset) == frozenset()


def test_too_many_values_are_one_that_meets_all() -> None:
    many = [str(number) for number in range(MOST_VALUES + 1)]
    dataset = {"00080080": {"vr": "LO", "Value": many}}
    assert match_values((0x00080080,), dataset) == {MANY}
    dataset["00080080"]["Value"] = many[1:]
    assert match_values((0x00080080,), dataset) == frozenset(many[1:])


def test_equal_numbers_have_one_text() -> None:
    for texts in (["1", "01", 1.0, "1.00", "+1e0", "0.1e1"], ["0", "-0", 0.0, ".0"]):
        assert len({number_text(text) for text in texts}) == 1
    assert len({number_text(text) for text in ["1", "10", "-1", "0", "1.1", 10**30, 1e-30]}) == 7
    assert number_text("x") is None
    assert number_text("9" * 64) == "9" * 64 + "E0"


@pytest.mark.parametrize(
    "path",
    [
        (0x00081140,),  # a sequence
        (0x7FE00010,),  # bytes
        (0x00091001,),  # private
        (0x00080080, 0x00080080),  # not in a sequence
        (0x00080000 + 0xFFFE,),  # in no dictionary
    ],
)
def test_what_has_no_values_to_compare(path: Path) -> None:
    assert kind_of(path) is None
    assert prefilter(path, Equal(("x",))) is None


def test_a_float_of_single_precision_is_left_to_the_matcher() -> None:
    """0.1 is stored as 0.10000000149011612, and found by 0.1."""
    path = (0x00089459,)  # Recommended Display Frame Rate in Float
    dataset = {"00089459": {"vr": "FL", "Value": [0.10000000149011612]}}
    assert matches_dataset({path: Equal(("0.1",))}, dataset)
    assert prefilter(path, Equal(("0.1",))) is None
