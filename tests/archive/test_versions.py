"""The history of a study from its blobs, against a small archive that is told what happens."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.archive.blob_keys import read_blob_key
from dicomweb_server.archive.versions import Version, history_of


def blob(uid: str, number: int, *, replacing: bool = False, series: str = "1.1") -> Version:
    key = f"default/1/{series}/{uid}~{number:034x}{'+' if replacing else ''}.dcm"
    name = read_blob_key(key)
    assert name is not None
    return Version(key, name, 1)


@dataclass
class Model:
    """What the index would hold: current versions, older ones, and who gave attributes."""

    current: dict[str, Version] = field(default_factory=dict)
    older: dict[str, list[Version]] = field(default_factory=dict)
    left: list[Version] = field(default_factory=list)
    study: Version | None = None
    series: dict[str, Version] = field(default_factory=dict)

    def happen(self, number: int, uid: str, series: str, deed: str) -> None:
        held = self.current.get(uid)
        if held is None:
            if deed == "store":
                self.current[uid] = version = blob(uid, number, series=series)
                self.study = self.study or version
                self.series.setdefault(series, version)
            return
        series = held.name.series_instance_uid
        if deed == "replace":
            version = blob(uid, number, series=series, replacing=True)
            self.older.setdefault(uid, []).append(held)
            self.current[uid] = self.study = self.series[series] = version
        elif deed == "crash":
            self.left.append(blob(uid, number, series=series))
        elif deed == "purge":
            self.older.pop(uid, None)
            self.left = [v for v in self.left if v.name.sop_instance_uid != uid]  # by a sweep


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["1.1.1", "1.1.2", "1.1.3", "1.1.4"]),
        st.sampled_from(["1.1", "1.2"]),
        st.sampled_from(["store", "store", "replace", "crash", "purge"]),
    ),
    max_size=20,
)


@given(events=EVENTS, order=st.randoms(use_true_random=False))
def test_the_blobs_tell_what_happened(events, order):
    model = Model()
    for number, event in enumerate(events):
        model.happen(number, *event)
    blobs = [*model.current.values(), *model.left, *(v for vs in model.older.values() for v in vs)]
    order.shuffle(blobs)

    history = history_of(blobs)

    assert {i.current.name.sop_instance_uid: i.current for i in history.instances} == model.current
    for instance in history.instances:
        uid = instance.current.name.sop_instance_uid
        assert list(instance.older) == model.older.get(uid, [])
    assert sorted(v.key for v in history.left) == sorted(v.key for v in model.left)
    stored: dict[str, Version] = {}
    for instance in history.instances:  # as store_instances has it: the first gives
        stored.setdefault(instance.current.name.series_instance_uid, instance.current)
    assert stored == model.series
    assert (history.instances[0].current if history.instances else None) == model.study


def test_of_a_uid_in_two_series_the_first_has_it():
    first = blob("1.1.1", 1)
    elsewhere = [blob("1.1.1", 2, series="1.2"), blob("1.1.1", 3, series="1.2", replacing=True)]

    history = history_of([*elsewhere, first])

    assert [instance.current for instance in history.instances] == [first]
    assert history.left == elsewhere


def test_a_version_that_replaced_another_outranks_one_that_did_not():
    assert blob("1", 9, replacing=True).rank < blob("1", 1).rank < blob("1", 2).rank
