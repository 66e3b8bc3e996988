"""An S3 server for tests: moto in a process of its own, or the one that TEST_S3_* names.

TEST_S3_ENDPOINT_URL, TEST_S3_ACCESS_KEY_ID and TEST_S3_SECRET_ACCESS_KEY name another, where
the tests may make a bucket; they use no other, and leave it behind. It has to know the KMS_KEY.
"""

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.config import Config

from dicomweb_server.blobs.s3 import S3Blobs
from dicomweb_server.config import Settings
from tests.running import free_port

READY_SECONDS = 60
KMS_KEY = "test-key"  # the name of one that a server may be told to encrypt with

_numbers = itertools.count()


@contextmanager
def s3_server(folder: Path) -> Iterator[dict[str, str]]:
    """The settings that lead to a bucket of a running server. Its log is left in `folder`."""
    bucket = f"dicomweb-test-{os.getpid()}-{time.time_ns() // 1_000_000}"
    given = os.environ.get("TEST_S3_ENDPOINT_URL")
    if given:
        key, secret = (os.environ[f"TEST_S3_{n}"] for n in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"))
        yield _with_bucket(given, bucket, key, secret)
        return
    port = free_port()
    with (folder / "moto.log").open("wb") as log:
        program = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(program, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(process, url)
            yield _with_bucket(url, bucket, "testkey", "testsecret")
        finally:
            process.terminate()
            process.wait(30)


def _wait(process: "subprocess.Popen[bytes]", url: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(url, timeout=5, trust_env=False)
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("moto did not start")


def _with_bucket(url: str, bucket: str, key: str, secret: str) -> dict[str, str]:
    server = {
        "S3_ENDPOINT_URL": url,
        "S3_BUCKET": bucket,
        "S3_REGION": "us-east-1",
        "S3_ACCESS_KEY_ID": key,
        "S3_SECRET_ACCESS_KEY": secret,
        "S3_PATH_STYLE": "true",
    }
    s3_client(server).create_bucket(Bucket=bucket)
    return server


def s3_client(server: Mapping[str, str]) -> Any:
    """boto3's own view of the server, beside ours."""
    return boto3.client(
        "s3",
        endpoint_url=server["S3_ENDPOINT_URL"],
        aws_access_key_id=server["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=server["S3_SECRET_ACCESS_KEY"],
        region_name=server["S3_REGION"],
        config=Config(
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def s3_settings(server: Mapping[str, str], data_dir: Path, **more: object) -> Settings:
    """Settings of an archive in `data_dir` whose blobs lie on `server`."""
    given: dict[str, Any] = {name.lower(): value for name, value in server.items()}
    return Settings(**{"data_dir": data_dir, "min_free_bytes": 0, **given, **more})


def new_s3_blobs(server: Mapping[str, str], data_dir: Path, **settings: Any) -> S3Blobs:
    """A store below a prefix of its own, with its scratch folder in `data_dir`."""
    given = {"s3_prefix": f"test-{next(_numbers)}", **settings}
    wanted = s3_settings(server, data_dir, **given)
    wanted.tmp_dir.mkdir(exist_ok=True, parents=True)
    return S3Blobs(wanted)
