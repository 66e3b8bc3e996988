"""What an image tells of a loss (PS3.3 C.7.6.1.1.5), as changes of its attributes."""

from typing import Any

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.encode import encode_dataset
from dicomweb_server.dicom.rewriting import Change

LOSSY_RATIO = 0x00282112
RATIO_LENGTH = 16  # characters of a DS

_IMAGE_TYPE, _SOP_INSTANCE_UID = 0x00080008, 0x00080018
_LOSSY_IMAGE_COMPRESSION, _LOSSY_METHOD = 0x00282110, 0x00282114
_SOURCE_IMAGES, _DERIVATION_CODE = "00082112", "00089215"


def told_loss(attributes: JsonDataset, derived_uid: str) -> list[Change]:
    """What tells of a loss by JPEG Baseline, beside those before it. The ratio is written when it
    is known: the last RATIO_LENGTH characters of its value are for it.

    The image is a derived one: its SOP Instance UID is `derived_uid`, and it names its source
    unless it has sources already (PS3.3 C.12.4.1).
    """
    ratios, methods = _former(attributes, "00282112"), _former(attributes, "00282114")
    before = max(len(ratios), len(methods))  # their values belong together; some may be unknown
    ratios += [""] * (before - len(ratios)) + [" " * RATIO_LENGTH]
    methods += [""] * (before - len(methods)) + ["ISO_10918_1"]
    text = "\\".join(ratios)
    # An even length, with the blank before what is filled in later.
    padded = text if len(text) % 2 == 0 else text[:-RATIO_LENGTH] + " " + text[-RATIO_LENGTH:]
    uid = derived_uid.encode("ascii")
    changes = [
        (_SOP_INSTANCE_UID, "UI", uid + b"\0" * (len(uid) % 2)),
        text_change(_LOSSY_IMAGE_COMPRESSION, "CS", "01"),
        text_change(_LOSSY_METHOD, "CS", "\\".join(methods)),
        (LOSSY_RATIO, "DS", padded.encode("ascii", "replace")),
    ]
    kinds = _former(attributes, "00080008")
    if kinds and kinds[0] != "DERIVED":
        changes.append(text_change(_IMAGE_TYPE, "CS", "\\".join(["DERIVED", *kinds[1:]])))
    for tag, item in (
        (_SOURCE_IMAGES, _source(attributes)),
        (_DERIVATION_CODE, _code("113040", "Lossy Compression")),
    ):
        if not attributes.get(tag, {}).get("Value"):
            changes.append((int(tag, 16), "SQ", _sequence(tag, item)))
    return changes


def text_change(tag: int, vr: str, text: str) -> Change:
    """A new value of an attribute, padded with a blank."""
    value = text.encode("ascii", "replace")
    return tag, vr, value + b" " * (len(value) % 2)


def _former(attributes: JsonDataset, key: str) -> list[str]:
    found = attributes.get(key, {}).get("Value") or []
    return ["" if value is None else str(value) for value in found]


def _source(attributes: JsonDataset) -> dict[str, Any]:
    """The image that was compressed (PS3.3 Table 10-11, CID 7202)."""
    uids = [_former(attributes, key)[:1] for key in ("00080016", "00080018")]
    purpose = _code("121320", "Uncompressed predecessor")
    return {
        "00081150": {"vr": "UI", "Value": uids[0]},
        "00081155": {"vr": "UI", "Value": uids[1]},
        "0040A170": {"vr": "SQ", "Value": [purpose]},
    }


def _code(value: str, meaning: str) -> dict[str, Any]:
    texts = (("00080100", "SH", value), ("00080102", "SH", "DCM"), ("00080104", "LO", meaning))
    return {tag: {"vr": vr, "Value": [text]} for tag, vr, text in texts}


def _sequence(tag: str, item: dict[str, Any]) -> bytes:
    """The value of a sequence of one item, for a header that states its length."""
    pieces = encode_dataset({tag: {"vr": "SQ", "Value": [item]}}, {}).pieces
    return b"".join(pieces)[12:-8]  # without the header, and the delimiter at its end
