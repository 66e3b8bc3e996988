"""Rows of made studies, as the server would have stored them, and quickly.

Studies, of which there are most kinds of values, are put together from parts that are made once
a name; a test compares them with what the server's own ``index.rows`` makes of `describe_instance`.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import Any

from conformance.benchmark.search.names import Name
from conformance.benchmark.search.population import (
    BODY_PARTS,
    INSTITUTIONS,
    Population,
    Study,
)
from dicomweb_server.dicom.description import BulkValue, Description, FrameTable
from dicomweb_server.dicom.moments import normal_time
from dicomweb_server.dicom.packing import pack_document, pack_metadata
from dicomweb_server.dicom.part10 import describe
from dicomweb_server.dicom.search_document import attributes_of
from dicomweb_server.index.rows import (
    INSTANCE_COLUMNS,
    SERIES_COLUMNS,
    STUDY_COLUMNS,
    instance_row,
    series_row,
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
FILE_SIZE = 2 * _SIDE * _SIDE + 4000  # bytes of a file
_FRAMES = FrameTable(1, False, 4000, 2 * _SIDE * _SIDE, 16 * _SIDE * _SIDE, word=2)
_BULK = {"7FE00010": BulkValue(4000, 2 * _SIDE * _SIDE, "OW")}
NO_METADATA = pack_metadata(b"{}")


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
        f'"00081010":{{"vr":"SH","Value":["{modality}{study.institution % 4 + 1}"]}}\n'
        f'"0008103E":{{"vr":"LO","Value":["{study.body_part} {modality} {number}"]}}\n'
        f'"00081090":{{"vr":"LO","Value":["{model}"]}}\n'
        f'"00180015":{{"vr":"CS","Value":["{study.body_part}"]}}\n'
        f'"0020000E":{{"vr":"UI","Value":["{uid}"]}}\n'
        f'"00200011":{{"vr":"IS","Value":[{number}]}}\n'
        f'"00400244":{{"vr":"DA","Value":["{study.day}"]}}\n'
        f'"00400245":{{"vr":"TM","Value":["{study.time}"]}}'
    ).encode()


def _instance_attributes(uid: str, modality: str, number: int) -> dict[str, Any]:
    return {
        "00080016": {"vr": "UI", "Value": [sop_class(modality)]},
        "00080018": {"vr": "UI", "Value": [uid]},
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


def describe_instance(study: Study, series: int, instance: int) -> Description:
    """An instance as the server would describe its file; both numbers count from 1."""
    series_uid = f"{study.uid}.{series}"
    uid = f"{series_uid}.{instance}"
    modality = study.modalities[(series - 1) % len(study.modalities)]
    return Description(
        study_instance_uid=study.uid,
        series_instance_uid=series_uid,
        sop_instance_uid=uid,
        sop_class_uid=sop_class(modality),
        transfer_syntax_uid=EXPLICIT_LITTLE,
        dataset_offset=352,
        metadata=uid.encode().join(_metadata()),
        study=attributes_of(study_document(study)),
        series=attributes_of(series_document(study, series_uid, series, modality)),
        instance=_instance_attributes(uid, modality, instance),
        bulk=_BULK,
        frames=_FRAMES,
    )


def file_of(uid: str) -> tuple[str, int, bytes]:
    """The key of an instance's blob, its size in bytes and its digest."""
    return f"default/{uid}.dcm", FILE_SIZE, hashlib.sha256(uid.encode()).digest()


_time = lru_cache(maxsize=86400)(normal_time)


@lru_cache(maxsize=1 << 16)
def _tokens(surname: Name, given: Name) -> list[str]:
    return sorted(surname.tokens | given.tokens)


@lru_cache(maxsize=1 << 13)
def _tokens_of(name: Name) -> list[str]:
    return sorted(name.tokens)


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


def study_record(population: Population, study: Study) -> tuple[object, ...]:
    """The row of a study."""
    n_series, n_instances = population.series, population.instances
    return (
        *(study.number, study.institution, n_series, n_series * n_instances),
        *(FILE_SIZE * n_series * n_instances, study.modalities[:n_series], *_study_values(study)),
    )


def rows_below(
    population: Population, study: Study
) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """The rows of the series and the instances of a study, whole."""
    series, instances = [], []
    for k in range(1, population.series + 1):
        series_id = (study.number - 1) * population.series + k
        for j in range(1, population.instances + 1):
            made = describe_instance(study, k, j)
            blob_key, size, digest = file_of(made.sop_instance_uid)
            instances.append(
                (
                    *((series_id - 1) * population.instances + j, series_id, study.number),
                    *(study.institution, size, blob_key, digest, pack_metadata(made.metadata)),
                    *instance_row(made),
                )
            )
        series.append(
            (
                *(series_id, study.number, study.institution, population.instances),
                *([made.sop_class_uid], *series_row(made.series_instance_uid, made.series)),
            )
        )
    return series, instances


# What rows have in common below studies that are not whole.
SERIES_TEMPLATE = ("institution_id", "modality", "series_number", "body_part_examined")
SERIES_TEMPLATE += ("sop_classes", "document")
INSTANCE_TEMPLATE = ("modality", *INSTANCE_COLUMNS)


def series_templates(population: Population) -> Iterator[tuple[object, ...]]:
    """The rows of `SERIES_TEMPLATE`."""
    own = (b'"0008002', b'"0008003', b'"0020000E', b'"0040024')
    study = next(population.chunk(0))
    for number, modality in _kinds(population.series):
        for institution, part in product(range(1, INSTITUTIONS + 1), BODY_PARTS):
            like = replace(study, institution=institution, body_part=part)
            whole = series_document(like, "", number, modality)
            shared = b"\n".join(line for line in whole.split(b"\n") if not line.startswith(own))
            classes = [sop_class(modality)]
            yield institution, modality, number, part, classes, pack_document(shared)


def instance_templates(population: Population) -> Iterator[tuple[object, ...]]:
    """The rows of `INSTANCE_TEMPLATE`; the UID is missing."""
    study = next(population.chunk(0))
    for number, modality in _kinds(population.instances):
        like = describe_instance(replace(study, modalities=(modality,)), 1, number)
        shared = {key: value for key, value in like.instance.items() if key != "00080018"}
        yield modality, *instance_row(replace(like, instance=shared, sop_instance_uid=""))


def _kinds(numbers: int) -> Iterator[tuple[int, str]]:
    return product(range(1, numbers + 1), _SOP_CLASSES)
