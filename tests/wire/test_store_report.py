"""The Store Instances Response Module and its status (digest 5.5, 5.6; traps 50 to 53)."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from dicomweb_server.errors import MalformedContent
from dicomweb_server.wire.store_report import REASONS, Failed, Stored, failed, report

BASE = "http://h:8080/dicomweb"
CT = "1.2.840.10008.5.1.4.1.1.2"

GOOD = Stored(CT, "1.4", "1.2", "1.3")
WARNED = Stored(CT, "1.5", "1.2", "1.3", 0xB007, ("Patient's Name is longer than 64",))
ELSEWHERE = Stored(CT, "2.4", "2.2", "2.3")
DUPLICATE = failed("duplicate", CT, "1.6")
JUNK = failed("cannot_understand")


@pytest.mark.parametrize(
    ("results", "status"),
    [
        ([GOOD], 200),
        ([GOOD, ELSEWHERE], 200),
        ([WARNED], 202),
        ([GOOD, WARNED], 202),
        ([GOOD, DUPLICATE], 202),
        ([GOOD, JUNK], 202),
        ([DUPLICATE], 409),
        ([JUNK], 409),
        ([DUPLICATE, JUNK], 409),
    ],
)
def test_status(results: list[Stored | Failed], status: int) -> None:
    assert report(results, BASE)[0] == status


def test_what_is_stored() -> None:
    _, module = report([GOOD], BASE)

    assert module == {
        "00081190": {"vr": "UR", "Value": [f"{BASE}/studies/1.2"]},
        "00081199": {
            "vr": "SQ",
            "Value": [
                {
                    "00081150": {"vr": "UI", "Value": [CT]},
                    "00081155": {"vr": "UI", "Value": ["1.4"]},
                    "00081190": {
                        "vr": "UR",
                        "Value": [f"{BASE}/studies/1.2/series/1.3/instances/1.4"],
                    },
                }
            ],
        },
    }


def test_what_is_stored_with_a_warning() -> None:
    [item] = report([WARNED], BASE)[1]["00081199"]["Value"]

    assert item["00081196"] == {"vr": "US", "Value": [45063]}
    assert item["00741048"]["Value"] == [
        {"00000902": {"vr": "LO", "Value": ["Patient's Name is longer than 64"]}}
    ]


def test_what_failed_says_why() -> None:  # STOW-31, trap 52
    [item] = report([DUPLICATE], BASE)[1]["00081198"]["Value"]

    assert item["00081150"]["Value"] == [CT]
    assert item["00081155"]["Value"] == ["1.6"]
    assert item["00081197"] == {"vr": "US", "Value": [273]}
    [detail] = item["00741048"]["Value"]
    assert detail["00000902"]["Value"] == [REASONS["duplicate"].text]


def test_what_cannot_be_named_is_another_failure() -> None:
    _, module = report([JUNK], BASE)

    assert set(module) == {"00081190", "0008119A"}
    assert module["0008119A"]["Value"][0]["00081197"]["Value"] == [0xC000]


def test_stow_30_sequences_are_absent_when_there_is_nothing_in_them() -> None:
    assert set(report([GOOD], BASE)[1]) == {"00081190", "00081199"}
    assert set(report([DUPLICATE], BASE)[1]) == {"00081190", "00081198"}


def test_the_retrieve_url_is_empty_unless_all_is_in_one_study() -> None:
    assert report([GOOD, ELSEWHERE], BASE)[1]["00081190"] == {"vr": "UR"}
    assert report([DUPLICATE], BASE)[1]["00081190"] == {"vr": "UR"}
    assert report([GOOD, WARNED, JUNK], BASE)[1]["00081190"]["Value"] == [f"{BASE}/studies/1.2"]


def test_an_instance_without_a_class_is_still_named() -> None:
    [item] = report([failed("invalid_instance", None, "1.7")], BASE)[1]["00081198"]["Value"]

    assert item["00081150"] == {"vr": "UI"}
    assert item["00081155"]["Value"] == ["1.7"]


def test_stow_02_no_results_are_refused() -> None:
    with pytest.raises(MalformedContent):
        report([], BASE)


def test_the_reasons_are_the_codes_of_the_standard() -> None:
    codes = {name: reason.code for name, reason in REASONS.items()}

    assert codes["other_study"] == 43265
    assert codes["transfer_syntax_not_supported"] == 49442
    assert len(set(codes.values())) == len(codes)
    for reason in REASONS.values():
        assert len(reason.text) <= 64  # Error Comment is LO
        assert re.match(r"PS3\.\d+ ", reason.clause)


def test_the_statement_has_the_same_reasons() -> None:
    text = (Path(__file__).parents[2] / "conformance" / "STATEMENT.md").read_text("utf-8")
    table = text.partition("| Reason | Kind | Clause | Meaning |\n|---|---|---|---|\n")[
        2
    ].partition("\n\n")[0]
    stated = [tuple(row.strip("| ").split(" | ")[:3]) for row in table.splitlines()]

    assert stated == [(f"{r.code:04X}", r.kind, r.clause) for r in REASONS.values()]


def test_every_reason_is_told_somewhere() -> None:
    source = "".join(
        path.read_text("utf-8")
        for path in (Path(__file__).parents[2] / "dicomweb_server").rglob("*.py")
        if path.name != "store_report.py"
    )
    told = set(re.findall(r'(?:failed|refused)\(\s*"(\w+)"', source))
    told |= set(re.findall(r'\bREASONS\["(\w+)"\]', source))

    assert told == set(REASONS)


def test_a_comment_is_one_short_line_of_ascii() -> None:
    failure = Failed(CT, "1.6", 0x0110, "Élément\r\n" + "too long " * 20)

    [item] = report([failure], BASE)[1]["00081198"]["Value"]

    [comment] = item["00741048"]["Value"][0]["00000902"]["Value"]
    assert comment.startswith("?l?ment too long too")
    assert len(comment) <= 64


def comment_on(text: str) -> str:
    [item] = report([Failed(CT, "1.6", 0xC000, text)], BASE)[1]["00081198"]["Value"]
    [comment] = item["00741048"]["Value"][0]["00000902"]["Value"]
    assert isinstance(comment, str)
    return comment


@pytest.mark.parametrize(
    ("text", "comment"),
    [
        ("00081140/1/00080100: has no VR", "00081140/1/00080100: has no VR"),
        (
            "0040A730/1/" * 9 + "00080100: a value that is no integer",
            "a value that is no integer at .../0040A730/1/0040A730/1/00080100",
        ),
        (
            "0040A730/1/" * 4
            + "00080100: has more than one of Value, InlineBinary and BulkDataURI",
            "has more than one of Value,... at .../0040A730/1/00080100",
        ),
        (
            "00081140: " + "a reason of many words " * 5,
            "a reason of many words a reason of many words a... at 00081140",
        ),
        ("x" * 65, "x" * 61 + "..."),
        ("00080100: " + "x" * 60, "x" * 49 + "... at 00080100"),
    ],
)
def test_a_long_comment_keeps_its_reason_and_the_end_of_its_path(text: str, comment: str) -> None:
    assert comment_on(text) == comment


steps = st.lists(st.integers(1, 999_999).map(lambda item: f"0040A730/{item}/"), max_size=20)


words = st.from_regex(r"[a-z]{1,9}( [a-z]{1,30}){0,9}", fullmatch=True)


@given(steps, st.text().filter(str.strip) | words)  # nobody gives a reason of nothing but spaces
def test_every_comment_says_something_in_64_characters(path: list[str], reason: str) -> None:
    comment = comment_on(f"{''.join(path)}00080100: {reason}")

    assert comment.isascii()
    assert len(comment) <= 64
    assert "00080100" in comment
    assert comment.strip(". ") != "00080100"


uids = st.from_regex(r"[12](\.[1-9]){1,3}", fullmatch=True)
stored = st.builds(
    Stored, uids, uids, uids, uids, st.none() | st.just(0xB007), st.lists(st.text()).map(tuple)
)
failures = st.builds(Failed, st.none() | uids, st.none() | uids, st.integers(0, 0xFFFF), st.text())


@given(st.lists(stored | failures, min_size=1, max_size=4))
def test_every_result_is_reported_once_in_valid_json(results: list[Stored | Failed]) -> None:
    _, module = report(results, BASE)

    dataset = Dataset.from_json(module)
    reported = sum(
        len(dataset.get(keyword) or [])
        for keyword in ("FailedSOPSequence", "ReferencedSOPSequence", "OtherFailuresSequence")
    )
    assert reported == len(results)
    assert list(module) == sorted(module)
