"""The PyPI dicomweb-client against the running server, over a real socket."""

from io import BytesIO

import pytest
from dicomweb_client import DICOMwebClient
from pydicom import Dataset, dcmread

from tests.make import ct_instance, uid
from tests.running import RunningServer
from tests.web.asking import new_uid


@pytest.fixture(scope="module")
def client(server: RunningServer) -> DICOMwebClient:
    return DICOMwebClient(server.base)


@pytest.fixture(scope="module")
def stored(client: DICOMwebClient) -> list[Dataset]:
    study, series = new_uid(), new_uid()
    datasets = [
        dcmread(
            BytesIO(
                ct_instance(
                    study_uid=study,
                    series_uid=series,
                    sop_uid=uid(study, n),
                    number=n,
                    rows=64,
                    columns=64,
                )
            )
        )
        for n in (1, 2, 3)
    ]
    answer = client.store_instances(datasets)
    assert len(answer.ReferencedSOPSequence) == 3
    assert "FailedSOPSequence" not in answer
    return datasets


def uids(dataset: Dataset) -> tuple[str, str, str]:
    return dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID


def test_every_search(client: DICOMwebClient, stored: list[Dataset]) -> None:
    study, series, instance = uids(stored[0])
    by_study = {"StudyInstanceUID": study}

    [found] = client.search_for_studies(search_filters=by_study)
    assert Dataset.from_json(found).PatientID == stored[0].PatientID
    fields = ["StudyDescription", "PatientAge"]
    assert client.search_for_studies(limit=1, offset=0, fields=fields, search_filters=by_study)
    assert client.search_for_studies(fuzzymatching=True, search_filters=by_study)
    assert len(client.search_for_series(study)) == 1
    assert len(client.search_for_series(search_filters=by_study)) == 1
    assert len(client.search_for_instances(study, series)) == 3
    assert len(client.search_for_instances(study)) == 3
    [one] = client.search_for_instances(search_filters={"SOPInstanceUID": instance})
    assert Dataset.from_json(one).InstanceNumber == 1
    assert client.search_for_studies(search_filters={"StudyInstanceUID": new_uid()}) == []
    pages = client.search_for_instances(study, limit=2, get_remaining=True)
    assert len(pages) == 3


def test_every_retrieve_of_instances(client: DICOMwebClient, stored: list[Dataset]) -> None:
    study, series, instance = uids(stored[0])

    assert client.retrieve_instance(study, series, instance) == stored[0]
    assert list(client.retrieve_series(study, series)) == stored
    assert list(client.retrieve_study(study)) == stored
    assert list(client.iter_series(study, series)) == stored
    assert list(client.iter_study(study)) == stored
    asked = (("application/dicom", "*"),)
    assert client.retrieve_instance(study, series, instance, media_types=asked) == stored[0]


def test_every_retrieve_of_metadata(client: DICOMwebClient, stored: list[Dataset]) -> None:
    study, series, instance = uids(stored[0])

    one = Dataset.from_json(client.retrieve_instance_metadata(study, series, instance))
    assert one.SOPInstanceUID == instance
    assert one.PixelSpacing == stored[0].PixelSpacing
    assert len(client.retrieve_series_metadata(study, series)) == 3
    assert len(client.retrieve_study_metadata(study)) == 3


def test_every_retrieve_of_pixels(client: DICOMwebClient, stored: list[Dataset]) -> None:
    study, series, instance = uids(stored[0])

    [frame] = client.retrieve_instance_frames(study, series, instance, [1])
    assert frame == stored[0].PixelData
    [frame] = client.iter_instance_frames(study, series, instance, [1])
    assert frame == stored[0].PixelData
    metadata = client.retrieve_instance_metadata(study, series, instance)
    [value] = client.retrieve_bulkdata(metadata["7FE00010"]["BulkDataURI"])
    assert value == stored[0].PixelData
    [value] = client.iter_bulkdata(metadata["7FE00010"]["BulkDataURI"])
    assert value == stored[0].PixelData


def test_every_retrieve_of_pictures(client: DICOMwebClient, stored: list[Dataset]) -> None:
    study, series, instance = uids(stored[0])

    jpeg = client.retrieve_instance_rendered(study, series, instance)
    assert jpeg.startswith(b"\xff\xd8")
    kinds = ("image/png",)
    png = client.retrieve_instance_frames_rendered(study, series, instance, [1], media_types=kinds)
    assert png.startswith(b"\x89PNG")


def test_delete(client: DICOMwebClient, stored: list[Dataset]) -> None:
    study, series, _ = uids(stored[0])
    copy = dcmread(
        BytesIO(
            ct_instance(
                study_uid=new_uid(), series_uid=new_uid(), sop_uid=new_uid(), rows=8, columns=8
            )
        )
    )
    client.store_instances([copy])
    client.delete_instance(*uids(copy))
    assert client.search_for_studies(search_filters={"StudyInstanceUID": uids(copy)[0]}) == []
    assert len(client.search_for_instances(study, series)) == 3
