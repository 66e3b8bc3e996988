"""Instances as the index takes them, made by hand: what `describe` would say of a file."""

import hashlib
import json
from types import SimpleNamespace

from pydicom.datadict import dictionary_VR, tag_for_keyword

from dicomweb_server.dicom.description import Description
from dicomweb_server.dicom.packing import unpack_document
from dicomweb_server.dicom.person_name import groups
from dicomweb_server.dicom.search_document import attributes_of
from dicomweb_server.index.instances import NewInstance
from dicomweb_server.index.rows import INSTANCE_COLUMNS, SERIES_COLUMNS, STUDY_COLUMNS, entry_of

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"


def attributes(**values):
    """Keywords and values as attributes of the DICOM JSON Model, in ascending order; None for
    an attribute without a value. Items of a sequence are dicts of keywords."""
    made = {}
    for keyword, value in values.items():
        vr = dictionary_VR(keyword)
        made[f"{tag_for_keyword(keyword):08X}"] = (
            {"vr": vr} if value is None else {"vr": vr, "Value": _json_values(vr, value)}
        )
    return dict(sorted(made.items()))


def _json_values(vr, value):
    if vr == "SQ":
        return [attributes(**item) for item in value]
    if vr == "PN":
        names = zip(("Alphabetic", "Ideographic", "Phonetic"), groups(value), strict=True)
        return [{name: group for name, group in names if group}]
    return [value]


def described(
    study="1.1",
    series="1.1.1",
    instance="1.1.1.1",
    *,
    of_study=None,
    of_series=None,
    of_instance=None,
    sop_class=CT,
    transfer_syntax=EXPLICIT_LITTLE,
    bulk=None,
    frames=None,
):
    """A Description with these UIDs, and attributes by level as `attributes` takes them."""
    by_level = (
        attributes(StudyInstanceUID=study, **(of_study or {})),
        attributes(SeriesInstanceUID=series, **(of_series or {})),
        attributes(SOPClassUID=sop_class, SOPInstanceUID=instance, **(of_instance or {})),
    )
    together = dict(sorted((by_level[0] | by_level[1] | by_level[2]).items()))
    return Description(
        study_instance_uid=study,
        series_instance_uid=series,
        sop_instance_uid=instance,
        sop_class_uid=sop_class,
        transfer_syntax_uid=transfer_syntax,
        dataset_offset=352,
        metadata=json.dumps(together).encode(),
        study=by_level[0],
        series=by_level[1],
        instance=by_level[2],
        bulk=bulk or {},
        frames=frames,
    )


def new(*uids, blob_key=None, size=1000, **given):
    """A NewInstance with the arguments of `described`; its blob is named after its UIDs."""
    description = described(*uids, **given)
    key = blob_key or "/".join(
        (
            description.study_instance_uid,
            description.series_instance_uid,
            description.sop_instance_uid,
        )
    )
    return NewInstance(
        entry_of(description),
        key,
        size,
        hashlib.sha256(key.encode()).digest(),
    )


def _unpacked(document):
    return attributes_of(unpack_document(document))


def kept(new):
    """What the index keeps of a NewInstance, as `described` had it."""
    entry = new.entry
    instance = dict(zip(INSTANCE_COLUMNS, entry.instance, strict=True))
    return SimpleNamespace(
        study_instance_uid=entry.study_instance_uid,
        series_instance_uid=entry.series_instance_uid,
        sop_instance_uid=entry.sop_instance_uid,
        sop_class_uid=entry.sop_class_uid,
        study=_unpacked(entry.study[STUDY_COLUMNS.index("document")]),
        series=_unpacked(entry.series[SERIES_COLUMNS.index("document")]),
        instance=_unpacked(instance["document"]),
    )
