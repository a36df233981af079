"""A long array of inputs, computed a window at a time."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from dialekt.serving.records import Outcome, Work


def windows_of(work: Work, *, most: int) -> list[Work]:
    """Cut work so that two windows together hold at most `most` inputs; work that fits stays whole."""
    if len(work.inputs) <= most:
        return [work]
    size = max(1, most // 2)
    starts = range(0, len(work.inputs), size)
    return [dataclasses.replace(work, inputs=work.inputs[start : start + size]) for start in starts]


def join_outcomes(parts: Sequence[Outcome]) -> Outcome:
    """Return the outcome of the whole from those of its windows; times are means over the inputs."""
    weights = np.array([len(part.tokens) for part in parts], dtype=float)

    def mean(times: Sequence[float]) -> float:
        return float(np.average(times, weights=weights))

    return Outcome(
        values=np.concatenate([part.values for part in parts]),
        token_values=tuple(matrix for part in parts for matrix in part.token_values),
        tokens=tuple(tokens for part in parts for tokens in part.tokens),
        tokenization_seconds=mean([part.tokenization_seconds for part in parts]),
        queue_seconds=mean([part.queue_seconds for part in parts]),
        inference_seconds=mean([part.inference_seconds for part in parts]),
    )
