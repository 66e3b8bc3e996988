"""What the bytes of one part of a store request are in DICOM (PS3.18 §10.5, STOW-10 to STOW-16).

A client that stores metadata and bulk data sends each compressed frame, video or document as a
part of a media type. `read_media` says which transfer syntax the bytes are of, which of them are
the code stream, and what they tell of the image; pictures that DICOM does not encapsulate are
decoded by ``native_pictures``.
"""

from collections.abc import Callable

from dicomweb_server.dicom.fragments import Bytes
from dicomweb_server.dicom.media_description import Media, one_image
from dicomweb_server.dicom.media_jpeg import read_jpeg
from dicomweb_server.dicom.media_jpeg2000 import read_jpeg2000, read_jpeg2000_part_2
from dicomweb_server.dicom.media_jpeg_xl import read_jpeg_xl
from dicomweb_server.dicom.media_rle import read_rle
from dicomweb_server.dicom.media_video import read_video
from dicomweb_server.errors import UnsupportedMedia

__all__ = ["DOCUMENT_TYPES", "ENCAPSULATED_TYPES", "Media", "essence", "one_image", "read_media"]

Reader = Callable[[Bytes, str | None], Media]

_READERS: dict[str, Reader] = {
    "image/jpeg": read_jpeg,
    "image/jls": read_jpeg,
    "image/jp2": read_jpeg2000,
    "image/jpx": read_jpeg2000_part_2,
    "image/jph": read_jpeg2000,
    "image/jphc": read_jpeg2000,
    "image/jxl": read_jpeg_xl,
    "image/dicom-rle": read_rle,
    "video/mpeg": read_video,
    "video/mp4": read_video,
    "video/h265": read_video,
}

# Names of other editions and of the wild, still met.
_ALIASES = {
    "image/jpg": "image/jpeg",
    "image/dicom+jpeg": "image/jpeg",
    "image/dicom+jpeg-ls": "image/jls",
    "image/x-jls": "image/jls",
    "image/dicom+jp2": "image/jp2",
    "image/j2c": "image/jp2",
    "image/dicom+jpx": "image/jpx",
    "image/dicom+rle": "image/dicom-rle",
    "image/x-dicom-rle": "image/dicom-rle",
    "video/mpeg2": "video/mpeg",
    "video/mp2t": "video/mpeg",
    "video/h264": "video/mp4",
    "video/hevc": "video/h265",
}

# Media types that become encapsulated Pixel Data without a change (STOW-14).
ENCAPSULATED_TYPES: frozenset[str] = frozenset(_READERS)

# SOP Classes whose Encapsulated Document (0042,0011) may be of the media type (STOW-15): the
# value of MIME Type of Encapsulated Document (PS3.3 C.24.2), byte for byte as sent.
DOCUMENT_TYPES: dict[str, tuple[str, ...]] = {
    "application/pdf": ("1.2.840.10008.5.1.4.1.1.104.1",),
    "text/xml": ("1.2.840.10008.5.1.4.1.1.104.2",),  # CDA
    "model/stl": ("1.2.840.10008.5.1.4.1.1.104.3",),
    "model/obj": ("1.2.840.10008.5.1.4.1.1.104.4",),
    "model/mtl": ("1.2.840.10008.5.1.4.1.1.104.5",),
}


def essence(media_type: str) -> str:
    """A media type without its parameters, in lower case, by its present name."""
    name = media_type.partition(";")[0].strip().lower()
    return _ALIASES.get(name, name)


def read_media(media_type: str, data: Bytes, claimed_transfer_syntax: str | None = None) -> Media:
    """Say what the bytes of one part are: one frame of an image, or one video.

    The stream decides; `claimed_transfer_syntax` (a UID) is taken where the stream is of several
    syntaxes and that is one of them, and counts for nothing otherwise. Raises UnsupportedMedia
    for a media type that is not in ENCAPSULATED_TYPES, and for a stream of no DICOM transfer
    syntax; MalformedMedia for one that is damaged, cut off, or of another format.
    """
    reader = _READERS.get(essence(media_type))
    if reader is None:
        raise UnsupportedMedia("parts of this media type are not stored as pixel data")
    return reader(data, claimed_transfer_syntax)
