"""Label noise: the estimated share of training pairs whose document does not answer the query."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialekt.diagnosis.inputs import DataInputs, Sampling
from dialekt.types import Interval


@dataclass(frozen=True, slots=True, eq=False)
class RoundTrip:
    """What base model and BM25 say of the pairs.

    `pairs` (sampled pairs,) is the cosine of each pair, `random` that of the same queries with documents of other
    pairs; `unfindable` of all pairs have a document that both leave out of their first hundred.
    """

    pairs: NDArray[np.float64]
    random: NDArray[np.float64]
    unfindable: int


def round_trip(inputs: DataInputs) -> RoundTrip:
    """Search every sampled pair's query with the base model and BM25, and see where its document comes."""
    raise NotImplementedError


def label_noise(trip: RoundTrip, sampling: Sampling) -> Interval | None:
    """Return the estimated share of wrong pairs, None below 50 pairs."""
    raise NotImplementedError


def teacher_disagreement(logits: NDArray[np.float32]) -> float:
    """Return the share of pairs that a teacher rates as no answer: its logit (pairs,) is below zero."""
    return float((logits < 0).mean()) if len(logits) else 0.0
