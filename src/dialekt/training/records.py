"""What the training stage takes and what it reports."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.config import ModelConfig
from dialekt.types import HardNegative, Role

STAGE_VERSION = 5  # here and not in stage.py, so that skipping a finished training does not load torch

LEAST_DOCUMENT_TOKENS = 128
"""What training reads of a document where the user sets no limit, on the slowest device."""

EncodeFunction = Callable[[Sequence[str], Role], NDArray[np.float32]]
"""Texts and their role → L2-normalised vectors of shape (texts, dimension)."""


@dataclass(frozen=True, slots=True)
class GeneralGuard:
    """General queries that the chosen mixture must not forget.

    `score` returns the mean NDCG@10 on them, in [0, 1], and encodes `texts` texts for it; `base_ndcg` is what the base
    model reaches, `max_loss` how much less is allowed.
    """

    score: Callable[[EncodeFunction], float]
    texts: int
    base_ndcg: float
    max_loss: float


@dataclass(frozen=True, slots=True)
class TrainingInputs:
    """Artefact folders, and the skills of other rooms that training needs.

    `score_dev` returns the mean NDCG@10 on the dev queries, in [0, 1], and encodes `dev_texts` texts for it.
    `split` holds the queries of all splits with their judgments, `teacher` the scores of a teacher where there is one.
    `made_dev_queries` says that the dev queries were made from documents, as the training queries were.
    `remine` mines hard negatives again with the model under training; None where re-mining is off.
    `document_vectors` is the folder of the base model's vectors where only the query side is tuned, else None.
    `base_vectors` is that folder where the base model says which documents are no negatives, `wanted_vectors` that of
    the model whose cosines are learnt.
    `general` guards against forgetting; None where nothing does.
    `watch` is told the share of the steps that are done, in (0, 1], and NDCG@10 on dev, whenever training scores dev;
    what it raises ends the training.
    `start` is the folder of an adapted base model that training starts from; None: it starts from the base model.
    """

    model: ModelConfig
    corpus: Path
    split: Path
    pairs: Path
    negatives: Path
    seed: int
    score_dev: Callable[[EncodeFunction], float]
    dev_texts: int
    made_dev_queries: bool = False
    teacher: Path | None = None
    remine: Callable[[EncodeFunction], list[HardNegative]] | None = None
    document_vectors: Path | None = None
    base_vectors: Path | None = None
    wanted_vectors: Path | None = None
    general: GeneralGuard | None = None
    watch: Callable[[float, float], None] | None = None
    start: Path | None = None


@dataclass(frozen=True, slots=True)
class Derived:
    """A setting that the user left open: what was chosen, and why."""

    value: str | int | float
    why: str


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One logged moment of training: a loss, or a score of the dev queries, or both."""

    step: int
    epoch: float
    seconds: float
    loss: float | None = None
    learning_rate: float | None = None
    dev_ndcg: float | None = None


@dataclass(frozen=True, slots=True)
class Mixture:
    """How well a mixture of base and tuned weights ranks the dev queries: `share` of tuned weights in [0, 1].

    `general_ndcg` is NDCG@10 on general queries, None where they were not asked.
    """

    share: float
    dev_ndcg: float
    general_ndcg: float | None = None


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """What was trained, how, how fast, and what the dev queries say of it.

    `method` is a `TrainingMethod`, `side` a `TunedSide`; `trained_weights` counts the numbers that training may change.
    """

    method: str
    side: str
    trained_weights: int
    pairs: int
    queries: int
    steps: int
    epochs: float
    batch_size: int
    queries_per_document: int
    learning_rate: float
    precision: str
    device: str
    loss: str
    hard_negatives: int
    teacher_scores: int
    max_query_tokens: int
    max_document_tokens: int
    seconds: float
    pairs_per_second: float
    base_dev_ndcg: float
    best_dev_ndcg: float
    best_step: int
    interpolation: float
    mixtures: tuple[Mixture, ...]
    stopped_early: bool
    resumed: bool
    derived: Mapping[str, Derived]
    curve: tuple[CurvePoint, ...]
    warnings: tuple[str, ...]
