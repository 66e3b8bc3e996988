"""Keys of blobs: what is put into them comes out again, and tokens ascend."""

import os
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dicomweb_server.archive.blob_keys import BlobName, blob_key, read_blob_key
from dicomweb_server.archive.scratch import new_token
from tests.index.made import new


@pytest.mark.parametrize("replacing", [False, True])
def test_a_key_says_what_it_was_made_of(replacing: bool) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    key = blob_key(new("1.2", "1.2.3", "1.2.3.4").entry, replacing=replacing)

    name = read_blob_key(key)

    assert name is not None
    assert before <= name.made_at <= datetime.now(UTC)
    assert name == BlobName("default", "1.2", "1.2.3", "1.2.3.4", name.token, replacing)


def test_tokens_ascend() -> None:
    tokens = [new_token() for _ in range(70_000)]  # more than four hexadecimal digits count
    assert tokens == sorted(set(tokens))


@pytest.mark.parametrize(
    "key",
    [
        "",
        "notes.txt",
        "default/1.2/1.2.3/1.2.3.4.dcm",
        "default/1.2/1.2.3/1.2.3.4~short.dcm",
        "default/1.2/1.2.3/..~0123456789abcdef01234567.dcm",
        "default/../1.2.3/1.2~0123456789abcdef01234567.dcm",
        "default/1.2/1.2.3/1.2.3.4~ffffffffffffffffffffffff.dcm",  # a year beyond the calendar
        "default/1.2/1.2.3/1.2.3.4~0123456789abcdef01234567.inflated",
        "default/1.2/1.2.3/1.2.3.4~0123456789abcdef01234567+.dcm\n",
        "default/1.2/1.2.3/" + "1" * 65 + "~0123456789abcdef01234567.dcm",
        "a/default/1.2/1.2.3/1.2.3.4~0123456789abcdef01234567.dcm",
    ],
)
def test_other_names_are_no_keys(key: str) -> None:
    assert read_blob_key(key) is None


PIECES = ["d", "/", "1.2", "..", "~", "0123456789abcdef01234567", "+", ".dcm", "\n", "é"]


@given(st.text() | st.lists(st.sampled_from(PIECES), max_size=11).map("".join))
@example("d/1.2/1.2/1.2~0123456789abcdef01234567+.dcm")
def test_any_text_is_a_key_or_none(key: str) -> None:
    name = read_blob_key(key)
    if name is not None:
        assert name.made_at.tzinfo is UTC
        mark = "+" if name.replacing else ""
        folders = (name.institution, name.study_instance_uid, name.series_instance_uid)
        assert key == "/".join((*folders, f"{name.sop_instance_uid}~{name.token}{mark}.dcm"))


def test_a_token_holds_no_more_than_digits() -> None:
    assert re.fullmatch(r"[0-9a-f]{34}", new_token())
    assert f"{os.getpid():06x}" in new_token()
