"""Hostile identifiers, names, dates and numbers in files and in paths (items 17 to 24)."""

import struct
from collections.abc import Collection
from urllib.parse import quote

import pytest

from tests.hostile.judging import MIB, Judge
from tests.hostile.made import (
    ID,
    NAME,
    changed,
    image,
    new_uid,
    plain,
    raw_value,
)

TAKEN, REFUSED = (200, 202), (409,)

# --- item 17: UIDs ------------------------------------------------------------------------------

UIDS: dict[str, bytes] = {
    "parent folder": b"../../../../tmp/evil",
    "absolute path": b"/tmp/evil",
    "slash": b"1.2/3",
    "backslash": b"1.2\\..\\..\\3",
    "percent": b"%2e%2e%2fevil",
    "NUL within": b"1.2\x003.4",
    "dots alone": b"..",
    "dot at the end": b"1.2.",
    "dot at the beginning": b".1.2",
    "two dots": b"1..2",
    "65 characters": b"1." + b"2" * 63,
    "1000 characters": b"1." + b"2" * 998,
    "letters": b"1.2.ABC",
    "digits of another script": "1.2.\u0663\u0664".encode(),
    "full width digits": "\uff11.\uff12".encode(),
    "underscore": b"1.2_3",
    "minus": b"-1.2",
    "new line": b"1.2\n3",
    "SQL": b"1.2'; DROP TABLE studies; --",
    "nothing": b"",
    "spaces": b"    ",
}
_TAGS = {"study": 0x0020000D, "series": 0x0020000E, "instance": 0x00080018}


@pytest.mark.parametrize("level", _TAGS)
def test_files_with_hostile_uids_are_refused(judge: Judge, level: str) -> None:
    """Item 17: each by itself, and none makes a file or a folder where it points to."""
    files = [
        raw_value(plain(), _TAGS[level], b"UI", value + b"\0" * (len(value) % 2)).content
        for value in UIDS.values()
    ]
    module = judge.store(files, REFUSED).json()
    failures = [
        each["00081197"]["Value"][0]
        for key in ("00081198", "0008119A")
        for each in module.get(key, {}).get("Value", [])
    ]
    assert failures == [0x0117] * len(files)
    assert not list(judge.server.data_dir.parent.rglob("*evil*"))


def test_leading_zeros_are_kept_and_no_other_number(judge: Judge) -> None:
    """A component must not begin with 0 (PS3.5 §9.1), and such UIDs are in use."""
    study = new_uid()
    judge.store([plain(StudyInstanceUID=f"{study[:-3]}.01").content], TAKEN)
    judge.ask("GET", f"studies/{study[:-3]}.1", (404,))
    judge.ask("GET", f"studies/{study[:-3]}.01", (200,))


PATHS: dict[str, tuple[str, Collection[int]]] = {
    "parent folder": ("..%2f..%2f..%2fetc%2fpasswd", (400, 404)),
    "dots": ("%2e%2e", (400, 404)),
    "dots twice encoded": ("%252e%252e", (400,)),
    "slash": ("1.2%2f3", (400, 404)),
    "backslash": ("1.2%5c3", (400,)),
    "NUL": ("1.2%00", (400,)),
    "new line": ("1.2%0d%0aX-Evil:1", (400,)),
    "65 characters": ("1." + "2" * 63, (400,)),
    "60,000 characters": ("1" * 60_000, (400, 414)),
    "letters": ("abc", (400,)),
    "digits of another script": (quote("1.2.\u0663"), (400,)),
    "no UTF-8": ("1.2%ff%fe", (400,)),
    "a trailing space": ("1.2%20", (400,)),
    "underscore": ("1.2_3", (400,)),
    "a semicolon": ("1.2;jsessionid=1", (400,)),
    "script": ("%3Cscript%3Ealert(1)%3C%2fscript%3E", (400, 404)),
}


@pytest.mark.parametrize("name", PATHS)
def test_a_path_with_a_hostile_uid_is_refused(judge: Judge, name: str) -> None:
    value, allowed = PATHS[name]
    for path in (
        f"studies/{value}",
        f"studies/{value}/metadata",
        f"studies/{value}/series/1.2/instances/1.3/frames/1",
        f"studies/1.2/series/1.3/instances/{value}",
    ):
        answer = judge.ask("GET", path, allowed)
        assert "x-evil" not in answer.headers
        assert "<script" not in answer.text or "json" in answer.headers["content-type"]


@pytest.mark.parametrize("path", ["1.2", "1.2/3", "../1.2", "7FE00010/../x", "%00", "7FE0001", "*"])
def test_a_hostile_path_of_bulk_data(judge: Judge, path: str) -> None:
    judge.ask("GET", f"{judge.control.path}/bulkdata/{quote(path, safe='/%')}", (400, 404))


# --- items 18 to 20: whose is it ----------------------------------------------------------------


def test_one_uid_for_study_series_and_instance(judge: Judge) -> None:
    """Item 18."""
    same = new_uid()
    made = image(StudyInstanceUID=same, SeriesInstanceUID=same, SOPInstanceUID=same)
    judge.store([made.content], TAKEN)
    judge.look(made, ("metadata",))


def test_a_uid_that_is_there_already(judge: Judge) -> None:
    """Item 19: other bytes, another series, another study. What is there stays (STOW-20)."""
    made = image()
    judge.store([made.content], TAKEN)
    same = {
        "StudyInstanceUID": made.study,
        "SeriesInstanceUID": made.series,
        "SOPInstanceUID": made.instance,
    }
    judge.store([image(**same, PatientComments="changed").content], REFUSED)
    judge.store([image(**same | {"SeriesInstanceUID": new_uid()}).content], REFUSED)
    judge.store([image(**same | {"StudyInstanceUID": new_uid()}).content], REFUSED)
    judge.store([made.content], TAKEN)  # the same again
    judge.look(made, ("metadata",))
    other = {"SOPInstanceUID": judge.control.instance}
    judge.store([image(**other).content], REFUSED)


def test_two_patients_of_one_study(judge: Judge) -> None:
    """Item 20: both are kept, and the second changes nothing of the study's."""
    first, second = image(), image(PatientID=f"{ID}-2")
    second = changed(second, StudyInstanceUID=first.study)._replace(study=first.study)
    judge.store([first.content, second.content], TAKEN)
    judge.look(first)
    judge.look(second)
    [found] = judge.ask("GET", f"studies?StudyInstanceUID={first.study}", (200,)).json()
    assert found["00100020"]["Value"] == [ID]
    assert found["00201208"]["Value"] == [2]


# --- item 21: the patient's identifier ----------------------------------------------------------

PATIENTS: dict[str, bytes] = {
    "empty": b"",
    "wildcards": b"CANARY-4711-0815*?",
    "backslashes": b"a\\b\\c\\",
    "quotes": b"a' OR '1'='1",
    "SQL": b"'; DELETE FROM studies; --",
    "HTML": b"<img src=x onerror=alert(1)>",
    "new lines": b"x\r\nSet-Cookie: a=b\r\n\r\n<html>",
    "JSON": b'"}],"evil":[{"a":"',
    "NUL": b"a\0b\0",
    "escapes": b"\x1b[31m\x1b]0;title\x07",
    "template": b"{{7*7}}${7*7}%n%s",
    "10,000 characters": b"A" * 10_000,
}


@pytest.mark.parametrize("name", PATIENTS)
def test_a_hostile_patient_id(judge: Judge, name: str) -> None:
    made = raw_value(image(), 0x00100020, b"LO", PATIENTS[name])
    judge.store([made.content], TAKEN)
    judge.look(made, ("metadata",))
    for path in ("studies", "instances"):
        answer = judge.ask("GET", f"{path}?StudyInstanceUID={made.study}", (200,))
        assert "set-cookie" not in answer.headers
        assert answer.headers["content-type"].startswith("application/dicom+json")
        [found] = answer.json()
        assert "evil" not in found
    page = judge.ask("GET", f"{made.path}/rendered?annotation=patient", (200,))
    assert page.headers["content-type"].startswith("image/")


def test_a_patient_id_of_64_megabytes(judge: Judge) -> None:
    """Of a VR with room for that; it is not held in the index, nor shown by a search."""
    made = plain()
    value = b"A" * (64 * MIB)
    content = made.content.replace(
        struct.pack("<HH2sH", 0x10, 0x20, b"LO", len(ID)) + ID.encode(),
        struct.pack("<HH2sHI", 0x10, 0x20, b"UT", 0, len(value)) + value,
    )
    assert len(content) > 64 * MIB
    answer = judge.store([content], (200, 202, 409), seconds=8, memory=400 * MIB)
    if answer.status != 409:
        found = judge.ask("GET", f"studies?StudyInstanceUID={made.study}", (200,))
        assert len(found.content) < MIB


# --- item 22: names -----------------------------------------------------------------------------

NAMES: dict[str, tuple[bytes, bytes]] = {  # Specific Character Set, name
    "three groups": (
        b"\\ISO 2022 IR 87",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
    ),
    "mixed escapes": (
        b"\\ISO 2022 IR 87\\ISO 2022 IR 149",
        b"Hong=\x1b$)C\xfb\xf3\x1b$B;3ED\x1b(B^\x1b$)C\xd1\xce",
    ),
    "escape cut off": (b"\\ISO 2022 IR 87", b"Yamada=\x1b$B;3E"),
    "escape alone": (b"\\ISO 2022 IR 87", b"Yamada=\x1b"),
    "escape that is not announced": (b"ISO_IR 100", b"A=\x1b$B;3ED\x1b(B"),
    "no UTF-8": (b"ISO_IR 192", b"A\xff\xfe\xc3(^\xe2\x82"),
    "bidirectional": (b"ISO_IR 192", "A\u202egpj.exe\u202c^\u2066B\u2069".encode()),
    "surrogates": (b"ISO_IR 192", b"A\xed\xa0\x80^\xed\xb0\x80"),
    "overlong": (b"ISO_IR 192", b"A\xc0\xaf^\xf0\x80\x80\xaf"),
    "unknown character set": (b"ISO_IR 9999", b"M\xfcller^H"),
    "hundred character sets": (b"\\".join([b"ISO 2022 IR 87"] * 100), b"A^\x1b$B;3ED"),
    "hundred groups": (b"ISO_IR 100", b"=".join([b"A^B"] * 100)),
    "thousand components": (b"ISO_IR 100", b"^".join([b"A"] * 1000)),
    "combining": (b"ISO_IR 192", ("a" + "\u0301" * 5000).encode()),
    "GB18030 cut off": (b"GB18030", b"Wang=\xcd\xf5^\x81"),
    "NUL and controls": (b"ISO_IR 192", bytes(range(1, 32)) + b"\x7f"),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name(judge: Judge, name: str) -> None:
    charset, value = NAMES[name]
    made = raw_value(image(), 0x00080005, b"CS", charset + b" " * (len(charset) % 2))
    made = raw_value(made, 0x00100010, b"PN", value + b" " * (len(value) % 2))
    judge.store([made.content], TAKEN)
    judge.look(made, ("metadata",))
    for query in ("", "&PatientName=Yamada&fuzzymatching=true"):
        answer = judge.ask("GET", f"studies?StudyInstanceUID={made.study}{query}", (200, 204))
        if answer.status == 200:
            answer.content.decode("utf-8")  # strictly
    xml = {"Accept": 'multipart/related; type="application/dicom+xml"'}
    judge.ask("GET", f"{made.path}/metadata", (200,), headers=xml)
    judge.ask("GET", f"{made.path}/rendered?annotation=patient", (200,))


# --- items 23 and 24: dates and numbers ---------------------------------------------------------

VALUES: dict[str, tuple[int, bytes, bytes]] = {
    "date 00000000": (0x00080020, b"DA", b"00000000"),
    "date 99991399": (0x00080020, b"DA", b"99991399"),
    "date of another script": (0x00080020, b"DA", "\u0662\u0660\u0662\u0664".encode()),
    "date with underscores": (0x00080020, b"DA", b"2024_1_2"),
    "range for a date": (0x00080020, b"DA", b"20240102-20230101 "),
    "time 999999": (0x00080030, b"TM", b"999999"),
    "time of a thousand digits": (0x00080030, b"TM", b"1" * 1000),
    "date-time of nothing": (0x0008002A, b"DT", b"-0000-0000"),
    "zone of a week": (0x00080201, b"SH", b"+9999 "),
    "DS NaN": (0x00180050, b"DS", b"NaN "),
    "DS 1e999": (0x00180050, b"DS", b"1e999 "),
    "DS @": (0x00180050, b"DS", b"@ "),
    "DS 1_000": (0x00180050, b"DS", b"1_000 "),
    "DS infinity": (0x00180050, b"DS", b"infinity"),
    "DS of 60,000 digits": (0x00180050, b"DS", b"1" * 60_000),
    "ten thousand DS": (0x00181065, b"DS", b"\\".join([b"1.5"] * 10_000) + b" "),
    "IS beyond all measure": (0x00200013, b"IS", b"99999999999999999999999999999999"),
    "IS -2^31": (0x00200013, b"IS", b"-2147483648 "),
    "IS below that": (0x00200013, b"IS", b"-2147483649 "),
    "IS 1_0": (0x00200013, b"IS", b"1_0 "),
    "IS of another script": (0x00200013, b"IS", "\u0661\u0662".encode()),
    "IS with a fraction": (0x00200013, b"IS", b"1.5 "),
    "IS of 60,000 digits": (0x00200011, b"IS", b"9" * 60_000),
    "age 999Z": (0x00101010, b"AS", b"999Z"),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_hostile_date_or_number(judge: Judge, name: str) -> None:
    made = raw_value(image(), *VALUES[name])
    judge.store([made.content], TAKEN)
    judge.look(made, ("metadata",))
    for query in ("StudyDate=19000101-", "InstanceNumber=1", "SliceThickness=1000"):
        path = f"instances?StudyInstanceUID={made.study}&{query}"
        judge.ask("GET", path, (204,))
    judge.ask("GET", f"instances?StudyInstanceUID={made.study}&orderby=-StudyDate", (200,))


def test_a_decimal_string_of_ten_megabytes(judge: Judge) -> None:
    """Of a VR with room for that."""
    made = plain()
    long = struct.pack("<HH2sHI", 0x7FDF, 0x1001, b"UC", 0, 10 * MIB) + b"1" * (10 * MIB)
    made = made.with_bytes(made.content + long)
    judge.store([made.content], TAKEN)
    judge.look(made, ("metadata",))


@pytest.mark.parametrize(
    "query",
    [
        *("StudyDate=20240102-20230101", "StudyDate=99991399", "StudyDate=00000000"),
        *("StudyDate=2024_1_2", "StudyTime=999999", "PatientWeight=1_000", "PatientWeight=NaN"),
        *(f"StudyDate={quote(chr(0x661) * 8)}", f"InstanceNumber={quote(chr(0xFF11))}"),
        *("InstanceNumber=1e99", "InstanceNumber=0x10", f"limit={quote(chr(0x661))}"),
        *("limit=1_0", "limit=%2B1", "limit=1%20", "offset=1_0", f"offset={quote(chr(0xB2))}"),
        *("PatientWeight=1e999999", "TimezoneOffsetFromUTC=%2B9999"),
    ],
)
def test_a_query_of_no_date_or_number_is_refused(judge: Judge, query: str) -> None:
    judge.ask("GET", f"instances?{query}", (400,))


def test_the_judge_sees_what_leaks(judge: Judge) -> None:
    """A body that names the patient, or the machine, is found."""
    from tests.hostile.judging import Answer

    for text in (NAME, ID, str(judge.server.data_dir), 'File "x.py"', "asyncpg.Error"):
        answer = Answer(400, judge.ask("GET", "studies?limit=0", (200, 204)).headers, text.encode())
        with pytest.raises(AssertionError):
            judge._judged("a leak", answer, (400,))
    with pytest.raises(AssertionError):
        judge.ask("GET", "studies", (404,))
