"""The dictionaries are what pydicom makes of its tables, without pydicom."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import charset, datadict
from pydicom.tag import Tag
from pydicom.uid import UID

from dicomweb_server.dicom import dictionary
from dicomweb_server.dicom.text import character_set

TAGS = st.one_of(
    st.integers(0, 0xFFFFFFFF),
    st.sampled_from(sorted(dictionary.ELEMENTS)),
    # Of repeating groups, and their neighbours of odd groups
    st.sampled_from(sorted(dictionary.REPEATING)).flatmap(
        lambda pattern: st.integers(0, 0xFF).map(
            lambda number: int("".join("0123456789ABCDEF"[number % 16] if d == "x" else d
                                       for d in pattern), 16)
        )
    ),
)  # fmt: skip


def _or_none(function, *args):
    try:
        return function(*args)
    except KeyError:
        return None


def assert_as_pydicom_has_it(tag: int) -> None:
    assert dictionary.vr_of(tag) == _or_none(datadict.dictionary_VR, tag)
    assert dictionary.name_of(tag) == _or_none(datadict.dictionary_description, tag)
    assert dictionary.keyword_of(tag) == datadict.keyword_for_tag(tag)


def test_every_standard_element_is_as_pydicom_has_it() -> None:
    assert len(dictionary.ELEMENTS) > 5000
    for tag in dictionary.ELEMENTS:
        assert_as_pydicom_has_it(tag)
        keyword = dictionary.keyword_of(tag)
        assert not keyword or dictionary.tag_of(keyword) == datadict.tag_for_keyword(keyword)


@given(TAGS)
def test_any_tag_is_as_pydicom_has_it(tag: int) -> None:
    assert_as_pydicom_has_it(tag)


def test_overlays_are_a_repeating_group() -> None:
    assert dictionary.vr_of(0x60123000) == "OB or OW"
    assert dictionary.vr_of(0x60133000) is None  # private
    assert dictionary.tag_of("OverlayData") is None


@pytest.mark.parametrize("keyword", ["", "patientid", "PatientId", "NoSuchThing", "é"])
def test_what_is_no_keyword_names_nothing(keyword: str) -> None:
    assert dictionary.tag_of(keyword) is None


def test_every_private_element_is_as_pydicom_has_it() -> None:
    found = 0
    for creator, elements in dictionary.PRIVATE.items():
        for pattern in elements:
            tag = int(pattern.replace("x", "1"), 16)
            expected = _or_none(datadict.private_dictionary_VR, Tag(tag), creator)
            assert dictionary.private_vr_of(tag, creator) == expected
            found += expected is not None
    assert found > 5000


def test_what_is_not_known_of_private_elements() -> None:
    assert dictionary.private_vr_of(0x00291008, "SIEMENS CSA HEADER") == "CS"
    assert dictionary.private_vr_of(0x002910FE, "SIEMENS CSA HEADER") is None
    assert dictionary.private_vr_of(0x00291008, "NOBODY") is None


def test_every_uid_has_its_name() -> None:
    for uid in dictionary.UIDS:
        assert dictionary.uid_name(uid) == UID(uid).name or uid
        assert dictionary.uid_name(uid)
    assert dictionary.uid_name("1.2.3") == "1.2.3"


def test_character_sets_are_those_of_pydicom_and_one_more() -> None:
    for term, codec in charset.python_encoding.items():
        assert character_set(term.encode()) == ((codec,), True)
    assert character_set(b"ISO_IR 203") == (("iso8859_15",), True)


@pytest.mark.parametrize("module", ["app", "__main__", "commands.verifying", "archive.work"])
def test_nothing_that_runs_loads_pydicom(module: str) -> None:
    """It would be half a second and 30 MB of every process, and of every command."""
    told = (
        f"import sys, dicomweb_server.{module}; print([m for m in sys.modules if m == 'pydicom'])"
    )
    program = [sys.executable, "-c", told]

    assert subprocess.run(program, capture_output=True, text=True, check=True).stdout == "[]\n"
