"""What an RLE Lossless frame is in DICOM (PS3.5 Annex G)."""

from dicomweb_server.dicom.fragments import Bytes
from dicomweb_server.dicom.media_description import Media, take
from dicomweb_server.dicom.transfer_syntaxes import RLE_LOSSLESS
from dicomweb_server.errors import MalformedMedia

_HEADER = 64  # bytes
_MAX_SEGMENTS = 15


def read_rle(data: Bytes, claimed: str | None) -> Media:
    """Check the header of one frame. What image it is, the metadata alone tell.

    Raises MalformedMedia if its segments do not follow each other from the header to the end.
    """
    header = take(data, 0, _HEADER)
    count, *offsets = (int.from_bytes(header[n : n + 4], "little") for n in range(0, _HEADER, 4))
    used = offsets[:count]
    in_order = used == sorted(used) and used[:1] == [_HEADER] and used[-1] < len(data)
    if not 1 <= count <= _MAX_SEGMENTS or not in_order or any(offsets[count:]):
        raise MalformedMedia("the part is not a frame of RLE")
    return Media(RLE_LOSSLESS, 0, len(data))
