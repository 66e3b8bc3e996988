"""A search of the archive gives what ``dicom.matching`` says of the same data sets, in one order,
and page by page the same list: whatever is stored, and whatever is asked."""

import itertools
import json
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from pydicom import config
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicomweb_server.access.policy import Action, Scope
from dicomweb_server.access.principal import Principal
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.search import search
from dicomweb_server.dicom.attributes import ATTRIBUTES
from dicomweb_server.dicom.description import BULK_BASE, Description
from dicomweb_server.dicom.matching import matches_query
from dicomweb_server.dicom.part10 import describe
from dicomweb_server.dicom.query import Found, Level, SearchQuery
from dicomweb_server.errors import InvalidParameter, NotFound
from dicomweb_server.index.conditions import COLUMNS, REQUEST_COLUMNS
from dicomweb_server.index.database import acquire
from dicomweb_server.index.instances import NewInstance, insert_instances
from dicomweb_server.index.rows import INSTANCE_COLUMNS, SERIES_COLUMNS, STUDY_COLUMNS, entry_of
from dicomweb_server.wire.cursors import make_cursor, read_cursor
from dicomweb_server.wire.search import parse_search
from dicomweb_server.wire.search_results import ResultWriter
from tests.archive.opened import TESTER, opened
from tests.strategies import datasets, encoded, file_meta

LOCAL_ZONE = 60
# Walks differ by these: what is stored in one institution or in two, and seen whole in any case.
SCOPES = [Scope((1,)), Scope((1, 2)), Scope((1, 2), everything=True)]

# ------------------------------------------------------------------------------- what is stored

POOLS: dict[str, list[str | list[str]]] = {
    "AE": ["STORE", " STORE", ""],
    "AS": ["030Y", "006M", ""],
    "CS": ["CT", "MR", "CT ", " CT", "ct", "", ["CT", "PRIMARY"], ["CT", " MR"], ["", "MR"]],
    "DA": ["20200101", "2020.01.01", "20191231", "20209999", "", ["20200101", "20210101"]],
    "DS": ["1", "1.0", "0.5", "-1e2", "x", "", ["0.5", "1"]],
    "DT": ["2020", "20200101", "20200101103000.5", "20200101103000+0200", "20200101-0500", "x", ""],
    "IS": ["1", "01", "2", "-1", "99999999999999999999", "x", ""],
    "LO": ["A1", "a1", "A1 ", " A1", "A%1", "A_1", "é", "", ["A1", "B2"], ["", "B2"], ["A1", "C3"]],
    "LT": ["A1\\B2", "A1\r\nB2", "A*1", " A1", ""],
    "PN": [
        *("DOE^JOHN", "Doe^John^^^", "O'NEIL^A_B%C", "MÜLLER^JÖRG", ""),
        *("Yamada^Tarou=山田^太郎=やまだ^たろう", "=山田^花子", "^^", "A=B=C=D"),
        ["DOE^JOHN", "ROE^JANE"],
    ],
    "SH": ["A1", " A1", "a1", "A?1", "", ["A1", "B2"], ["B2", "  A1"]],
    "ST": ["A1", " A1", "A 1", ""],
    "TM": ["10", "1030", "10:30:00", "103000.5", "235959.999999", "990000", "", ["08", "10"]],
    "UI": ["1.1", "1.2", "1.10", ""],
    "US": [],
}
ZONES = ["+0100", "-0500", "+0530", "nonsense", "", None, None, None]
# Searched for often: dates with their times, names, identifiers, what is of several levels.
KEYWORDS = [
    *("StudyDate", "StudyTime", "PatientBirthDate", "PatientBirthTime", "AccessionNumber"),
    *("PatientID", "PatientName", "OtherPatientNames", "ReferringPhysicianName", "StudyID"),
    *("StudyDescription", "PatientComments", "PatientAge", "PatientWeight", "LastMenstrualDate"),
    *("Modality", "SeriesNumber", "SeriesDescription", "StationName", "SeriesDate", "SeriesTime"),
    *("PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime", "BodyPartExamined"),
    *("SoftwareVersions", "OperatorsName", "SeriesType", "DeviceUID", "DateOfLastCalibration"),
    *("TimeOfLastCalibration", "InstanceNumber", "NumberOfFrames", "ImageType", "PixelSpacing"),
    *("AcquisitionDateTime", "ContentDate", "ContentTime", "ImageComments", "SliceLocation"),
    *("PulseSequenceName", "FrameReferenceDateTime", "ReviewDate", "ReviewTime", "ReviewerName"),
]


def element(tag: int, value: object, vr: str | None = None) -> DataElement:
    vr = vr or str(dictionary_VR(tag))
    converted = vr in ("DS", "IS")
    return DataElement(tag, vr, value, already_converted=converted, validation_mode=config.IGNORE)


def chosen(chance: random.Random, tag: int) -> DataElement:
    """An attribute with a value of its VR. Those that have a column have one value, as the
    standard says; of damaged files that have more only the first is found."""
    pool = POOLS[str(dictionary_VR(tag))]
    if tag in COLUMNS or tag in REQUEST_COLUMNS:
        pool = [value for value in pool if not isinstance(value, list)]
    return element(tag, chance.choice(pool))


def code_item(chance: random.Random, depth: int = 1) -> Dataset:
    item = Dataset()
    for keyword in ("CodeValue", "CodeMeaning", "PersonName", "DateTime", "Date", "Time"):
        if chance.random() < 0.6:
            tag = tag_for_keyword(keyword)
            assert tag is not None
            item[tag] = chosen(chance, tag)
    if depth:
        item[0x0040A043] = element(0x0040A043, Sequence(items(chance, depth - 1)))
    return item


def items(chance: random.Random, depth: int) -> list[Dataset]:
    return [code_item(chance, depth) for _ in range(chance.randrange(3))]


def request_item(chance: random.Random) -> Dataset:
    item = Dataset()
    for tag in (*REQUEST_COLUMNS, 0x00400007):
        if chance.random() < 0.7:
            item[tag] = chosen(chance, tag)
    return item


def furnished(chance: random.Random, dataset: Dataset) -> Dataset:
    """A data set with attributes that searches are made for, and no column with several."""
    for keyword in KEYWORDS:
        if chance.random() < 0.5:
            tag = tag_for_keyword(keyword)
            assert tag is not None
            dataset[tag] = chosen(chance, tag)
    if chance.random() < 0.5:
        requests = [request_item(chance) for _ in range(chance.randrange(3))]
        dataset[0x00400275] = element(0x00400275, Sequence(requests))
    for tag in (0x00081032, 0x0040A730):  # Procedure Code Sequence, Content Sequence
        dataset[tag] = element(tag, Sequence(items(chance, 1)))
    zone = chance.choice(ZONES)
    if zone is not None:
        dataset[0x00080201] = element(0x00080201, zone)
    for each in list(dataset):
        if each.tag in COLUMNS and each.VR != "SQ" and each.VM > 1:
            dataset[each.tag] = element(each.tag, each.value[0], each.VR)
    return dataset


def described(chance: random.Random, drawn: list[Dataset]) -> list[Description]:
    """The data sets as instances of a few studies and series: in an order of its own, so that
    the first of a study may be of any series."""
    made = []
    for number, dataset in enumerate(drawn):
        furnished(chance, dataset)
        study = chance.randrange(3)
        dataset.StudyInstanceUID = f"1.{study}"
        dataset.SeriesInstanceUID = f"2.{study}.{chance.randrange(2)}"
        dataset.SOPInstanceUID = f"3.{number}"
        dataset.SOPClassUID = f"2.25.{chance.randrange(3)}"
        uids = {"02": dataset.SOPClassUID, "03": dataset.SOPInstanceUID}
        made.append(describe(file_meta(**uids) + encoded(dataset)))
    return made


# ----------------------------------------------------------------------------------- the oracle


@dataclass
class Leaf:
    """One instance, and what is above it, as the first that was stored had it."""

    uids: tuple[str, str, str]
    of: dict[Level, dict[str, Any]]
    places: dict[str, Any]  # what results can be ordered by, by the names of columns


def leaves_of(stored: list[Description]) -> list[Leaf]:
    studies: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    series: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    leaves = []
    for each in stored:
        entry = entry_of(each)
        rows = (
            {f"s.{k}": v for k, v in zip(STUDY_COLUMNS, entry.study, strict=True)},
            {f"e.{k}": v for k, v in zip(SERIES_COLUMNS, entry.series, strict=True)},
            {f"i.{k}": v for k, v in zip(INSTANCE_COLUMNS, entry.instance, strict=True)},
        )
        of_study = studies.setdefault(each.study_instance_uid, (dict(each.study), rows[0]))
        of_series = series.setdefault(each.series_instance_uid, (dict(each.series), rows[1]))
        whole = json.loads(each.metadata.replace(BULK_BASE, b""))
        of = {Level.STUDY: of_study[0], Level.SERIES: of_series[0], Level.INSTANCE: whole}
        uids = each.study_instance_uid, each.series_instance_uid, each.sop_instance_uid
        leaves.append(Leaf(uids, of, {**of_study[1], **of_series[1], **rows[2]}))
    for leaf in leaves:
        _compute(leaf, leaves)
    return leaves


def _compute(leaf: Leaf, leaves: list[Leaf]) -> None:
    """What the index tells of the content of a study and a series."""
    of_study = [each for each in leaves if each.uids[0] == leaf.uids[0]]
    of_series = [each for each in of_study if each.uids[1] == leaf.uids[1]]
    modalities = {each.places["e.modality"] for each in of_study} - {None}
    classes = {each.of[Level.INSTANCE]["00080016"]["Value"][0] for each in of_study}
    series = len({each.uids[1] for each in of_study})
    leaf.of[Level.STUDY] |= {
        "00080061": {"vr": "CS", "Value": sorted(modalities)},
        "00080062": {"vr": "UI", "Value": sorted(classes)},
        "00201206": {"vr": "IS", "Value": [series]},
        "00201208": {"vr": "IS", "Value": [len(of_study)]},
    }
    leaf.of[Level.SERIES]["00201209"] = {"vr": "IS", "Value": [len(of_series)]}
    leaf.places |= {
        "s.number_of_series": series,
        "s.number_of_instances": len(of_study),
        "e.number_of_instances": len(of_series),
    }


DEFAULT_ORDER = {
    Level.STUDY: [("s.sort_key", True), ("s.study_instance_uid", False)],
    Level.SERIES: [("e.series_number", False), ("e.series_instance_uid", False)],
    Level.INSTANCE: [("i.instance_number", False), ("i.sop_instance_uid", False)],
}


def expected(query: SearchQuery, leaves: list[Leaf]) -> list[tuple[str, ...]]:
    """The UIDs of what is to be found, in the order that is asked for."""
    found: dict[tuple[str, ...], Leaf] = {}
    for leaf in leaves:
        uids = leaf.uids[: query.level]
        below = [each.of for each in leaves if each.uids[: query.level] == uids]
        if uids not in found and matches_query(query, leaf.of, below):
            found[uids] = leaf
    order = [
        ("s.sort_key" if column.kind == "day" else column.sql, each.descending)
        for each in query.order
        for column in [COLUMNS[each.path[0]]]
    ]
    order += [term for level in Level if level <= query.level for term in DEFAULT_ORDER[level]]
    ordered = list(found.items())
    for name, descending in reversed(order):
        ordered.sort(key=lambda each: _placed(each[1].places[name]), reverse=descending)
    return [uids for uids, _ in ordered]


def _placed(value: Any) -> tuple[bool, Any]:
    """What has no value comes last, descending first."""
    return (True, 0) if value is None else (False, value)


# ---------------------------------------------------------------------------------- what is asked

Value = tuple[tuple[str, ...], str, str]  # path, VR, text


def values_of(dataset: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[Value]:
    """All values of a data set, as a query would name them: its blocks where they stand."""
    for key, attribute in dataset.items():
        vr = attribute["vr"]
        for value in attribute.get("Value", [""]):
            if isinstance(value, dict) and vr == "SQ":
                yield from values_of(value, (*path, key))
            elif isinstance(value, dict):
                groups = [value.get(name, "") for name in ("Alphabetic", "Ideographic", "Phonetic")]
                yield (*path, key), vr, "=".join(groups).rstrip("=")
            elif vr != "SQ":
                yield (*path, key), vr, "" if value is None else str(value)


def mutated(chance: random.Random, vr: str, text: str) -> str:
    """A value that may be meant by whoever looks for `text`."""
    ways = [text] * 6 + [text + " ", " " + text, text.swapcase(), "", "*", '""', f"{text}\\{text}"]
    if vr in ("DA", "TM", "DT"):
        short = text[: chance.choice([2, 4, 6, 8, 10, 12, 14])]
        end = chance.choice(["20200101", "2021", "10", "1130", "20191231", "235959"])
        ways += [short, f"{short}-", f"-{short}", f"{short}-{end}", f"{end}-{short}", end]
        ways += [f"{short}{chance.choice(['+0200', '-0500'])}"] * (vr == "DT")
    elif vr == "UI":
        ways += [f"{text},1.2", f"{text}\\1.10", text[:-1]]
    elif vr in ("DS", "IS", "FL", "FD", "US", "SS", "UL", "SL", "UV", "SV"):
        ways += [f"0{text}", f"{text}.0", f"+{text}", f"{text}e0", "1", "0.5"]
    else:
        first, last = sorted(chance.choices(range(len(text) + 1), k=2))
        joker = chance.choice(["*", "?", "**", "?*", "^*"])
        ways += [text[:first] + joker + text[last:], text[:first] + joker, joker + text[last:]] * 2
        ways += [text[:first], "A1", "CT,MR", "A1\\B2", "B2\\A1", "doe", "jon mül", "山"]
    return chance.choice(ways)


def keys(chance: random.Random, values: list[Value], creators: dict[str, str]) -> Iterator[str]:
    """The match keys of a query: on what is there, and now and then on what is not."""
    for _ in range(chance.choice([1, 1, 1, 2])):
        path, vr, text = chance.choice(values)
        if chance.random() < 0.15:
            tag = chance.choice(sorted({*COLUMNS, *(t for of in ATTRIBUTES.values() for t in of)}))
            path, vr = (f"{tag:08X}",), str(dictionary_VR(tag))
        elif chance.random() < 0.15:
            _, _, text = chance.choice(values)
        names = []
        for key in path:
            creator = f"{key[:4]}00{key[4:6]}"
            if int(key[3], 16) % 2 and creator in creators:
                block = chance.choice([key[4:6], "77"])
                yield f"{key[:4]}00{block}={quote(creators[creator])}"
                names.append(f"{key[:4]}{block}{key[6:]}")
            else:
                names.append(key)
        yield f"{'.'.join(names)}={quote(mutated(chance, vr, text))}"


PAIRS = [("00080020", "00080030"), ("00080021", "00080031"), ("00400244", "00400245")]
ENDS = ["20191231", "20200101", "20200102", "2020.01.01", ""]
TIMES = ["10", "1030", "103000.5", "0000", "2359", ""]


def intervals(chance: random.Random) -> list[str]:
    """A date and the time that belongs to it, as ranges or single."""
    day, time = chance.choice(PAIRS)
    days, times = (sorted(chance.choices(each, k=2)) for each in (ENDS, TIMES))
    dash = chance.choice(["-", "-", ""])
    return [f"{day}={days[0]}-{days[1]}", f"{time}={dash.join(times[: 1 + bool(dash)])}"]


SWITCHES = ["fuzzymatching", "emptyvaluematching", "multiplevaluematching"]


def query_string(chance: random.Random, values: list[Value], creators: dict[str, str]) -> str:
    pieces = intervals(chance) if chance.random() < 0.15 else list(keys(chance, values, creators))
    pieces += [f"{name}=true" for name in SWITCHES if chance.random() < 0.4]
    if chance.random() < 0.25:
        pieces.append("00080201=" + quote(chance.choice(["+0000", "+0200", "-1100"])))
    return "&".join(pieces)


def queries(chance: random.Random, leaves: list[Leaf]) -> Iterator[tuple[str, SearchQuery]]:
    values = [value for leaf in leaves for each in leaf.of.values() for value in values_of(each)]
    creators = {path[-1]: text for path, vr, text in values if path[-1][4:6] == "00" and vr == "LO"}
    ordered = [t for t, c in COLUMNS.items() if c.kind not in ("list", "classes", "items")]
    while True:
        level = chance.choice(list(Level))
        text = query_string(chance, values, creators)
        fixed: dict[str, str] = {}
        if level > Level.STUDY and chance.random() < 0.2:
            fixed["study_instance_uid"] = f"1.{chance.randrange(4)}"
            if level > Level.SERIES and chance.random() < 0.5:
                fixed["series_instance_uid"] = f"2.{fixed['study_instance_uid'][2]}.0"
        if chance.random() < 0.3:
            tags = [t for t in chance.sample(ordered, 2) if COLUMNS[t].level <= level]
            text += "&orderby=" + ",".join(chance.choice(["", "-"]) + f"{t:08X}" for t in tags)
        try:
            yield text, parse_search(level, text, local_zone=LOCAL_ZONE, **fixed).query
        except InvalidParameter:
            continue


# ------------------------------------------------------------------------------------ the property


@pytest.fixture(scope="module")
async def archive(
    shared_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Archive]:
    folder: Path = tmp_path_factory.mktemp("searched")
    async with opened(folder, shared_url) as archive:
        async with acquire(archive.pool) as conn:
            await conn.execute("INSERT INTO institutions VALUES (2, 'second')")
        with pytest.MonkeyPatch.context() as patch:  # so that few rows are many steps
            patch.setattr("dicomweb_server.archive.search._FIRST_STEP", 1)
            patch.setattr("dicomweb_server.archive.search._LONGEST_STEP", 3)
            patch.setattr("dicomweb_server.archive.search._LONGEST_WITH_METADATA", 2)
            yield archive


@dataclass(frozen=True)
class Seen(Archive):
    """An archive of which everybody sees the same."""

    seen: Scope = SCOPES[0]

    def scope(self, principal: Principal, action: Action) -> Scope:
        return self.seen


async def store(archive: Seen, descriptions: list[Description]) -> None:
    """Nothing but these, in their order, of each study all in one institution; in two groups, so
    that some find their study and series there."""
    institutions = archive.seen.institution_ids
    news = [NewInstance(entry_of(each), each.sop_instance_uid, 1, b"") for each in descriptions]
    async with acquire(archive.pool) as conn:
        await conn.execute("DELETE FROM studies; DELETE FROM institution_totals")
        half = len(news) // 2
        for group in (news[:half], news[half:]):
            for n, institution in enumerate(institutions):
                here = [new for new in group if _place_of(new) % len(institutions) == n]
                if here:
                    await insert_instances(conn, Scope((institution,)), here)


def _place_of(new: NewInstance) -> int:
    return int(new.entry.study_instance_uid.removeprefix("1."))


def uids_of(found: Found, level: Level) -> tuple[str | None, ...]:
    return (found.study_instance_uid, found.series_instance_uid, found.sop_instance_uid)[:level]


async def ask(archive: Archive, query: SearchQuery) -> tuple[list[Found], int | None]:
    """What is found, and how much remains if that is told exactly."""
    writer = ResultWriter(query, "http://h")
    page = await search(archive, TESTER, query, writer.returned)
    for found in page.found:
        written = json.loads(writer.write(found))
        assert written["0020000D"]["Value"] == [found.study_instance_uid]
    return page.found, page.remaining if page.exact else None


async def check(
    archive: Archive, chance: random.Random, text: str, query: SearchQuery, leaves: list[Leaf]
) -> None:
    wanted = expected(query, leaves)
    parents = {leaf.uids[:n] for leaf in leaves for n in (1, 2)}
    fixed = [uid for uid in (query.study_instance_uid, query.series_instance_uid) if uid]
    if fixed and tuple(fixed) not in parents:
        with pytest.raises(NotFound):
            await ask(archive, query)
        return
    found, remaining = await ask(archive, query)
    assert [uids_of(each, query.level) for each in found] == wanted
    assert remaining == 0
    if chance.random() < 0.3:
        limit = chance.randint(1, 3)
        await check_pages(archive, replace(query, limit=limit), found)
        rest, remaining = await ask(archive, replace(query, limit=0))
        assert (rest, remaining) in (([], len(wanted)), ([], None))


async def check_pages(archive: Archive, query: SearchQuery, whole: list[Found]) -> None:
    """By offset and by cursor, which counts on from where it leads."""
    pages: list[Found] = []
    after = None
    for passed in itertools.count(0, query.limit):
        by_offset, remaining = await ask(archive, replace(query, offset=passed))
        by_cursor, left = await ask(archive, replace(query, after=after))
        assert by_cursor == by_offset
        assert remaining in (None, max(len(whole) - passed - len(by_offset), 0))
        assert left in (None, remaining)
        pages += by_offset
        if not by_offset:
            break
        after = read_cursor(make_cursor(by_offset[-1].place, "x"), "x")
    assert pages == whole


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(datasets(depth=1), min_size=3, max_size=7), st.integers(0, 10**9))
async def test_a_search_finds_what_the_matcher_matches(
    archive: Archive, drawn: list[Dataset], seed: int
) -> None:
    chance = random.Random(seed)
    stored = described(chance, drawn)
    leaves = leaves_of(stored)
    seen = Seen(**vars(archive), seen=chance.choice(SCOPES))
    await store(seen, stored)
    note(repr(seen.seen))
    for text, query in itertools.islice(queries(chance, leaves), 30):
        note(f"{query.level.name} {query.study_instance_uid} {query.series_instance_uid} {text}")
        await check(seen, chance, text, query, leaves)
