"""Label noise: the estimated share of training pairs whose document does not answer the query.

A pair with a wrong document is told from a right one by comparing it with other documents: among documents of other
pairs, drawn at random, a wrong one stands anywhere, a right one near the top. This sees labels that are wrong at
random (shifted rows, mixed-up ids, accidental clicks, empty answers). It does not see a wrong document that resembles
the right one, so hard and plausible mistakes are not counted; and it counts right pairs in which neither the base
model nor BM25 finds anything in common.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from dialekt.diagnosis.inputs import DataInputs, Sampling
from dialekt.models.lexical import Bm25
from dialekt.types import Interval

LEAST_PAIRS = 50
MOST_PAIRS = 2_000
FOUND_RANK = 100
_STRANGERS = 400  # documents of other pairs that a pair's document is compared with
_WORSE_HALF = 0.5
_PAIRS_PER_BLOCK = 64
_LEAST_DEVIATION = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class RoundTrip:
    """Where the documents of a sample of pairs stand among others, for their queries.

    `places` (sampled pairs,) in [0, 1] is the share of documents of other pairs that fit the query better: uniform for
    a wrong document, near 0 for a right one. `queries` different queries are in the sample; `unfindable` of all pairs
    have a document that base model and BM25 both leave out of their first hundred, reckoned from the sample.
    """

    places: NDArray[np.float64]
    queries: int
    unfindable: int


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    """Pairs that can be looked at: query vectors (pairs, dimension), query texts, and the units (pairs,) they name."""

    vectors: NDArray[np.float32]
    texts: Sequence[str]
    units: NDArray[np.int64]
    queries: int


def round_trip(inputs: DataInputs) -> RoundTrip:
    """Ask the queries of at most 2,000 pairs of base model and BM25, and see where their documents come."""
    sample = _draw(inputs)
    generator = np.random.default_rng(inputs.sampling.seed)
    places: list[NDArray[np.float64]] = []
    lost = 0
    for start in range(0, len(sample.units), _PAIRS_PER_BLOCK):
        rows = slice(start, start + _PAIRS_PER_BLOCK)
        units = sample.units[rows]
        dense = sample.vectors[rows] @ np.asarray(inputs.vectors.document_vectors).T  # (pairs, units)
        lexical = _lexical_scores(inputs.lexical, sample.texts[rows], dense.shape[1])
        strangers = sample.units[generator.integers(0, len(sample.units), size=(len(units), _STRANGERS))]
        candidates = np.concatenate([units[:, None], strangers], axis=1)  # (pairs, 1 + strangers): the pair's own first
        places.append(_places(_standard(dense, candidates) + _standard(lexical, candidates)))
        lost += int(np.count_nonzero((_ranks(dense, units) > FOUND_RANK) & (_ranks(lexical, units) > FOUND_RANK)))
    found = np.concatenate(places) if places else np.empty(0)
    return RoundTrip(found, sample.queries, round(lost / max(1, len(found)) * len(inputs.pairs)))


def label_noise(trip: RoundTrip, sampling: Sampling) -> Interval | None:
    """Return the estimated share of pairs whose document was as good as drawn at random, None below 50 pairs.

    share = 2 · (pairs placed in the worse half), since wrong pairs are spread evenly and right ones are rarely there
    (Storey 2002, "A direct approach to false discovery rates", λ = ½). Binomial interval (Clopper & Pearson 1934) in
    which the pairs of a query count as one observation, so that it is rather too wide than too narrow.
    """
    pairs = len(trip.places)
    if pairs < LEAST_PAIRS:
        return None
    share = float((trip.places > _WORSE_HALF).mean())
    worse, better = share * trip.queries, (1 - share) * trip.queries
    tail = (1 - sampling.confidence) / 2
    low = float(stats.beta.ppf(tail, worse, better + 1)) if worse else 0.0
    high = float(stats.beta.ppf(1 - tail, worse + 1, better)) if better else 1.0
    return Interval(*(min(1.0, value / (1 - _WORSE_HALF)) for value in (share, low, high)))


def teacher_disagreement(logits: NDArray[np.float32]) -> float:
    """Return the share of pairs that a teacher rates as no answer: its logit (pairs,) is below zero."""
    return float((logits < 0).mean()) if len(logits) else 0.0


def _draw(inputs: DataInputs) -> _Sample:
    """Draw pairs whose query has a vector and whose document is in the corpus."""
    units = {unit_id: row for row, unit_id in enumerate(inputs.collection.unit_ids)}
    rows = {query_id: row for row, query_id in enumerate(inputs.vectors.query_ids)}
    texts = {query.id: query.text for query in inputs.queries}
    known = [pair for pair in inputs.pairs if pair.document_id in units and pair.query_id in rows]
    order = np.random.default_rng(inputs.sampling.seed).permutation(len(known))[:MOST_PAIRS]
    drawn = [known[index] for index in order]
    return _Sample(
        vectors=np.asarray(inputs.vectors.query_vectors[[rows[pair.query_id] for pair in drawn]], dtype=np.float32),
        texts=[texts[pair.query_id] for pair in drawn],
        units=np.array([units[pair.document_id] for pair in drawn], dtype=np.int64),
        queries=len({pair.query_id for pair in drawn}),
    )


def _lexical_scores(index: Bm25, texts: Sequence[str], units: int) -> NDArray[np.float32]:
    """Return BM25's score of every unit for every query (queries, units), 0 where they share no term."""
    found = index.search(texts, units)
    scores = np.zeros(found.scores.shape, dtype=np.float32)
    rows, columns = np.nonzero(found.indices >= 0)
    scores[rows, found.indices[rows, columns]] = found.scores[rows, columns]
    return scores


def _standard(scores: NDArray[np.float32], candidates: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the candidates' scores in standard deviations from the mean of the strangers (pairs, 1 + strangers)."""
    picked = np.take_along_axis(scores, candidates, axis=1).astype(np.float64)
    strangers = picked[:, 1:]
    deviation = np.maximum(strangers.std(axis=1, keepdims=True), _LEAST_DEVIATION)
    standard: NDArray[np.float64] = (picked - strangers.mean(axis=1, keepdims=True)) / deviation
    return standard


def _places(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of strangers above each pair's own document, equal ones counting half (pairs,)."""
    own, strangers = scores[:, :1], scores[:, 1:]
    places: NDArray[np.float64] = (strangers > own).mean(axis=1) + (strangers == own).mean(axis=1) / 2
    return places


def _ranks(scores: NDArray[np.float32], units: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rank of each query's unit from 1, as the last among equals that score nothing at all."""
    own = np.take_along_axis(scores, units[:, None], axis=1)
    ranks: NDArray[np.int64] = 1 + (scores > own).sum(axis=1, dtype=np.int64)
    ranks[own[:, 0] == 0] = scores.shape[1]
    return ranks
