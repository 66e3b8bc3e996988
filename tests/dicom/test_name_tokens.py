"""Fuzzy matching of person names (MAT-03)."""

from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.dicom.matching import matches, matches_dataset
from dicomweb_server.dicom.name_tokens import (
    LONGEST_PREFIX,
    MOST_TOKENS,
    MOST_WORDS,
    name_tokens,
    query_tokens,
)
from dicomweb_server.dicom.person_name import GROUPS
from dicomweb_server.dicom.query import Fuzzy

JAPANESE = "Yamada^Tarou=山田^太郎=やまだ^たろう"


def found(query: str, name: str) -> bool:
    tokens = name_tokens(name)
    return all(word & tokens for word in query_tokens(query))


@pytest.mark.parametrize(
    ("query", "name"),
    [
        # beginnings, in any component and order, without case and accents
        ("mul", "Müller^Jörg"),
        ("jörg müll", "Müller^Jörg"),
        ("J M", "Müller^Jörg"),
        ("MULLER^JORG", "Müller^Jörg^^Dr."),
        ("dr muller", "Müller^Jörg^^Dr."),
        ("rossi", "De Rossi^Anna Maria"),
        ("maria anna", "De Rossi^Anna Maria"),
        ("meier-schulze", "Schulze-Meier^Eva"),
        ("Doe, J.", "DOE^JOHN"),
        # sounds
        ("maier", "Mayr^Josef"),
        ("Katherine Smyth", "SMITH^CATHERINE"),
        ("mueller filip", "Müller^Philipp"),
        ("reno", "Renault^Jean"),
        ("kiara bianki", "Bianchi^Chiara"),
        # apostrophes
        ("d'angelo", "D’Angelo^Rita"),
        ("dangelo", "D'Angelo^Rita"),
        ("d'angelo", "DANGELO^RITA"),
        ("angelo", "D'Angelo^Rita"),
        ("obrien", "OʼBRIEN"),
        # wildcards end a word
        ("mul*", "Müller^Jörg"),
        ("*müller* j?", "Müller^Jörg"),
        # long words
        ("wolfeschlegelsteinhausen", "Wolfeschlegelstein"),
        # other scripts
        ("山", JAPANESE),
        ("太郎 山田", JAPANESE),
        ("やま", JAPANESE),
        ("yamada 太郎 たろう", JAPANESE),
        ("Yamada^Tarou=山田^太郎", JAPANESE),
        ("ﾔﾏﾀﾞ", "==ヤマダ^タロウ"),
        ("홍 길", "Hong^Gildong=洪^吉洞=홍^길동"),
        ("елкин", "Ёлкин^Пётр"),
        ("пе ел", "Ёлкин^Пётр"),
        ("παπαδό", "ΠΑΠΑΔΟΠΟΥΛΟΣ^ΓΙΩΡΓΟΣ"),
        ("محمد", "عَبْدُ^مُحَمَّد"),
        ("محمد", "محـــمد^عبد"),
        ("שלום", "כֹּהֵן^שָׁלוֹם"),
        ("ג׳ורג", "כהן^ג'ורג'"),
        ("สม", "สมชาย^ใจดี"),
        ("ใจดี สมชาย", "สมชาย^ใจดี"),
    ],
)
def test_mat_03_names_that_are_found(query: str, name: str) -> None:
    assert found(query, name)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("uller", "Müller^Jörg"),  # within a word
        ("muller peter", "Müller^Jörg"),  # one word of two
        ("mulleran", "Müller^Jörg"),
        ("russo", "Rossi^Anna"),
        ("bianco", "Bianchi^Chiara"),
        ("li", "Lee^Ann"),  # two letters have no sound
        ("mullerjorg", "Müller^Jörg"),  # words are joined only at apostrophes
        ("deluca", "De Luca^Pia"),
        ("田", JAPANESE),
        ("山田 次郎", JAPANESE),
        ("かき", "==がき"),
        ("елкинa", "Ёлкин^Пётр"),
        ("muller", ""),
        ("muller", "^^^=^="),
    ],
)
def test_mat_03_names_that_are_not_found(query: str, name: str) -> None:
    assert not found(query, name)


@pytest.mark.parametrize("text", ["", " ", "*", "**", "?", "^", "^^=", "' -", ".", "\0", "\ud800"])
def test_mat_03_a_query_without_words_asks_for_nothing(text: str) -> None:
    assert query_tokens(text) == ()
    assert name_tokens(text) == frozenset()


def test_mat_03_tokens_are_beginnings_and_sounds() -> None:
    assert name_tokens("Low^Li") == {"L", "LO", "LOW", "LI", "~L4", "~L7"}
    assert query_tokens("low LI") == ({"LOW", "~L4", "~L7"}, {"LI"})


def test_mat_03_what_is_written_like_a_sound_is_none() -> None:
    assert not found("~L4", "Low")
    assert not found("L4", "Low")


NAMES = st.lists(
    st.text(max_size=8)
    | st.text("ABCEGHIÄö'’ -^.=", max_size=14)
    | st.text("山田やま홍길สมชاب", max_size=5),
    max_size=5,
).map("^".join)


LETTERS = "ACEGHIKSTUZäßéøłIJäö0やまヤマ山田홍길ЁлкинΠαδόςשלוםمحدสมชายใจ"
WORDS = st.lists(st.text(LETTERS, min_size=1, max_size=16), min_size=1, max_size=MOST_WORDS)
SEPARATORS = st.sampled_from(["^", "^^", " ", "  ", "-", "'", "’", ", ", ". ", "・", "("])


@given(WORDS, st.data())
def test_mat_03_a_name_is_found_by_beginnings_of_its_words_in_any_order(
    words: list[str], data: st.DataObject
) -> None:
    def written(parts: list[str]) -> str:
        return "".join(part + data.draw(SEPARATORS) for part in parts)

    places = sorted(data.draw(st.lists(st.integers(0, len(words)), min_size=2, max_size=2)))
    groups = (words[: places[0]], words[places[0] : places[1]], words[places[1] :])
    asked = [word[: data.draw(st.integers(1, len(word)))] for word in words]

    assert found(written(data.draw(st.permutations(asked))), "=".join(map(written, groups)))


@given(NAMES)
def test_mat_03_a_name_finds_itself_as_text_and_as_json(name: str) -> None:
    value = dict(zip(GROUPS, name.split("="), strict=False))

    assert found("=".join(name.split("=")[:3]), name)
    assert name_tokens(value) == name_tokens(name)


@given(NAMES)
def test_mat_03_tokens_can_be_kept_in_a_database(name: str) -> None:
    tokens = name_tokens(name).union(*query_tokens(name))

    assert all(0 < len(token) <= LONGEST_PREFIX + 1 for token in tokens)
    assert not any("\0" in token for token in tokens)
    assert "".join(tokens).encode().decode() == "".join(tokens)


@pytest.mark.parametrize("piece", ["A", "A^", "ABCDE'", "CIGESCI ", "Ä", "\u0301", "ﷺ ", "*", "~"])
def test_mat_03_a_damaged_name_has_bounded_tokens_at_bounded_cost(piece: str) -> None:
    different = "".join(
        f"{chr(65 + i % 26)}{chr(65 + i // 26 % 26)}GECI{piece}" for i in range(4000)
    )
    for name in (piece * (64_000 // len(piece.encode())), different):
        began = perf_counter()
        tokens, asked = name_tokens(name), query_tokens(name)

        assert perf_counter() - began < 2  # it takes a tenth
        assert len(tokens) <= MOST_TOKENS
        assert len(asked) <= MOST_WORDS


def person_name(*values: object) -> dict[str, Any]:
    return {"vr": "PN", "Value": list(values)}


MULLER = {"Alphabetic": "Müller^Jörg"}
ROSSI = {"Alphabetic": "Rossi^Anna", "Phonetic": "ロッシ"}


@pytest.mark.parametrize(
    ("query", "attribute", "expected"),
    [
        ("jorg mul", person_name(MULLER), True),
        ("mueller", person_name(MULLER), True),
        ("anna", person_name(MULLER, ROSSI), True),
        ("ロ anna", person_name(None, ROSSI), True),
        ("jorg anna", person_name(MULLER, ROSSI), False),  # words of two names
        ("anna", person_name(MULLER), False),
        ("anna", person_name({}), False),
        ("anna", {"vr": "PN"}, False),
        ("anna", None, False),
    ],
)
def test_mat_03_a_fuzzy_condition(
    query: str, attribute: dict[str, Any] | None, expected: bool
) -> None:
    condition = Fuzzy(query_tokens(query))

    assert matches(condition, attribute, "PN") is expected
    dataset = {} if attribute is None else {"00100010": attribute}
    assert matches_dataset({(0x00100010,): condition}, dataset) is expected
