"""``application/zip`` of studies, series and instances: File-sets that other programs read."""

import re
import shutil
import socket
import subprocess
import time
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from pydicom import Dataset, dcmread
from pydicom.fileset import FileSet
from pydicom.uid import (
    HangingProtocolStorage,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    SegmentationStorage,
)

from tests.make import encapsulated_pdf, instance_with, small_image, sr_document
from tests.running import RunningServer
from tests.web.asking import DICOM, assert_problem, new_uid, path_of, store
from tests.web.test_damage import blob_of

ZIP = {"Accept": "application/zip"}
NAME = "Meier^Fritz"


def study_of(*, rows: int = 40) -> list[bytes]:
    """Two series of images in four syntaxes, a report, a document, a segmentation's record."""
    study, first, second = new_uid(), new_uid(), new_uid()
    common = {"StudyInstanceUID": study, "PatientName": NAME, "PatientID": "4711"}
    images = [
        small_image(
            rows=rows,
            columns=rows,
            SOPInstanceUID=new_uid(),
            SeriesInstanceUID=(first, second)[number % 2],
            SeriesNumber=str(number % 2 + 1),
            InstanceNumber=str(number),
            transfer_syntax=(ImplicitVRLittleEndian, JPEG2000Lossless)[number // 2 % 2],
            **common,
        )
        for number in range(6)
    ]
    return [
        *images,
        sr_document(SOPInstanceUID=new_uid(), SeriesInstanceUID=new_uid(), **common),
        encapsulated_pdf(SOPInstanceUID=new_uid(), SeriesInstanceUID=new_uid(), **common),
        small_image(
            SOPClassUID=SegmentationStorage,
            SOPInstanceUID=new_uid(),
            SeriesInstanceUID=new_uid(),
            **common,
        ),
    ]


Stored = tuple[list[bytes], list[Dataset]]


@pytest.fixture(scope="module")
def study(http: httpx.Client) -> Stored:
    files = study_of()
    return files, store(http, *files)


def opened(answer: httpx.Response) -> zipfile.ZipFile:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert int(answer.headers["content-length"]) == len(answer.content)
    archive = zipfile.ZipFile(BytesIO(answer.content))
    assert archive.testzip() is None
    assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
    return archive


def files_of(archive: zipfile.ZipFile) -> dict[str, bytes]:
    """The DICOM files by their names, as the archive has them."""
    return {name: archive.read(name) for name in archive.namelist() if name.startswith("DICOM/")}


def test_a_study_is_a_file_set_of_the_exact_originals(
    http: httpx.Client, study: Stored, tmp_path: Path
) -> None:
    files, datasets = study
    answer = http.get(path_of(datasets[0], 1), headers=ZIP)
    archive = opened(answer)
    found = files_of(archive)

    assert sorted(found.values()) == sorted(files)
    assert set(archive.namelist()) == {"README.TXT", "DICOMDIR", *found}
    for name in found:
        assert len(name.split("/")) <= 8
        assert all(re.fullmatch("[A-Z0-9_]{1,8}", part) for part in name.split("/"))
    assert answer.headers["vary"] == "Accept"
    assert answer.headers["content-disposition"] == (
        f'attachment; filename="{datasets[0].StudyInstanceUID}.zip"'
    )

    archive.extractall(tmp_path)
    file_set = FileSet(tmp_path / "DICOMDIR")
    assert len(file_set) == len(files)
    for instance in file_set:
        original = dcmread(instance.path)
        assert instance.SOPInstanceUID == original.SOPInstanceUID
        assert (
            instance.ReferencedTransferSyntaxUIDInFile == instance.load().file_meta[0x20010].value
        )
    assert file_set.find_values("PatientName") == [NAME]
    kinds = [
        record.DirectoryRecordType
        for record in dcmread(tmp_path / "DICOMDIR").DirectoryRecordSequence
    ]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "PATIENT": 1,
        "STUDY": 1,
        "SERIES": 5,
        "IMAGE": 7,
        "SR DOCUMENT": 1,
        "ENCAP DOC": 1,
    }


def test_other_programs_read_it(http: httpx.Client, study: Stored, tmp_path: Path) -> None:
    """Info-ZIP and DCMTK where they are installed, and pydicom's own copy of the File-set."""
    path = tmp_path / "study.zip"
    path.write_bytes(http.get(path_of(study[1][0], 1), headers=ZIP).content)
    shutil.unpack_archive(path, tmp_path / "unpacked")
    programs = [
        ["unzip", "-tq", str(path)],
        ["dcmdump", "-q", str(tmp_path / "unpacked/DICOMDIR")],
    ]
    for program in programs:
        if shutil.which(program[0]):
            done = subprocess.run(program, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            assert done.stderr == ""
    copy = FileSet(tmp_path / "unpacked/DICOMDIR").copy(tmp_path / "copy")
    assert len(copy) == len(study[0])


def test_what_belongs_to_no_patient_takes_no_series_from_its_fellows(
    http: httpx.Client, tmp_path: Path
) -> None:
    """Hanging protocols that come first in their series, in the first series and in another."""
    study, series = new_uid(), (new_uid(), new_uid())
    files = []
    for number, each in enumerate(series, 1):
        common = {"StudyInstanceUID": study, "SeriesInstanceUID": each, "SeriesNumber": str(number)}
        protocol = {"SOPClassUID": HangingProtocolStorage, "InstanceNumber": "1"}
        files.append(instance_with(SOPInstanceUID=new_uid(), **protocol, **common))
        files.append(small_image(SOPInstanceUID=new_uid(), InstanceNumber="2", **common))
    datasets = store(http, *files)

    opened(http.get(path_of(datasets[0], 1), headers=ZIP)).extractall(tmp_path)
    records = dcmread(tmp_path / "DICOMDIR").DirectoryRecordSequence
    at = {record.seq_item_tell: record for record in records}
    found = {
        record.SeriesInstanceUID: at[record.OffsetOfReferencedLowerLevelDirectoryEntity]
        for record in records
        if record.DirectoryRecordType == "SERIES"
    }
    images = [dataset for dataset in datasets if dataset.SOPClassUID != HangingProtocolStorage]
    assert {uid: below.ReferencedSOPInstanceUIDInFile for uid, below in found.items()} == {
        image.SeriesInstanceUID: image.SOPInstanceUID for image in images
    }
    assert all(below.OffsetOfTheNextDirectoryRecord == 0 for below in found.values())
    assert len(FileSet(tmp_path / "DICOMDIR")) == len(files)


def test_a_series_and_an_instance_by_the_parameter_too(http: httpx.Client, study: Stored) -> None:
    files, datasets = study
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    of_series = [
        file
        for file, dataset in zip(files, datasets, strict=True)
        if dataset.SeriesInstanceUID == datasets[0].SeriesInstanceUID
    ]
    for level, expected in ((2, of_series), (3, files[:1])):
        path = path_of(datasets[0], level)
        named = opened(http.get(path, headers=ZIP))
        by_parameter = http.get(path, params={"accept": "application/zip"}, headers=browser)
        assert [*files_of(named).values()] == expected
        assert [*files_of(opened(by_parameter)).values()] == expected


def test_other_syntaxes_are_not_made(http: httpx.Client, study: Stored) -> None:
    accept = {"Accept": "application/zip; transfer-syntax=1.2.840.10008.1.2.1"}
    problem = assert_problem(http.get(path_of(study[1][0], 1), headers=accept), 406)
    assert "application/zip" in problem["available"]
    assert_problem(http.get(f"studies/{new_uid()}", headers=ZIP), 404)


def test_it_is_the_same_each_time_until_the_study_changes(http: httpx.Client) -> None:
    files = study_of()
    datasets = store(http, *files[:3])
    path = path_of(datasets[0], 1)
    first, second = (http.get(path, headers=ZIP) for _ in range(2))
    assert first.content == second.content
    assert first.headers["etag"] == second.headers["etag"]
    known = {**ZIP, "If-None-Match": first.headers["etag"]}
    assert http.get(path, headers=known).status_code == 304
    head = http.head(path, headers=ZIP)
    assert head.status_code == 200
    assert head.headers["content-length"] == first.headers["content-length"]
    assert head.headers["etag"] == first.headers["etag"]

    store(http, *files[3:])
    third = http.get(path, headers=known)
    assert third.headers["etag"] != first.headers["etag"]
    assert len(files_of(opened(third))) == len(files)


def test_cch_06_every_piece_of_it_can_be_asked_for(
    server: RunningServer, http: httpx.Client
) -> None:
    """Also of what this process has never sent before, whose checksums it does not know."""
    datasets = store(http, *study_of())
    path = path_of(datasets[0], 1)
    asked = "bytes=-70,1000-1100"
    never_sent = http.get(path, headers={**ZIP, "Range": asked})
    assert never_sent.status_code == 206

    whole = http.get(path, headers=ZIP)
    content, total = whole.content, len(whole.content)
    assert whole.headers["accept-ranges"] == "bytes"
    assert content[-70:] in never_sent.content
    assert content[1000:1101] in never_sent.content
    step = total // 60
    for first in range(0, total, step):
        last = min(first + step + 13, total - 1)
        part = http.get(path, headers={**ZIP, "Range": f"bytes={first}-{last}"})
        assert part.status_code == 206
        assert part.headers["content-range"] == f"bytes {first}-{last}/{total}"
        assert part.content == content[first : last + 1]


def test_a_download_goes_on_where_it_broke_off(http: httpx.Client) -> None:
    datasets = store(http, *study_of(rows=800))
    path = path_of(datasets[0], 1)
    with http.stream("GET", path, headers=ZIP) as answer:
        tag = answer.headers["etag"]
        begun = b""
        for chunk in answer.iter_raw():
            begun += chunk
            if len(begun) > 1_500_000:
                break
    more = {**ZIP, "Range": f"bytes={len(begun)}-", "If-Range": tag}
    rest = http.get(path, headers=more)
    assert rest.status_code == 206
    with zipfile.ZipFile(BytesIO(begun + rest.content)) as archive:
        assert archive.testzip() is None
        assert len(files_of(archive)) == len(datasets)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("zip") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def client(fresh: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=fresh.base, timeout=60) as http:
        yield http


@pytest.mark.parametrize("missing", [False, True])
def test_err_03_what_is_damaged_cuts_it(
    fresh: RunningServer, client: httpx.Client, missing: bool
) -> None:
    files = study_of(rows=800)
    datasets = store(client, *files)
    blob = blob_of(fresh, datasets[2].SOPInstanceUID)
    if missing:
        blob.unlink()
    else:
        blob.write_bytes(blob.read_bytes()[:-100])
    path = path_of(datasets[0], 1)
    with pytest.raises(httpx.RemoteProtocolError):
        client.get(path, headers=ZIP)
    total = int(client.head(path, headers=ZIP).headers["content-length"])
    # What tells its checksum cannot be had either.
    answer = client.get(path, headers={**ZIP, "Range": f"bytes={total - 900}-"})
    assert answer.status_code == 500  # so little is read before anything is sent
    whole = client.get(path_of(datasets[3]), headers={"Accept": f"{DICOM}; transfer-syntax=*"})
    assert whole.content == files[3]  # others are as they were


def test_a_client_that_leaves_is_noticed(fresh: RunningServer, client: httpx.Client) -> None:
    datasets = store(client, *study_of(rows=2000))
    path = f"/dicomweb/{path_of(datasets[0], 1)}"
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", fresh.port)) as connection:
            head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: application/zip\r\n\r\n"
            connection.sendall(head.encode())
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    deadline = time.monotonic() + 10
    while open_blobs(fresh) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not open_blobs(fresh)
    assert fresh.scratch_left() == []


def test_a_server_that_is_killed_leaves_no_whole_file(
    fresh: RunningServer, client: httpx.Client
) -> None:
    """The last test of this server."""
    datasets = store(client, *study_of(rows=2000))
    with client.stream("GET", path_of(datasets[0], 1), headers=ZIP) as answer:
        chunks = answer.iter_raw(10_000)
        next(chunks)
        fresh.kill_tree()
        with pytest.raises(httpx.TransportError):
            while True:
                next(chunks)


def open_blobs(server: RunningServer) -> list[Path]:
    """The blobs that processes of the server hold open."""
    found = []
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = link.readlink()
        except OSError:
            continue
        if target.is_relative_to(server.data_dir / "blobs"):
            found.append(target)
    return found
