"""Files made of metadata and bulk data: bounds that no request shows, and what is left of them."""

import errno
import json
import os
import resource
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import dcmread

from dicomweb_server.archive import assembly
from dicomweb_server.archive.assembly import MAX_INSTANCES, Part, Plan, assemble, split_metadata
from dicomweb_server.dicom import completion
from dicomweb_server.dicom.encode import encode_dataset
from dicomweb_server.errors import ContentTooLarge, MalformedContent, Refusal

GENERATED = {
    completion.SOP_INSTANCE: UUID(int=1),
    completion.STUDY: UUID(int=2),
    completion.SERIES: UUID(int=3),
}
OCTETS = "application/octet-stream"


def plan_of(
    folder: Path, attributes: dict[str, Any], parts: dict[str, list[tuple[str, bytes]]]
) -> Plan:
    metadata = folder / "1.metadata"
    metadata.write_text(json.dumps(attributes))
    found: dict[str, list[Part]] = {}
    for uri, contents in parts.items():
        for number, (kind, content) in enumerate(contents):
            path = folder / f"{uri}-{number}.bulk"
            path.write_bytes(content)
            found.setdefault(uri, []).append(Part(path, len(content), kind, None))
    return Plan(metadata, folder / "1.part", found, None, GENERATED, 1 << 20, 1 << 20, 0)


def made_by(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix in (".part", ".pixels"))


PIXELS = {"7FE00010": {"vr": "OB", "BulkDataURI": "p"}}


def png(side: int) -> bytes:
    file = BytesIO()
    Image.new("L", (side, side)).save(file, "PNG")
    return file.getvalue()


def jpeg(side: int) -> bytes:
    file = BytesIO()
    Image.new("L", (side, side)).save(file, "JPEG")
    return file.getvalue()


def test_a_file_says_its_size_and_digest_and_nothing_else_is_left(tmp_path: Path) -> None:
    made = assemble(plan_of(tmp_path, PIXELS, {"p": [("image/png", png(16))]}))

    assert made_by(tmp_path) == ["1.part"]
    assert (tmp_path / "1.part").stat().st_size == made.size
    dataset = dcmread(tmp_path / "1.part")
    assert dataset.SOPInstanceUID == "2.25.1"
    assert dataset.pixel_array.shape == (16, 16)


def test_many_pictures_are_a_frame_each_with_few_files_open(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    plan = plan_of(tmp_path, PIXELS, {"p": [("image/png", png(1))] * 300})
    highest = max(int(name) for name in os.listdir("/dev/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 50, limits[1]))
    try:
        assemble(plan)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    assert made_by(tmp_path) == ["1.part"]
    assert dcmread(tmp_path / "1.part").NumberOfFrames == 300


def test_an_animation_says_what_its_frames_follow_by(tmp_path: Path) -> None:
    file = BytesIO()
    frames = [Image.new("L", (8, 8), shade) for shade in (0, 90, 180)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=50)
    assemble(plan_of(tmp_path, PIXELS, {"p": [("image/gif", file.getvalue())]}))

    dataset = dcmread(tmp_path / "1.part")
    assert (dataset.NumberOfFrames, dataset.FrameTime) == (3, 50)
    assert dataset.FrameIncrementPointer == 0x00181063


def test_an_animation_whose_frames_are_shown_for_different_times_has_a_vector(
    tmp_path: Path,
) -> None:
    """PS3.3 C.7.6.5: the time from one frame to the next, 0 for the first."""
    file = BytesIO()
    frames = [Image.new("L", (8, 8), shade) for shade in (0, 60, 120, 180)]
    times = [100, 200, 300, 400]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=times)
    assemble(plan_of(tmp_path, PIXELS, {"p": [("image/gif", file.getvalue())]}))

    dataset = dcmread(tmp_path / "1.part")
    assert dataset.FrameTimeVector == [0, 100, 200, 300]
    assert dataset.FrameIncrementPointer == 0x00181065
    assert "FrameTime" not in dataset


@pytest.mark.parametrize(
    ("content", "change"),
    [
        ((OCTETS, bytes(2000)), {"size_limit": 1999}),
        ((OCTETS, bytes(2000)), {"floor": 1 << 62}),
        (("image/png", png(16)), {"floor": 1 << 62}),
        (("image/png", png(16)), {"pixel_limit": 255}),
        (("image/png", png(16)), {"size_limit": 255}),
        (("image/png", png(8), png(8), png(8), png(8)), {"pixel_limit": 255}),
    ],
)
def test_what_would_take_too_much_room_is_refused_and_gone(
    tmp_path: Path, content: tuple[Any, ...], change: dict[str, int]
) -> None:
    kind, *files = content
    parts = {"p": [(kind, file) for file in files]}
    plan = replace(plan_of(tmp_path, PIXELS, parts), **change)
    with pytest.raises(ContentTooLarge):
        assemble(plan)
    assert made_by(tmp_path) == []


@pytest.mark.parametrize("content", [(OCTETS, bytes(4000)), ("image/png", png(64))])
def test_a_disk_that_others_fill_meanwhile_keeps_its_floor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: tuple[str, bytes]
) -> None:
    looks: list[int] = []

    def disk_usage(_: Path) -> Any:
        looks.append(0)
        return SimpleNamespace(free=1 << 20 if len(looks) == 1 else 1000)

    monkeypatch.setattr(assembly.shutil, "disk_usage", disk_usage)
    monkeypatch.setattr(assembly, "_CHECK_ROOM", 2000)
    with pytest.raises(OSError, match="MIN_FREE_BYTES") as full:
        assemble(replace(plan_of(tmp_path, PIXELS, {"p": [content]}), floor=5000))
    assert full.value.errno == errno.ENOSPC
    assert len(looks) == 2
    assert made_by(tmp_path) == []


def test_a_picture_that_proves_damaged_while_it_is_decoded_is_gone(tmp_path: Path) -> None:
    whole = png(200)
    damaged = whole[: whole.index(b"IDAT") + 6] + b"\xff" * 8 + whole[whole.index(b"IDAT") + 14 :]
    with pytest.raises(MalformedContent):
        assemble(plan_of(tmp_path, PIXELS, {"p": [("image/png", damaged)]}))
    assert made_by(tmp_path) == []


@pytest.mark.parametrize(
    "frames",
    [
        [("image/jpeg", jpeg(16)), ("image/jpeg", jpeg(24))],
        [("image/png", png(16)), ("image/png", png(24))],
    ],
)
def test_frames_of_several_sizes_are_no_image(
    tmp_path: Path, frames: list[tuple[str, bytes]]
) -> None:
    with pytest.raises(MalformedContent, match="differ"):
        assemble(plan_of(tmp_path, PIXELS, {"p": frames}))
    assert made_by(tmp_path) == []


PDF = "application/pdf"
IN_ITEM = {"00081140": {"vr": "SQ", "Value": [{}, PIXELS]}}


@pytest.mark.parametrize(
    ("attributes", "contents"),
    [
        ({"00091001": {"vr": "OB", "BulkDataURI": "p"}}, [(PDF, b"%PDF")]),
        ({"00091001": {"vr": "OB", "BulkDataURI": "p"}}, [(OCTETS, b"12"), (OCTETS, b"34")]),
        (IN_ITEM, [("image/jpeg", jpeg(8))]),
        (IN_ITEM, [("image/png", png(8))]),
        ({"00420010": {"vr": "ST", "BulkDataURI": "p"}}, [(PDF, b"%PDF")]),
        (PIXELS | {"00091001": {"vr": "OB", "BulkDataURI": "p"}}, [("image/png", png(8))]),
    ],
)
def test_other_bulk_data_is_one_part_of_plain_bytes(
    tmp_path: Path, attributes: dict[str, Any], contents: list[tuple[str, bytes]]
) -> None:
    with pytest.raises(MalformedContent):
        assemble(plan_of(tmp_path, attributes, {"p": contents}))
    assert made_by(tmp_path) == []
    assemble(plan_of(tmp_path, attributes, {"p": [(f"{OCTETS}; a=b", b"12")]}))


def test_a_document_may_be_of_any_type(tmp_path: Path) -> None:
    attributes = {"00420011": {"vr": "OB", "BulkDataURI": "p"}}
    assemble(plan_of(tmp_path, attributes, {"p": [(PDF, b"%PDF")]}))
    dataset = dcmread(tmp_path / "1.part")
    assert dataset.EncapsulatedDocument == b"%PDF"
    assert dataset.MIMETypeOfEncapsulatedDocument == PDF


@pytest.mark.parametrize(
    ("transfer_syntax", "refused"),
    [
        (None, False),
        ("1.2.840.10008.1.2.1", False),
        ("1.2.840.10008.1.2", False),
        ("1.2.840.10008.1.2.2", True),
        ("1.2.840.10008.1.2.4.90", True),
        ("1.2.840.10008.1.2.5", True),
    ],
)
def test_plain_bytes_are_no_compressed_pixels(
    tmp_path: Path, transfer_syntax: str | None, refused: bool
) -> None:
    plan = plan_of(tmp_path, PIXELS, {"p": [(OCTETS, b"1234")]})
    [part] = plan.parts["p"]
    plan = replace(plan, parts={"p": [replace(part, transfer_syntax=transfer_syntax)]})
    if refused:
        with pytest.raises(MalformedContent):
            assemble(plan)
    else:
        assemble(plan)
    assert bool(made_by(tmp_path)) != refused


def test_data_sets_get_a_file_each(tmp_path: Path) -> None:
    part = tmp_path / "a.bulk"
    part.write_text(json.dumps([PIXELS, {}, PIXELS | {"00080018": {"vr": "UI", "Value": ["1.2"]}}]))
    posted = split_metadata(part, False, "a")

    assert [each.uris for each in posted] == [("p",), (), ("p",)]
    assert [each.sop_instance_uid for each in posted] == [None, None, "1.2"]
    assert len({each.path for each in posted}) == 3
    assert all(each.path.name.startswith("a-") for each in posted)


def test_a_data_set_that_json_cannot_write_again_is_refused_alone(tmp_path: Path) -> None:
    nested = '{"00081140":{"vr":"SQ","Value":[' * 300 + "{}" + "]}}" * 300
    part = tmp_path / "a.bulk"
    part.write_text(f'[{nested},{{"00080018":{{"vr":"UI","Value":["1.2"]}}}}]')
    deep, other = split_metadata(part, False, "a")

    assert deep.refusal
    assert not deep.path.exists()
    assert not other.refusal


def test_an_integer_beyond_64_bits_is_left_as_it_came(tmp_path: Path) -> None:
    """JSON could not be written with it; its instance is refused where it is encoded."""
    part = tmp_path / "a.bulk"
    part.write_text(
        '<NativeDicomModel><DicomAttribute tag="00281053" vr="UL"><Value number="1">'
        "99999999999999999999</Value></DicomAttribute></NativeDicomModel>"
    )
    [beyond] = split_metadata(part, True, "b")

    assert not beyond.refusal
    dataset = json.loads(beyond.path.read_bytes())
    assert dataset["00281053"]["Value"] == ["99999999999999999999"]
    with pytest.raises(MalformedContent):
        encode_dataset(dataset, {})


def test_too_many_data_sets_leave_no_files(tmp_path: Path) -> None:
    part = tmp_path / "a.bulk"
    part.write_text(json.dumps([{}] * (MAX_INSTANCES + 1)))
    with pytest.raises(ContentTooLarge):
        split_metadata(part, False, "a")
    assert list(tmp_path.iterdir()) == [part]


def naming(*uris: str) -> dict[str, Any]:
    """A data set with one item for each of `uris`."""
    items = [{"00420011": {"vr": "OB", "BulkDataURI": uri}} for uri in uris]
    return {"00081140": {"vr": "SQ", "Value": items}}


def test_a_data_set_whose_uris_are_too_long_or_too_many_is_refused_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly, "MAX_URIS", 3)
    monkeypatch.setattr(assembly, "MAX_URIS_TOTAL", 5)
    part = tmp_path / "a.bulk"
    names = "abc", "abcd", ["x" * 4097], ["x" * 4096], "aaaaaa", "ab", "a"
    part.write_text(json.dumps([naming(*each) for each in names]))
    posted = split_metadata(part, False, "a")

    assert [len(each.uris) for each in posted] == [3, 0, 0, 1, 1, 0, 0]
    assert [bool(each.refusal) for each in posted] == [not each.uris for each in posted]
    assert [each.path.exists() for each in posted] == [bool(each.uris) for each in posted]
    assert posted[2].refusal == "a BulkDataURI of more than 4096 characters"


def test_a_disk_that_fills_up_leaves_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = tmp_path / "a.bulk"
    part.write_text("[{},{},{}]")

    def split_off(dataset: Any, target: Path, uris_left: int) -> Any:
        if target.name.startswith("a-2"):
            target.write_bytes(b"half of i")
            raise OSError("full")
        return original(dataset, target, uris_left)

    original = assembly._split_off
    monkeypatch.setattr(assembly, "_split_off", split_off)
    with pytest.raises(OSError, match="full"):
        split_metadata(part, False, "a")
    assert list(tmp_path.iterdir()) == [part]


kinds = st.sampled_from([OCTETS, "image/jpeg", "image/jp2", "image/png", "video/mp4", "text/x"])


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts=st.lists(st.tuples(kinds, st.binary(max_size=80)), min_size=1, max_size=3),
    vr=st.sampled_from(["OB", "OW", "UN", "UT", "SQ", None]),
    tag=st.sampled_from(["7FE00010", "7fe00010", "00420011", "00091001"]),
)
def test_any_bulk_data_make_a_file_or_are_refused(
    tmp_path: Path, parts: list[tuple[str, bytes]], vr: str | None, tag: str
) -> None:
    plan = plan_of(tmp_path, {tag: {"vr": vr, "BulkDataURI": "p"}}, {"p": parts})
    try:
        made = assemble(plan)
    except Refusal:
        assert made_by(tmp_path) == []
        return
    assert plan.target.stat().st_size == made.size
    plan.target.unlink()
    assert made_by(tmp_path) == []
