"""Clinical documents as pages and text: the narrative of their sections."""

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.dicom.cda import (
    MAX_DOCUMENT,
    clinical_document,
    document_page,
    document_text,
)
from dicomweb_server.errors import ContentTooLarge, UndecodablePixels
from tests.make.documents import clinical_document as made

EVIL = "&lt;script&gt;alert(1)&lt;/script&gt;"


def test_what_a_document_says() -> None:
    text = document_text(made())
    for line in (
        "Radiology report",
        "  Name: Erika Muster",
        "  Patient ID: P1",
        "  Birth date: 1960-12-31",
        "  Date: 2024-01-02 10:15",
        "  Author: Ada Riva",
        "  Custodian: Ospedale",
        "Findings",
        "A nodule in the left upper lobe.",
        "Nothing else.",
        "  - first",
        "    - deeper",
        "  - second",
        "Lobe | Size",
        "left upper | 8 mm",
        "Details",
    ):
        assert line in text.splitlines(), line


def test_the_page_says_the_same() -> None:
    page = document_page(made())
    assert "<h2>Findings</h2>" in page
    assert "<h3>Details</h3>" in page
    assert "<th>Lobe</th>" in page
    assert "<td>8 mm</td>" in page
    assert '<p class="text">A nodule in the left upper lobe.\nNothing else.</p>' in page


def test_nothing_of_a_document_becomes_markup() -> None:
    page = document_page(made(title=EVIL, finding=EVIL, name=EVIL))
    assert "<script" not in page
    assert page.count(EVIL) >= 3
    plain = made(
        finding='<linkHtml href="javascript:alert(1)">x</linkHtml>'
        '<script xmlns="http://www.w3.org/1999/xhtml">alert(1)</script>'
        '<renderMultiMedia referencedObject="p"/>'
    )
    page = document_page(plain)
    assert "javascript:" not in page
    assert "<script" not in page
    assert "[picture]" in page


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<a",
        b"<a/>",
        b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b'<?xml version="1.0" encoding="no-such"?><a/>',
    ],
)
def test_what_is_no_clinical_document(data: bytes) -> None:
    with pytest.raises(UndecodablePixels):
        clinical_document(data)


def test_bounds() -> None:
    with pytest.raises(ContentTooLarge):
        clinical_document(b" " * (MAX_DOCUMENT + 1))
    with pytest.raises(ContentTooLarge):
        clinical_document(made(finding="<paragraph>" * 99 + "</paragraph>" * 99))


def test_tables_in_tables_are_text_of_their_cell() -> None:
    """However deep they are nested, each is read once."""
    inner, outer = "<table><tr><td>" * 3000, "</td></tr></table>" * 3000
    text = document_text(made(finding=f"{inner}inmost{outer}"))
    assert text.count("inmost") == 1


MARKUP = st.recursive(
    st.sampled_from(["x", " ", "<br/>", "<!-- c -->", "<?p i?>", "<td/>", "&lt;"]),
    lambda inner: st.builds(
        lambda name, parts: f"<{name}>{''.join(parts)}</{name}>",
        st.sampled_from(
            ["paragraph", "list", "item", "table", "tr", "td", "content", "caption", "other"]
        ),
        st.lists(inner, max_size=3),
    ),
    max_leaves=8,
)


@given(MARKUP)
def test_any_narrative_is_shown(finding: str) -> None:
    page = document_page(made(finding=finding)).partition("<body>")[2].partition("</body>")[0]
    fromstring(page)
    document_text(made(finding=finding))
