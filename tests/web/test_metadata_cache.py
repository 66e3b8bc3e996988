"""Metadata of many instances are joined of what is kept: the same bytes as without, always."""

import contextlib
import gzip
import json
import random
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from pydicom import Dataset

from dicomweb_server.wire.content_coding import zstd
from tests.make import instance_with
from tests.make.ct import study_of
from tests.running import RunningServer
from tests.web.asking import assert_problem, is_thumbnail, new_uid, path_of, store

COUNT = 150
UNPACK = {"identity": bytes, "gzip": gzip.decompress, "zstd": zstd.decompress}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Two processes that answer, and share a cache."""
    settings = {"WORKERS": "2", "ALLOW_DELETE": "true", "CPU_WORKERS": "1"}
    with RunningServer(tmp_path_factory.mktemp("cached") / "data", settings) as server:
        assert server.command("institution", "policy", "default", "replace") == 0
        yield server


@pytest.fixture(scope="module")
def http(servers: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=servers.base, timeout=60) as client:
        yield client


def stored_series(http: httpx.Client, seed: int) -> list[Dataset]:
    """A series, stored in no order."""
    instances = study_of(1, COUNT, seed=seed, rows=8, columns=8)
    order = random.Random(seed).sample(range(COUNT), COUNT)
    datasets = []
    for start in range(0, COUNT, 30):
        datasets += store(http, *(instances[n].file() for n in order[start : start + 30]))
    return sorted(datasets, key=lambda dataset: dataset.InstanceNumber)


def expected(http: httpx.Client, datasets: list[Dataset]) -> bytes:
    """The array of what each instance answers by itself, which nothing is kept of."""
    texts = [http.get(f"{path_of(dataset)}/metadata").content for dataset in datasets]
    return b"[" + b",".join(text[1:-1] for text in texts) + b"]"


def bodies(http: httpx.Client, path: str) -> list[bytes]:
    """What is sent now, over new connections, so that each process is likely to be asked."""
    found = []
    for coding in ("identity", "gzip", "zstd") * 3:
        headers = {"Accept-Encoding": coding, "Connection": "close"}
        with http.stream("GET", f"{path}/metadata", headers=headers) as answer:
            assert answer.status_code == 200
            assert answer.headers.get("content-encoding", "identity") == coding
            found.append(UNPACK[coding](b"".join(answer.iter_raw())))
    return found


def files(server: RunningServer) -> list[Path]:
    """What is kept; that a study was forgotten is not counted, nor are thumbnails, which come by
    themselves."""
    found = (path for path in (server.data_dir / "cache").rglob("*") if path.is_file())
    return [path for path in found if path.suffix != ".forgotten" and not is_thumbnail(path)]


@pytest.mark.parametrize("level", [1, 2])
def test_it_is_the_array_of_what_the_instances_say(http: httpx.Client, level: int) -> None:
    datasets = stored_series(http, seed=level)
    whole = expected(http, datasets)
    assert set(bodies(http, path_of(datasets[0], level))) == {whole}
    assert [one["00200013"]["Value"] for one in json.loads(whole)] == [
        [n + 1] for n in range(COUNT)
    ]


def test_a_change_is_seen_at_once(http: httpx.Client) -> None:
    datasets = stored_series(http, seed=3)
    series, study = path_of(datasets[0], 2), path_of(datasets[0], 1)
    instances = study_of(1, COUNT + 1, seed=3, rows=8, columns=8)
    tags = set()

    def check() -> None:
        whole = expected(http, datasets)
        assert {*bodies(http, series), *bodies(http, study)} == {whole}
        tag = http.head(f"{series}/metadata").headers["etag"]
        assert tag not in tags
        tags.add(tag)

    check()
    datasets += store(http, instances[-1].file())
    check()
    keywords = (*instances[70].keywords, ("ImageComments", "another version"))
    [datasets[70]] = store(http, replace(instances[70], keywords=keywords).file())
    assert b"another version" in bodies(http, series)[0]
    check()
    assert http.delete(path_of(datasets[20])).status_code == 204
    del datasets[20]
    check()
    assert http.delete(series).status_code == 204
    assert_problem(http.get(f"{series}/metadata"), 404)


def test_what_is_kept_of_a_deleted_study_goes(http: httpx.Client, servers: RunningServer) -> None:
    before = set(files(servers))
    datasets = stored_series(http, seed=4)
    bodies(http, path_of(datasets[0], 1))
    made: set[Path] = set()
    while made != (made := set(files(servers))):  # also in the background
        time.sleep(0.5)
    assert made - before
    assert http.delete(path_of(datasets[0], 1)).status_code == 204
    assert set(files(servers)) <= before


def spoil(server: RunningServer, damage: Callable[[Path], object], step: int = 1) -> None:
    """Damage each file, or each `step`-th, but for those that come and go meanwhile."""
    for file in files(server)[::step]:
        if not file.name.endswith(".part"):
            with contextlib.suppress(FileNotFoundError):
                damage(file)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [cut, flip, lambda path: path.write_bytes(b""), Path.unlink])
def test_damage_costs_time_and_nothing_else(
    http: httpx.Client, servers: RunningServer, damage: Callable[[Path], object]
) -> None:
    datasets = stored_series(http, seed=5)
    path = path_of(datasets[0], 2)
    whole = bodies(http, path)[0]
    spoil(servers, damage, step=2)
    assert set(bodies(http, path)) == {whole}


def test_the_cache_may_be_removed_under_the_server(
    http: httpx.Client, servers: RunningServer
) -> None:
    datasets = stored_series(http, seed=6)
    path = path_of(datasets[0], 2)
    whole = bodies(http, path)[0]
    stop = threading.Event()

    def remove() -> None:
        while not stop.is_set():
            shutil.rmtree(servers.data_dir / "cache", ignore_errors=True)
            time.sleep(0.002)

    thread = threading.Thread(target=remove)
    thread.start()
    try:
        for _ in range(10):
            assert set(bodies(http, path)) == {whole}
    finally:
        stop.set()
        thread.join()
    bodies(http, path)
    assert files(servers)


XML = 'multipart/related; type="application/dicom+xml"'


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize(
    ("accept", "query"), [("*/*", ""), (XML, ""), ("*/*", "?includefield=SOPInstanceUID")]
)
def test_a_body_that_was_sent_is_kept_as_it_is(
    http: httpx.Client, servers: RunningServer, coding: str, accept: str, query: str
) -> None:
    datasets = stored_series(http, seed=11)
    path = f"{path_of(datasets[0], 2)}/metadata{query}"

    def ask() -> tuple[httpx.Headers, bytes]:
        headers = {"Accept": accept, "Accept-Encoding": coding}
        with http.stream("GET", path, headers=headers) as answer:
            assert answer.status_code == 200
            return answer.headers, b"".join(answer.iter_raw())

    shutil.rmtree(servers.data_dir / "cache", ignore_errors=True)
    first, body = ask()
    for _ in range(2):
        deadline = time.monotonic() + 20
        again, same = ask()
        while "content-length" not in again:  # it is put there when it has been sent
            assert time.monotonic() < deadline
            again, same = ask()
        assert same == body
        assert again["content-length"] == str(len(body))
        for name in ("content-type", "content-encoding", "etag", "vary", "cache-control"):
            assert again.get(name) == first.get(name), name
        spoil(servers, flip)
        assert ask()[1] == body
    with http.stream("GET", path, headers={"Accept": accept, "Accept-Encoding": ""}) as plain:
        assert UNPACK[coding](body) == b"".join(plain.iter_raw())

    [changed] = store(http, study_of(1, COUNT + 1, seed=11, rows=8, columns=8)[-1].file())
    assert ask()[1] != body
    assert http.delete(path_of(changed)).status_code == 204
    assert ask()[1] == body


def test_what_was_kept_goes_when_nothing_is_kept_any_more(tmp_path: Path) -> None:
    with (
        RunningServer(tmp_path / "data") as server,
        httpx.Client(base_url=server.base, timeout=60) as http,
    ):
        bodies(http, path_of(stored_series(http, seed=13)[0], 2))
        assert files(server)
    with RunningServer(tmp_path / "data", {"CACHE_LIMIT_BYTES": "0"}) as server:
        deadline = time.monotonic() + 20
        while files(server):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_without_a_cache_the_answers_are_the_same(tmp_path: Path) -> None:
    with (
        RunningServer(tmp_path / "data", {"CACHE_LIMIT_BYTES": "0"}) as server,
        httpx.Client(base_url=server.base, timeout=60) as http,
    ):
        datasets = stored_series(http, seed=7)
        assert set(bodies(http, path_of(datasets[0], 2))) == {expected(http, datasets)}
        assert files(server) == []


def test_the_length_is_told_and_head_has_the_headers(http: httpx.Client) -> None:
    path = f"{path_of(stored_series(http, seed=8)[0], 2)}/metadata"
    for coding in ("identity", "gzip"):
        headers = {"Accept-Encoding": coding}
        with http.stream("GET", path, headers=headers) as answer:
            body = b"".join(answer.iter_raw())
        assert int(answer.headers["content-length"]) == len(body)
        head = http.head(path, headers=headers)
        assert head.content == b""
        for name in ("content-length", "content-encoding", "content-type", "etag", "vary"):
            assert head.headers.get(name) == answer.headers.get(name), name
        tag = answer.headers["etag"]
        assert http.get(path, headers={**headers, "If-None-Match": tag}).status_code == 304
        assert_problem(http.get(path, headers={**headers, "If-Match": '"x"'}), 412)
    assert_problem(http.get(path, headers={"Accept-Encoding": "identity;q=0"}), 406)


def test_a_small_answer_is_not_packed_unless_it_has_to_be(http: httpx.Client) -> None:
    uid = new_uid()
    [dataset] = store(
        http, instance_with(StudyInstanceUID=uid, SeriesInstanceUID=uid, SOPInstanceUID=uid)
    )
    path = f"{path_of(dataset, 2)}/metadata"
    small = http.get(path, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in small.headers
    assert int(small.headers["content-length"]) == len(small.content) < 1000
    with http.stream("GET", path, headers={"Accept-Encoding": "gzip, identity;q=0"}) as answer:
        assert gzip.decompress(b"".join(answer.iter_raw())) == small.content


def test_who_leaves_midway_leaves_nothing_behind(
    http: httpx.Client, servers: RunningServer
) -> None:
    datasets = stored_series(http, seed=9)
    path = path_of(datasets[0], 2)
    for _ in range(5):
        shutil.rmtree(servers.data_dir / "cache", ignore_errors=True)
        with socket.create_connection(("127.0.0.1", servers.port)) as client:
            client.sendall(f"GET /dicomweb/{path}/metadata HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            time.sleep(0.005)
    assert set(bodies(http, path)) == {expected(http, datasets)}
    deadline = time.monotonic() + 20
    while [file for file in files(servers) if file.name.endswith(".part")]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_series_is_made_ready_while_it_is_stored(
    http: httpx.Client, servers: RunningServer
) -> None:
    before = set(files(servers))
    stored_series(http, seed=10)
    deadline = time.monotonic() + 20
    while not set(files(servers)) - before:
        assert time.monotonic() < deadline
        time.sleep(0.05)
