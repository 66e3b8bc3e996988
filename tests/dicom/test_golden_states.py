"""What presentation states and segmentations show: the pictures kept in tests/golden/states."""

import numpy as np
import pytest

from tests.dicom.golden_states import CASES, FOLDER, golden


@pytest.mark.parametrize("name", CASES)
def test_states_and_segments_are_shown_as_their_golden_pictures(name: str) -> None:
    """Edges of lines may come out otherwise with another version of Pillow; no line may move."""
    expected, made = golden(name).astype(int), CASES[name]().astype(int)

    assert made.shape == expected.shape
    difference = np.abs(made - expected)
    assert difference.mean() < 0.5
    assert (difference > 2).mean() < 0.01


def test_every_golden_picture_is_of_a_case() -> None:
    assert {path.stem for path in FOLDER.glob("*.png")} == CASES.keys()
