"""The table of transfer syntaxes: what is stored, and what each can be sent as."""

from collections.abc import Iterator

from pydicom.uid import UID, AllTransferSyntaxes

from dicomweb_server.dicom.encodable import LOSSLESS_TARGETS, LOSSY_TARGETS
from dicomweb_server.dicom.pixels import DECODABLE
from dicomweb_server.dicom.transfer_syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    MEDIA_TYPES,
    is_video,
    media_type_of,
)

_BARRED = (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)
_ROOT = "1.2.840.10008."
# Those that are too new for pydicom's dictionary (PS3.6 Table A-1).
_NAMES = {
    "1.2.4.110": "JPEG XL Lossless",
    "1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.4.112": "JPEG XL",
    "1.2.8.1": "Deflated Image Frame Compression",
}


def transfer_syntaxes() -> Iterator[str]:
    """UID and name, media type of its frames, whether it is decoded, whether it is encoded."""
    yield f"| Transfer syntax ({_ROOT}…) | Frames as stored | Decoded | Made for who asks |"
    yield "|---|---|---|---|"
    known = {str(uid) for uid in AllTransferSyntaxes} | set(MEDIA_TYPES) | set(DECODABLE)
    for uid in sorted(known, key=lambda text: [int(arc) for arc in text.split(".")]):
        told = f"{uid.removeprefix(_ROOT)} {_name(uid)}"
        decoded = "video" if is_video(uid) else "yes" if uid in DECODABLE else "no"
        yield f"| {told} | `{media_type_of(uid)}` | {decoded} | {_made(uid)} |"


def _name(uid: str) -> str:
    name = UID(uid).name
    if name != uid:
        return name
    if uid.endswith(".1") and is_video(uid):
        return f"Fragmentable {UID(uid.removesuffix('.1')).name}"
    return _NAMES[uid.removeprefix(_ROOT)]


def _made(uid: str) -> str:
    if uid == "1.2.840.10008.1.2.1":
        return "yes: the default"
    if uid in LOSSLESS_TARGETS:
        return "yes, without loss"
    if uid in LOSSY_TARGETS:
        return "if `LOSSY_QUALITY` allows it"
    return "no: of what is stored in it, only by this UID" if uid in _BARRED else "no"
