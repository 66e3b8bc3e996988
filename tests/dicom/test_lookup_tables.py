"""What a function gives for every element of an array, made once a value and kept."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.dicom.lookup_tables import by_value


@given(
    st.sampled_from([np.uint8, np.int8, np.uint16, np.int16, np.int32]),
    st.lists(st.integers(-128, 127), min_size=6, max_size=6),
)
def test_a_function_by_value_is_the_function(dtype, values):
    array = np.array(values, np.int64).astype(dtype).reshape(2, 3)

    np.testing.assert_array_equal(
        by_value(array, lambda x: x.astype(float) * 3 + 1), array.astype(float) * 3 + 1
    )


@given(
    st.sampled_from([np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int64, np.uint64]),
    st.lists(
        st.tuples(
            st.integers(), st.integers(0, 30), st.sampled_from([(1, 1), (40, 30), (300, 70)])
        ),
        min_size=1,
        max_size=14,
    ),
)
def test_what_is_kept_of_a_function_is_the_function_for_other_values(dtype, arrays):
    key = object()
    limits = np.iinfo(dtype)
    for seed, width, shape in arrays:
        random = np.random.default_rng(abs(seed))
        low = int(random.integers(limits.min, limits.max, dtype=dtype, endpoint=True))
        high = min(low + width, limits.max)
        array = random.integers(low, high, shape, dtype=dtype, endpoint=True)

        made = by_value(array, lambda x: np.stack([x % 7, x // 3 % 5], 1), key)
        levels = by_value(array, lambda x: (x % 101).astype(np.uint8), (key, "levels"))

        np.testing.assert_array_equal(made, np.stack([array % 7, array // 3 % 5], 2))
        np.testing.assert_array_equal(levels, (array % 101).astype(np.uint8))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16])
def test_a_function_that_is_used_often_is_asked_for_all_values_once(dtype):
    key, limits = object(), np.iinfo(dtype)
    asked = []

    def levels(values):
        asked.append(len(values))
        return (values % 101).astype(np.uint8)

    for number in range(20):
        array = np.full((40, 40), 100 + number % 2, dtype)
        if number == 9:  # as many values as elements
            array[0, :2] = limits.min, limits.max
        np.testing.assert_array_equal(by_value(array, levels, key), (array % 101).astype(np.uint8))
    ends = np.linspace(limits.min, limits.max, 1600).astype(dtype).reshape(40, 40)

    np.testing.assert_array_equal(by_value(ends, levels, key), (ends % 101).astype(np.uint8))
    assert asked in ([256], [256, 1 << 16])


def test_a_table_that_is_too_large_to_be_kept_is_not_made_again_and_again():
    key, asked = object(), []

    def colours(values):
        asked.append(len(values))
        return np.stack([values % 7, values % 5, values % 3, values % 11, values % 13], 1)

    for number in range(30):
        array = np.full((40, 40), 100 + number % 2, np.uint16)
        by_value(array, colours, key)

    assert asked == [256, 1 << 16]


def test_a_table_of_all_values_stays_whoever_made_a_smaller_one_meanwhile():
    """As two threads do that begin with a picture at the same time."""
    key, asked = object(), []
    array = np.full((40, 40), 100, np.uint16)

    def levels(values):
        asked.append(len(values))
        if len(values) == 256 and len(asked) == 2:  # the other is done before this one
            for _ in range(20):
                by_value(array + 1000, levels, key)
        return (values % 101).astype(np.uint8)

    by_value(array, levels, key)
    by_value(array + 300, levels, key)
    done = len(asked)
    for number in range(20):
        by_value(array + number * 300, levels, key)

    assert len(asked) <= done + 1


@given(st.sampled_from(["<u2", "<i2", ">u2", ">i2"]), st.integers(0, 65535), st.integers(0, 65535))
def test_levels_of_words_are_those_of_their_values(dtype, one, other):
    """From the lowest to the highest, negative ones and both sides of zero."""
    ends = np.array([one, other], "<u2").view("<i2" if dtype[1] == "i" else "<u2")
    array = np.linspace(ends.min(), ends.max(), 70_000).astype(dtype).reshape(7, -1)

    levels = by_value(array, lambda x: (x % 101).astype(np.uint8))

    np.testing.assert_array_equal(levels, (array % 101).astype(np.uint8))
