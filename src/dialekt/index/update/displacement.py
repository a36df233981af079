"""How far documents move between two models, and how much of that a map leaves unexplained."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialekt.index.update.mapping import FittedMap
from dialekt.models.topk import top_k

NEIGHBOURS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Displacement:
    """Estimates for documents that were not embedded again, all (documents,).

    `moved` is the distance of mapped and old vector. `left` is the mean distance of new and held-out mapped vector of
    the 10 sampled documents that are nearest in the old space, `cells` the nearest of them.
    """

    moved: NDArray[np.float32]
    left: NDArray[np.float32]
    cells: NDArray[np.int64]


def displace(fitted: FittedMap, old: NDArray[np.float32], mapped: NDArray[np.float32]) -> Displacement:
    """Estimate the displacement of documents from their old and mapped vectors (documents, dimension)."""
    sampled = fitted.documents
    leftover = np.linalg.norm(sampled.new - fitted.held_out, axis=1).astype(np.float32)  # (sampled,)
    nearest = top_k(old, sampled.old, min(NEIGHBOURS, len(sampled))).indices  # (documents, neighbours)
    moved = np.linalg.norm(mapped - old, axis=1).astype(np.float32)
    return Displacement(moved, leftover[nearest].mean(axis=1), nearest[:, 0])
