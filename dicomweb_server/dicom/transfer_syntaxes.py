"""What the transfer syntaxes mean for Pixel Data, as data (PS3.5 §10, PS3.18 Table 8.7.3-2)."""

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED_IMAGE_FRAME = "1.2.840.10008.1.2.8.1"
RLE_LOSSLESS = "1.2.840.10008.1.2.5"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_LOSSLESS_SV1 = "1.2.840.10008.1.2.4.70"
JPEG_LS_LOSSLESS = "1.2.840.10008.1.2.4.80"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
JPEG_2000 = "1.2.840.10008.1.2.4.91"
HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.201"
HTJ2K_LOSSLESS_RPCL = "1.2.840.10008.1.2.4.202"

OCTET_STREAM = "application/octet-stream"

# By the arc below 1.2.840.10008.1.2.4, retired forms of JPEG among them.
_BY_ARC: dict[str, str] = {
    **{str(arc): "image/jpeg" for arc in (*range(50, 67), 70)},
    **dict.fromkeys(("80", "81"), "image/jls"),
    **dict.fromkeys(("90", "91"), "image/jp2"),
    **dict.fromkeys(("92", "93"), "image/jpx"),
    **dict.fromkeys(("201", "202", "203"), "image/jphc"),
    **dict.fromkeys(("110", "111", "112"), "image/jxl"),
    **dict.fromkeys(("100", "100.1", "101", "101.1"), "video/mpeg"),
    **{f"{arc}{form}": "video/mp4" for arc in range(102, 107) for form in ("", ".1")},
    **{f"{arc}{form}": "video/H265" for arc in (107, 108) for form in ("", ".1")},
}
# Of code streams, as frames and bulk data are sent as they are stored.
MEDIA_TYPES: dict[str, str] = {
    **{f"1.2.840.10008.1.2.4.{arc}": media_type for arc, media_type in _BY_ARC.items()},
    RLE_LOSSLESS: "image/dicom-rle",
    # Neither has a media type in the standard: frames of the first need none, and those of
    # the second are served inflated.
    ENCAPSULATED_UNCOMPRESSED: OCTET_STREAM,
    DEFLATED_IMAGE_FRAME: OCTET_STREAM,
}


def is_encapsulated(transfer_syntax_uid: str) -> bool:
    """Whether Pixel Data of this syntax is in items of a sequence of fragments (PS3.5 A.4)."""
    return transfer_syntax_uid in MEDIA_TYPES


def is_video(transfer_syntax_uid: str) -> bool:
    """Whether Pixel Data is one video stream that has no frames of its own (WADO-08)."""
    return media_type_of(transfer_syntax_uid).startswith("video/")


def media_type_of(transfer_syntax_uid: str) -> str:
    """The media type of a frame sent as stored (PS3.18 Table 8.7.3-2).

    application/octet-stream for uncompressed data, and for any syntax without a media type.
    """
    return MEDIA_TYPES.get(transfer_syntax_uid, OCTET_STREAM)
