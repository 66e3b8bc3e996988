"""Text of the DICOM JSON Model (PS3.18 Annex F) as data sets, from whoever sends it."""

import orjson

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.errors import ContentTooLarge, MalformedContent

# In memory text of these sizes takes up to 1 GiB: an object of few characters takes 232 bytes.
# A data set has two such brackets an element, which are some forty characters.
MAX_TEXT = 64 << 20  # bytes
MAX_BRACKETS = 4_000_000  # objects and arrays

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # a reader may pass over it (RFC 8259 §8.1)


def parse_json_datasets(text: bytes, limit: int = MAX_TEXT) -> list[JsonDataset]:
    """The data sets of an array of objects, or of one bare object (JSN-01).

    What the objects hold is not looked at: ``encode`` does that. Of a name that an object has
    twice the last counts; integers beyond 64 bits are read as floats.

    Raises ContentTooLarge for more than `limit` bytes or MAX_BRACKETS, and MalformedContent for
    anything but JSON of objects: nested deeper than 1024 (orjson's limit), numbers that a double
    cannot hold, halves of surrogate pairs, bare NaN and Infinity.
    """
    if len(text) > limit:
        raise ContentTooLarge(f"JSON of more than {limit} bytes")
    if text.count(b"{") + text.count(b"[") > MAX_BRACKETS:
        raise ContentTooLarge(f"JSON of more than {MAX_BRACKETS} objects and arrays")
    try:
        found = orjson.loads(text.removeprefix(_BYTE_ORDER_MARK))
    except orjson.JSONDecodeError as error:
        # Its message says what and where, never what stands there.
        raise MalformedContent(f"not JSON: {error.msg} at character {error.pos}") from None
    datasets = found if isinstance(found, list) else [found]
    if not all(isinstance(dataset, dict) for dataset in datasets):
        raise MalformedContent("JSON that is neither an object nor an array of objects")
    return datasets
