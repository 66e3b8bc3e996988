"""Rows of made studies, as the server would have stored them, and quickly.

`descriptions` is what the server's own ``index.rows.entry_of`` takes: attributes by level. The
rows here are put together from parts that are made once a name or a modality; a test compares
what both lead to.
"""

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from conformance.benchmark.search.names import Name
from conformance.benchmark.search.population import Population, Study
from dicomweb_server.dicom.description import BulkValue, Description, FrameTable
from dicomweb_server.dicom.moments import normal_time
from dicomweb_server.dicom.packing import pack_document, pack_metadata
from dicomweb_server.dicom.part10 import describe
from dicomweb_server.dicom.search_document import attributes_of, document_of
from dicomweb_server.index.rows import (
    INSTANCE_COLUMNS,
    SERIES_COLUMNS,
    STUDY_COLUMNS,
    instance_row,
    sort_key,
)
from tests.make import ct_instance

COLUMNS = {
    "studies": (
        *("id", "institution_id", "number_of_series", "number_of_instances", "bytes"),
        *("modalities", *STUDY_COLUMNS),
    ),
    "study_modalities": (
        *("study_id", "sort_key", "institution_id", "modality", "study_instance_uid"),
    ),
    "series": (
        *("id", "study_id", "institution_id", "number_of_instances", "sop_classes"),
        *SERIES_COLUMNS,
    ),
    "instances": (
        *("id", "series_id", "study_id", "institution_id", "size", "blob_key", "sha256"),
        *("metadata", *INSTANCE_COLUMNS),
    ),
}
Rows = dict[str, list[tuple[object, ...]]]

EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
_STORAGE = "1.2.840.10008.5.1.4.1.1."
_SOP_CLASSES = {
    "CT": "2", "DX": "1.1", "MR": "4", "US": "6.1", "CR": "1", "MG": "1.2", "SR": "88.33",
    "PT": "128", "NM": "20", "XA": "12.1", "RF": "12.2", "OT": "7", "SC": "7", "ES": "77.1.1.1",
    "PX": "1.1", "RTSTRUCT": "481.3", "IO": "1.3", "OP": "77.1.5.1", "ECG": "9.1.1",
}  # fmt: skip
_MAKERS = (
    ("SIEMENS", "SOMATOM Definition AS"),
    ("GE MEDICAL SYSTEMS", "LightSpeed VCT"),
    ("Philips", "Ingenia"),
    ("CANON", "Aquilion ONE"),
)
_SIDE = 512
_SIZE = 2 * _SIDE * _SIDE + 4000  # bytes of a file
_FRAMES = FrameTable(1, False, 4000, 2 * _SIDE * _SIDE, 16 * _SIDE * _SIDE, word=2)
_BULK = {"7FE00010": BulkValue(4000, 2 * _SIDE * _SIDE, "OW")}
_EMPTY = pack_metadata(b"{}")


def sop_class(modality: str) -> str:
    """The SOP Class of the instances of a modality."""
    return _STORAGE + _SOP_CLASSES[modality]


def _whose(study: Study) -> tuple[str, str]:
    return _MAKERS[study.institution % len(_MAKERS)]


def study_document(study: Study) -> bytes:
    """What is kept of the attributes of a study."""
    return (
        f'"00080020":{{"vr":"DA","Value":["{study.day}"]}}\n'
        f'"00080030":{{"vr":"TM","Value":["{study.time}"]}}\n'
        f'"00080050":{{"vr":"SH","Value":["{study.accession_number}"]}}\n'
        f'"00080090":{{"vr":"PN","Value":[{{"Alphabetic":"{study.referring.text}"}}]}}\n'
        f'"00081030":{{"vr":"LO","Value":["{study.description}"]}}\n'
        f'"00100010":{{"vr":"PN","Value":[{{"Alphabetic":"{study.patient_name}"}}]}}\n'
        f'"00100020":{{"vr":"LO","Value":["{study.patient_id}"]}}\n'
        f'"00100021":{{"vr":"LO","Value":["H{study.institution}"]}}\n'
        f'"00100030":{{"vr":"DA","Value":["{study.birth}"]}}\n'
        f'"00100040":{{"vr":"CS","Value":["{study.sex}"]}}\n'
        f'"00101010":{{"vr":"AS","Value":["{study.age}"]}}\n'
        f'"0020000D":{{"vr":"UI","Value":["{study.uid}"]}}\n'
        f'"00200010":{{"vr":"SH","Value":["{study.study_id}"]}}'
    ).encode()


def series_document(study: Study, uid: str, number: int, modality: str) -> bytes:
    """What is kept of the attributes of a series."""
    maker, model = _whose(study)
    return (
        f'"00080021":{{"vr":"DA","Value":["{study.day}"]}}\n'
        f'"00080031":{{"vr":"TM","Value":["{study.time}"]}}\n'
        f'"00080060":{{"vr":"CS","Value":["{modality}"]}}\n'
        f'"00080070":{{"vr":"LO","Value":["{maker}"]}}\n'
        f'"00080080":{{"vr":"LO","Value":["HOSPITAL {study.institution}"]}}\n'
        f'"00081010":{{"vr":"SH","Value":["{modality}{study.number % 4 + 1}"]}}\n'
        f'"0008103E":{{"vr":"LO","Value":["{study.body_part} {modality} {number}"]}}\n'
        f'"00081090":{{"vr":"LO","Value":["{model}"]}}\n'
        f'"00180015":{{"vr":"CS","Value":["{study.body_part}"]}}\n'
        f'"0020000E":{{"vr":"UI","Value":["{uid}"]}}\n'
        f'"00200011":{{"vr":"IS","Value":[{number}]}}\n'
        f'"00400244":{{"vr":"DA","Value":["{study.day}"]}}\n'
        f'"00400245":{{"vr":"TM","Value":["{study.time}"]}}'
    ).encode()


def _instance_attributes(uid: str | None, modality: str, number: int) -> dict[str, Any]:
    """Those of an instance; without its UID where one row's document serves them all."""
    own = {} if uid is None else {"00080018": {"vr": "UI", "Value": [uid]}}
    return own | {
        "00080016": {"vr": "UI", "Value": [sop_class(modality)]},
        "00200013": {"vr": "IS", "Value": [number]},
        "00280002": {"vr": "US", "Value": [1]},
        "00280004": {"vr": "CS", "Value": ["MONOCHROME2"]},
        "00280010": {"vr": "US", "Value": [_SIDE]},
        "00280011": {"vr": "US", "Value": [_SIDE]},
        "00280100": {"vr": "US", "Value": [16]},
    }


@lru_cache(maxsize=1)
def _metadata() -> tuple[bytes, bytes]:
    """The header of a CT as metadata, before and behind its SOP Instance UID."""
    uid = "1.2.3.4.5.6.7.8.9"
    whole = describe(ct_instance(study_uid="1.2.3", series_uid="1.2.4", sop_uid=uid)).metadata
    before, _, behind = whole.partition(uid.encode())
    return before, behind


def metadata_of(uid: str, *, real: bool) -> bytes:
    """The metadata of an instance: that of a CT if `real`, else nearly nothing."""
    return uid.encode().join(_metadata()) if real else b"{}"


def _description(study: Study, series: int, instance: int, *, real: bool) -> Description:
    series_uid = f"{study.uid}.{series}"
    uid = f"{series_uid}.{instance}"
    modality = study.modalities[(series - 1) % len(study.modalities)]
    document = series_document(study, series_uid, series, modality)
    return Description(
        study_instance_uid=study.uid,
        series_instance_uid=series_uid,
        sop_instance_uid=uid,
        sop_class_uid=sop_class(modality),
        transfer_syntax_uid=EXPLICIT_LITTLE,
        dataset_offset=352,
        metadata=metadata_of(uid, real=real),
        study=attributes_of(study_document(study)),
        series=attributes_of(document),
        instance=_instance_attributes(uid if real else None, modality, instance),
        bulk=_BULK,
        frames=_FRAMES,
    )


def descriptions(
    population: Population, study: Study
) -> Iterator[tuple[Description, str, int, bytes]]:
    """The instances of a study as the server would describe them; blob key, size and digest."""
    for series in range(1, population.series + 1):
        for instance in range(1, population.instances + 1):
            made = _description(study, series, instance, real=population.is_real(study))
            uid = made.sop_instance_uid
            yield made, *_file(uid)


def _file(uid: str) -> tuple[str, int, bytes]:
    """The key of its blob, its size in bytes and its digest."""
    digest = hashlib.sha256(uid.encode()).digest()
    return f"default/{uid}~{digest.hex()[:24]}.dcm", _SIZE, digest


_time = lru_cache(maxsize=86400)(normal_time)


@lru_cache(maxsize=1 << 16)
def _tokens(surname: Name, given: Name) -> list[str]:
    return sorted(surname.tokens | given.tokens)


@lru_cache(maxsize=1 << 13)
def _tokens_of(name: Name) -> list[str]:
    return sorted(name.tokens)


@lru_cache(maxsize=1 << 12)
def _instance_template(modality: str, number: int) -> tuple[object, ...]:
    """The values of an instance's row beyond its UID; those of its document without it."""
    row = instance_row(
        Description(
            *("", "", "", sop_class(modality), EXPLICIT_LITTLE, 352, b""),
            *({}, {}, _instance_attributes(None, modality, number), _BULK, _FRAMES),
        )
    )
    return row[1:]


def _study_values(study: Study) -> tuple[object, ...]:
    """As ``index.rows.study_row`` has them."""
    time = _time(study.time)
    return (
        study.uid,
        sort_key(study.day, time),
        study.day,
        time,
        study.accession_number,
        study.study_id,
        study.patient_id,
        f"H{study.institution}",
        f"{study.surname.folded}^{study.given.folded}",
        None,
        study.birth,
        study.sex,
        study.referring.folded,
        None,
        study.description,
        pack_document(study_document(study)),
        _tokens(study.surname, study.given),
        _tokens_of(study.referring),
    )


_DOCUMENT = INSTANCE_COLUMNS.index("document") - 1


def add_rows(rows: Rows, population: Population, study: Study) -> None:
    """Append the rows of one study to those of each table. Ids count in the order of arrival."""
    n_series, n_instances = population.series, population.instances
    real = population.is_real(study)
    modalities = sorted({study.modalities[k % len(study.modalities)] for k in range(n_series)})
    values = _study_values(study)
    key, time = values[1], values[3]
    rows["studies"].append(
        (
            *(study.number, study.institution, n_series, n_series * n_instances),
            *(_SIZE * n_series * n_instances, modalities, *values),
        )
    )
    rows["study_modalities"].extend(
        (study.number, key, study.institution, modality, study.uid) for modality in modalities
    )
    for k in range(n_series):
        modality = study.modalities[k % len(study.modalities)]
        uid = f"{study.uid}.{k + 1}"
        series_id = (study.number - 1) * n_series + k + 1
        classes = [sop_class(modality)]
        document = pack_document(series_document(study, uid, k + 1, modality))
        rows["series"].append(
            (
                *(series_id, study.number, study.institution, n_instances, classes, uid, modality),
                *(k + 1, f"{study.body_part} {modality} {k + 1}", study.body_part, study.day),
                *(time, document),
            )
        )
        for j in range(1, n_instances + 1):
            sop_uid = f"{uid}.{j}"
            template, metadata = _instance_template(modality, j), _EMPTY
            if real:
                own = pack_document(document_of(_instance_attributes(sop_uid, modality, j)))
                template = (*template[:_DOCUMENT], own, *template[_DOCUMENT + 1 :])
                metadata = pack_metadata(metadata_of(sop_uid, real=True))
            blob_key, size, digest = _file(sop_uid)
            rows["instances"].append(
                (
                    *((series_id - 1) * n_instances + j, series_id, study.number),
                    *(study.institution, size, blob_key, digest, metadata, sop_uid, *template),
                )
            )
