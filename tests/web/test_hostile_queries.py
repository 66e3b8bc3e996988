"""Hostile queries (list of pains.md, 23, 24, 49, 50): each gets a right answer or a 400 that
names the parameter, in bounded time, and the server goes on."""

import json
import random
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest
from pydicom.datadict import DicomDictionary

from tests.web.asking import assert_problem, found_in, new_uid
from tests.web.shelf import Shelf

SECONDS = 2.0
SWITCHES = "fuzzymatching=true&emptyvaluematching=true&multiplevaluematching=true"
LEVELS = ["studies", "series", "instances"]


@pytest.fixture(scope="module")
def few(http: httpx.Client) -> Iterator[Shelf]:
    """Studies whose values look like what is asked for."""
    shelf = Shelf(http)
    for number, text in enumerate(["a" * 64, "%", "_", "[a-z]", "a.c", "'; --", "$1", "\\d", "?"]):
        shelf.put(
            str(number),
            AccessionNumber=text[:16],
            PatientName=f"{text} {'A ' * 20}".strip(),
            AdditionalPatientHistory="a" * 4000 + text,
            PulseSequenceName=text[:16],
            StudyDate="20240105",
            InstanceNumber="1",
            PatientWeight="1.5",
        )
    yield shelf
    shelf.clear()


def ask(http: httpx.Client, query: str, resource: str = "studies") -> httpx.Response:
    """The answer, which must come in time, and tell nothing of what is beneath."""
    begun = time.monotonic()
    response = http.get(f"{resource}?{query}")
    assert time.monotonic() - begun < SECONDS
    if response.status_code != 200:
        shown = response.text.replace(quote(query), "")
        for word in ("SELECT", "WHERE", "asyncpg", "postgres", "Traceback", "studies s"):
            assert word not in shown
    return response


def refused(http: httpx.Client, query: str, name: str, resource: str = "studies") -> None:
    """By a 400 whose text names the parameter and what was expected, and is not endless."""
    problem = assert_problem(ask(http, query, resource), 400)
    assert problem["detail"].startswith(f"{name}=")
    assert ": expected " in problem["detail"]
    assert len(problem["detail"]) < 400


@pytest.fixture(autouse=True)
def _goes_on(http: httpx.Client, few: Shelf) -> Iterator[None]:
    yield
    assert len(few.find()) == 9


# ------------------------------------------------------------------------------- how much is asked


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("&".join(["x=1"] * 10_000), "query"),
        ("&".join(f"{n:08x}" for n in range(6_000)), "query"),
        ("&" * 20_000, "query"),
        ("&".join(["includefield=PatientID"] * 1_001), "query"),
        (".".join(["ContentSequence"] * 50) + "=1", "ContentSequence.ContentSequence" + "."),
        ("orderby=" + ",".join(["StudyDate"] * 1_000), "orderby"),
        ("orderby=" + ",".join(f"{n:08x}" for n in range(1_000)), "orderby"),
        ("PatientID=" + "A" * 20_000, "PatientID"),
        ("PatientName=" + "A+" * 1_000, "PatientName"),
    ],
    ids=lambda value: value[:24],
)
def test_too_much_of_anything(http: httpx.Client, query: str, name: str) -> None:
    problem = assert_problem(ask(http, query), 400)
    assert problem["detail"].startswith(name[:32])
    assert len(problem["detail"]) < 400


def test_five_thousand_fields_to_include(http: httpx.Client, few: Shelf) -> None:
    names = ",".join(f"{n:08x}" for n in range(0x00080000, 0x00080000 + 5_000))
    for resource in LEVELS:
        response = ask(http, f"StudyDescription={few.mark}&includefield={names}", resource)
        assert len(found_in(response)) == 9
        assert len(response.headers["warning"]) < 1_000
    every = ",".join(["PatientName", "PixelSpacing", "00400275.00400009"] * 1_500)
    query = f"StudyDescription={few.mark}&includefield={every}"
    assert len(found_in(ask(http, query, "instances"))) == 9


def test_two_thousand_uids(http: httpx.Client, few: Shelf) -> None:
    uids = [found["0020000D"]["Value"][0] for found in found_in(few.ask())]
    many = ",".join([*uids, *(f"1.2.{n}" for n in range(2_000))])
    assert len(found_in(ask(http, f"StudyInstanceUID={many}"))) == 9
    assert found_in(ask(http, f"SpecimenUID={many}&StudyDescription={few.mark}")) == []
    assert found_in(ask(http, f"SOPClassUID={many}", "instances")) == []


def test_as_many_keys_as_may_be(http: httpx.Client, few: Shelf) -> None:
    keywords = ["PatientComments", "StationName", "ImageComments", "PulseSequenceName", "Rows"]
    deep = [f"{'ContentSequence.' * n}TextValue" for n in range(1, 8)]
    keys = "&".join(f"{key}=" for key in keywords + deep)
    assert len(found_in(ask(http, f"StudyDescription={few.mark}&{keys}"))) == 9
    texts = [tag for tag, entry in DicomDictionary.items() if entry[0] in ("CS", "LO", "SH", "DS")]
    many = "&".join(f"{tag:08x}=1" for tag in texts if tag not in (0x00081030, 0x00080201))
    query = "&".join(f"StudyDescription={few.mark}&{many}".split("&")[:1_000])
    for resource in LEVELS:
        assert ask(http, query, resource).status_code == 204
    assert_problem(ask(http, f"{query}&x=1"), 400)


# --------------------------------------------------------------------------------------- patterns

STARS = {
    "*" * 5_000: 9,
    "?" * 1_000: 0,
    "?*" * 500: 0,
    "*a" * 500: 0,
    "*a" * 30 + "*b": 0,
    "a*" * 400 + "?b": 0,
    "*?" * 8 + "*": 1,
    "(a+)+$": 0,
    "(a|a)*b": 0,
    ".*": 0,
    "[a-z]*": 1,
    "a.c": 1,
    "a?c": 1,
    "%": 1,
    "_*": 1,
    "%*": 1,
    "?": 4,  # a value with a backslash is two
    "\\*": 0,
    "\\": 0,
    "%_%_\\" * 100: 0,
    "'; DROP TABLE studies; --": 0,
    "' OR '1'='1": 0,
    "') OR TRUE --": 0,
    "$1*": 1,
    "$$; SELECT pg_sleep(9); $$": 0,
    "{}": 0,
    "NULL": 0,
    "\u202e*": 0,
    "\U0001f600*": 0,
    "A\r\nX: y*": 0,
}


@pytest.mark.parametrize("pattern", STARS, ids=lambda pattern: ascii(pattern)[:20])
@pytest.mark.parametrize(
    "key", ["AccessionNumber", "PatientName", "AdditionalPatientHistory", "PulseSequenceName"]
)
def test_patterns_mean_what_the_standard_says_and_nothing_else(
    http: httpx.Client, few: Shelf, key: str, pattern: str
) -> None:
    query = f"StudyDescription={few.mark}&{key}={quote(pattern, safe='')}"
    found = found_in(ask(http, query))
    if key in ("AccessionNumber", "PulseSequenceName"):
        assert len(found) == STARS[pattern]
    more = ask(http, f"{query}&{SWITCHES}")
    assert more.status_code in (200, 204, 400)  # wildcards between backslashes are refused


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("PatientID=%00", "query"),
        ("PatientName=A%00*", "query"),
        ("%00=1", "query"),
        ("PatientID=%FF", "query"),
        ("PatientID=%C3%28", "query"),
        ("PatientID=%ED%A0%80", "query"),  # half a surrogate pair
        ("PatientID=%ED%B0%80*", "query"),
        ("%ED%A0%80=1", "query"),
        ("PatientID=%F4%90%80%80", "query"),
        ("PatientID=%C0%80", "query"),
        ("PatientID=%", "query"),
        ("PatientID=%u0041", "query"),
        ("includefield=%FF", "query"),
        ("cursor=%FF", "query"),
        ("orderby=%00", "query"),
    ],
)
def test_text_that_is_none(http: httpx.Client, query: str, name: str) -> None:
    refused(http, query, name)


# ---------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("query", "name"),
    [
        *((f"limit={n}", "limit") for n in ("-1", "1e3", "0x10", "+5", "1.0", "NaN", "", "%20")),
        *((f"offset={n}", "offset") for n in ("-1", "1e12", "Infinity", "9" * 30 + "x", "")),
        *((f"SeriesNumber={n}", "SeriesNumber") for n in ("1e999999", "1" + "0" * 400, "NaN")),
        *((f"PatientWeight={n}", "PatientWeight") for n in ("1e999999", "inf", "1_0", "0x1")),
        *((f"Rows={n}", "Rows") for n in ("65536", "-1", "1e-9999", "9" * 100)),
        ("NumberOfStudyRelatedInstances=99999999999", "NumberOfStudyRelatedInstances"),
    ],
)
def test_numbers_that_are_none_or_too_great(http: httpx.Client, query: str, name: str) -> None:
    refused(http, query, name)


@pytest.mark.parametrize("number", ["1e9999", "-1e9999", "1e-9999", "1e400", "0." + "1" * 60])
@pytest.mark.parametrize("key", ["PatientWeight", "PixelSpacing", "ExposureTimeInms"])
def test_numbers_beyond_all_measure_are_found_nowhere(
    http: httpx.Client, few: Shelf, key: str, number: str
) -> None:
    assert found_in(ask(http, f"StudyDescription={few.mark}&{key}={number}")) == []


@pytest.mark.parametrize("offset", ["9", "1000000000000", "9" * 18, "1" + "0" * 30, "9" * 5_000])
@pytest.mark.parametrize("way", ["", "&PatientComments=", "&PatientWeight=1.5", "&orderby=StudyID"])
def test_offsets_beyond_the_end(http: httpx.Client, few: Shelf, offset: str, way: str) -> None:
    for resource in LEVELS:
        response = ask(http, f"StudyDescription={few.mark}&offset={offset}{way}", resource)
        assert response.status_code == 204
        assert "warning" not in response.headers
        assert "link" not in response.headers


@pytest.mark.parametrize("limit", ["9" * 18, "9" * 5_000, "000000000000000000000009"])
def test_limits_beyond_the_servers(http: httpx.Client, few: Shelf, limit: str) -> None:
    assert len(found_in(ask(http, f"StudyDescription={few.mark}&limit={limit}"))) == 9


@pytest.mark.parametrize(
    ("query", "name"),
    [
        *((f"StudyDate={d}", "StudyDate") for d in ("00000000", "99999999", "99991399", "0", "-")),
        *((f"StudyDate={d}", "StudyDate") for d in ("20240105-00000000", "--", "20240105--")),
        *((f"StudyTime={t}", "StudyTime") for t in ("240000", "99", "10-09", "-", "10:00:0")),
        *(
            (f"AcquisitionDateTime={d}", "AcquisitionDateTime")
            for d in ("20240105%2B1401", "20240105-1201", "20240105%2B9999", "0000", "20240105Z")
        ),
        *((f"TimezoneOffsetFromUTC={z}", "TimezoneOffsetFromUTC") for z in ("%2B1500", "Z", "1")),
    ],
)
def test_dates_and_zones_that_are_none(http: httpx.Client, query: str, name: str) -> None:
    refused(http, query, name)


@pytest.mark.parametrize(
    "query",
    [
        *("StudyDate=00010101-99991231", "StudyDate=-99991231", "StudyDate=00010101-"),
        "StudyDate=00010101-99991231&StudyTime=00-2359&TimezoneOffsetFromUTC=%2B1400",
        "StudyDate=00010101-99991231&StudyTime=00-2359&TimezoneOffsetFromUTC=-1200",
        "AcquisitionDateTime=0001-9999",
        "AcquisitionDateTime=0001%2B1400-9999-1200",
    ],
)
def test_the_ends_of_the_calendar(http: httpx.Client, few: Shelf, query: str) -> None:
    found = found_in(ask(http, f"StudyDescription={few.mark}&{query}", "instances"))
    assert len(found) == (0 if "Acquisition" in query else 9)


# ----------------------------------------------------------------------------------------- cursors


def cursor(*values: object, raw: str = "") -> str:
    text = raw or json.dumps(values)
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "value",
    [
        *("", "x", "====", "!!!!", "AAAA", "%E2%82%AC", "A" * 5_000, "bnVsbA", "e30"),
        cursor("other order", 1, "1.2", 1),  # of another orderby
        cursor(""),  # with no place
        cursor("", 1, "1.2", 1, 1, "1.2", 1, "1.2", 1),  # too long
        cursor("", "1", "1.2", 1),  # wrong types
        cursor("", 1, 2, 1),
        cursor("", True, "1.2", 1),
        cursor("", 1.5, "1.2", 1),
        cursor("", 2**63, "1.2", 1),
        cursor("", -(2**70), "1.2", 1),
        cursor("", 10**400, "1.2", 1),
        cursor("", [1], "1.2", 1),
        cursor("", {"a": 1}, "1.2", 1),
        cursor("", 1, "a\0b", 1),
        cursor(raw='["", 1, "\\ud800", 1]'),
        cursor(raw="[" * 2_000),
        cursor(raw='["", NaN, "1.2", 1]'),
    ],
    ids=lambda value: value[:12] or "nothing",
)
def test_cursors_that_are_none_of_this_search(http: httpx.Client, value: str) -> None:
    for way in ("", "&PatientComments=x"):
        refused(http, f"cursor={value}{way}", "cursor")


@pytest.mark.parametrize(
    "value",
    [
        cursor("", 2**63 - 1, "", 0),
        cursor("", -(2**63), "\U0010ffff", 2**63 - 1),
        cursor("", 0),
        cursor("", None, None, None),
        cursor("", 20240105000000, "'; DROP TABLE studies; --", 1),
    ],
)
def test_an_edited_cursor_leads_to_no_more_than_the_search_finds(
    http: httpx.Client, few: Shelf, value: str
) -> None:
    for way in ("", "&PatientWeight=1.5", "&ModalitiesInStudy=OT", "&PatientName=*a*"):
        response = ask(http, f"StudyDescription={few.mark}&cursor={value}{way}")
        few.labels(response)  # which knows no others
        assert len(found_in(response)) <= 9


def test_the_cursor_of_another_search(http: httpx.Client, few: Shelf) -> None:
    link = few.ask("limit=1", "instances").headers["link"]
    foreign = link.split("cursor=")[1].split(">")[0]
    refused(http, f"cursor={foreign}", "cursor")  # of a lower level
    refused(http, f"cursor={foreign}&orderby=PatientName", "cursor", "instances")
    refused(http, f"cursor={foreign}&orderby=StudyDate", "cursor", "instances")
    page = found_in(ask(http, f"cursor={foreign}&StudyDescription={new_uid()}", "instances"))
    assert page == []


@pytest.mark.parametrize(
    ("value", "resource"),
    [
        *(("nonsense", "studies"), ("-", "studies"), ("--StudyDate", "studies")),
        *(("PixelData", "instances"), ("00091001", "instances"), ("PatientName.x", "studies")),
        *(("SeriesNumber", "studies"), ("StudyDate;DROP", "studies"), ("1", "studies")),
        *(("StudyDate+DESC", "studies"), ("SOPClassesInStudy", "studies"), ("*", "studies")),
    ],
)
def test_orders_that_there_are_not(http: httpx.Client, value: str, resource: str) -> None:
    refused(http, f"orderby={value}", "orderby", resource)


# ---------------------------------------------------------------------------------- all at once

PIECES = ["*", "?", "%", "_", "\\", "'", '"', "=", "^", "-", ".", "\n", "é", "\U0001f600", "A", "1"]
NAMES = ["PatientName", "PatientID", "StudyDate", "ModalitiesInStudy", "PulseSequenceName", "Rows"]
NAMES += ["AcquisitionDateTime", "OtherPatientNames", "00400275.00400009", "00090010", "00091001"]
NAMES += ["includefield", "limit", "offset", "orderby", "cursor", "TimezoneOffsetFromUTC"]


@pytest.mark.parametrize("seed", range(60))
def test_any_query_is_answered_or_refused(http: httpx.Client, few: Shelf, seed: int) -> None:
    chance = random.Random(seed)
    query = [f"StudyDescription={few.mark}", SWITCHES]
    for name in chance.sample(NAMES, chance.randint(1, 4)):
        value = "".join(chance.choices(PIECES, k=chance.randint(0, 12)))
        query.append(f"{name}={quote(value)}")
    resource = chance.choice(LEVELS)
    response = ask(http, "&".join(query), resource)
    if response.status_code == 400:
        assert_problem(response, 400)
    else:
        few.labels(response, resource)
