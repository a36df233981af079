"""What the adaptation stage takes and what it reports."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.config import JudgedBy, ModelConfig
from dialekt.types import ReportProgress

STAGE_VERSION = 1  # here and not in stage.py, so that skipping a finished stage does not load torch

START_NAME = "start.json"
"""The file that says which model training starts from: equal contents, equal starts."""

FindTerms = Callable[[Sequence[str]], Sequence[str]]
"""Texts → words that the model's tokenizer breaks into many pieces, the costliest first."""


@dataclass(frozen=True, slots=True)
class Judge:
    """How models are compared on dev.

    `scores` takes a model folder (None: the base model), a folder to work in and a progress report, and returns
    NDCG@10 of each of the `queries` dev queries (queries,), always in the same order.
    """

    kind: JudgedBy
    queries: int
    scores: Callable[[Path | None, Path, ReportProgress], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class AdaptationInputs:
    """The corpus artefact's folder, and the skills of other rooms. `judge` is None where there are no dev queries."""

    model: ModelConfig
    corpus: Path
    seed: int
    find_terms: FindTerms
    judge: Judge | None


@dataclass(frozen=True, slots=True)
class Derived:
    """A setting that the user left open: what was chosen, and why."""

    value: str | int | float
    why: str


@dataclass(frozen=True, slots=True)
class LossPoint:
    """The mean loss since the point before, up to a step."""

    step: int
    loss: float


@dataclass(frozen=True, slots=True)
class Fitting:
    """How one method was trained.

    `passages` are those that there are, `terms` the new tokens of an extended vocabulary.
    """

    passages: int
    terms: int
    steps: int
    epochs: float
    batch_size: int
    max_tokens: int
    learning_rate: float
    precision: str
    seconds: float
    passages_per_second: float
    losses: tuple[LossPoint, ...]
    resumed: bool
    shortened: bool
    derived: Mapping[str, Derived]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a method was kept, and why.

    `before` and `after` are NDCG@10 on dev without and with it, `gain` their difference with its paired bootstrap
    interval; all None where nothing was compared.
    """

    kept: bool
    why: str
    before: float | None = None
    after: float | None = None
    gain: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class MethodFacts:
    """One method: how it was trained, and what dev said. `fitted` is None where it was not tried."""

    method: str
    fitted: Fitting | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class AdaptationFacts:
    """What the documents alone taught.

    `kept` are the methods that are in the model that training starts from; empty: it starts from the base model.
    `judged_by` is a `JudgedBy`, empty without dev queries.
    """

    documents: int
    judged_by: str
    queries: int
    confidence: float
    methods: tuple[MethodFacts, ...]
    kept: tuple[str, ...]
    seconds: float
    derived: Mapping[str, Derived]
    warnings: tuple[str, ...]
