"""Data sets of the DICOM JSON Model encoded: walked back to the same, and read by pydicom."""

from base64 import b64decode, b64encode
from dataclasses import dataclass

from hypothesis import given
from pydicom import Dataset

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.encode import QUERY_ONLY, Encapsulated, Encoded, encode_dataset
from dicomweb_server.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from dicomweb_server.dicom.walk import Walked, walk
from tests.strategies import ENCODINGS, datasets, encoded, encodings


@dataclass(frozen=True)
class Held:
    """Bulk data in memory."""

    value: bytes

    @property
    def length(self) -> int:
        return len(self.value)


def _bytes(found: Encoded[Held]) -> bytes:
    whole = b"".join(piece if isinstance(piece, bytes) else piece.value for piece in found.pieces)
    assert len(whole) == found.length
    return whole


def _walk(content: bytes, transfer_syntax: str = EXPLICIT_VR_LITTLE_ENDIAN) -> Walked:
    implicit, little = ENCODINGS[transfer_syntax]
    return walk(content, 0, implicit_vr=implicit, little_endian=little)


def _bulk(walked: Walked, content: bytes) -> dict[str, Held | Encapsulated[Held]]:
    return {
        f"\x01/{path}": Held(content[value.offset : value.offset + value.length])
        for path, value in walked.bulk.items()
    }


def _even(attributes: JsonDataset) -> JsonDataset:
    """`attributes` with binary values as they are in a file: pydicom writes odd ones."""
    padded: JsonDataset = {}
    for key, attribute in attributes.items():
        padded[key] = dict(attribute)
        if "InlineBinary" in attribute:
            value = b64decode(attribute["InlineBinary"])
            padded[key]["InlineBinary"] = b64encode(value + bytes(len(value) % 2)).decode()
        elif attribute["vr"] == "SQ" and "Value" in attribute:
            padded[key]["Value"] = [_even(item) for item in attribute["Value"]]
    return padded


@given(datasets(), encodings)
def test_what_is_encoded_is_walked_to_the_same_attributes(
    dataset: Dataset, transfer_syntax: str
) -> None:
    content = encoded(dataset, transfer_syntax)
    walked = _walk(content, transfer_syntax)
    found = encode_dataset(walked.attributes, _bulk(walked, content))
    kept = {key: a for key, a in walked.attributes.items() if int(key, 16) not in QUERY_ONLY}
    assert _walk(_bytes(found)).attributes == _even(kept)
