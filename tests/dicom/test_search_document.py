"""Documents: what is kept of an entity for its search results, and how it is packed."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.dicom.packing import (
    pack_document,
    pack_metadata,
    unpack_document,
    unpack_metadata,
)
from dicomweb_server.dicom.search_document import attributes_of, document_of, line_of, lines_by_name

# Whatever JSON texts hold: integers beyond 64 bits, and halves of surrogate pairs.
leaves = st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.text(max_size=9)
values = leaves | st.floats(allow_nan=False, allow_infinity=False)
attributes = st.fixed_dictionaries({"vr": st.just("LO"), "Value": st.lists(values, max_size=3)})
keys = st.integers(0, 2**32 - 1).map("{:08X}".format)
datasets = st.dictionaries(keys, attributes, max_size=5)


@given(datasets)
def test_a_document_is_its_attributes_line_by_line(dataset: dict[str, Any]) -> None:
    document = document_of(dataset)

    assert attributes_of(document) == dataset
    found = {key.decode(): line for key, line in lines_by_name(document).items()}
    assert list(found) == sorted(dataset)
    for key, line in found.items():
        assert json.loads(b"{" + line + b"}") == {key: dataset[key]}
        assert line == line_of(key, dataset[key])


@given(datasets)
def test_what_was_packed_is_unpacked(dataset: dict[str, Any]) -> None:
    document = document_of(dataset)

    assert unpack_document(pack_document(document)) == document
    assert len(pack_document(document)) <= len(document) + 1
    assert unpack_metadata(pack_metadata(document)) == document


def test_packed_documents_that_were_kept_can_be_read_for_ever() -> None:
    """The form of 2026: rows of archives hold it."""
    document = b'"00100020":{"vr":"LO","Value":["P1"]}\n"0020000D":{"vr":"UI","Value":["1.2"]}'

    assert pack_document(document)[0] == 1
    kept = bytes.fromhex("0123143501f05632011b95626b01")
    assert unpack_document(kept) == document
    assert unpack_document(b"\0" + document) == document
