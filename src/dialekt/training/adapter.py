"""A probe in seconds: two linear maps learnt on frozen vectors say how much of a gain a bare change of space brings."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

STEPS = 150
BATCH = 128
NEGATIVES = 1_024
LEARNING_RATE = 0.02
"""Over √dimension, as the entries of a rotation shrink with it: 1e-3 at 384 dimensions."""

TEMPERATURE = 0.05
_MASKED = -1e4


@dataclass(frozen=True, slots=True, eq=False)
class AdapterMaterial:
    """What an adapter learns from.

    `queries` (queries, dimension) and `documents` (documents, dimension) are normalised float32; `positives` holds the
    rows of each query's documents; `negatives` the rows that may be drawn as random negatives.
    """

    queries: NDArray[np.float32]
    documents: NDArray[np.float32]
    positives: Sequence[Sequence[int]]
    negatives: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Adapter:
    """v ↦ (v + share · v M) / ‖·‖ with one matrix (dimension, dimension) for queries and one for documents."""

    query: NDArray[np.float32]
    document: NDArray[np.float32]

    def queries(self, vectors: NDArray[np.float32], *, share: float = 1.0) -> NDArray[np.float32]:
        """Return queries (rows, dimension) in the learnt space; a share of 0 leaves them as they are."""
        return _moved(vectors, self.query, share)

    def documents(self, vectors: NDArray[np.float32], *, share: float = 1.0) -> NDArray[np.float32]:
        """Return documents (rows, dimension) in the learnt space; a share of 0 leaves them as they are."""
        return _moved(vectors, self.document, share)


def _moved(vectors: NDArray[np.float32], matrix: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    moved = np.asarray(vectors, dtype=np.float32) + share * (vectors @ matrix)
    lengths = np.linalg.norm(moved, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = moved / np.maximum(lengths, 1e-9)
    return scaled


def fit_adapter(material: AdapterMaterial, rows: Sequence[int], *, seed: int) -> Adapter:
    """Learn from the queries of `rows` by InfoNCE against the batch's and random documents (van den Oord et al. 2018).

    The other positives of a query are masked. Queries without a positive teach nothing; without any the adapter
    changes nothing.
    """
    dimension = material.documents.shape[1]
    pairs = np.array([(row, place) for row in rows for place in material.positives[row]], dtype=np.int64)
    zeros = np.zeros((dimension, dimension), dtype=np.float32)
    if not len(pairs):
        return Adapter(zeros, zeros)
    generator = np.random.default_rng(seed)
    matrices = [torch.zeros(dimension, dimension, requires_grad=True) for _ in range(2)]
    optimizer = torch.optim.AdamW(matrices, lr=LEARNING_RATE / dimension**0.5, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 1.0 / STEPS, total_iters=STEPS)
    for _ in range(STEPS):
        batch = pairs[generator.choice(len(pairs), size=min(BATCH, len(pairs)), replace=False)]
        loss = _loss(material, batch, matrices, generator)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    query, document = (matrix.detach().numpy() for matrix in matrices)
    return Adapter(query, document)


def _loss(
    material: AdapterMaterial, batch: NDArray[np.int64], matrices: Sequence[Tensor], generator: np.random.Generator
) -> Tensor:
    drawn = material.negatives
    if len(drawn) > NEGATIVES:
        drawn = generator.choice(drawn, size=NEGATIVES, replace=False)
    candidates, targets = np.unique(np.concatenate([batch[:, 1], drawn]), return_inverse=True)
    queries, documents = (
        torch.from_numpy(np.asarray(vectors, dtype=np.float32))
        for vectors in (material.queries[batch[:, 0]], material.documents[candidates])
    )
    scores = _normalised(queries + queries @ matrices[0]) @ _normalised(documents + documents @ matrices[1]).T
    masked = scores.masked_fill(torch.from_numpy(_other_positives(material, batch, candidates)), _MASKED)
    return functional.cross_entropy(masked / TEMPERATURE, torch.from_numpy(targets[: len(batch)]))


def _normalised(vectors: Tensor) -> Tensor:
    return functional.normalize(vectors, dim=1)


def _other_positives(
    material: AdapterMaterial, batch: NDArray[np.int64], candidates: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return where (batch, candidates) a document answers the query too and is not the target."""
    mask = np.zeros((len(batch), len(candidates)), dtype=np.bool_)
    for place, (row, target) in enumerate(batch.tolist()):
        others = np.array([one for one in material.positives[row] if one != target], dtype=np.int64)
        mask[place] = np.isin(candidates, others)
    return mask
