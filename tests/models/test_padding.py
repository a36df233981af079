"""Padding of token rows."""

import numpy as np
import pytest

from dialekt.models.padding import PadStyle, pad_rows, unpad


@pytest.mark.parametrize(
    ("left", "ids", "mask"),
    [
        (False, [[5, 6, 7], [8, 9, 9]], [[1, 1, 1], [1, 0, 0]]),
        (True, [[5, 6, 7], [9, 9, 8]], [[1, 1, 1], [0, 0, 1]]),
    ],
)
def test_rows_are_filled_at_the_models_end(left: bool, ids: list[list[int]], mask: list[list[int]]) -> None:
    """Shorter rows are filled with the pad id, which the mask leaves out, at the end that the model wants."""
    arrays = pad_rows([[5, 6, 7], [8]], PadStyle(9, left=left))
    assert arrays["input_ids"].tolist() == ids
    assert arrays["attention_mask"].tolist() == mask
    assert "token_type_ids" not in arrays


def test_segments_stand_beside_their_tokens() -> None:
    """A row's segments follow its tokens wherever those are; a row without any has segment 0."""
    arrays = pad_rows([[5, 6, 7], [8, 8]], PadStyle(0, left=True, segments=True), segments=[None, [0, 1]])
    assert arrays["token_type_ids"].tolist() == [[0, 0, 0], [0, 0, 1]]


def test_a_width_can_be_wanted() -> None:
    """Rows are filled to the wanted width; a longer row is never cut."""
    assert pad_rows([[1] * 9, [2]], PadStyle(0), longest=10)["input_ids"].shape == (2, 10)
    assert pad_rows([[1] * 9, [2]], PadStyle(0), longest=8)["input_ids"].shape == (2, 9)


def test_a_row_without_tokens_is_all_padding() -> None:
    """An empty row takes one place, which the mask leaves out."""
    arrays = pad_rows([[]], PadStyle(3))
    assert arrays["input_ids"].tolist() == [[3]]
    assert arrays["attention_mask"].tolist() == [[0]]


@pytest.mark.parametrize("left", [False, True])
def test_unpad_cuts_what_padding_added(left: bool) -> None:
    """Every row gets back the states of its own tokens."""
    style = PadStyle(0, left=left)
    arrays = pad_rows([[1, 2, 3], [4]], style)
    states = np.repeat(arrays["input_ids"][..., None], 2, axis=2).astype(np.float32)
    assert [matrix[:, 0].tolist() for matrix in unpad(states, [3, 1], style)] == [[1, 2, 3], [4]]
