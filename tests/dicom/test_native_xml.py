"""The Native DICOM Model: read back as the attributes it was written from, or refused."""

from hypothesis import given
from pydicom import Dataset

from dicomweb_server.dicom.native_xml import from_xml
from dicomweb_server.dicom.native_xml_text import to_xml
from dicomweb_server.dicom.walk import walk
from tests.strategies import datasets, encoded


@given(datasets())
def test_a_data_set_is_the_same_after_a_passage_through_xml(dataset: Dataset) -> None:
    attributes = walk(encoded(dataset), 0, implicit_vr=False, little_endian=True).attributes
    for attribute in attributes.values():  # the URIs of a walk hold a control character
        if "BulkDataURI" in attribute:
            attribute["BulkDataURI"] = "https://host/bulk?a=1&b=<2>"

    assert from_xml([to_xml(attributes)]) == attributes
