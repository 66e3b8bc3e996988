"""Directory records as data: their types by SOP Class, and their keys (PS3.3 §F.4 and §F.5)."""

from collections.abc import Mapping

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.json_values import first_text

_STORAGE = "1.2.840.10008.5.1.4.1.1."

# By the beginning of what stands behind 1.2.840.10008.5.1.4.1.1; the longest counts.
_BY_ARC: Mapping[str, str] = {
    "4.2": "SPECTROSCOPY",
    "9": "WAVEFORM",
    "11": "PRESENTATION",
    "131": "PRESENTATION",
    "66": "RAW DATA",
    "66.1": "REGISTRATION",
    "66.2": "FIDUCIAL",
    "66.3": "REGISTRATION",
    "66.4": "IMAGE",
    "66.5": "SURFACE",
    "66.6": "TRACT",
    "66.7": "IMAGE",
    "66.8": "IMAGE",
    "67": "VALUE MAP",
    "68": "SURFACE SCAN",
    "77.1.5.3": "STEREOMETRIC",
    "78": "MEASUREMENT",
    "78.6": "SR DOCUMENT",  # Spectacle Prescription Report
    "79": "SR DOCUMENT",
    "80": "MEASUREMENT",
    "88": "SR DOCUMENT",
    "88.59": "KEY OBJECT DOC",
    "90": "ASSESSMENT",
    "91": "ANNOTATION",
    "104": "ENCAP DOC",
    "481.2": "RT DOSE",
    "481.3": "RT STRUCTURE SET",
    "481.4": "RT TREAT RECORD",
    "481.5": "RT PLAN",
    "481.6": "RT TREAT RECORD",
    "481.7": "RT TREAT RECORD",
    "481.8": "RT PLAN",
    "481.9": "RT TREAT RECORD",
    **{f"481.{arc}": "RADIOTHERAPY" for arc in (*range(10, 23), 25)},
}
# Those that belong to no patient stand beside the patients, not below a series.
_ALONE: Mapping[str, str] = {
    "1.2.840.10008.5.1.4.38.1": "HANGING PROTOCOL",
    "1.2.840.10008.5.1.4.39.1": "PALETTE",
    "1.2.840.10008.5.1.4.43.1": "IMPLANT",
    "1.2.840.10008.5.1.4.44.1": "IMPLANT ASSY",
    "1.2.840.10008.5.1.4.45.1": "IMPLANT GROUP",
}
ALONE = frozenset(_ALONE.values())
_PLANS = {
    # RT Beams Delivery Instruction, of the trial and the final form, and its brachytherapy twin
    **dict.fromkeys(("1.2.840.10008.5.1.4.34.1", "1.2.840.10008.5.1.4.34.7"), "PLAN"),
    "1.2.840.10008.5.1.4.34.10": "PLAN",
}


def record_type(attributes: JsonDataset) -> str:
    """The Directory Record Type of an instance (PS3.3 Table F.4-1); IMAGE for what is unknown."""
    uid = first_text(attributes, "00080016")
    if found := _ALONE.get(uid) or _PLANS.get(uid):
        return found
    steps = uid.removeprefix(_STORAGE).split(".") if uid.startswith(_STORAGE) else []
    for count in range(len(steps), 0, -1):
        if found := _BY_ARC.get(".".join(steps[:count])):
            return found
    return "IMAGE"


# What a record has of the instance: tags that are always there, empty where the instance has no
# value, and tags that are there if the instance has them (types 1C and 3).
_CONTENT = ("00200013", "00080023", "00080033")
_IDENTIFIED = (*_CONTENT, "00700080", "00700081", "00700084")
KEYS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "PATIENT": (("00100010", "00100020"), ()),
    "STUDY": (
        ("00080020", "00080030", "00081030", "0020000D", "00200010", "00080050"), (),
    ),
    "SERIES": (("00080060", "0020000E", "00200011"), ()),
    "IMAGE": (("00200013",), ()),
    "RT DOSE": (("00200013", "3004000A"), ()),
    "RT STRUCTURE SET": (("00200013", "30060002", "30060008", "30060009"), ()),
    "RT PLAN": (("00200013", "300A0002", "300A0006", "300A0007"), ()),
    "RT TREAT RECORD": (("00200013", "30080250", "30080251"), ()),
    "PRESENTATION": (
        ("00700082", "00700083", "00200013", "00700080", "00700081", "00700084"),
        ("00081115", "00700402"),
    ),
    "WAVEFORM": (_CONTENT, ()),
    "SR DOCUMENT": ((*_CONTENT, "0040A491", "0040A493", "0040A043"), ("0040A030", "0040A730")),
    "KEY OBJECT DOC": ((*_CONTENT, "0040A043"), ("0040A730",)),
    "SPECTROSCOPY": (
        ("00080008", *_CONTENT, "00280008", "00280010", "00280011", "00289001", "00289002"),
        ("00089092",),
    ),
    "RAW DATA": (_CONTENT, ()),
    "REGISTRATION": (_IDENTIFIED, ()),
    "FIDUCIAL": (_IDENTIFIED, ()),
    "ENCAP DOC": ((*_CONTENT, "00420010", "0040A043", "00420012"), ("0040E001",)),
    "VALUE MAP": (_IDENTIFIED, ()),
    "STEREOMETRIC": ((), ()),
    "PLAN": ((), ()),
    "MEASUREMENT": (_IDENTIFIED, ()),
    "SURFACE": (_IDENTIFIED, ()),
    "SURFACE SCAN": (("00080023", "00080033"), ()),
    "TRACT": (_IDENTIFIED, ()),
    "ASSESSMENT": (("00200013", "00080012"), ("00080013",)),
    "RADIOTHERAPY": (("00200013", "00700081", "00700084"), ("30100033", "30100034")),
    "ANNOTATION": (_IDENTIFIED, ()),
    "HANGING PROTOCOL": (("00720008", "0072000A", "0072000C", "00720014", "0072000E"), ()),
    "PALETTE": (("00700080", "00700081"), ()),
    "IMPLANT": (("00080070", "00221095", "00221097"), ("00686210",)),
    "IMPLANT ASSY": (("00760001", "00080070", "00760020"), ()),
    "IMPLANT GROUP": (("00780001", "00780020"), ()),
}  # fmt: skip
