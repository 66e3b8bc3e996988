"""The digest of a resource changes with whatever it holds, and with nothing else."""

import pytest

from dicomweb_server.access.policy import Scope
from dicomweb_server.errors import NotFound
from dicomweb_server.index.digest import version_of
from dicomweb_server.index.instances import insert_instances
from dicomweb_server.index.marks import digest_of
from dicomweb_server.index.retrieve import read_metadata
from tests.index.made import new

SCOPE = Scope((1,))
JPEG = "1.2.840.10008.1.2.4.50"


@pytest.fixture
async def stored(conn):
    group = [
        new("1.1", "1.1.1", "1.1.1.1"),
        new("1.1", "1.1.1", "1.1.1.2"),
        new("1.1", "1.1.2", "1.1.2.1", transfer_syntax=JPEG),
    ]
    await insert_instances(conn, SCOPE, group)
    return conn


async def test_what_is_counted_is_what_is_below_the_resource(stored):
    study = await version_of(stored, SCOPE, "1.1")
    series = await version_of(stored, SCOPE, "1.1", "1.1.2")
    instance = await version_of(stored, SCOPE, "1.1", "1.1.2", "1.1.2.1")

    assert (study.instances, series.instances, instance.instances) == (3, 1, 1)
    assert JPEG in study.transfer_syntaxes and len(study.transfer_syntaxes) == 2
    assert series.transfer_syntaxes == {JPEG}
    assert series.digest == instance.digest != study.digest


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE instances SET sha256 = 'other' WHERE sop_instance_uid = '1.1.1.2'",
        "UPDATE instances SET stored_at = stored_at + interval '1 us' "
        "WHERE sop_instance_uid = '1.1.1.2'",
        r"UPDATE instances SET metadata = metadata || '\x00' WHERE sop_instance_uid = '1.1.1.2'",
        "DELETE FROM instances WHERE sop_instance_uid = '1.1.1.2'",
    ],
)
async def test_a_change_shows_where_it_is_and_nowhere_else(stored, change):
    places = {"study": ("1.1",), "series": ("1.1", "1.1.1"), "other": ("1.1", "1.1.2")}
    before = {
        name: (await version_of(stored, SCOPE, *uids)).digest for name, uids in places.items()
    }
    again = {name: (await version_of(stored, SCOPE, *uids)).digest for name, uids in places.items()}
    await stored.execute(change)
    after = {name: (await version_of(stored, SCOPE, *uids)).digest for name, uids in places.items()}

    assert again == before
    assert {name for name in places if after[name] != before[name]} == {"study", "series"}


async def test_it_follows_from_what_was_read(stored):
    for uids in (("1.1",), ("1.1", "1.1.1"), ("1.1", "1.1.1", "1.1.1.2")):
        page = await read_metadata(stored, SCOPE, *uids)
        version = await version_of(stored, SCOPE, *uids)
        assert digest_of(row.mark for row in page.items) == version.digest


@pytest.mark.parametrize("scope", [Scope((2,)), Scope((1,), ()), Scope((1,), ("1.2",))])
async def test_what_is_out_of_scope_is_not_found(stored, scope):
    for uids in (("1.1",), ("1.1", "1.1.1"), ("1.1", "1.1.1", "1.1.1.1")):
        with pytest.raises(NotFound):
            await version_of(stored, scope, *uids)


async def test_res_02_what_is_under_another_parent_is_not_found(stored):
    for uids in (("1.2",), ("1.1", "1.2.1"), ("1.1", "1.1.2", "1.1.1.1")):
        with pytest.raises(NotFound):
            await version_of(stored, SCOPE, *uids)
