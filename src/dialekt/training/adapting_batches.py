"""The tensors of a step on frozen vectors: queries, their documents, hard negatives, and documents at random."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dialekt.models.vectors import Vectors
from dialekt.training.examples import Examples


@dataclass(frozen=True, slots=True, eq=False)
class VectorBatch:
    """One step. `queries` (pairs, dimension) and `documents` (documents, dimension) are those of the base model.

    `targets` (pairs,) is the column of each pair's document, `masked` (pairs, documents) true where another document
    answers the query, too. `discounts` and `teacher` (pairs, documents) are None where nothing is known.
    """

    queries: Tensor
    documents: Tensor
    targets: Tensor
    masked: Tensor
    weights: Tensor
    discounts: Tensor | None
    teacher: Tensor | None


@dataclass(frozen=True, slots=True, eq=False)
class VectorSource:
    """Examples with the base model's vectors, and the rows of documents that may be drawn as negatives."""

    examples: Examples
    query_vectors: NDArray[np.float32]
    document_vectors: NDArray[np.float32]
    query_rows: NDArray[np.int64]
    document_rows: NDArray[np.int64]
    open_documents: NDArray[np.int32]

    @classmethod
    def of(cls, examples: Examples, vectors: Vectors, *, barred: frozenset[str]) -> "VectorSource":
        """Join examples with vectors by id; `barred` are ids of documents that are nobody's negatives at random."""
        open_documents = [row for row, name in enumerate(examples.document_ids) if name not in barred]
        return cls(
            examples=examples,
            query_vectors=vectors.query_vectors,
            document_vectors=vectors.document_vectors,
            query_rows=_places(vectors.query_ids, examples.query_ids),
            document_rows=_places(vectors.document_ids, examples.document_ids),
            open_documents=np.array(open_documents, dtype=np.int32),
        )

    def batch(
        self, pairs: NDArray[np.int64], *, hard_negatives: int, negatives: int, generator: np.random.Generator
    ) -> VectorBatch:
        """Return the step of some pairs, each with up to `hard_negatives` mined ones of its query, and random ones."""
        examples = self.examples
        queries, positives = examples.pair_query[pairs], examples.pair_document[pairs]
        drawn = [_draw(examples.negatives[query], hard_negatives, generator) for query in queries.tolist()]
        others = _draw(self.open_documents, negatives, generator)
        documents = np.unique(np.concatenate([positives, *drawn, others]))
        targets = np.searchsorted(documents, positives)
        masked = examples.is_answer(queries, documents)
        masked[np.arange(len(pairs)), targets] = False
        weak, scores = examples.weak_negatives, examples.teacher_scores
        return VectorBatch(
            queries=_tensor(self.query_vectors, self.query_rows[queries]),
            documents=_tensor(self.document_vectors, self.document_rows[documents]),
            targets=torch.from_numpy(targets.astype(np.int64)),
            masked=torch.from_numpy(masked),
            weights=torch.from_numpy(examples.pair_weight[pairs]),
            discounts=torch.from_numpy(np.log(weak.look_up(queries, documents, 1.0))) if len(weak) else None,
            teacher=torch.from_numpy(scores.look_up(queries, documents, np.nan)) if len(scores) else None,
        )


def pairs_of_step(pairs: int, step: int, *, batch_size: int, seed: int) -> NDArray[np.int64]:
    """Return the pairs of a step: each epoch goes once through all, in another order; the last step may be short."""
    steps = -(-pairs // batch_size)
    epoch, place = divmod(step, steps)
    order = np.random.default_rng([seed, epoch]).permutation(pairs)
    return order[place * batch_size : (place + 1) * batch_size]


def _places(known: list[str], wanted: tuple[str, ...]) -> NDArray[np.int64]:
    rows = {name: row for row, name in enumerate(known)}
    return np.array([rows[name] for name in wanted], dtype=np.int64)


def _draw(rows: NDArray[np.int32], count: int, generator: np.random.Generator) -> NDArray[np.int32]:
    """Draw rows without replacement; all where there are no more."""
    return rows if len(rows) <= count else generator.choice(rows, count, replace=False)


def _tensor(vectors: NDArray[np.float32], rows: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(vectors[rows], dtype=np.float32))
