"""The whole server with its blobs on S3: nothing is otherwise, and nothing is left over."""

import zipfile
from collections.abc import Iterator
from io import BytesIO

import httpx
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from tests.faulty import Fault, FaultyProxy
from tests.make import small_image
from tests.running import RunningServer
from tests.s3 import s3_client
from tests.web.asking import (
    DICOM,
    REFERENCED,
    assert_problem,
    new_uid,
    parts_of,
    path_of,
    post,
    reasons,
    store,
)

PREFIX = "hospital/dicom"
EXACT = {"Accept": f"{DICOM}; transfer-syntax=*"}


@pytest.fixture(scope="module")
def proxy(s3: dict[str, str]) -> Iterator[FaultyProxy]:
    with FaultyProxy(s3["S3_ENDPOINT_URL"]) as between:
        yield between


@pytest.fixture(scope="module")
def on_s3(
    s3: dict[str, str], proxy: FaultyProxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    more = {"S3_ENDPOINT_URL": proxy.url, "S3_PREFIX": PREFIX, "ALLOW_DELETE": "true"}
    more["S3_LOCAL_BYTES"] = "0"  # so that all is read from there
    with RunningServer(tmp_path_factory.mktemp("s3") / "data", {**s3, **more}) as running:
        yield running


@pytest.fixture
def client(on_s3: RunningServer, proxy: FaultyProxy) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=on_s3.base, timeout=60) as http:
        yield http
    proxy.fault = None


def keys(s3: dict[str, str], sop: str, prefix: str = PREFIX) -> list[str]:
    """The keys below the prefix that name an instance."""
    pages = s3_client(s3).get_paginator("list_objects_v2")
    found = pages.paginate(Bucket=s3["S3_BUCKET"], Prefix=f"{prefix}/").search("Contents[].Key")
    return [key for key in found if key is not None and sop in key]


def image(**keywords: object) -> bytes:
    uids = {f"{name}InstanceUID": new_uid() for name in ("SOP", "Study", "Series")}
    return small_image(**{**uids, **keywords})  # type: ignore[arg-type]


def test_store_search_retrieve_and_delete(
    on_s3: RunningServer, client: httpx.Client, s3: dict[str, str]
) -> None:
    file = image(rows=16, columns=16, frames=2, photometric="RGB", bits=8)
    [dataset] = store(client, file)
    path = path_of(dataset)

    found = client.get("studies", params={"StudyInstanceUID": dataset.StudyInstanceUID}).json()
    assert [one["0020000D"]["Value"] for one in found] == [[dataset.StudyInstanceUID]]
    assert client.get(path, headers=EXACT).content == file
    assert client.get(f"{path}/metadata").json()[0]["00280010"]["Value"] == [16]
    [(_, frame)] = parts_of(client.get(f"{path}/frames/2"))
    assert frame == dataset.PixelData[768:]
    picture = client.get(f"{path}/rendered", headers={"Accept": "image/png"})
    assert Image.open(BytesIO(picture.content)).size == (16, 16)

    [key] = keys(s3, dataset.SOPInstanceUID)
    assert key.startswith(f"{PREFIX}/default/{dataset.StudyInstanceUID}/")
    assert list((on_s3.data_dir / "blobs").iterdir()) == []
    assert on_s3.scratch_left() == []

    assert client.delete(path_of(dataset, 1)).status_code == 204
    assert keys(s3, dataset.SOPInstanceUID) == []
    assert client.get(path).status_code == 404


def test_a_large_instance_goes_up_in_parts_and_comes_down_in_ranges(
    client: httpx.Client, s3: dict[str, str]
) -> None:
    file = image(rows=4000, columns=5000)
    assert len(file) > 2 * (16 << 20)
    [dataset] = store(client, file)

    assert client.get(path_of(dataset), headers=EXACT).content == file
    [(_, frame)] = parts_of(client.get(f"{path_of(dataset)}/frames/1"))
    assert frame == dataset.PixelData


def test_looking_through_a_series(client: httpx.Client) -> None:
    same = {f"{name}InstanceUID": new_uid() for name in ("Study", "Series")}
    files = [image(**same, InstanceNumber=str(number), seed=number) for number in range(12)]
    datasets = store(client, *files)
    for dataset in (*datasets[5:], *datasets[:5]):
        [(_, frame)] = parts_of(client.get(f"{path_of(dataset)}/frames/1"))
        assert frame == dataset.PixelData
    assert client.delete(path_of(datasets[0], 1)).status_code == 204
    assert {client.get(f"{path_of(each)}/frames/1").status_code for each in datasets} == {404}


def test_a_study_as_a_file_set(on_s3: RunningServer, client: httpx.Client) -> None:
    study = new_uid()
    files = [image(StudyInstanceUID=study, rows=2500, columns=2500) for _ in range(2)]
    datasets = store(client, *files)
    answer = client.get(path_of(datasets[0], 1), headers={"Accept": "application/zip"})
    with zipfile.ZipFile(BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        found = [archive.read(name) for name in archive.namelist() if name.startswith("DICOM/")]
    assert sorted(found) == sorted(files)
    assert on_s3.scratch_left() == []


@pytest.mark.parametrize("syntax", [DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_what_needs_the_whole_file_leaves_no_download_behind(
    on_s3: RunningServer, client: httpx.Client, syntax: str
) -> None:
    file = image(transfer_syntax=syntax)
    [dataset] = store(client, file)

    rewritten = dcmread(BytesIO(client.get(path_of(dataset), headers={"Accept": DICOM}).content))
    assert rewritten.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert rewritten.PixelData == dataset.PixelData
    [(_, frame)] = parts_of(client.get(f"{path_of(dataset)}/frames/1"))
    assert frame == dataset.PixelData
    assert on_s3.scratch_left() == []


def test_the_same_data_set_with_another_file_meta_is_there_already(
    on_s3: RunningServer, client: httpx.Client, s3: dict[str, str]
) -> None:
    file = image()
    [dataset] = store(client, file)
    again = file.replace(b"TESTS_MAKE", b"SENT_AGAIN")
    assert again != file

    answer = post(client, [again])

    assert answer.status_code == 200
    assert len(keys(s3, dataset.SOPInstanceUID)) == 1
    assert client.get(path_of(dataset), headers=EXACT).content == file
    assert on_s3.scratch_left() == []


@pytest.mark.parametrize("status", [500, 503])
def test_a_store_that_s3_refuses_fails_by_the_instance_and_then_succeeds(
    on_s3: RunningServer,
    client: httpx.Client,
    proxy: FaultyProxy,
    s3: dict[str, str],
    status: int,
) -> None:
    good, bad = image(), image()
    dataset = dcmread(BytesIO(bad))
    proxy.fault = Fault(f"^PUT \\S*{dataset.SOPInstanceUID}", status=status)

    answer = post(client, [good, bad])

    assert answer.status_code == 202
    assert reasons(answer) == [0xA700]
    assert len(answer.json()[REFERENCED]["Value"]) == 1
    assert client.get(path_of(dataset)).status_code == 404
    found = client.get("instances", params={"SOPInstanceUID": dataset.SOPInstanceUID})
    assert found.status_code in (200, 204)
    assert found.content in (b"", b"[]")
    assert keys(s3, dataset.SOPInstanceUID) == []
    assert on_s3.scratch_left() == []

    proxy.fault = None
    store(client, bad)
    assert client.get(path_of(dataset), headers=EXACT).content == bad


def test_while_s3_is_away_the_server_says_so_and_then_goes_on(
    on_s3: RunningServer, client: httpx.Client, proxy: FaultyProxy
) -> None:
    file, other = image(), image(transfer_syntax=ImplicitVRLittleEndian)
    dataset, implicit = store(client, file, other)
    proxy.refuse()
    try:
        for path in (
            path_of(dataset),
            path_of(implicit),
            path_of(dataset, 1),
            f"{path_of(dataset)}/frames/1",
            f"{path_of(dataset)}/rendered",
        ):
            answer = client.get(path)
            assert_problem(answer, 503)
            assert int(answer.headers["retry-after"]) > 0
        assert reasons(post(client, [image()])) == [0xA700]
        assert client.get(f"{path_of(dataset)}/metadata").status_code == 200
        assert httpx.get(f"{on_s3.url}/readyz").status_code == 503
        assert httpx.get(f"{on_s3.url}/healthz").status_code == 200
    finally:
        proxy.accept()

    assert httpx.get(f"{on_s3.url}/readyz").status_code == 200
    assert client.get(path_of(dataset), headers=EXACT).content == file
    store(client, image())


def test_what_cannot_be_removed_is_deleted_all_the_same_and_logged(
    on_s3: RunningServer, client: httpx.Client, proxy: FaultyProxy
) -> None:
    [dataset] = store(client, image())
    proxy.fault = Fault("^POST", status=500)

    assert client.delete(path_of(dataset)).status_code == 204

    assert client.get(path_of(dataset)).status_code == 404
    assert "blobs of deleted instances stay behind" in on_s3.log.read_text()


def test_an_object_that_is_gone_is_damage(client: httpx.Client, s3: dict[str, str]) -> None:
    [dataset] = store(client, image())
    [key] = keys(s3, dataset.SOPInstanceUID)
    s3_client(s3).delete_object(Bucket=s3["S3_BUCKET"], Key=key)

    assert "damaged" in assert_problem(client.get(path_of(dataset)), 500)["detail"]


@pytest.fixture(scope="module")
def near_s3(
    s3: dict[str, str], proxy: FaultyProxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """As the settings are where nobody has set them: with copies here."""
    more = {"S3_ENDPOINT_URL": proxy.url, "S3_PREFIX": "near", "ALLOW_DELETE": "true"}
    with RunningServer(tmp_path_factory.mktemp("near") / "data", {**s3, **more}) as running:
        yield running


def test_while_s3_is_away_what_is_also_here_is_retrieved(
    near_s3: RunningServer, proxy: FaultyProxy
) -> None:
    file, other = image(), image(transfer_syntax=ImplicitVRLittleEndian)
    with httpx.Client(base_url=near_s3.base, timeout=60) as client:
        dataset, implicit = store(client, file, other)
        proxy.refuse()
        try:
            for path in (
                path_of(dataset),
                path_of(implicit),
                path_of(dataset, 1),
                f"{path_of(dataset)}/frames/1",
                f"{path_of(dataset)}/rendered",
            ):
                assert client.get(path).status_code == 200
            assert client.get(path_of(dataset), headers=EXACT).content == file
            assert reasons(post(client, [image()])) == [0xA700]
            assert httpx.get(f"{near_s3.url}/readyz").status_code == 503
        finally:
            proxy.accept()
        for each in (dataset, implicit):
            assert client.delete(path_of(each)).status_code == 204
        assert [
            path
            for path in (near_s3.data_dir / "cache" / "blobs").glob("*/*")
            if path.suffix != ".forgotten"
        ] == []


def test_what_is_here_alone_is_not_stored(near_s3: RunningServer, s3: dict[str, str]) -> None:
    """Whoever stores it again has it stored, and does not hear that it is there already."""
    file = image()
    with httpx.Client(base_url=near_s3.base, timeout=60) as client:
        [dataset] = store(client, file)
        where = {"Bucket": s3["S3_BUCKET"], "Key": keys(s3, dataset.SOPInstanceUID, "near")[0]}
        s3_client(s3).delete_object(**where)
        assert client.get(path_of(dataset)).status_code == 200
        assert keys(s3, dataset.SOPInstanceUID, "near") == []

        store(client, file)

    assert len(keys(s3, dataset.SOPInstanceUID, "near")) == 1


def test_no_secret_and_no_uid_stands_in_the_log_of_what_s3_refuses(
    on_s3: RunningServer, client: httpx.Client, proxy: FaultyProxy, s3: dict[str, str]
) -> None:
    [dataset] = store(client, image())
    proxy.fault = Fault(status=403)
    assert_problem(client.get(path_of(dataset)), 503)
    assert reasons(post(client, [image()])) == [0xA700]

    lines = on_s3.log.read_text().splitlines()
    told = [line for line in lines if "S3 fails" in line or "blob not stored" in line]
    assert len(told) >= 2
    assert not [line for line in told if "2.25." in line]
    assert not [line for line in lines if s3["S3_SECRET_ACCESS_KEY"] in line]
