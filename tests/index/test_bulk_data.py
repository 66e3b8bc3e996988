"""Which instances have bulk data, in pages, and where all of one instance's lie."""

import pytest

from dicomweb_server.access.policy import Scope
from dicomweb_server.dicom.description import BulkValue
from dicomweb_server.errors import NotFound
from dicomweb_server.index.bulk_data import list_holders, locate_all_bulk
from dicomweb_server.index.instances import insert_instances
from dicomweb_server.index.retrieve import PAGE
from tests.index.made import new

SCOPE = Scope((1,))
PIXELS, DOCUMENT = BulkValue(2000, 100, "OW"), BulkValue(500, 9_000_000_000, "OB")
ICONS = {f"00880200/{item}/7FE00010": BulkValue(item, 1, "OB") for item in range(1, 12)}


@pytest.fixture
async def stored(conn):
    group = [
        new("1.1", "1.1.1", "1.1.1.1", bulk={"7FE00010": PIXELS, **ICONS}),
        new("1.1", "1.1.1", "1.1.1.2", bulk={"7FE00008": PIXELS}),
        new("1.1", "1.1.1", "1.1.1.3"),
        new("1.1", "1.1.2", "1.1.2.1", bulk={"00420011": DOCUMENT}),
        new("1.2", "1.2.1", "1.2.1.1"),
    ]
    await insert_instances(conn, SCOPE, group)
    return conn


def uids(page):
    return [holder.location.sop_instance_uid for holder in page.items]


async def test_only_what_has_bulk_data_is_listed(stored):
    every = await list_holders(stored, SCOPE, "1.1", pixels_only=False)
    pixels = await list_holders(stored, SCOPE, "1.1", "1.1.1", pixels_only=True)

    assert uids(every) == ["1.1.1.1", "1.1.1.2", "1.1.2.1"]
    assert [(each.pixels, each.others) for each in every.items] == [
        (True, True),
        (True, False),
        (False, True),
    ]
    assert uids(pixels) == ["1.1.1.1", "1.1.1.2"]
    assert every.after is pixels.after is None


async def test_what_has_none_is_not_found(stored):
    for study, series, pixels_only in (
        ("1.2", None, False),
        ("1.1", "1.1.2", True),
        ("1.3", None, False),
        ("1.1", "1.2.1", False),
    ):
        with pytest.raises(NotFound):
            await list_holders(stored, SCOPE, study, series, pixels_only=pixels_only)
    with pytest.raises(NotFound):
        await list_holders(stored, Scope((2,)), "1.1", pixels_only=False)


async def test_all_values_of_one_instance_in_the_order_of_its_tags(stored):
    location, values = await locate_all_bulk(
        stored, SCOPE, "1.1", "1.1.1", "1.1.1.1", pixels_only=False
    )
    _, pixels = await locate_all_bulk(stored, SCOPE, "1.1", "1.1.1", "1.1.1.1", pixels_only=True)

    assert location.sop_instance_uid == "1.1.1.1"
    assert list(values) == [*ICONS, "7FE00010"]  # items as numbers: 2 before 10
    assert values == {**ICONS, "7FE00010": PIXELS}
    assert pixels == {"7FE00010": PIXELS}
    for triple, pixels_only in (
        (("1.1", "1.1.1", "1.1.1.3"), False),
        (("1.1", "1.1.2", "1.1.2.1"), True),
        (("1.1", "1.1.2", "1.1.1.1"), False),
        (("1.1", "1.1.1", "1.1.1.9"), False),
    ):
        with pytest.raises(NotFound):
            await locate_all_bulk(stored, SCOPE, *triple, pixels_only=pixels_only)


async def test_a_large_study_comes_in_pages(conn):
    count = PAGE + 7
    for start in range(0, 2 * count, 500):
        group = [
            new("1", "1.1", f"1.1.{n}", bulk={"7FE00010": PIXELS} if n % 2 else {})
            for n in range(start, min(start + 500, 2 * count))
        ]
        await insert_instances(conn, SCOPE, group)
    first = await list_holders(conn, SCOPE, "1", pixels_only=True)
    second = await list_holders(conn, SCOPE, "1", pixels_only=True, after=first.after)

    assert (len(first.items), len(second.items), second.after) == (PAGE, 7, None)
    assert len(set(uids(first) + uids(second))) == count
