"""A stored file that was damaged behind the server's back: loud, and never a whole answer."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydicom.uid import ImplicitVRLittleEndian

from tests.make import small_image
from tests.running import RunningServer
from tests.web.asking import DICOM, assert_problem, new_uid, path_of, store


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("damage") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def client(fresh: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=fresh.base, timeout=60) as http:
        yield http


def blob_of(server: RunningServer, sop: str) -> Path:
    [path] = (server.data_dir / "blobs").rglob(f"{sop}~*")
    return path


def test_err_03_a_cut_file_never_looks_whole(fresh: RunningServer, client: httpx.Client) -> None:
    uids = {"StudyInstanceUID": new_uid(), "SeriesInstanceUID": new_uid()}
    files = [
        small_image(
            rows=1024,
            columns=1024,
            SOPInstanceUID=new_uid(),
            InstanceNumber=str(number),
            transfer_syntax=ImplicitVRLittleEndian,
            **uids,
        )
        for number in range(3)
    ]
    datasets = store(client, *files)
    blob = blob_of(fresh, datasets[1].SOPInstanceUID)
    blob.write_bytes(blob.read_bytes()[: 1 << 19])

    exact = {"Accept": f"{DICOM}; transfer-syntax={ImplicitVRLittleEndian}"}
    with pytest.raises(httpx.RemoteProtocolError):
        client.get(path_of(datasets[1]), headers=exact)
    with pytest.raises(httpx.RemoteProtocolError):  # without a length, in the middle of a series
        client.get(path_of(datasets[0], 2))
    assert client.get(path_of(datasets[0]), headers=exact).content == files[0]
    assert_problem(client.get(f"{path_of(datasets[1])}/frames/1"), 500)


def test_a_missing_file_is_told_plainly(fresh: RunningServer, client: httpx.Client) -> None:
    [dataset] = store(client, small_image(SOPInstanceUID=new_uid(), StudyInstanceUID=new_uid()))
    blob_of(fresh, dataset.SOPInstanceUID).unlink()

    problem = assert_problem(client.get(f"{path_of(dataset)}/frames/1"), 500)
    assert "damaged" in problem["detail"]
    assert "a stored file is damaged" in fresh.log.read_text()
    assert client.get(f"{path_of(dataset)}/metadata").status_code == 200
