"""The tensors of a step on frozen vectors: queries, their documents, hard negatives, and documents at random."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dialekt.models.vectors import Vectors
from dialekt.training.batches import StepBatch, what_is_known
from dialekt.training.examples import Examples


@dataclass(frozen=True, slots=True, eq=False)
class VectorBatch:
    """One step. `queries` (pairs, dimension) and `documents` (documents, dimension) are those of the base model.

    `known` is the step without texts.
    """

    queries: Tensor
    documents: Tensor
    known: StepBatch


@dataclass(frozen=True, slots=True, eq=False)
class VectorSource:
    """Examples with the base model's vectors, and the rows of documents that may be drawn as negatives."""

    examples: Examples
    query_vectors: NDArray[np.float32]
    document_vectors: NDArray[np.float32]
    query_rows: NDArray[np.int64]
    document_rows: NDArray[np.int64]
    open_documents: NDArray[np.int32]
    mask_above: float | None

    @classmethod
    def of(
        cls, examples: Examples, vectors: Vectors, *, barred: frozenset[str], mask_above: float | None
    ) -> "VectorSource":
        """Join examples with vectors by id; `barred` are ids of documents that are nobody's negatives at random."""
        space = examples.space(vectors)
        open_documents = [row for row, name in enumerate(examples.document_ids) if name not in barred]
        return cls(
            examples=examples,
            query_vectors=vectors.query_vectors,
            document_vectors=vectors.document_vectors,
            query_rows=space.queries.rows,
            document_rows=space.documents.rows,
            open_documents=np.array(open_documents, dtype=np.int32),
            mask_above=mask_above,
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
        return VectorBatch(
            queries=_tensor(self.query_vectors, self.query_rows[queries]),
            documents=_tensor(self.document_vectors, self.document_rows[documents]),
            known=what_is_known(examples, pairs, documents, targets, mask_above=self.mask_above),
        )


def pairs_of_step(pairs: int, step: int, *, batch_size: int, seed: int) -> NDArray[np.int64]:
    """Return the pairs of a step: each epoch goes once through all, in another order; the last step may be short."""
    steps = -(-pairs // batch_size)
    epoch, place = divmod(step, steps)
    order = np.random.default_rng([seed, epoch]).permutation(pairs)
    return order[place * batch_size : (place + 1) * batch_size]


def _draw(rows: NDArray[np.int32], count: int, generator: np.random.Generator) -> NDArray[np.int32]:
    """Draw rows without replacement; all where there are no more."""
    return rows if len(rows) <= count else generator.choice(rows, count, replace=False)


def _tensor(vectors: NDArray[np.float32], rows: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(vectors[rows], dtype=np.float32))
