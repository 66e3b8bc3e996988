"""Character sets: PS3.5 §6.1 and its examples in annexes H to K."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.charset import convert_encodings, encode_string

from dicomweb_server.dicom.text import DEFAULT, REPLACEMENT, character_set, decode
from tests.strategies import CHARACTER_SETS


def _decode(terms: str, value: bytes, *, person_name: bool = False) -> str:
    return decode(value, character_set(terms.encode())[0], person_name=person_name)


@pytest.mark.parametrize(
    ("terms", "value", "text"),
    [
        # PS3.5 annex H.3.1, H.3.2: Japanese
        (
            "\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
        ),
        (
            "ISO 2022 IR 13\\ISO 2022 IR 87",
            b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J",
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎",
        ),
        # annex I.2: Korean, where each component repeats the escape
        (
            "\\ISO 2022 IR 149",
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7",
            "Hong^Gildong=洪^吉洞",
        ),
        # annex J.1, J.3, K.2: Chinese
        ("ISO_IR 192", "Wang^XiaoDong=王^小东".encode(), "Wang^XiaoDong=王^小东"),
        ("GB18030", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab", "Wang^XiaoDong=王^小东"),
        (
            "\\ISO 2022 IR 58",
            b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab",
            "Zhang^XiaoDong=张^小东",
        ),
        ("ISO_IR 203", b"10 \xa4", "10 €"),
    ],
)
def test_names_are_read_in_their_character_set(terms: str, value: bytes, text: str) -> None:
    assert _decode(terms, value, person_name=True) == text


def test_the_first_set_is_active_again_after_a_delimiter() -> None:
    terms = "ISO 2022 IR 100\\ISO 2022 IR 126"

    assert _decode(terms, b"\x1b-F\xc4^\xe9=\xe9", person_name=True) == "Δ^é=é"
    assert _decode(terms, b"\x1b-F\xc4\\\xe9") == "Δ\\é"
    assert _decode(terms, b"\x1b-F\xc4^\xc4") == "Δ^Δ"  # not a delimiter outside names


def test_without_characters_of_its_own_the_first_set_takes_nothing_back() -> None:
    # Writers that do not repeat the escape: nothing else could be meant.
    assert _decode("\\ISO 2022 IR 149", b"\x1b$)C\xc8\xab^\xb1\xe6", person_name=True) == "홍^길"


def test_an_escape_is_followed_though_it_is_not_declared() -> None:
    value = b"\x1b$B;3ED\x1b(J^Tarou"

    assert _decode("\\ISO 2022 IR 87", value, person_name=True) == "山田^Tarou"
    assert _decode("ISO_IR 100", value, person_name=True) == "山田^Tarou"


@pytest.mark.parametrize("codec", ["GBK", "GB18030"])
def test_a_backslash_within_a_character_separates_nothing(codec: str) -> None:
    value = "乗俓\\x".encode(codec)

    assert value.count(b"\\") == 3
    assert _decode(codec, value) == "乗俓\\x"


@pytest.mark.parametrize(
    ("written", "codecs", "known"),
    [
        ("", DEFAULT, True),
        ("ISO_IR 100", ("latin_1",), True),
        ("ISO-IR 100", ("latin_1",), True),
        ("iso ir 100 ", ("latin_1",), True),
        ("ISO_2022_IR_6\\ISO 2022-IR 87", (*DEFAULT, "iso2022_jp"), True),
        ("UTF-8", ("UTF8",), True),
        ("ISO_IR 192\\ISO 2022 IR 87", ("UTF8",), False),
        ("ISO_IR 100\\GBK", ("latin_1",), False),
        ("unicode_escape", DEFAULT, False),
        ("punycode", DEFAULT, False),
        ("zlib", DEFAULT, False),
    ],
)
def test_terms_are_known_in_the_spellings_that_occur(
    written: str, codecs: tuple[str, ...], known: bool
) -> None:
    assert character_set(written.encode()) == (codecs, known)


@pytest.mark.parametrize(
    ("terms", "value", "text"),
    [
        ("ISO_IR 192", b"a\xffb", f"a{REPLACEMENT}b"),
        ("ISO_IR 192", b"\xed\xa0\x80", REPLACEMENT * 3),  # half of a surrogate pair
        ("\\ISO 2022 IR 87", b"x\x1b$B;\x1b(B", f"x{REPLACEMENT}"),  # half of a character
        ("\\ISO 2022 IR 87", b"x\x1b", "x\x1b"),
        ("ISO_IR 100", b"a\x01b", f"a{REPLACEMENT}b"),
    ],
)
def test_what_cannot_be_decoded_is_replaced(terms: str, value: bytes, text: str) -> None:
    assert _decode(terms, value) == text


_TERMS = [terms for terms, _ in CHARACTER_SETS] + [["\\".join(["x"] * 400)], ["ISO 2022 IR 159"]]
_ESCAPES = [b"\x1b$B", b"\x1b(J", b"\x1b)I", b"\x1b$(D", b"\x1b-F", b"\x1b$)C", b"\x1b(", b"\x1b"]


@given(
    st.sampled_from(_TERMS),
    st.lists(st.binary(max_size=6) | st.sampled_from(_ESCAPES)).map(b"".join),
    st.booleans(),
)
def test_any_bytes_become_text_that_json_can_hold(
    terms: list[str], value: bytes, person_name: bool
) -> None:
    text = _decode("\\".join(terms), value, person_name=person_name)

    assert "\x01" not in text
    assert text.encode("utf-8").decode("utf-8") == text  # no lone surrogate


@given(st.data())
def test_what_pydicom_writes_is_read_again(data: st.DataObject) -> None:
    terms, characters = data.draw(st.sampled_from(CHARACTER_SETS))
    # Not both in one text: pydicom cannot write Latin letters and katakana of ISO_IR 13 together.
    text = data.draw(st.text("ab ", max_size=20) | st.text(characters, max_size=20))
    written = encode_string(text, convert_encodings(terms or None))

    assert _decode("\\".join(terms), written) == text


def test_escapes_without_end_take_no_time() -> None:
    assert decode(b"\x1b$B" * 1_000_000, ("iso8859", "iso2022_jp")).count("$B") == 1_000_000
