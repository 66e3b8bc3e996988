"""What the walk needs from the data dictionary (PS3.6) and the table of VRs (PS3.5 §6.2)."""

from dicomweb_server.dicom import dictionary

SPECIFIC_CHARACTER_SET = 0x00080005
PIXEL_REPRESENTATION = 0x00280103
EXTENDED_OFFSET_TABLE = 0x7FE00001
EXTENDED_OFFSET_TABLE_LENGTHS = 0x7FE00002
PIXEL_DATA = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})

ITEM = 0xFFFEE000
ITEM_END = 0xFFFEE00D
SEQUENCE_END = 0xFFFEE0DD

LUT_DATA = 0x00283006
# Their first value is a count up to 65536 whatever the VR says (PS3.3 §C.11.1.1.1).
LUT_DESCRIPTORS = frozenset({0x00281101, 0x00281102, 0x00281103, 0x00283002})

# Explicit VR: these have a length of 32 bits after two reserved bytes, all others 16 (§7.1.2).
LONG_FORM = frozenset(
    {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
)
BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
# VRs for which the DICOM JSON Model allows a BulkDataURI (PS3.18 Table F.2.3-1), and UR.
BULKABLE = BINARY | frozenset(
    {"LT", "ST", "UC", "UT", "UR", "DS", "IS", "SV", "UV", "FL", "FD", "SL", "SS", "UL", "US"}
)

# VRs that depend on other attributes (PS3.6 lists several).
US_OR_SS = "US or SS"
US_OR_OW = "US or OW"
OB_OR_OW = "OB or OW"
AMBIGUOUS = frozenset({US_OR_SS, US_OR_OW, OB_OR_OW, "US or SS or OW", "OB_OW"})

_VRS: dict[int, str] = {
    tag: entry[0] for tag, entry in dictionary.ELEMENTS.items() if entry[0] != "NONE"
}

# Attributes whose value changes how others are read, or that are kept in another way.
_SPECIAL = (
    {SPECIFIC_CHARACTER_SET, PIXEL_REPRESENTATION, LUT_DATA}
    | {EXTENDED_OFFSET_TABLE, EXTENDED_OFFSET_TABLE_LENGTHS}
    | PIXEL_DATA
    | LUT_DESCRIPTORS
)

# Names in the DICOM JSON Model of the tags that need no special care.
PLAIN_KEYS: dict[int, str] = {
    tag: f"{tag:08X}"
    for tag in _VRS
    if tag not in _SPECIAL and tag & 0xFFFF and tag >> 16 not in (0x0000, 0x0002, 0xFFFE)
}
PLAIN_VRS: dict[int, str] = {
    tag: vr for tag, vr in _VRS.items() if tag in PLAIN_KEYS and vr not in AMBIGUOUS
}


def public_vr(tag: int) -> str | None:
    """The VR of a standard tag, also of a repeating group; None if the dictionary lacks it.

    May be one of `AMBIGUOUS`.
    """
    vr = dictionary.vr_of(tag)
    return None if vr == "NONE" else vr


def is_private_creator(tag: int) -> bool:
    """Whether a private tag reserves a block for its creator (PS3.5 §7.8.1)."""
    return 0x10 <= tag & 0xFFFF <= 0xFF


def private_vr(tag: int, creator: str | None) -> str:
    """The VR of a private tag: LO for a creator, UN if it is not known (JSN-16).

    May be one of `AMBIGUOUS`.
    """
    if is_private_creator(tag):
        return "LO"
    if creator is None or creator not in dictionary.PRIVATE:
        return "UN"
    return dictionary.private_vr_of(tag, creator) or "UN"
