"""Values against their VR (PS3.5 Table 6.2-1): what is wrong is noted, and kept all the same."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom.valuerep import validate_regex

from dicomweb_server.dicom.text import DEFAULT
from dicomweb_server.dicom.values import LITTLE_ENDIAN, TOO_LONG, Attribute

UTF_8 = ("utf_8",)

GOOD = {
    "AE": ["A", "STORE SCP", "a.b-c_d", "1234567890123456"],
    "AS": ["018M", "063Y", "999D", "000W"],
    "CS": ["CT", "HELICAL MODE", "A_1", " LEADING", "1234567890123456", "0"],
    "DA": ["20240102", "19991231", "00010101"],
    "DS": ["1", "-1.5", "+2", "40.", ".5", "1e3", "-1.2345678E-123", "1234567890123456"],
    "DT": ["2024", "202401", "20240102101500.25", "2024010210+0100", "20240102-0930"],
    "IS": ["0", "-1", "+7", "2147483647", "-2147483648", "000000000001"],
    "LO": ["x" * 64, "two words", "x" * 64 + "   "],
    "LT": ["x" * 10240],
    "PN": ["x" * 63 + "^", "Test^Patient", "x" * 64 + "=" + "y" * 64],
    "SH": ["x" * 16],
    "ST": ["x" * 1024],
    "TM": ["10", "1015", "101523", "101523.1", "235960.000001", "101523.120000 "],
    "UC": ["x" * 2000],
    "UI": ["1", "0.0", "1.2.840.10008.1.2\0", "2.0.1", "1" * 64, "10.20"],
    "UT": ["x" * 20000],
}
BAD = {
    "AE": ["12345678901234567", "a\tb"],
    "AS": ["63Y", "063", "063y", "0063Y"],
    "CS": ["ct", "A-B", "12345678901234567", "A/B"],
    "DA": ["2024.01.02", "20241301", "20240100", "20240132", "2024", "20240102-", "TODAY"],
    "DS": ["1.2.3", "1,5", "0.12345678901234567", "1 2"],
    "DT": ["20241", "20240102101500.", "2024+1", "2024010225", "2024+1500"],
    "IS": ["1.0", "1e3", "0000000000001", "9999999999999"],
    "LO": ["x" * 65],
    "LT": ["x" * 10241],
    "PN": ["x" * 65, "a=" + "x" * 65],
    "SH": ["x" * 17],
    "ST": ["x" * 1025],
    "TM": ["1", "25", "1060", "101562", "10:15:00", "101523.1234567", "1015.5"],
    "UI": ["1.", ".1", "1..2", "01.2", "1.02", "1.2.00", "1" * 65, "1.2.x", "1,2"],
}
SINGLE = ("LT", "ST", "UT")
SYNTAXES = ("AE", "AS", "CS", "DA", "DT", "TM", "UI")
ALPHABETS = {
    "AS": "0123456789DWMYdX",
    "CS": "ABCYZ019 _-az.",
    "UI": "0012..3",
}


def read(vr: str, text: str | bytes) -> tuple[Attribute, list[str]]:
    notes: list[str] = []
    value = text.encode() if isinstance(text, str) else text
    attribute = LITTLE_ENDIAN[vr](value, UTF_8 if vr in ("LO", "PN") else DEFAULT, notes)
    assert attribute is not None
    return attribute, notes


@pytest.mark.parametrize(("vr", "text"), [(vr, text) for vr in GOOD for text in GOOD[vr]])
def test_what_a_vr_allows_is_no_problem(vr: str, text: str) -> None:
    assert read(vr, text)[1] == []
    assert read(vr, text + " ")[1] == []
    if vr not in SINGLE:
        assert read(vr, f"{text}\\{text}\\\\{text}")[1] == []


@pytest.mark.parametrize(("vr", "text"), [(vr, text) for vr in BAD for text in BAD[vr]])
def test_what_a_vr_does_not_allow_is_noted_once_without_its_content(vr: str, text: str) -> None:
    _, [note] = read(vr, text)
    assert text not in note
    if vr not in SINGLE:
        good = GOOD[vr][0]
        assert read(vr, f"{good}\\{text}\\{good}\\{text}")[1] == [note]


@pytest.mark.parametrize("vr", [*GOOD])
def test_an_empty_value_is_no_problem(vr: str) -> None:
    for text in ("", " ", "\0"):
        assert read(vr, text) == ({"vr": vr}, [])


@pytest.mark.parametrize("vr", [*ALPHABETS])
@given(data=st.data())
def test_pydicom_finds_the_same_wrong(vr: str, data: st.DataObject) -> None:
    text = data.draw(st.text(ALPHABETS[vr], min_size=1, max_size=20).filter(str.strip))

    valid, _ = validate_regex(vr, text.rstrip(" "))

    assert (read(vr, text)[1] == []) == valid


@pytest.mark.parametrize("vr", SYNTAXES)
@given(value=st.binary(max_size=40) | st.text("012359. \\ACZ_+-\0", max_size=40).map(str.encode))
@example(value=b"1.2\\\\3 \0\\")
def test_the_values_are_kept_whatever_they_are(vr: str, value: bytes) -> None:
    parts = [
        part.rstrip(" \0") or None
        for part in value.decode("latin_1").replace("\x01", "\ufffd").split("\\")
    ]

    assert read(vr, value)[0] == ({"vr": vr} if parts == [None] else {"vr": vr, "Value": parts})


def test_a_limit_is_of_characters_not_of_bytes() -> None:
    assert read("LO", "é" * 64)[1] == []
    assert read("LO", "é" * 65)[1] == [TOO_LONG]
    assert read("PN", "é" * 64 + "^=" + "é" * 64)[1] == [TOO_LONG]  # 65 with the delimiter
    assert read("PN", "é" * 64 + "=" + "é" * 64)[1] == []


@pytest.mark.parametrize("vr", [*SYNTAXES, "DS", "IS"])
@pytest.mark.parametrize("piece", ["1", "1.", "\\", " ", "1 \\", "A" * 17, "0.\\", "1\0"])
def test_hostile_values_take_linear_time(vr: str, piece: str) -> None:
    begin = time.perf_counter()
    read(vr, piece * (60_000 // len(piece)) + "!")

    assert time.perf_counter() - begin < 1
