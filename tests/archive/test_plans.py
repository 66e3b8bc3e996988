"""Which parts the instances of a request get: shared, counted, and none for what lacks one."""

import pickle
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.archive import plans as plans_module
from dicomweb_server.archive.assembly import Part, Parts, Plan, Posted
from dicomweb_server.archive.plans import Plans, Received
from dicomweb_server.archive.staging import StagedFile
from dicomweb_server.archive.store import Intake
from dicomweb_server.dicom.completion import Belonging
from dicomweb_server.wire.bulk_parts import BulkParts, PartType
from dicomweb_server.wire.store_report import Failed, failed

OCTETS = "application/octet-stream"


def plans_of(*locations: str, lost: Sequence[int] = ()) -> Plans:
    """Plans of a request with parts of these locations; those of the numbers `lost` are lost."""
    parts = BulkParts("http://host/studies")
    received = []
    for number, location in enumerate(locations):
        kind = PartType(OCTETS, None, location)
        parts.add(number, kind)
        file = StagedFile(Path(f"{number}.bulk"), number, b"")
        gone = failed("out_of_resources", comment="the archive is out of space")
        received.append(Received(kind, gone if number in lost else file))
    settings = SimpleNamespace(pixel_limit_bytes=1, max_instance_bytes=1, min_free_bytes=0)
    archive = SimpleNamespace(settings=settings, scratch_file=lambda suffix: Path(f"1{suffix}"))
    intake = cast(Any, SimpleNamespace(archive=archive, study_instance_uid=None))
    return Plans(cast(Intake, intake), parts, received)


def posted(*uris: str) -> Posted:
    return Posted(Path("1.metadata"), uris, None, "1.2", Belonging(None, None, b""))


async def test_parts_of_one_location_are_the_same_for_all_instances_and_spellings() -> None:
    plans = plans_of("a", "b", "a")
    first, second = await plans.plan(posted("a", "./a", "b")), await plans.plan(posted("././a"))

    assert isinstance(first, Plan)
    assert isinstance(second, Plan)
    assert [part.path.name for part in first.parts["a"]] == ["0.bulk", "2.bulk"]
    assert first.parts["a"] is first.parts["./a"] is second.parts["././a"]
    assert [part.path.name for part in first.parts["b"]] == ["1.bulk"]


@given(
    st.lists(
        st.builds(
            Part,
            st.sampled_from([Path("/a/1.bulk"), Path("b")]),
            st.integers(0, 1 << 62),
            st.text(),
            st.none() | st.text(),
        )
    )
)
def test_parts_are_the_same_in_a_worker(parts: list[Part]) -> None:
    group = Parts(parts)
    for _ in range(2):
        assert list(pickle.loads(pickle.dumps(group))) == parts


async def test_references_to_parts_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans_module, "MAX_REFERENCES", 4)
    monkeypatch.setattr(plans_module, "MAX_REFERENCES_TOTAL", 10)
    plans = plans_of("a", "b", "a")
    wanted = [("a", "./a"), ("a", "./a", "b"), ("a", "././a"), ("a", "b"), ("a",), ("b",), ()]
    made = [await plans.plan(posted(*uris)) for uris in wanted]

    comments = [each.comment if isinstance(each, Failed) else "" for each in made]
    assert comments == ["", "too many parts", "", "too many parts", "", "too many parts", ""]
    assert {each.reason for each in made if isinstance(each, Failed)} == {0xC000}
    assert plans.parts.unused(range(3)) == []


async def test_what_lacks_a_part_or_whose_part_is_lost_fails_alone() -> None:
    plans = plans_of("a", "b", "b", "c", "d", lost=[2])
    without, lost, whole = [
        await plans.plan(posted(*uris)) for uris in (("a", "x", "c"), ("b",), ("a",))
    ]
    refusal = await plans.plan(Posted(Path("2"), (), None, None, refusal="nested too deep"))

    assert isinstance(without, Failed)
    assert without.sop_instance_uid == "1.2"
    assert "no part" in without.comment
    assert isinstance(lost, Failed)
    assert (lost.comment, lost.sop_instance_uid) == ("the archive is out of space", "1.2")
    assert isinstance(whole, Plan)
    assert isinstance(refusal, Failed)
    assert refusal.comment == "nested too deep"
    assert plans.parts.unused(range(5)) == [4]  # what names "c" has failed for something else
