"""A command without the server's settings is refused, before anything is made or changed."""

import asyncio
import json
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.__main__ import plain_failures
from dicomweb_server.commands.refusals import CannotServeError
from dicomweb_server.commands.serving import prepare_database
from dicomweb_server.commands.whereabouts import FILE, Whereabouts
from dicomweb_server.config import Settings
from dicomweb_server.index.embedded import start_postgres
from tests.commands.running import run
from tests.make import instance_with
from tests.running import RunningServer

LOOKS_AFTER = [["verify"], ["sweep"], ["purge"], ["quarantine", "release", "1"]]
OF_THE_INDEX = [
    ["institution", "list"],
    ["institution", "policy", "default", "replace"],
    ["attribute", "list"],
    ["attribute", "drop", "InstitutionName"],
]
OF_THE_FOLDER = [["quarantine", "list"], ["quarantine", "drop", "1"]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "one.dcm"
    path.parent.mkdir()
    path.write_bytes(instance_with(StudyInstanceUID="1.2", SOPInstanceUID="1.2.3"))
    return path


@pytest.mark.parametrize(
    "command", [*LOOKS_AFTER, *OF_THE_INDEX, *OF_THE_FOLDER, ["rebuild-index"]]
)
def test_what_looks_after_an_archive_makes_none(tmp_path: Path, command: list[str]) -> None:
    ended = run(tmp_path / "data", *command)
    assert ended.returncode != 0
    assert "There is no archive in" in ended.stderr
    assert not (tmp_path / "data").exists()


def test_a_database_that_is_forgotten(tmp_path: Path, file: Path, postgres_url: str) -> None:
    data = tmp_path / "data"
    assert run(data, "import", file).returncode == 0
    assert json.loads((data / FILE).read_bytes()) == {
        "database": "in the data folder",
        "blobs": "in the data folder",
    }
    assert (data / FILE).stat().st_mode & 0o777 == 0o644
    for command in (*LOOKS_AFTER, ["import", file], ["institution", "list"], ["serve"]):
        ended = run(data, *command, DATABASE_URL=postgres_url, PORT="0")
        assert ended.returncode != 0
        assert "Set no DATABASE_URL as for the server" in ended.stderr
    assert run(data, "verify").returncode == 0

    (data / FILE).unlink()  # moved on purpose
    with start_postgres(tmp_path / "other") as other:
        asyncio.run(prepare_database(other.url))
        assert run(data, "rebuild-index", DATABASE_URL=other.url).returncode == 0
        assert not (data / FILE).exists()  # the server's settings are the right ones
        with RunningServer(data, {"DATABASE_URL": other.url}):
            assert "at DATABASE_URL" in (data / FILE).read_text()
        ended = run(data, "sweep", "--older-than", "0s")
        assert ended.returncode != 0
        assert "Set DATABASE_URL as for the server" in ended.stderr
        assert run(data, "verify", DATABASE_URL=other.url).returncode == 0


def test_a_bucket_that_is_forgotten(tmp_path: Path, file: Path, s3: dict[str, str]) -> None:
    data = tmp_path / "data"
    far = {**s3, "S3_PREFIX": "forgotten"}
    assert run(data, "import", file, **far).returncode == 0
    told = (data / FILE).read_text()
    assert f"in the bucket {s3['S3_BUCKET']}, below forgotten" in told
    assert s3["S3_SECRET_ACCESS_KEY"] not in told
    for given_ in ({}, {**s3, "S3_PREFIX": "another"}, {**far, "S3_BUCKET": "another"}):
        for command in (["import", file], ["verify"], ["sweep"], ["serve"]):
            ended = run(data, *command, **given_, PORT="0")
            assert ended.returncode != 0
            assert "Set S3_BUCKET, and S3_PREFIX if it has one, as for the server" in ended.stderr
    assert run(data, "verify", **far).returncode == 0
    assert run(data, "institution", "list").returncode == 0  # of the index alone
    assert not [*(data / "blobs").rglob("*.dcm")]


def test_a_folder_that_cannot_be_made(tmp_path: Path, file: Path) -> None:
    for command in (["import", file], ["institution", "list"]):
        ended = run(file / "data", *command)
        assert ended.returncode != 0
        assert "cannot be" in ended.stderr


def test_a_lost_folder_is_made_again_from_the_bucket(
    tmp_path: Path, file: Path, s3: dict[str, str]
) -> None:
    far = {**s3, "S3_PREFIX": "lost"}
    assert run(tmp_path / "lost", "import", file, **far).returncode == 0
    again = run(tmp_path / "new", "rebuild-index", **far)
    assert again.returncode == 0
    assert "1 instances stored" in again.stderr
    assert (tmp_path / "new" / FILE).exists()


def test_a_new_folder_is_right_with_a_database_elsewhere(tmp_path: Path, postgres_url: str) -> None:
    for command in (["institution", "list"], ["quarantine", "list"]):
        assert run(tmp_path / "data", *command, DATABASE_URL=postgres_url).returncode == 0


def test_what_is_not_for_this_user_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), plain_failures():
        raise PermissionError(13, "Permission denied", "data/quarantine")
    assert "data/quarantine: Permission denied" in capsys.readouterr().err


@given(st.binary())
def test_a_file_that_cannot_be_understood_says_nothing(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("told")
    (folder / FILE).write_bytes(content)
    Whereabouts.of(Settings(data_dir=folder)).check(folder)


def test_both_are_named_apart(tmp_path: Path) -> None:
    here = Settings(data_dir=tmp_path, s3_bucket="dicom")
    Whereabouts.of(here).note(tmp_path)
    Whereabouts.of(here).check(tmp_path)
    with pytest.raises(
        CannotServeError, match=r"What is stored .* is in the bucket dicom, not in the data folder"
    ):
        Whereabouts.of(Settings(data_dir=tmp_path)).check(tmp_path)
    with pytest.raises(CannotServeError, match=r"(?s)The database .*Set no DATABASE_URL"):
        url = "postgresql://who:secret@h/d"
        Whereabouts.of(Settings(data_dir=tmp_path, database_url=url)).check(tmp_path)
