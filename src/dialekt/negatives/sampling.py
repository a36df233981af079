"""The draw: which of the candidates that survived the guard become the negatives of a query."""

from collections.abc import Sequence
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from dialekt.config import NegativeSampling
from dialekt.negatives.candidates import Candidates, preference
from dialekt.negatives.ragged import Integers
from dialekt.negatives.rules import GIVEN, KEPT, RULES, Rule, Verdicts
from dialekt.store.hashing import hash_text

Hashes = NDArray[np.uint64]
LAST = np.iinfo(np.int64).max


def hash_ids(ids: Sequence[str]) -> Hashes:
    """Return 64 bits per id; (ids,)."""
    return np.array([int(hash_text(name), 16) for name in ids], dtype=np.uint64)


def random_order(queries: Hashes, documents: Hashes, *, seed: int) -> Integers:
    """Return a random number in [0, 2⁶²) per query and document, which no other query or document has a say in.

    `queries` is (queries, 1), `documents` (queries, width). Each number is the SplitMix64 finaliser (Steele, Lea and
    Flood 2014) of seed, query and document, so neither the order of rows nor the block size changes a draw.
    """
    values = documents ^ (queries * np.uint64(0x9E3779B97F4A7C15)) ^ hash_ids([f"seed {seed}"])[0]
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    numbers: Integers = ((values ^ (values >> np.uint64(31))) >> np.uint64(2)).astype(np.int64)
    return numbers


def order_of_choice(candidates: Candidates, random: Integers | None, sampling: NegativeSampling) -> Integers:
    """Return the order in which candidates are taken, smallest first; (queries, width).

    Given negatives come first, hardest first. `top` takes the best retrieval ranks, dense before BM25, so the two
    retrievers take turns; `random` takes the smallest numbers of `random_order`.
    """
    given = candidates.retrievers == GIVEN
    match sampling:
        case NegativeSampling.TOP:
            mined = preference(candidates.ranks, candidates.retrievers)
        case NegativeSampling.RANDOM:
            assert random is not None
            mined = random
        case _:
            assert_never(sampling)
    return np.where(given, candidates.ranks - LAST, mined)


def draw(verdicts: Verdicts, order: Integers, *, per_query: int) -> Verdicts:
    """Return the verdicts (queries, width) in which at most `per_query` candidates of a query are still kept."""
    waiting = np.where(verdicts == KEPT, order, LAST)
    places = np.argsort(np.argsort(waiting, axis=1, kind="stable"), axis=1, kind="stable")
    surplus = (verdicts == KEPT) & (places >= per_query)
    return np.where(surplus, np.int8(RULES.index(Rule.NOT_SAMPLED)), verdicts)
