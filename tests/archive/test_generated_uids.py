"""Posted data sets that lack UIDs get those of what they belong to, and of nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.archive.generated_uids import GeneratedUids
from dicomweb_server.dicom.completion import SERIES, SOP_INSTANCE, STUDY, Belonging, digest_of

keys = st.sampled_from([digest_of("1"), digest_of("2")])
belongings = st.builds(Belonging, st.none() | keys, st.none() | keys, keys)


@given(belongings, belongings, st.sampled_from([None, "1", "3"]))
def test_two_data_sets_share_what_they_belong_to(
    one: Belonging, other: Belonging, target: str | None
) -> None:
    uids = GeneratedUids(target)
    first, second = uids.of(one), uids.of(other)

    same_patient = one.patient is not None and one.patient == other.patient
    assert (first[STUDY] == second[STUDY]) == same_patient
    url = digest_of(target) if target else None
    studies = [each.study or url for each in (one, other)]
    same_study = same_patient if studies == [None, None] else studies[0] == studies[1]
    assert (first[SERIES] == second[SERIES]) == (same_study and one.series == other.series)
    assert first[SOP_INSTANCE] != second[SOP_INSTANCE]


@given(belongings)
def test_nothing_is_shared_between_requests(belonging: Belonging) -> None:
    first, second = (GeneratedUids(None).of(belonging) for _ in range(2))
    assert not set(first.values()) & set(second.values())
