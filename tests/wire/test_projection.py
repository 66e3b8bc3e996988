"""Which attributes of metadata an ``includefield`` names."""

import json
from itertools import permutations

import pytest

from dicomweb_server.errors import InvalidParameter
from dicomweb_server.wire.projection import parse_projection

TEXT = json.dumps(
    {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
        "00080020": {"vr": "DA", "Value": ["20240102"]},
        "00090010": {"vr": "LO", "Value": ["MAKER"]},
        "00091001": {"vr": "DS", "Value": [1.0, 1e22, -0.5, 9007199254740993]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Größe"}, None]},
        "00081140": {"vr": "SQ", "Value": [{}, {"00081155": {"vr": "UI", "Value": ["1.2"]}}]},
    },
    ensure_ascii=False,
).encode()


def picked(*values: str) -> set[str]:
    projection = parse_projection(values)
    assert projection is not None
    found = json.loads(projection.of_text(TEXT))
    whole = json.loads(TEXT)
    assert all(found[key] == whole[key] for key in found)
    return set(found)


@pytest.mark.parametrize(
    ("values", "keys"),
    [
        (["StudyDate"], {"00080020"}),
        (["00080020", " StudyDate "], {"00080020"}),
        (["00080020,,StudyDate,"], {"00080020"}),
        (["00091001"], {"00090010", "00091001"}),
        (["00090010"], {"00090010"}),
        (["PatientName"], {"00080005", "00100010"}),
        (["PatientName,SpecificCharacterSet"], {"00080005", "00100010"}),
        (["ReferencedImageSequence.00081155", "ReferencedImageSequence"], {"00081140"}),
        (["ReferencedImageSequence.ReferencedSOPInstanceUID"], {"00081140"}),
        (["PatientID"], set()),
    ],
)
def test_what_is_named_is_picked(values: list[str], keys: set[str]) -> None:
    assert picked(*values) == keys


@pytest.mark.parametrize("values", [[], [""], [" , "], ["all"], ["StudyDate", "all"]])
def test_all_or_nothing_named_is_everything(values: list[str]) -> None:
    assert parse_projection(values) is None


@pytest.mark.parametrize("name", ["Nothing", "StudyDate.StudyTime", "0008", "*", "ALL", "a.b"])
def test_no_name_of_an_attribute_is_refused(name: str) -> None:
    with pytest.raises(InvalidParameter, match="includefield"):
        parse_projection([f"StudyDate,{name}"])


def test_the_same_attributes_have_one_text_in_any_order() -> None:
    names = ["StudyDate", "ReferencedImageSequence.00081155", "00091001"]
    texts = {str(parse_projection(order)) for order in permutations(names)}
    assert len(texts) == 1
    assert str(parse_projection(names[:2])) not in texts
