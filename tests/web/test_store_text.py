"""Values of posted metadata: text of every script, numbers that JSON lacks, private attributes."""

import json
from decimal import Decimal
from typing import Any

import httpx
import numpy as np
import pytest

from tests.make.posted import JSON, XML, native_xml
from tests.strategies import CHARACTER_SETS
from tests.web.asking import FAILED, assert_problem, reasons
from tests.web.posting import (
    Attributes,
    metadata_of,
    post_posted,
    posted_instance,
    problems,
    retrieved,
    stored_paths,
)

SCRIPTS = [characters for _, characters in CHARACTER_SETS if characters]


@pytest.mark.parametrize("xml", [False, True])
@pytest.mark.parametrize("stated", ["ISO_IR 100", "ISO_IR 192", "ISO 2022 IR 87", "nonsense", None])
@pytest.mark.parametrize("script", [*SCRIPTS, "😀 𝒳", "a\u202eb\u0301"])
def test_jsn_32_text_is_utf_8_whatever_the_character_set_says(
    http: httpx.Client, script: str, stated: str | None, xml: bool
) -> None:
    named = {"Alphabetic": script, "Ideographic": f"{script}^{script}", "Phonetic": "x"}
    item: Attributes = {
        "00080005": {"vr": "CS", "Value": ["x"]},
        "00080104": {"vr": "LO", "Value": [script]},
    }
    text: Attributes = {
        "00081030": {"vr": "LO", "Value": [script, None, "b"]},
        "00081032": {"vr": "SQ", "Value": [item]},
        "00100010": {"vr": "PN", "Value": [named]},
        "00104000": {"vr": "LT", "Value": [f"{script}\r\n\\{script}"]},
    }
    made = posted_instance() | text
    if stated is not None:
        made["00080005"] = {"vr": "CS", "Value": [stated]}
    answer = post_posted(http, [dict(sorted(made.items()))], xml=xml)

    assert answer.status_code == 200, answer.text
    dataset = retrieved(http, answer)
    assert dataset.SpecificCharacterSet == "ISO_IR 192"
    assert dataset.StudyDescription == [script, "", "b"]
    assert dataset.PatientName.alphabetic == script
    [path] = stored_paths(answer)
    found = metadata_of(http, path)
    del item["00080005"]  # that of the whole holds in an item too
    assert {tag: found[tag] for tag in text} == text
    assert found["00080005"]["Value"] == ["ISO_IR 192"]


def test_jsn_32_ascii_alone_needs_no_character_set(http: httpx.Client) -> None:
    assert "SpecificCharacterSet" not in retrieved(http, post_posted(http, [posted_instance()]))


@pytest.mark.parametrize("xml", [False, True])
@pytest.mark.parametrize(
    ("token", "number"),
    [
        ("NaN", np.nan),
        ("nan", np.nan),
        ("Infinity", np.inf),
        ("+inf", np.inf),
        ("-INF", -np.inf),
        ("-Infinity", -np.inf),
    ],
)
def test_jsn_22_names_of_numbers_that_json_lacks(
    http: httpx.Client, token: str, number: float, xml: bool
) -> None:
    more = {
        "00189087": {"vr": "FD", "Value": [1.5, token]},
        "00720069": {"vr": "FL", "Value": [token]},
    }
    answer = post_posted(http, [posted_instance() | more], xml=xml)

    assert answer.status_code == 200, answer.text
    dataset = retrieved(http, answer)
    assert np.array_equal(dataset[0x00189087].value, [1.5, number], equal_nan=True)
    assert np.array_equal(dataset[0x00720069].value, number, equal_nan=True)


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_bare_tokens_and_numbers_beyond_a_double_are_no_json(
    http: httpx.Client, token: str
) -> None:
    text = f'[{{"00189087":{{"vr":"FD","Value":[{token}]}}}}]'
    assert_problem(http.post("studies", content=text, headers={"Content-Type": JSON}), 400)


@pytest.mark.parametrize("vr", ['"vr": "IS", ', '"vr": "DS", ', ""])
@pytest.mark.parametrize(
    "token",
    [
        "123456789012345678901234567890",
        "-9223372036854775809",
        "9007199254740993.0",
        "0.1234567890123456789",
        "1.00000000000000000001",
        "1e-400",
    ],
)
def test_a_number_in_text_keeps_its_digits_however_many(
    http: httpx.Client, vr: str, token: str
) -> None:
    """More than a double or 64 bits can hold, and told where it is too long (STOW-19)."""
    tag = "00200013" if "IS" in vr else "00181041"  # Instance Number, Contrast/Bolus Volume
    made = json.dumps(posted_instance() | {tag: {}})
    text = made.replace(f'"{tag}": {{}}', f'"{tag}": {{{vr}"Value": [1, {token}]}}')
    answer = http.post("studies", content=text, headers={"Content-Type": JSON})

    if "IS" in vr or len(token) > 16:
        assert answer.status_code == 202, answer.text
        assert any(f"({tag[:4]},{tag[4:]})" in problem for problem in problems(answer))
    [path] = stored_paths(answer)
    [one, value] = metadata_of(http, path)[tag]["Value"]
    assert one == 1
    assert Decimal(value) == Decimal(token)


def test_an_integer_that_its_vr_cannot_hold_is_not_rounded_to_one_that_it_can(
    http: httpx.Client,
) -> None:
    for vr, token in (
        ("SV", "-9223372036854775809"),
        ("UV", "9007199254740993.0"),
        ("US", "1.00000000000000000001"),
    ):
        made = posted_instance() | {"00090010": {"vr": "LO", "Value": ["A"]}, "00091001": {}}
        text = json.dumps(made)
        text = text.replace('"00091001": {}', f'"00091001": {{"vr": "{vr}", "Value": [{token}]}}')
        answer = http.post("studies", content=text, headers={"Content-Type": JSON})
        assert answer.status_code == 409, answer.text
        assert any("00091001" in problem for problem in problems(answer, FAILED)), answer.text


@pytest.mark.parametrize("xml", [False, True])
def test_jsn_15_private_attributes_keep_their_creator(http: httpx.Client, xml: bool) -> None:
    private: dict[str, Any] = {
        "00090010": {"vr": "LO", "Value": ["ONE"]},
        "00090011": {"vr": "LO", "Value": ["ÖTHER"]},
        "00091001": {"vr": "SH", "Value": ["a"]},
        "00091101": {"vr": "UN", "InlineBinary": "AAEC"},
        "00091102": {
            "vr": "SQ",
            "Value": [
                {
                    "00090010": {"vr": "LO", "Value": ["INNER"]},
                    "000910FF": {"vr": "FD", "Value": [1.5]},
                }
            ],
        },
    }
    answer = post_posted(http, [posted_instance() | private], xml=xml)

    assert answer.status_code == 200, answer.text
    dataset = retrieved(http, answer)
    assert dataset.private_block(0x0009, "ONE")[1].value == "a"
    other = dataset.private_block(0x0009, "ÖTHER")
    assert other[1].value == b"\0\1\2\0"
    assert other[2].value[0].private_block(0x0009, "INNER")[0xFF].value == 1.5


@pytest.mark.parametrize("xml", [False, True])
@pytest.mark.parametrize(
    "attribute",
    [
        {"vr": "US", "Value": [65536]},
        {"vr": "SS", "Value": [-32769]},
        {"vr": "UL", "Value": [-1]},
        {"vr": "SV", "Value": [2**63]},
        {"vr": "FL", "Value": [1e39]},
        {"vr": "AT", "Value": ["0010"]},
        {"vr": "ST", "Value": ["a", "b"]},
        {"vr": "OB", "Value": ["AA=="]},
        {"vr": "LO", "InlineBinary": "AAAA"},
        {"vr": "OB", "InlineBinary": "not base64"},
        {"vr": "OB", "InlineBinary": "A"},
        {"vr": "XX", "Value": ["a"]},
    ],
    ids=str,
)
def test_values_that_their_vr_cannot_hold_fail_alone(
    http: httpx.Client, attribute: Attributes, xml: bool
) -> None:
    wrong = posted_instance() | {"00090010": {"vr": "LO", "Value": ["A"]}, "00091001": attribute}
    answer = post_posted(http, [posted_instance(), wrong], xml=xml)
    assert answer.status_code == 202, answer.text
    assert len(stored_paths(answer)) == 1
    assert [*reasons(answer), *reasons(answer, "0008119A")] == [0xC000]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"vr": "DS", "Value": ["@"]}, True),
        ({"vr": "IS", "Value": [1.5]}, True),
        ({"vr": "IS", "Value": [10**13]}, True),
        ({"vr": "DS", "Value": [0.1234567890123456789]}, True),
        ({"vr": "CS", "Value": ["é"]}, True),
        ({"vr": "DS", "Value": [1, "2.50", 3.25]}, False),
    ],
    ids=str,
)
def test_stow_19_what_is_wrong_but_can_be_kept_is_kept_and_told(
    http: httpx.Client, value: Attributes, told: bool
) -> None:
    private = {"00090010": {"vr": "LO", "Value": ["A"]}, "00091001": value}
    answer = post_posted(http, [posted_instance() | private])
    assert answer.status_code == (202 if told else 200), answer.text
    assert bool(problems(answer)) is told


def test_xml_may_be_in_other_encodings(http: httpx.Client) -> None:
    for encoding in ("ISO-8859-1", "UTF-16", "US-ASCII"):
        made = posted_instance() | {"00081030": {"vr": "LO", "Value": ["Ä"]}}
        head = f'<?xml version="1.0" encoding="{encoding}"?>'
        text = head + native_xml(made).decode()
        content = text.encode(encoding, "xmlcharrefreplace")
        answer = http.post("studies", content=content, headers={"Content-Type": XML})
        assert answer.status_code == 200, answer.text
        assert retrieved(http, answer).StudyDescription == "Ä"
