"""Click models: how likely a place on the page is looked at, and how attractive a document then is.

A click needs two things: P(click) = examination[state] x attractiveness[query, document]. The state is what
examination may depend on: the rank alone (position-based model), or the rank and how far above it the last click lies
(user browsing model, Dupret and Piwowarski 2008), which also covers searchers who stop after a good click. The
attractiveness of a pair is never a point: it is integrated out over a grid of levels whose prior is estimated from the
log (nonparametric empirical Bayes, Kiefer and Wolfowitz 1956), so a pair seen twice is not taken for certain.

Pairs fall into bands by their mean rank, each with a prior of its own: where the ranker is good, documents at the top
*are* more attractive, and one common prior would mistake that for examination.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LEVELS: Floats = 1 / (1 + np.exp(-np.linspace(-5.5, 4.0, 33)))  # even in log-odds, 0.004 to 0.98
FIRST_ROUNDS = 60  # with one prior for all bands: gives examination where documents never move
SECOND_ROUNDS = 120
TOLERANCE = 3e-4
LEAST_EXAMINATION = 1e-4
ANCHOR_IMPRESSIONS = 10.0  # at the starting curve, added to each state: a thin one stays near it
BACKGROUND_DEVIATIONS = 1.5  # measured on binary and graded judgments, sparse and rich logs: 2 loses weak answers
BAND_PSEUDO_PAIRS = 20.0  # of all bands together, added to each band: a thin one follows the others
LEAST_PRIOR = 1e-6  # no level is ever impossible


@dataclass(frozen=True, slots=True)
class Cells:
    """Impressions collapsed to counts: one row for each (pair, state) that occurs.

    `clicks` are evidence for the document; `rejected` are clicks that came straight back: the document was looked at,
    and was no answer. `pair` numbers the pairs from 0, `band` has one entry per pair.
    """

    pair: Integers
    state: Integers
    shown: Floats
    clicks: Floats
    rejected: Floats
    band: Integers

    @property
    def pairs(self) -> int:
        """How many pairs there are."""
        return len(self.band)


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted model: `examination` by state in [0, 1], and the `prior` over `LEVELS` by band (bands, levels)."""

    examination: Floats
    prior: Floats
    rounds: int = 0


@dataclass(frozen=True, slots=True)
class Posterior:
    """What the log says of each pair: `weights` over `LEVELS` (pairs, levels) and the expected examinations."""

    weights: Floats
    examined: Floats

    @property
    def mean(self) -> Floats:
        """Return the expected attractiveness of each pair."""
        mean: Floats = self.weights @ LEVELS
        return mean

    def quantile(self, share: float) -> Floats:
        """Return the attractiveness below which `share` of each pair's probability lies."""
        reached = np.cumsum(self.weights, axis=1) >= share - 1e-12
        levels: Floats = LEVELS[np.argmax(reached, axis=1)]
        return levels

    def certainty(self, threshold: float) -> Floats:
        """Return the probability that each pair's attractiveness reaches the threshold."""
        certainty: Floats = self.weights[:, threshold <= LEVELS].sum(axis=1)
        return np.clip(certainty, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class _Counts:
    """Cells as sparse tables (pairs, states)."""

    clicks: csr_matrix
    rejected: csr_matrix
    ignored: csr_matrix
    band: Integers


def fit(cells: Cells, *, start: Floats, bands: int) -> Fit:
    """Estimate examination and priors by EM from a starting curve.

    A state that starts at 1 stays there and fixes the scale: only the product with attractiveness can be seen.
    """
    counts = _counts(cells, len(start))
    common = replace(counts, band=np.zeros(cells.pairs, dtype=np.int64))
    even = np.full((1, len(LEVELS)), 1 / len(LEVELS))
    first = _climb(common, Fit(start, even), rounds=FIRST_ROUNDS, keep_examination=False)
    banded = Fit(first.examination, np.repeat(first.prior, bands, axis=0), first.rounds)
    return _climb(counts, banded, rounds=SECOND_ROUNDS, keep_examination=False)


def fit_prior(cells: Cells, *, examination: Floats, bands: int) -> Fit:
    """Estimate the priors only, where the examination is known already."""
    even = np.full((bands, len(LEVELS)), 1 / len(LEVELS))
    return _climb(_counts(cells, len(examination)), Fit(examination, even), rounds=FIRST_ROUNDS, keep_examination=True)


def posterior(cells: Cells, model: Fit) -> Posterior:
    """Return what these cells say of their pairs under a fitted model."""
    counts = _counts(cells, len(model.examination))
    weights = _weights(counts, model)
    looked = model.examination[:, None] * (1 - LEVELS) / (1 - model.examination[:, None] * LEVELS)  # (states, levels)
    acted = np.asarray(counts.clicks.sum(axis=1)).ravel() + np.asarray(counts.rejected.sum(axis=1)).ravel()
    return Posterior(weights, acted + ((counts.ignored @ looked) * weights).sum(axis=1))


def click_probability(cells: Cells, model: Fit, attractiveness: Floats) -> Floats:
    """Return how likely a click is in each cell, given the attractiveness of every pair."""
    probability: Floats = model.examination[cells.state] * attractiveness[cells.pair]
    return probability


def relevance_threshold(prior: Floats) -> float:
    """Return the attractiveness that stands out from the background of a log; it follows the log's own noise.

    Otsu's cut parts the prior into background and attractive. Weaker answers hide below it (graded judgments), so the
    threshold lies where the background ends: its mean and 1.5 deviations, at most Otsu's cut.
    """
    cut = _otsu_cut(prior)
    background = prior * (cut > LEVELS)
    background /= max(float(background.sum()), 1e-12)
    mean = float(background @ LEVELS)
    deviation = float(np.sqrt(background @ (LEVELS - mean) ** 2))
    above = int(np.abs(LEVELS - mean).argmin()) + 1  # a background of one level has no deviation
    next_level = float(LEVELS[min(above, len(LEVELS) - 1)])
    return min(cut, max(mean + BACKGROUND_DEVIATIONS * deviation, next_level))


def _otsu_cut(prior: Floats) -> float:
    """Return the cut that maximises w0 w1 (m0 - m1)^2 (Otsu 1979); the middle of a plateau."""
    below = np.cumsum(prior)[:-1]
    moment = np.cumsum(prior * LEVELS)[:-1]
    total = float(prior @ LEVELS)
    above = np.clip(1 - below, 1e-12, None)
    between = below * above * (moment / np.clip(below, 1e-12, None) - (total - moment) / above) ** 2
    best = between >= between.max() * (1 - 1e-9)
    return float(LEVELS[1:][best].mean())


def _counts(cells: Cells, states: int) -> _Counts:
    shape = (cells.pairs, states)

    def table(values: Floats) -> csr_matrix:
        return csr_matrix((values, (cells.pair, cells.state)), shape=shape)

    ignored = table(np.clip(cells.shown - cells.clicks - cells.rejected, 0, None))
    return _Counts(table(cells.clicks), table(cells.rejected), ignored, cells.band)


def _weights(counts: _Counts, model: Fit) -> Floats:
    """Return the posterior over levels of each pair (pairs, levels)."""
    examination = np.clip(model.examination, LEAST_EXAMINATION, 1.0)[:, None]
    hit = np.log(examination * LEVELS)
    back = np.log(examination * (1 - LEVELS))
    miss = np.log1p(-examination * LEVELS)
    logs = counts.clicks @ hit + counts.rejected @ back + counts.ignored @ miss  # (pairs, levels)
    logs += np.log(np.clip(model.prior, 1e-300, None))[counts.band]
    logs -= logs.max(axis=1, keepdims=True)
    weights: Floats = np.exp(logs)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def _climb(counts: _Counts, model: Fit, *, rounds: int, keep_examination: bool) -> Fit:
    acted = _by_state(counts.clicks) + _by_state(counts.rejected)
    shown = acted + _by_state(counts.ignored)
    anchor, done = model.examination, 0
    for done in range(1, rounds + 1):  # noqa: B007 - how many rounds it took is recorded
        weights = _weights(counts, model)
        examination = model.examination
        if not keep_examination:
            examined = _examined(counts, model, weights) + acted + ANCHOR_IMPRESSIONS * anchor
            examination = np.clip(examined / (shown + ANCHOR_IMPRESSIONS), LEAST_EXAMINATION, 1)
        moved = float(np.abs(examination - model.examination).max(initial=0.0))
        changed = Fit(examination, _prior(weights, counts.band, bands=len(model.prior)))
        settled = float(np.abs(changed.prior - model.prior).max()) < TOLERANCE
        model = changed
        if moved < TOLERANCE and settled:
            break
    return replace(model, rounds=done)


def _by_state(table: csr_matrix) -> Floats:
    return np.asarray(table.sum(axis=0), dtype=np.float64).ravel()


def _examined(counts: _Counts, model: Fit, weights: Floats) -> Floats:
    """Return how many of each state's impressions without a click were looked at, in expectation."""
    looked = model.examination[:, None] * (1 - LEVELS) / np.clip(1 - model.examination[:, None] * LEVELS, 1e-12, None)
    examined: Floats = ((counts.ignored.T @ weights) * looked).sum(axis=1)
    return examined


def _prior(weights: Floats, band: Integers, *, bands: int) -> Floats:
    overall = weights.sum(axis=0) / max(len(weights), 1) + LEAST_PRIOR
    sums = np.repeat(BAND_PSEUDO_PAIRS * overall[None, :], bands, axis=0)
    members = csr_matrix((np.ones(len(band)), (band, np.arange(len(band)))), shape=(bands, len(band)))
    sums += members @ weights
    prior: Floats = sums / sums.sum(axis=1, keepdims=True)
    return prior
