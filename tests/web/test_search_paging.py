"""Pages of results through HTTP, their order, how many there are (digest 4.7), and what they
tell of a changing archive (digest 4.8)."""

import re
from collections.abc import Iterator

import httpx
import pytest

from tests.running import RunningServer
from tests.web.asking import assert_problem, found_in, new_uid
from tests.web.shelf import Shelf

LEVELS = ["studies", "series", "instances"]
# The same eight studies, found by columns, by documents, and by metadata alone.
WAYS = ["", "IssuerOfPatientID=", "PatientComments=8", "PulseSequenceName=8", "ImageComments=8*"]


@pytest.fixture(scope="module")
def eight(http: httpx.Client) -> Iterator[Shelf]:
    """Eight studies, a to h from the newest to the undated one, of two series each."""
    shelf = Shelf(http)
    dates = ["20240308", "20240307", "20240306", "20240306", "20240304", "20240303", "20240302"]
    for label, date in zip("hgfedcba", [None, *reversed(dates)], strict=True):
        study = new_uid()
        for number in (2, 1):
            shelf.put(
                label,
                StudyInstanceUID=study,
                SeriesInstanceUID=f"{study}.{number}",
                SOPInstanceUID=f"{study}.{number}.1",
                SeriesNumber=str(number),
                StudyDate=date,
                StudyTime={"c": "1000", "d": "0900"}.get(label),
                AccessionNumber=None if label in "bd" else f"N{'hgfedcba'.index(label)}",
                PatientName={"a": "Zoë^Z", "b": "Änne^A", "c": None}.get(label, f"M{label}"),
                Rows=None if label == "a" else ord(label),
                PatientComments="8",
                PulseSequenceName="8",
                ImageComments="8*",
            )
    yield shelf
    shelf.clear()


def remaining_of(response: httpx.Response) -> int:
    """What the warning tells, which has to be the exact number."""
    for text in response.headers.get_list("warning"):
        match = re.search(r"There are (\d+) additional results that can be requested$", text)
        if match:
            return int(match[1])
    assert not response.headers.get_list("warning")
    return 0


def follow(http: httpx.Client, response: httpx.Response) -> httpx.Response | None:
    """The next page, as the Link header names it."""
    link = response.headers.get("link")
    if link is None:
        return None
    match = re.fullmatch(r'<([^<>"\s]+)>; rel="next"', link)
    assert match
    assert match[1].startswith(str(http.base_url))
    return http.get(match[1])


# ------------------------------------------------------------------------------ pages and counts


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("resource", LEVELS)
def test_4_7_results_and_remaining_are_exact(eight: Shelf, resource: str, way: str) -> None:
    matches = 8 if resource == "studies" else 16
    whole = found_in(eight.ask(way, resource))
    assert len(whole) == matches
    for limit, offset in ((1, 0), (3, 0), (3, 3), (99, 2), (3, matches - 1), (5, matches), (0, 0)):
        response = eight.ask(f"{way}&limit={limit}&offset={offset}".lstrip("&"), resource)
        page = found_in(response)

        assert page == whole[offset : offset + limit]
        assert remaining_of(response) == max(0, matches - offset - len(page))
        assert response.status_code == (200 if page else 204)
        if page or not offset:
            assert response.headers["x-total-count"] == str(matches)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("order", ["", "orderby=-PatientName", "orderby=Rows,StudyDate"])
def test_4_7_links_lead_through_all_pages(
    http: httpx.Client, eight: Shelf, way: str, order: str
) -> None:
    query = "&".join(filter(None, [way, order]))
    whole = eight.find(query, "instances")
    pages: list[str] = []
    response: httpx.Response | None = eight.ask(f"{query}&limit=5".lstrip("&"), "instances")
    while response is not None:
        pages += eight.labels(response, "instances")
        assert remaining_of(response) == len(whole) - len(pages)
        response = follow(http, response)

    assert pages == whole
    assert len(whole) == 16


def test_4_7_a_link_says_what_was_asked(http: httpx.Client, shelf: Shelf) -> None:
    """Through whatever is encoded in it, the offset left out: the cursor counts from there."""
    for number in range(5):
        shelf.put(str(number), PatientName="Ä&B=C 100%^x", InstanceNumber=str(number))

    query = "PatientName=%C3%84%26B%3DC+100%25*&limit=2&offset=1&includefield=00104000,Rows"
    first = shelf.ask(query)
    second = follow(http, first)
    assert second is not None
    assert "includefield=00104000,Rows" in str(second.url)
    assert "offset" not in str(second.url)
    labels = [*shelf.labels(first), *shelf.labels(second)]
    assert labels == shelf.find("PatientName=*100%25*")[1:]
    assert follow(http, second) is None
    assert "00104000" in found_in(second)[0]


def test_4_7_a_link_is_left_out_that_would_not_pass_a_proxy(shelf: Shelf) -> None:
    """Of headers of more than 4 kB nginx makes a 502; the offset leads on all the same."""
    uids = [shelf.put(str(number)).StudyInstanceUID for number in range(3)]
    for others, is_linked in ((10, True), (70, False)):
        listed = ",".join([*uids, *(f"{'1.' * 12}{10**38 + n}" for n in range(others))])
        response = shelf.ask(f"StudyInstanceUID={listed}&limit=2")

        assert ("link" in response.headers) is is_linked
        assert remaining_of(response) == 1
        assert response.headers["x-total-count"] == "3"
        assert sum(len(name) + len(value) for name, value in response.headers.raw) < 3000
        rest = shelf.ask(f"StudyInstanceUID={listed}&limit=2&offset=2")
        assert len(found_in(response)) + len(found_in(rest)) == 3


def test_4_7_distinct_entities_are_paged_and_not_what_matches_beneath(eight: Shelf) -> None:
    """Trap 44: each study has two series and instances that match."""
    for query in ("Modality=OT", "SeriesNumber=", "PulseSequenceName=8", "StationName=*"):
        response = eight.ask(f"{query}&limit=5")
        assert len(set(eight.labels(response))) == 5
        assert remaining_of(response) == 3


def test_4_7_no_more_than_the_servers_most(tmp_path_factory: pytest.TempPathFactory) -> None:
    """And MAT-05: where a data set tells no zone, it is the archive's."""
    settings = {"MAX_RESULTS": "2", "TIMEZONE_OFFSET": "+0100", "ALLOW_DELETE": "true"}
    folder = tmp_path_factory.mktemp("few")
    with (
        RunningServer(folder / "data", settings) as server,
        httpx.Client(base_url=server.base) as http,
    ):
        few = Shelf(http)
        for number in range(5):
            few.put(str(number), StudyDate="20240105", StudyTime="0030")
        for limit in ("", "&limit=3", "&limit=99999999999999999999"):
            response = few.ask(f"StudyDate=20240101-{limit}")
            assert len(found_in(response)) == 2
            assert remaining_of(response) == 3
        assert len(few.find("StudyDate=20240104&TimezoneOffsetFromUTC=+0000")) == 2
        assert few.find("StudyDate=20240105&TimezoneOffsetFromUTC=+0000") == []


# ------------------------------------------------------------------------------------------ order


def test_4_7_the_order_of_each_level(eight: Shelf, shelf: Shelf) -> None:
    assert eight.find() == list("abcdefgh")
    assert eight.find(resource="series") == [each for each in "abcdefgh" for _ in (1, 2)]
    series = found_in(eight.ask(resource="series"))
    assert [each["00200011"]["Value"] for each in series] == [[1], [2]] * 8
    study = new_uid()
    for name, number in (("10", "10"), ("9", "9"), ("none", None), ("again", "9"), ("-1", "-1")):
        shelf.put(
            name,
            StudyInstanceUID=study,
            SeriesInstanceUID=f"{study}.1",
            SOPInstanceUID=f"{study}.1.{('9', 'again', '10', 'none', '-1').index(name)}",
            InstanceNumber=number,
        )
    numbers = ["-1", "9", "again", "10", "none"]  # as numbers, then by UID; none comes last
    assert shelf.find(resource="instances") == numbers


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("StudyDate", "hgfedcba"),  # an undated study is older than all others
        ("-StudyDate", "abcdefgh"),
        ("00080020", "hgfedcba"),
        ("AccessionNumber", "hgfecabd"),  # what has none comes last
        ("-AccessionNumber", "bdacefgh"),  # descending first
        ("PatientName", "bdefghac"),  # as they are matched: without accents
        ("-PatientName", "cahgfedb"),
        ("Modality", ""),
        ("-StudyTime,PatientName", "befghacd"),
        ("NumberOfStudyRelatedInstances,-PatientName", "cahgfedb"),
        ("PatientName,PatientName,-PatientName", "bdefghac"),
    ],
)
def test_orderby_goes_before_the_order_of_the_standard(
    eight: Shelf, order: str, expected: str
) -> None:
    """An extension."""
    if not expected:
        assert "orderby" in assert_problem(eight.ask(f"orderby={order}"), 400)["detail"]
        return
    if order == "-StudyTime,PatientName":
        expected = "b" + "efgha" + "cd"  # those without a time first
    assert eight.find(f"orderby={order}") == list(expected)
    assert eight.find(f"orderby={order}&ModalitiesInStudy=OT,CT") == list(expected)
    assert eight.find(f"orderby={order}&PatientComments=8") == list(expected)


def test_orderby_of_every_level(eight: Shelf) -> None:
    by_rows = [each for each in "bcdefgh" for _ in (1, 2)] + ["a", "a"]
    assert eight.find("orderby=Rows", "instances") == by_rows
    series = found_in(eight.ask("orderby=-SeriesNumber", "series"))
    assert [each["00200011"]["Value"][0] for each in series] == [2] * 8 + [1] * 8
    assert eight.labels(eight.ask("orderby=-SeriesNumber", "series"), "series")[:8] == list(
        "abcdefgh"
    )
    for name in ("PixelSpacing", "PatientComments", "00400275", "00400275.00400009", "Rows"):
        assert_problem(eight.ask(f"orderby={name}"), 400)


# --------------------------------------------------------------------------------------- changes


@pytest.mark.parametrize("query", ["", "orderby=AccessionNumber", "StationName=A"])
def test_pages_by_cursor_neither_skip_nor_repeat_while_others_store_and_delete(
    http: httpx.Client, shelf: Shelf, query: str
) -> None:
    """By offset they would: a study that comes or goes before it moves all others."""
    made = {
        label: shelf.put(label, StudyDate="20240105", AccessionNumber=f"5{label}", StationName="A")
        for label in "abcdef"
    }
    order = shelf.find(query)
    assert sorted(order) == list("abcdef")
    first = shelf.ask(f"{query}&limit=3".lstrip("&"))
    seen = shelf.labels(first)
    http.delete(f"studies/{made[order[0]].StudyInstanceUID}")
    http.delete(f"studies/{made[order[2]].StudyInstanceUID}")  # on which the cursor stands
    shelf.put("newer", StudyDate="20240106", AccessionNumber="4", StationName="A")
    shelf.put("older", StudyDate="20240104", AccessionNumber="6", StationName="A")
    second = follow(http, first)
    assert second is not None
    seen += shelf.labels(second)
    third = follow(http, second)
    assert third is not None
    seen += shelf.labels(third)

    assert seen == [*order, "older"]
    assert follow(http, third) is None


def test_4_8_the_first_stored_speaks_for_its_study_and_series(shelf: Shelf) -> None:
    first = shelf.put("one", PatientName="FIRST", StationName="FIRST", ImageComments="FIRST")
    study, series = first.StudyInstanceUID, first.SeriesInstanceUID
    second = {"PatientName": "SECOND", "StationName": "SECOND", "ImageComments": "SECOND"}
    shelf.put("two", StudyInstanceUID=study, SeriesInstanceUID=series, **second)

    both = shelf.find("PatientName=FIRST&StationName=FIRST", "instances")
    assert sorted(both) == ["one", "two"]
    assert shelf.find("PatientName=SECOND") == shelf.find("StationName=SECOND", "series") == []
    assert shelf.find("ImageComments=SECOND", "instances") == ["two"]
    results = found_in(shelf.ask("includefield=PatientName", "instances"))
    assert {each["00100010"]["Value"][0]["Alphabetic"] for each in results} == {"FIRST"}


def test_4_8_one_series_uid_in_two_studies_is_two_series(http: httpx.Client, shelf: Shelf) -> None:
    series = new_uid()
    one = shelf.put("one", SeriesInstanceUID=series, Modality="CT")
    two = shelf.put("two", SeriesInstanceUID=series, Modality="MR")

    for study, modality in ((one.StudyInstanceUID, "CT"), (two.StudyInstanceUID, "MR")):
        [result] = found_in(http.get(f"studies/{study}/series"))
        assert result["00080060"]["Value"] == [modality]
        assert result["00201209"]["Value"] == [1]
        assert len(found_in(http.get(f"studies/{study}/series/{series}/instances"))) == 1
    both = found_in(shelf.ask(f"SeriesInstanceUID={series}", "series"))
    assert {each["0020000D"]["Value"][0] for each in both} == {
        one.StudyInstanceUID,
        two.StudyInstanceUID,
    }
    assert sorted(shelf.find(f"SeriesInstanceUID={series}")) == ["one", "two"]


def test_4_4_what_is_computed_or_optional_is_there_where_it_is_asked_for(shelf: Shelf) -> None:
    ct, mr = "1.2.840.10008.5.1.4.1.1.66", "1.2.840.10008.5.1.4.1.1.66.1"
    study = shelf.put("it").StudyInstanceUID
    shelf.put("other", StudyInstanceUID=study, SOPClassUID=mr)

    assert "00080062" not in found_in(shelf.ask())[0]
    [result] = found_in(shelf.ask("includefield=SOPClassesInStudy"))
    assert result["00080062"] == {"vr": "UI", "Value": [ct, mr]}
    assert shelf.find(f"SOPClassesInStudy={mr}") == ["it"]
    assert shelf.find("SOPClassesInStudy=1.2.3") == []
    assert shelf.find("NumberOfStudyRelatedInstances=2") == ["it"]
    assert shelf.find("NumberOfStudyRelatedSeries=3") == []
    for one in found_in(shelf.ask("", "instances")):
        assert one["00083002"] == {"vr": "UI", "Value": ["1.2.840.10008.1.2.1"]}
