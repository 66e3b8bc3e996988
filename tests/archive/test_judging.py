"""What is judged on the event loop is small, however it is packed."""

import pytest

from dicomweb_server.archive.judging import are_small
from dicomweb_server.dicom.packing import pack_document
from dicomweb_server.dicom.query import Found, Level
from dicomweb_server.dicom.search_document import line_of


def row(text: str, number: int = 0) -> Found:
    lines = (line_of("00104000", {"vr": "LT", "Value": [text]}), b"%d" % number)
    return Found("1.2", (), {Level.STUDY: pack_document(b"\n".join(lines))})


@pytest.mark.parametrize(
    ("rows", "small"),
    [
        ([], True),
        ([row("short")], True),
        ([row("a" * 100_000)], False),  # of which a hundred bytes are left
        ([row("a" * 3000, number) for number in range(3)], True),
        ([row("a" * 3000, number) for number in range(4)], False),
        ([row("a" * 3000)] * 100, True),  # the one document of all of them
    ],
)
def test_documents_are_small_by_their_own_length(rows: list[Found], small: bool) -> None:
    assert are_small(rows, 10_000) is small
