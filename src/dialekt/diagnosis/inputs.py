"""What a diagnosis looks at: arrays, runs and texts, wherever they came from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialekt.measures.metrics import Judgments
from dialekt.measures.retrieval import Collection
from dialekt.measures.runs import Run
from dialekt.models.lexical import Bm25
from dialekt.models.vectors import Vectors
from dialekt.types import Document, Language, Pair, Query

BASE = "base"

TokenOffsets = Callable[[Sequence[str]], list[list[tuple[int, int]]]]
"""The characters (start, end) of each text's tokens, without special tokens or a limit (`Encoder.token_offsets`)."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How intervals are made: their confidence, the bootstrap's resamples, and the seed of everything random."""

    confidence: float
    resamples: int
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class BaselineInputs:
    """The held-out queries and what every untuned system finds for them.

    `documents` are the units of `collection`, row by row, and `document_vectors` (units, dimension) float32 those of
    the base model. `systems` has the runs by name over `queries`, row by row, 100 deep, "base" among them.
    `max_tokens` is how many tokens of a document's text the base model reads, special tokens and prompt taken off.
    """

    collection: Collection
    documents: Sequence[Document]
    document_vectors: NDArray[np.float32]
    queries: Sequence[Query]
    judgments: Judgments
    systems: Mapping[str, Run]
    token_offsets: TokenOffsets
    max_tokens: int
    language: Language
    sampling: Sampling


@dataclass(frozen=True, slots=True, eq=False)
class DataInputs:
    """The training pairs and all queries of all splits, with the base model's vectors of both sides.

    `collection` and `lexical` are of the corpus that `vectors` are of. `standard_deviation` is that of the per-query
    differences in NDCG@10 between two models, `teacher_logits` (scored pairs,) what a teacher says of training pairs.
    """

    collection: Collection
    lexical: Bm25
    vectors: Vectors
    pairs: Sequence[Pair]
    queries: Sequence[Query]
    standard_deviation: float
    sampling: Sampling
    teacher_logits: NDArray[np.float32] | None = None
    made_queries: bool = False
