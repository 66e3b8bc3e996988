"""What is retrieved as metadata and bulk data, and posted again, is the same instance: the whole
corpus, DICOM_CORPUS if it is set, else pydicom's own files."""

import json
from base64 import b64decode
from itertools import chain
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from pydicom import Dataset
from pydicom.uid import (
    HEVCMP51,
    JPEG2000,
    MPEG2MPML,
    MPEG4HP41,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
)

from dicomweb_server.dicom.frames import is_encapsulated
from tests.make.posted import Part
from tests.strategies import datasets, encoded, encodings, file_meta, identified
from tests.web.asking import REFERENCED, new_uid, post, reasons
from tests.web.posting import (
    Attributes,
    bulk_parts,
    metadata_of,
    post_posted,
    stored_paths,
)
from tests.web.test_corpus import CORPUS

STUDY, SERIES, INSTANCE = "0020000D", "0020000E", "00080018"
CHARACTER_SET = "00080005"
SYNTAX, PIXELS = "00083002", "7FE00010"
LOSSY, METHOD, RATIO = "00282110", "00282114", "00282112"
REWRITTEN = (ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
METHODS = {
    JPEGBaseline8Bit: "ISO_10918_1",
    JPEGExtended12Bit: "ISO_10918_1",
    JPEGLSNearLossless: "ISO_14495_1",
    JPEG2000: "ISO_15444_1",
    MPEG2MPML: "ISO_13818_2",
    MPEG4HP41: "ISO_14496_10",
    HEVCMP51: "ISO_23008_2",
}

# A header overwritten with a sequence delimiter, which makes the image 4 billion pixels wide.
FORGED = {"JPEG2000-embedded-sequence-delimiter.dcm"}
# Bytes around a code stream that are no padding to an even length; the last is in a JP2 file.
AROUND = {"jpeg_baseline_8bit.dcm": 9, "GDCMJ2K_TextGBR.dcm": 1700}

Bulk = dict[str, list[Part]]


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: "/".join(path.parts[-2:]))
def test_a_file_of_the_corpus_comes_back_through_metadata_and_bulk_data(
    http: httpx.Client, path: Path
) -> None:
    response = post(http, [path.read_bytes()])
    if REFERENCED not in response.json():
        return  # tests/web/test_corpus.py holds against each refusal
    [url] = stored_paths(response)
    source = metadata_of(http, url)
    if source[SYNTAX]["Value"] == [DEFLATED_FRAMES]:
        return  # no media type says of octets that they are such frames
    bulk = bulk_parts(http, source)
    studies = {url.partition("/series")[0]}
    try:
        for xml in forms_for(path):
            again = with_new_uids(source)
            answer = post_posted(http, [again], chain.from_iterable(bulk.values()), xml=xml)
            if path.name in FORGED:
                assert reasons(answer) == [0xC122]
                continue
            assert answer.status_code in (200, 202), answer.text
            [copy] = stored_paths(answer)
            studies.add(copy.partition("/series")[0])
            made = metadata_of(http, copy)
            assert comparable(made) == expected(source, made)
            check_contents(path, source, bulk, bulk_parts(http, made))
    finally:
        for study in studies:
            assert http.delete(study).status_code == 204


def forms_for(path: Path) -> tuple[bool, ...]:
    """As JSON, and one file in three as XML too: both are read into the same data set."""
    return (False, True) if CORPUS.index(path) % 3 == 0 else (False,)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(dataset=datasets(), syntax=encodings)
def test_any_data_set_comes_back_through_metadata(
    http: httpx.Client, dataset: Dataset, syntax: UID
) -> None:
    dataset = identified(dataset)
    dataset.SOPInstanceUID, dataset.StudyInstanceUID = new_uid(), new_uid()
    response = post(
        http, [file_meta(syntax, **{"03": dataset.SOPInstanceUID}) + encoded(dataset, syntax)]
    )
    [url] = stored_paths(response)
    source = metadata_of(http, url)
    bulk = bulk_parts(http, source)
    for xml in (False, True):
        answer = post_posted(
            http, [with_new_uids(source)], chain.from_iterable(bulk.values()), xml=xml
        )
        assert answer.status_code in (200, 202), answer.text
        made = metadata_of(http, stored_paths(answer)[0])
        assert comparable(made) == expected(source, made)
        check_contents(Path(), source, bulk, bulk_parts(http, made))


def expected(source: Attributes, made: Attributes) -> Attributes:
    """What becomes of `source`, but for its UIDs; `made` where the code stream decides."""
    found = comparable(source)
    [syntax] = source[SYNTAX]["Value"]
    if syntax in REWRITTEN:
        found[SYNTAX] = {"vr": "UI", "Value": [ExplicitVRLittleEndian]}
    if PIXELS in found:  # whatever the file said: PS3.5 A.4 and 8.1.2
        if is_encapsulated(syntax):
            found[PIXELS] = found[PIXELS] | {"vr": "OB"}
        elif found["00280100"]["Value"][0] > 8:
            found[PIXELS] = found[PIXELS] | {"vr": "OW"}
    # Both of these may lose nothing, and then the metadata stands.
    lossy = syntax not in (JPEG2000, JPEGLSNearLossless) or METHOD in made
    if syntax in METHODS and lossy:
        found[LOSSY] = {"vr": "CS", "Value": ["01"]}
        found.setdefault(METHOD, {"vr": "CS", "Value": [METHODS[syntax]]})
    if RATIO in made and RATIO not in found:  # it can be told from the sizes alone
        [ratio] = made[RATIO]["Value"]
        assert made[RATIO]["vr"] == "DS" and ratio > 0.1 and found.get(LOSSY) is not None
        found[RATIO] = made[RATIO]
    if not json.dumps(source, ensure_ascii=False).isascii():
        found[CHARACTER_SET] = {"vr": "CS", "Value": ["ISO_IR 192"]}  # of the whole (JSN-32)
    for tag in ("00080061", "00201208"):  # trap 39: in some files, and no part of any instance
        found.pop(tag, None)
    return dict(sorted(found.items()))


def with_new_uids(dataset: Attributes) -> Attributes:
    new = {tag: {"vr": "UI", "Value": [new_uid()]} for tag in (INSTANCE, STUDY, SERIES)}
    return dict(sorted((dataset | new).items()))


def comparable(dataset: Attributes) -> Attributes:
    """All but the UIDs, and where the bulk data lies."""
    return {
        tag: _without_address(attribute)
        for tag, attribute in dataset.items()
        if tag not in (INSTANCE, STUDY, SERIES)
    }


def _without_address(attribute: Attributes) -> Attributes:
    if attribute["vr"] == "SQ":
        return {"vr": "SQ", "Value": [nested(item) for item in attribute.get("Value", ())]}
    if "InlineBinary" in attribute:  # padded where it was odd (JSN-09)
        content = b64decode(attribute["InlineBinary"])
        return {"vr": attribute["vr"], "InlineBinary": content + bytes(len(content) % 2)}
    return attribute | {"BulkDataURI": None} if "BulkDataURI" in attribute else attribute


def nested(item: Attributes) -> Attributes:
    return {
        tag: _without_address(attribute) for tag, attribute in item.items() if tag != CHARACTER_SET
    }


def check_contents(path: Path, source: Attributes, before: Bulk, after: Bulk) -> None:
    compressed = is_encapsulated(source[SYNTAX]["Value"][0])
    assert before.keys() == after.keys()
    for key, parts in before.items():
        for (_, old), (_, new) in zip(parts, after[key], strict=True):
            if key == PIXELS and compressed:
                # What is around the code stream is no part of the image.
                assert new in old
                assert len(old) - len(new) <= AROUND.get(path.name, 1)
            else:
                assert new == old + bytes(len(old) % 2)
