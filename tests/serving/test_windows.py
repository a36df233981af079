"""Long arrays, a window at a time."""

import numpy as np
import pytest

from dialekt.models.engines.records import ModelInput, TokenizeOptions
from dialekt.serving.records import Outcome, Priority, Work
from dialekt.serving.windows import join_outcomes, windows_of


@pytest.mark.parametrize(
    ("inputs", "most", "sizes"), [(3, 4, [3]), (4, 4, [4]), (9, 4, [2, 2, 2, 2, 1]), (2, 1, [1, 1])]
)
def test_windows_keep_order_and_two_fit_the_limit(inputs: int, most: int, sizes: list[int]) -> None:
    """All inputs are there once, in order."""
    work = Work(tuple(ModelInput(str(n)) for n in range(inputs)), TokenizeOptions(), Priority.BULK, 1.0)
    windows = windows_of(work, most=most)
    assert [len(window.inputs) for window in windows] == sizes
    assert tuple(item for window in windows for item in window.inputs) == work.inputs


def test_times_of_windows_are_weighted_by_inputs() -> None:
    """The mean of the whole is the mean over its inputs."""
    parts = [
        Outcome(np.full((size, 2), size, dtype=np.float32), (), (1,) * size, seconds, seconds, seconds)
        for size, seconds in ((3, 1.0), (1, 5.0))
    ]
    whole = join_outcomes(parts)
    assert whole.values[:, 0].tolist() == [3, 3, 3, 1]
    assert whole.queue_seconds == pytest.approx(2.0)
