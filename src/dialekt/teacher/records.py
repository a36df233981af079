"""What the teacher stage takes and what it reports."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.config import ModelConfig
from dialekt.types import DevComparison

STAGE_VERSION = 1  # here and not in stage.py, so that skipping a finished stage does not load torch

ScorePairs = Callable[[Sequence[str], Sequence[str], NDArray[np.int64]], NDArray[np.float32]]
"""Queries, documents and row numbers of both (pairs, 2) → a score per pair, higher for a better answer."""


@dataclass(frozen=True, slots=True)
class TeacherInputs:
    """Artefact folders, and a skill of another room.

    `examples` holds queries, qrels and pairs, `negatives` the mined hard negatives. `compare` ranks the dev queries
    with a teacher's scores and says how much better that is than the student's own ranking.
    """

    model: ModelConfig
    corpus: Path
    examples: Path
    negatives: Path
    compare: Callable[[ScorePairs], DevComparison]
    seed: int


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of values from `edges[i]` to below `edges[i + 1]`; values outside are in the first and last bin."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Fitting:
    """How the cross-encoder was trained here; `losses` are (step, mean loss since the entry before)."""

    pairs: int
    steps: int
    seconds: float
    pairs_per_second: float
    precision: str
    losses: tuple[tuple[int, float], ...]
    resumed: bool
    shortened: bool


@dataclass(frozen=True, slots=True)
class TeacherFacts:
    """Who taught, whether it was good enough to be used, and what it changed.

    `queries` is the number of dev queries of the comparison. `relabelled` and `removed` count hard negatives that
    became positives or were dropped, by the retriever that had found them; `fixed` are negatives that a person or an
    instruction named, which no teacher may touch. `margins` are the logits of the hard negatives minus the lowest of
    their query's positives. `added` are the pairs that came of `relabelled`.
    """

    model: str
    trained: Fitting | None
    used: bool
    why: str
    uses: tuple[str, ...]
    student_ndcg: float
    teacher_ndcg: float
    gain: float
    low: float
    high: float
    queries: int
    depth: int
    pairs: int
    negatives: int
    added: int
    relabelled: Mapping[str, int]
    removed: Mapping[str, int]
    fixed: int
    scored: int
    pairs_per_second: float
    margins: Histogram | None
    warnings: tuple[str, ...]
