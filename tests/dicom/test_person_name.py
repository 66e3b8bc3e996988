"""PN folding and component groups (MAT-02, PS3.5 §6.2.1)."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dicomweb_server.dicom.matching import wildcard_matches
from dicomweb_server.dicom.person_name import fold, groups, name_patterns


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("DOE^JOHN", "doe^john"),
        ("DOE^JOHN", "DOE^JOHN^^^"),
        ("DOE^JOHN", " DOE ^ JOHN "),
        ("DOE^JOHN  MARY", "DOE^JOHN MARY"),
        ("Müller^Jörg", "MULLER^JORG"),
        ("Strauß", "STRAUSS"),
        ("Łukasz Øystein", "LUKASZ OYSTEIN"),
        ("Æbelø", "AEBELO"),
        ("Nguyễn^Văn^Đạt", "NGUYEN^VAN^DAT"),
        ("İpek Işık", "ipek isik"),
        ("Ｄｏｅ", "DOE"),
        ("Ёлкин", "елкин"),
        ("ΆΓΓΕΛΟΣ", "αγγελος"),
        ("DOE\0", "DOE"),
    ],
)
def test_mat_02_names_that_are_the_same_to_a_search(written: str, same: str) -> None:
    assert fold(written) == fold(same)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("DOE^JOHN", "DOE JOHN"),
        ("DOE", "DOE^JOHN"),
        ("^DOE", "DOE"),
        ("かき", "がき"),
        ("DOE", "D O E"),
    ],
)
def test_mat_02_names_that_stay_apart(one: str, other: str) -> None:
    assert fold(one) != fold(other)


def test_mat_02_folding_keeps_wildcards() -> None:
    assert fold("mül*^j?rg*") == "MUL*^J?RG*"


@given(st.text(max_size=60))
def test_mat_02_folding_twice_is_folding_once(text: str) -> None:
    folded = fold(text)

    assert fold(folded) == folded
    assert not folded.endswith("^")
    assert "\0" not in folded


@given(st.text(alphabet=st.characters(max_codepoint=0x17F), max_size=30))
def test_mat_02_latin_case_is_ignored(text: str) -> None:
    assert fold(text) == fold(text.casefold())


@given(st.text("AB^*?", max_size=8), st.text("AB^", min_size=1, max_size=6))
def test_mat_02_carets_at_the_end_are_no_difference_to_patterns(pattern: str, name: str) -> None:
    """C.2.2.2.4: a name that has them, and follows the pattern, follows it without them."""
    pattern, bare = fold(pattern), fold(name)
    assume(bare)
    spellings = [bare + "^" * more for more in range(10)]
    expected = any(wildcard_matches(pattern, each) for each in spellings)
    found = any(wildcard_matches(each, bare) for each in name_patterns(pattern))

    if "?" in pattern:  # which is a character of the name, and never a caret that is nothing
        assert found <= expected
    else:
        assert found is expected


def test_groups_of_a_query_text_and_of_a_json_value_are_the_same() -> None:
    value = {"Alphabetic": "Yamada^Tarou", "Phonetic": "やまだ^たろう"}

    assert groups(value) == ("Yamada^Tarou", "", "やまだ^たろう")
    assert groups("Yamada^Tarou==やまだ^たろう") == groups(value)


@given(st.lists(st.text(alphabet="AB^ ", max_size=5), min_size=1, max_size=5))
def test_groups_beyond_the_third_are_dropped(parts: list[str]) -> None:
    assert groups("=".join(parts)) == (*parts[:3], "", "")[:3]


@pytest.mark.parametrize("value", [{}, {"Alphabetic": None}, {"Alphabetic": 1}, {"Other": "X"}])
def test_a_name_without_groups_is_empty(value: dict[str, object]) -> None:
    assert groups(value) == ("", "", "")
