"""What the teacher is shown: every pair with wrong documents, in steps that are the same at every run."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from dialekt.teacher.material import Material

PAIRS_PER_STEP = 32
_DRAWS = 4  # random documents drawn for each one that is wanted; kin of a positive falls out


@dataclass(frozen=True, slots=True, eq=False)
class GroupBatch:
    """Groups of one right and some wrong documents: `couples` (groups, 1 + wrong, 2) of query and document rows."""

    couples: NDArray[np.int64]
    weights: NDArray[np.float32]  # (groups,)


class GroupPlan:
    """Which pairs are seen in which step, and with which wrong documents.

    Wrong documents are the query's hard negatives for one half, random ones for the other, and random ones where
    there are not enough. Random ones are drawn from the documents that pairs and negatives name, so that a held-out
    document is never a wrong one. Kin of a positive, by parent or text, is never wrong.
    """

    def __init__(self, material: Material, *, wrong: int, max_pairs: int, epochs: float, seed: int):
        self._material = material
        self._wrong = wrong
        self._seed = seed
        drawn = np.random.default_rng([seed, 0]).permutation(len(material.pairs))[:max_pairs]
        self.pairs = len(drawn)
        self.steps = _orders(drawn, epochs=epochs, seed=seed)
        self._hard = _by_query(material.negative_rows, len(material.query_texts))
        self._positives = _by_query(material.pair_rows, len(material.query_texts))

    def batch(self, step: int) -> GroupBatch:
        """Return the groups of a step."""
        generator = np.random.default_rng([self._seed, 1, step])
        rows = self.steps[step]
        couples = [self._group(query, right, generator) for query, right in self._material.pair_rows[rows].tolist()]
        weights = np.array([self._material.pairs[row].weight for row in rows.tolist()], dtype=np.float32)
        return GroupBatch(np.array(couples, dtype=np.int64), weights)

    def _group(self, query: int, right: int, generator: np.random.Generator) -> list[tuple[int, int]]:
        kin = self._material.kin
        barred = {int(kin[positive]) for positive in self._positives[query]}
        hard = [row for row in self._hard[query].tolist() if int(kin[row]) not in barred]
        wanted = min(len(hard), ceil(self._wrong / 2))
        chosen = [hard[place] for place in generator.permutation(len(hard))[:wanted].tolist()]
        draws = generator.integers(len(kin), size=_DRAWS * self._wrong).tolist()
        others = [row for row in dict.fromkeys(draws) if int(kin[row]) not in barred and row not in chosen]
        chosen += others[: self._wrong - len(chosen)]
        chosen += draws[: self._wrong - len(chosen)]  # a corpus of a few documents; a group is never short
        return [(query, row) for row in (right, *chosen)]


def _orders(drawn: NDArray[np.int64], *, epochs: float, seed: int) -> Sequence[NDArray[np.int64]]:
    """Return the pairs of each step; every epoch has an order of its own, the last may be cut short."""
    passes = [np.random.default_rng([seed, 2, number]).permutation(drawn) for number in range(ceil(epochs))]
    every = np.concatenate(passes)[: max(1, round(epochs * len(drawn)))]
    return [every[start : start + PAIRS_PER_STEP] for start in range(0, len(every), PAIRS_PER_STEP)]


def _by_query(couples: NDArray[np.int64], queries: int) -> list[NDArray[np.int64]]:
    """Return the document rows of every query."""
    order = np.argsort(couples[:, 0], kind="stable")
    ends = np.searchsorted(couples[order, 0], np.arange(1, queries))
    return np.split(couples[order, 1], ends)
