"""Everything stored is found by its full triple of UIDs, and by nothing else."""

import struct
from dataclasses import replace

import pytest

from dicomweb_server.access.policy import Scope
from dicomweb_server.dicom.description import BulkValue, FrameTable
from dicomweb_server.dicom.packing import unpack_metadata
from dicomweb_server.errors import NotFound
from dicomweb_server.index.frame_batches import AskedFrame, locate_many
from dicomweb_server.index.instances import insert_instances
from dicomweb_server.index.retrieve import (
    PAGE,
    locate_bulk,
    locate_frames,
    locate_instance,
    locate_instances,
    locate_rendered,
    read_metadata,
    representative,
)
from dicomweb_server.index.summary import ping, summarise
from tests.index.made import CT, EXPLICIT_LITTLE, new

SCOPE = Scope((1,))
OUTSIDE = [Scope((2,)), Scope((1,), ()), Scope((1,), ("1.2",)), Scope(())]
JPEG = "1.2.840.10008.1.2.4.50"

RECORDS = [struct.pack("<QQI", 1000 + 100 * n, 90 + n, 1) for n in range(300)]
ENCAPSULATED = FrameTable(300, True, 990, 40_000, ranges=b"".join(RECORDS))
NATIVE = FrameTable(3, False, 500, 768, frame_bits=2048, word=2)


@pytest.fixture
async def stored(conn):
    """Two studies; in 1.1 the series 1.1.9 comes before 1.1.1, and 1.1.5 has no number."""
    first = {"SeriesNumber": 1, "Modality": "CT"}
    second = {"SeriesNumber": 2, "Modality": "SR"}
    group = [
        new("1.1", "1.1.1", "1.1.1.1", of_series=second),
        new(
            "1.1",
            "1.1.9",
            "1.1.9.3",
            of_series=first,
            of_instance={"InstanceNumber": 2},
            frames=NATIVE,
        ),
        new(
            "1.1",
            "1.1.9",
            "1.1.9.2",
            of_series=first,
            of_instance={"InstanceNumber": 10},
            frames=NATIVE,
        ),
        new("1.1", "1.1.9", "1.1.9.1", of_series=first, frames=NATIVE),
        new(
            "1.1",
            "1.1.9",
            "1.1.9.0",
            of_series=first,
            of_instance={"InstanceNumber": 10},
            frames=NATIVE,
        ),
        new("1.1", "1.1.5", "1.1.5.1", frames=ENCAPSULATED, transfer_syntax=JPEG, size=7),
        new("1.2", "1.2.1", "1.2.1.1", bulk={"00420011": BulkValue(9_000_000_000, 77, "OB")}),
    ]
    await insert_instances(conn, SCOPE, group)
    return conn


IN_ORDER = ["1.1.9.3", "1.1.9.0", "1.1.9.2", "1.1.9.1", "1.1.1.1", "1.1.5.1"]


async def test_an_instance_is_located_by_its_triple(stored):
    found = await locate_instance(stored, SCOPE, "1.1", "1.1.5", "1.1.5.1")

    assert (found.study_instance_uid, found.series_instance_uid) == ("1.1", "1.1.5")
    assert found.sop_instance_uid == "1.1.5.1"
    assert (found.sop_class_uid, found.transfer_syntax_uid) == (CT, JPEG)
    assert (found.blob_key, found.size) == ("1.1/1.1.5/1.1.5.1", 7)
    assert (len(found.sha256), found.dataset_offset) == (32, 352)


@pytest.mark.parametrize(
    "uids",
    [
        ("1.2", "1.1.5", "1.1.5.1"),
        ("1.1", "1.1.9", "1.1.5.1"),
        ("1.1", "1.1.5", "1.1.9.1"),
        ("9", "9", "9"),
    ],
)
async def test_under_another_parent_it_is_another_resource(stored, uids):
    """RES-02, for every way to ask for one instance."""
    for ask in (
        locate_instance(stored, SCOPE, *uids),
        locate_frames(stored, SCOPE, *uids, [1]),
        locate_rendered(stored, SCOPE, *uids, 1),
        locate_bulk(stored, SCOPE, *uids, "00420011"),
        read_metadata(stored, SCOPE, *uids),
    ):
        with pytest.raises(NotFound):
            await ask


@pytest.mark.parametrize("scope", OUTSIDE)
async def test_outside_the_scope_is_the_same_as_absent(stored, scope):
    uids = ("1.1", "1.1.5", "1.1.5.1")
    for ask in (
        locate_instance(stored, scope, *uids),
        locate_instances(stored, scope, *uids[:1]),
        locate_instances(stored, scope, *uids[:2]),
        locate_frames(stored, scope, *uids, [1]),
        locate_rendered(stored, scope, *uids, 1),
        locate_bulk(stored, scope, *uids, "00420011"),
        read_metadata(stored, scope, *uids),
        read_metadata(stored, scope, *uids[:2]),
        read_metadata(stored, scope, *uids[:1]),
        representative(stored, scope, *uids[:1]),
        representative(stored, scope, *uids[:2]),
    ):
        with pytest.raises(NotFound):
            await ask


async def test_instances_come_in_the_order_of_their_numbers(stored):
    """WADO-11: numbers as numbers, equal ones by UID, unknown ones last."""
    found = (await locate_instances(stored, SCOPE, "1.1")).items
    assert [each.sop_instance_uid for each in found] == IN_ORDER

    found = (await locate_instances(stored, SCOPE, "1.1", "1.1.9")).items
    assert [each.sop_instance_uid for each in found] == IN_ORDER[:4]


async def test_metadata_comes_in_the_same_order(stored):
    rows = (await read_metadata(stored, SCOPE, "1.1")).items

    assert [row.sop_instance_uid for row in rows] == IN_ORDER
    assert [row.series_instance_uid for row in rows][-1] == "1.1.5"
    assert all(row.study_instance_uid == "1.1" and len(row.sha256) == 32 for row in rows)
    for row in rows:
        assert row.sop_instance_uid.encode() in unpack_metadata(row.packed)
    [row] = (await read_metadata(stored, SCOPE, "1.1", "1.1.9", "1.1.9.2")).items
    assert row.sop_instance_uid == "1.1.9.2"


@pytest.mark.parametrize("uids", [("9",), ("1.1", "1.2.1"), ("1.2", "1.1.9")])
async def test_a_parent_that_does_not_exist_is_not_found(stored, uids):
    for function in (locate_instances, read_metadata, representative):
        with pytest.raises(NotFound):
            await function(stored, SCOPE, *uids)


async def test_encapsulated_frames_come_with_their_own_records_alone(stored):
    asked = [300, 1, 17, 17]
    found = await locate_frames(stored, SCOPE, "1.1", "1.1.5", "1.1.5.1", asked)

    assert found.records == tuple(RECORDS[number - 1] for number in asked)
    assert found.table == FrameTable(300, True, 990, 40_000)
    assert found.location.transfer_syntax_uid == JPEG


async def test_native_frames_need_no_records(stored):
    found = await locate_frames(stored, SCOPE, "1.1", "1.1.9", "1.1.9.3", [3])

    assert found.records == ()
    assert found.table == NATIVE
    assert found.location.transfer_syntax_uid == EXPLICIT_LITTLE


@pytest.mark.parametrize("numbers", [[301], [1, 301], [0], [-1], [2**31], [2**70]])
async def test_frames_that_are_not_there_are_not_found(stored, numbers):
    with pytest.raises(NotFound):
        await locate_frames(stored, SCOPE, "1.1", "1.1.5", "1.1.5.1", numbers)


async def each_by_itself(conn, scope, asked):
    for study, series, instance, number in asked:
        try:
            yield await locate_frames(conn, scope, study, series, instance, [number])
        except NotFound as refusal:
            yield str(refusal)


@pytest.mark.parametrize("scope", [SCOPE, *OUTSIDE])
async def test_many_frames_at_once_are_found_as_each_by_itself(stored, scope):
    instances = [
        ("1.1", "1.1.9", "1.1.9.3"),
        ("1.1", "1.1.5", "1.1.5.1"),
        ("1.1", "1.1.1", "1.1.1.1"),  # without pixel data
        ("1.2", "1.1.5", "1.1.5.1"),  # of another study
        ("1.1", "1.1.9", "1.1.5.1"),  # of another series
        ("9", "9", "9"),
    ]
    numbers = (300, 3, 1, 0, -1, 4, 301, 2**31, 2**70)
    asked = [AskedFrame(*uids, number) for number in numbers for uids in instances]
    found = await locate_many(stored, scope, asked)

    assert [str(each) if isinstance(each, NotFound) else each for each in found] == [
        each async for each in each_by_itself(stored, scope, asked)
    ]


async def test_without_pixel_data_there_are_no_frames(stored):
    with pytest.raises(NotFound, match="no pixel data"):
        await locate_frames(stored, SCOPE, "1.1", "1.1.1", "1.1.1.1", [1])


async def test_rendering_gets_one_frame_and_the_metadata(stored):
    found, packed = await locate_rendered(stored, SCOPE, "1.1", "1.1.5", "1.1.5.1", 2)

    assert found.records == (RECORDS[1],)
    assert b"1.1.5.1" in unpack_metadata(packed)


async def test_bulk_data_is_located_by_its_path(stored):
    location, value = await locate_bulk(stored, SCOPE, "1.2", "1.2.1", "1.2.1.1", "00420011")

    assert value == BulkValue(9_000_000_000, 77, "OB")
    assert location.blob_key == "1.2/1.2.1/1.2.1.1"


@pytest.mark.parametrize(
    ("uids", "path"),
    [(("1.2", "1.2.1", "1.2.1.1"), "00420012"), (("1.1", "1.1.1", "1.1.1.1"), "00420011")],
)
async def test_a_path_without_bulk_data_is_not_found(stored, uids, path):
    with pytest.raises(NotFound):
        await locate_bulk(stored, SCOPE, *uids, path)


async def test_the_middle_image_of_the_first_series_with_images_represents_the_study(stored):
    """THB-04."""
    chosen = await representative(stored, SCOPE, "1.1")
    assert chosen.location.sop_instance_uid == IN_ORDER[2]
    assert chosen.frame_count == 3
    assert b"1.1.9.2" in unpack_metadata(chosen.packed)

    chosen = await representative(stored, SCOPE, "1.1", "1.1.5")
    assert chosen.location.sop_instance_uid == "1.1.5.1"


async def test_without_images_nothing_represents_it(stored):
    assert await representative(stored, SCOPE, "1.2") is None
    assert await representative(stored, SCOPE, "1.1", "1.1.1") is None


async def test_of_the_same_study_in_two_institutions_the_first_of_the_scope_is_meant(conn):
    await conn.execute("INSERT INTO institutions (id, code) VALUES (2, 'other')")
    for institution in (1, 2):
        await insert_instances(conn, Scope((institution,)), [new(blob_key=f"at {institution}")])

    for institutions, expected in (((1, 2), "at 1"), ((2, 1), "at 2"), ((2,), "at 2")):
        scope = Scope(institutions)
        [found] = (await locate_instances(conn, scope, "1.1")).items
        assert found.blob_key == expected
        found = await locate_instance(conn, scope, "1.1", "1.1.1", "1.1.1.1")
        assert found.blob_key == expected
        assert len((await read_metadata(conn, scope, "1.1")).items) == 1


async def test_the_summary_counts_what_the_scope_sees(stored, pool):
    await ping(pool)
    await insert_instances(stored, SCOPE, [new("1.3", "1.3.1", "1.3.1.1", size=500)])

    summary = await summarise(stored, SCOPE)

    assert (summary.studies, summary.series, summary.instances) == (3, 5, 8)
    assert summary.bytes == 6 * 1000 + 7 + 500
    for scope in OUTSIDE[:2]:
        assert (await summarise(stored, scope)).studies == 0


async def test_a_large_study_comes_in_pages_without_gap_or_repetition(conn):
    count = 2 * PAGE + 7
    for series in ("1.1", "1.2"):
        for start in range(0, count // 2, 500):
            group = [
                new(
                    "1",
                    series,
                    f"{series}.{n}",
                    of_series={"SeriesNumber": 1} if series == "1.2" else {},
                    of_instance={"InstanceNumber": n % 50} if n % 3 else {},
                )
                for n in range(start, min(start + 500, count // 2))
            ]
            await insert_instances(conn, SCOPE, group)

    for read in (locate_instances, read_metadata):
        found, after, pages = [], None, 0
        while after is not None or not pages:
            page = await read(conn, SCOPE, "1", after=after)
            found += [item.sop_instance_uid for item in page.items]
            after, pages = page.after, pages + 1
        assert len(found) == len(set(found)) == 2 * (count // 2)
        assert pages == 3
        assert found[0].startswith("1.2.")  # the series with a number comes first


async def test_a_page_of_metadata_has_a_limit_in_bytes_but_one_row_at_least(conn):
    sizes = [6, 6, 6, 20, 6, 1, 9]  # MiB, of 16
    group = [
        new("1", "1.1", f"1.1.{n}", of_instance={"InstanceNumber": n}) for n in range(len(sizes))
    ]
    for instance, size in zip(group, sizes, strict=True):
        packed = bytes([size]) * (size << 20)
        await insert_instances(
            conn, SCOPE, [replace(instance, entry=replace(instance.entry, metadata=packed))]
        )

    pages, after = [], None
    while after is not None or not pages:
        page = await read_metadata(conn, SCOPE, "1", after=after)
        pages.append([row.packed[0] for row in page.items])
        after = page.after

    assert pages == [[6, 6], [6], [20], [6, 1, 9]]
