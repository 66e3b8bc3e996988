"""S3 that fails: nothing is lost, nothing looks whole that is not, and it goes on by itself."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from dicomweb_server.blobs import s3 as s3_blobs
from dicomweb_server.blobs.s3 import PART, S3Blobs
from dicomweb_server.blobs.store import MAX_CHUNK, BlobsUnavailable
from tests.blobs.made import KEY, keys_of, staged
from tests.faulty import Fault, FaultyProxy
from tests.s3 import KMS_KEY, new_s3_blobs, s3_client

DATA = bytes(range(251)) * (3 * MAX_CHUNK // 251)

FAULTS = {
    "500": Fault(status=500),
    "503": Fault(status=503),
    "no body": Fault("^(GET|POST)", cut_body=0),
}


@pytest.fixture(autouse=True)
def no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_blobs, "_PAUSES", (0.01, 0.02, 0.05))


@pytest.fixture(scope="module")
def proxy(s3: dict[str, str]) -> Iterator[FaultyProxy]:
    with FaultyProxy(s3["S3_ENDPOINT_URL"]) as between:
        yield between


@pytest.fixture
async def blobs(s3: dict[str, str], proxy: FaultyProxy, tmp_path: Path) -> AsyncIterator[S3Blobs]:
    """A store behind the proxy."""
    store = new_s3_blobs({**s3, "S3_ENDPOINT_URL": proxy.url}, tmp_path / "data")
    yield store
    proxy.fault = None
    await store.close()


@pytest.fixture
async def hasty(s3: dict[str, str], proxy: FaultyProxy, tmp_path: Path) -> AsyncIterator[S3Blobs]:
    """The same with little patience."""
    behind = {**s3, "S3_ENDPOINT_URL": proxy.url}
    store = new_s3_blobs(behind, tmp_path / "data", s3_timeout_seconds=1.2)
    yield store
    proxy.fault = None
    await store.close()


def again(fault: Fault, times: int = 1 << 30) -> Fault:
    return Fault(fault.requests, fault.status, fault.delay, fault.cut_body, times)


@pytest.mark.parametrize("name", FAULTS)
async def test_what_passes_is_not_noticed(
    blobs: S3Blobs, proxy: FaultyProxy, tmp_path: Path, name: str
) -> None:
    spoilt = proxy.spoilt
    proxy.fault = again(FAULTS[name], 1)
    assert await blobs.put_many([(staged(tmp_path, DATA), KEY)]) == [None]
    proxy.fault = again(FAULTS[name], 2)
    assert await blobs.read(KEY, 5, 1000) == DATA[5:1005]
    proxy.fault = again(FAULTS[name], 2)
    assert b"".join([chunk async for chunk in blobs.stream(KEY, 0, len(DATA))]) == DATA
    proxy.fault = again(FAULTS[name], 2)
    async with blobs.local(KEY) as path:
        assert path.read_bytes() == DATA

    assert proxy.spoilt >= spoilt + 6


@pytest.mark.parametrize("name", ["500", "503"])
async def test_what_cannot_be_put_stays_where_it_is(
    blobs: S3Blobs, proxy: FaultyProxy, tmp_path: Path, name: str
) -> None:
    one, other = staged(tmp_path, b"one", "1"), staged(tmp_path, b"other", "2")
    proxy.fault = Fault("~a", FAULTS[name].status)

    first, second = await blobs.put_many([(one, KEY), (other, KEY.replace("~a", "~b"))])

    assert isinstance(first, OSError)
    assert second is None
    assert one.read_bytes() == b"one"
    assert not other.exists()
    proxy.fault = None
    assert await keys_of(blobs) == [KEY.replace("~a", "~b")]
    assert await blobs.put_many([(one, KEY)]) == [None]
    assert await blobs.read(KEY, 0, 3) == b"one"


async def test_parts_are_put_together_or_not_when_the_answer_breaks_off(
    blobs: S3Blobs, proxy: FaultyProxy, tmp_path: Path
) -> None:
    source = staged(tmp_path, bytes(PART))
    proxy.fault = Fault(r"^POST \S+uploadId", cut_body=0)
    spoilt = proxy.spoilt

    [error] = await blobs.put_many([(source, KEY)])

    assert proxy.spoilt > spoilt
    assert source.exists() == (error is not None)
    assert [blob.size async for blob in blobs.list()] == ([] if error else [PART])


async def test_a_failed_upload_in_parts_leaves_none(
    blobs: S3Blobs, s3: dict[str, str], proxy: FaultyProxy, tmp_path: Path
) -> None:
    source = staged(tmp_path, bytes(3 * PART))
    proxy.fault = Fault("partNumber=2", status=500)

    [error] = await blobs.put_many([(source, KEY)])

    assert error is not None
    assert source.stat().st_size == 3 * PART
    uploads = s3_client(s3).list_multipart_uploads(Bucket=s3["S3_BUCKET"]).get("Uploads", [])
    assert [upload for upload in uploads if upload["Key"].endswith(KEY)] == []
    proxy.fault = None
    assert await keys_of(blobs) == []
    assert await blobs.put_many([(source, KEY)]) == [None]


async def test_silence_is_given_up_and_asked_again(
    hasty: S3Blobs, proxy: FaultyProxy, tmp_path: Path
) -> None:
    source = staged(tmp_path, b"12345")
    proxy.fault = Fault(delay=5, times=1)
    assert await hasty.put_many([(source, KEY)]) == [None]
    proxy.fault = Fault(delay=5, times=1)
    assert await hasty.read(KEY, 0, 5) == b"12345"

    proxy.fault = Fault(delay=5)
    source.write_bytes(b"another")
    [error] = await hasty.put_many([(source, KEY + "2")])
    assert error is not None
    assert error.strerror == "S3: the server does not answer"
    assert source.exists()
    with pytest.raises(BlobsUnavailable):
        await hasty.read(KEY, 0, 5)


@pytest.mark.parametrize(
    "fault", [*FAULTS.values(), Fault("^GET", cut_body=100)], ids=[*FAULTS, "cut"]
)
async def test_what_stays_is_told_and_forgotten_when_it_is_over(
    blobs: S3Blobs, proxy: FaultyProxy, tmp_path: Path, fault: Fault
) -> None:
    await blobs.put_many([(staged(tmp_path, DATA), KEY)])
    proxy.fault = again(fault)

    with pytest.raises(BlobsUnavailable) as refused:
        await blobs.read(KEY, 0, 2000)
    assert refused.value.retry_after > 0
    assert KEY not in refused.value.reason
    with pytest.raises(BlobsUnavailable):
        await anext(blobs.stream(KEY, 0, len(DATA)))
    with pytest.raises(BlobsUnavailable):
        async with blobs.local(KEY):
            pass
    with pytest.raises(BlobsUnavailable):
        await keys_of(blobs)  # and not that there are none
    if fault.requests != "^GET":
        with pytest.raises(OSError, match="S3: "):
            await blobs.delete([KEY])

    assert os.listdir(tmp_path / "data" / "tmp") == []
    proxy.fault = None
    await blobs.put_many([(staged(tmp_path, DATA), KEY)])  # the request to delete may have come
    assert await blobs.read(KEY, 0, len(DATA)) == DATA


async def test_a_fault_in_the_middle_of_a_stream_ends_it(
    blobs: S3Blobs, proxy: FaultyProxy, tmp_path: Path
) -> None:
    await blobs.put_many([(staged(tmp_path, DATA), KEY)])
    stream = blobs.stream(KEY, 0, len(DATA))
    received = [await anext(stream)]
    proxy.fault = Fault("^GET", status=500)

    with pytest.raises(BlobsUnavailable):
        async for chunk in stream:
            received.append(chunk)

    assert b"".join(received) == DATA[: sum(map(len, received))]
    proxy.fault = None
    assert await blobs.read(KEY, 0, 1) == DATA[:1]


async def test_a_server_that_is_not_there_and_comes_back(
    blobs: S3Blobs, proxy: FaultyProxy, tmp_path: Path
) -> None:
    source = staged(tmp_path, DATA)
    proxy.refuse()
    try:
        [error] = await blobs.put_many([(source, KEY)])
        assert error is not None
        assert source.exists()
        for call in (blobs.check(), blobs.read(KEY, 0, 1), keys_of(blobs)):
            with pytest.raises(BlobsUnavailable):
                await call
        with pytest.raises(OSError, match="S3: the server cannot be reached"):
            await blobs.delete([KEY])
    finally:
        proxy.accept()

    await blobs.check()
    assert await blobs.put_many([(source, KEY)]) == [None]
    assert await blobs.read(KEY, 0, len(DATA)) == DATA
    await blobs.delete([KEY])
    assert await keys_of(blobs) == []


async def test_all_who_ask_whether_a_silent_server_works_share_one_request(
    hasty: S3Blobs, proxy: FaultyProxy
) -> None:
    spoilt = proxy.spoilt
    proxy.fault = Fault(delay=5)

    answers = await asyncio.gather(*(hasty.check() for _ in range(20)), return_exceptions=True)

    assert {type(answer) for answer in answers} == {BlobsUnavailable}
    assert proxy.spoilt - spoilt <= 3


async def test_a_download_without_room_is_not_begun(s3: dict[str, str], tmp_path: Path) -> None:
    blobs = new_s3_blobs(s3, tmp_path / "data", min_free_bytes=1 << 60)
    await blobs.put_many([(staged(tmp_path, DATA), KEY)])

    with pytest.raises(BlobsUnavailable):
        async with blobs.local(KEY):
            pass
    await blobs.close()


async def test_a_download_of_one_who_left_is_removed(s3: dict[str, str], tmp_path: Path) -> None:
    blobs = new_s3_blobs(s3, tmp_path / "data")
    await blobs.put_many([(staged(tmp_path, bytes(20 << 20)), KEY)])
    folder = tmp_path / "data" / "tmp"

    async def use() -> None:
        async with blobs.local(KEY):
            raise AssertionError("not so soon")

    using = asyncio.create_task(use())
    while not os.listdir(folder):
        await asyncio.sleep(0.001)
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using
    await blobs.close()
    assert os.listdir(folder) == []


async def test_blobs_are_encrypted_as_the_settings_say(s3: dict[str, str], tmp_path: Path) -> None:
    blobs = new_s3_blobs(
        s3, tmp_path / "data", s3_prefix="sealed", s3_encryption="aws:kms", s3_kms_key_id=KMS_KEY
    )
    small, large = staged(tmp_path, b"x", "1"), staged(tmp_path, bytes(PART), "2")
    assert await blobs.put_many([(small, "a"), (large, "b")]) == [None, None]

    for key in "ab":
        head = s3_client(s3).head_object(Bucket=s3["S3_BUCKET"], Key=f"sealed/{key}")
        assert head["ServerSideEncryption"] == "aws:kms"
        assert head["SSEKMSKeyId"] == KMS_KEY
        assert await blobs.read(key, 0, 1) in (b"x", b"\0")
    assert await blobs.read("b", 5000, 10) == bytes(10)
    await blobs.delete(["a", "b"])
    await blobs.close()


async def test_another_bucket_or_none_is_told_apart(s3: dict[str, str], tmp_path: Path) -> None:
    blobs = new_s3_blobs(s3, tmp_path / "data", s3_bucket="no-such-bucket-here")

    with pytest.raises(BlobsUnavailable) as refused:
        await blobs.check()
    assert refused.value.reason == "there is no such bucket; it has to be made first"
    with pytest.raises(BlobsUnavailable):  # and not that the blob is missing
        await blobs.read(KEY, 0, 1)
    await blobs.close()
