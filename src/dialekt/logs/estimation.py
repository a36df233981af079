"""From counts to relevance: fit the click model on a sample of queries, check it, then judge every pair of the log."""

from dataclasses import dataclass, replace
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dialekt.config import ClickModel, LogsConfig
from dialekt.errors import ConfigError
from dialekt.logs.click_models import (
    LEVELS,
    Cells,
    Fit,
    click_probability,
    fit,
    fit_prior,
    posterior,
    relevance_threshold,
)
from dialekt.logs.collapse import DISTANCES, LAST_BUCKET, STATES, Period, starting_examination
from dialekt.logs.records import EvidencePlan
from dialekt.types import Progress, ReportProgress

FIT_CELLS = 300_000  # counts in memory while fitting; a larger log is fitted on a sample of its queries
CHUNK_CELLS = 400_000  # counts in memory while judging
BAND_BOUNDS = (0.0, 2.5, 4.5, 7.5, 15.0)  # of the mean rank; band 0 is for pairs without a rank
BANDS = len(BAND_BOUNDS) + 1
DECIMALS = 3  # of perplexity: a smaller gain is no reason for the model with more parameters
POPULARITY_PSEUDO = 1.0  # impressions at the rank's click rate, added to a pair's own

Floats = NDArray[np.float64]
Table = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Estimate:
    """The fitted model, the threshold of relevance it implies, and how it fared on held-out searches.

    `perplexity` is by method, `rank_perplexity` by method and bucket; both empty when nothing could be held out.
    """

    model: Fit
    click_model: ClickModel
    threshold: float
    base_relevance: float
    attractive: tuple[float, float]
    pairs: int
    perplexity: dict[str, float]
    rank_perplexity: dict[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class _Sample:
    """Cells for the fit, the same without their held-out searches, and the held-out searches alone."""

    whole: Cells
    kept: Cells
    held: Cells


def estimate(connection: duckdb.DuckDBPyConnection, config: LogsConfig, plan: EvidencePlan) -> Estimate:
    """Fit the click model of the settings on the searches before the cuts."""
    if config.click_model is ClickModel.INVERSE_PROPENSITY and not plan.shape.propensities_known:
        raise ConfigError(
            "logs.click_model = 'inverse_propensity' needs propensities, and the log has none",
            hint="set logs.propensity_column, or logs.click_model = 'auto'",
        )
    sample = _sample(connection)
    rates = _click_rates(sample.whole)
    start = starting_examination(config, rates)
    candidates = {name: _fit(name, sample, start, plan) for name in _models(config, plan)}
    predictions = {name.value: _predict(sample, model) for name, model in candidates.items()}
    predictions |= _baselines(sample)
    perplexity = {name: _perplexity(sample.held, found) for name, found in predictions.items()}
    chosen = min(candidates, key=lambda name: round(perplexity[name.value], DECIMALS))  # the simpler one on a tie
    model = candidates[chosen]
    prior = _mean_prior(sample.whole, model)
    threshold = config.minimum_relevance if config.minimum_relevance is not None else relevance_threshold(prior)
    held_out = bool(sample.held.shown.sum())
    return Estimate(
        model=model,
        click_model=chosen,
        threshold=threshold,
        base_relevance=float(prior @ LEVELS),
        attractive=_grade_cuts(prior, threshold),
        pairs=sample.whole.pairs,
        perplexity=perplexity if held_out else {},
        rank_perplexity={n: _by_bucket(sample.held, p) for n, p in predictions.items()} if held_out else {},
    )


def judge_pairs(
    connection: duckdb.DuckDBPyConnection, config: LogsConfig, found: Estimate, *, progress: ReportProgress
) -> None:
    """Make the table `estimates`: relevance, its bounds, certainty and expected examinations by pair and period."""
    connection.execute(
        "CREATE OR REPLACE TABLE estimates (query_no BIGINT, document_no BIGINT, period INTEGER, relevance DOUBLE, "
        "lower_bound DOUBLE, certainty DOUBLE, examined DOUBLE)"
    )
    row = connection.execute("SELECT count(*) FROM cells").fetchone()
    parts = max((row[0] if row else 0) // CHUNK_CELLS, 0) + 1
    for part in range(parts):
        columns = connection.execute(f"{_CELLS} WHERE query_no % {parts} = {part}").fetchnumpy()
        if len(columns["pair"]):
            rows = _estimates(columns, config, found)
            connection.register("part_estimates", rows)
            connection.execute("INSERT INTO estimates SELECT * FROM part_estimates")
            connection.unregister("part_estimates")
        progress(Progress("judging pairs", part + 1, parts))


_CELLS = """SELECT query_no, document_no, period, state, shown, clicks, rejected, rank_sum, held_shown, held_clicks,
    held_rejected, dense_rank() OVER (ORDER BY query_no, document_no, period) - 1 AS pair FROM cells"""


def _estimates(columns: Table, config: LogsConfig, found: Estimate) -> pa.Table:
    cells = _cells(columns)
    result = posterior(cells, found.model)
    _, first = np.unique(cells.pair, return_index=True)
    return pa.table(
        {
            "query_no": columns["query_no"][first],
            "document_no": columns["document_no"][first],
            "period": columns["period"][first],
            "relevance": result.mean,
            "lower_bound": result.quantile(1 - config.confidence),
            "certainty": result.certainty(found.threshold),
            "examined": result.examined,
        }
    )


def _cells(columns: Table) -> Cells:
    pair = columns["pair"].astype(np.int64)
    state = columns["state"].astype(np.int64)
    ranked = np.ma.filled(np.ma.asarray(columns["rank_sum"]), 0.0).astype(np.float64)
    shown = columns["shown"].astype(np.float64)
    with_rank = np.bincount(pair, weights=shown * (ranked > 0))
    mean_rank = np.bincount(pair, weights=ranked) / np.clip(with_rank, 1, None)
    band = np.searchsorted(BAND_BOUNDS, mean_rank).astype(np.int64)  # (pairs,)
    return Cells(pair, state, shown, columns["clicks"].astype(np.float64), columns["rejected"].astype(np.float64), band)


def _sample(connection: duckdb.DuckDBPyConnection) -> _Sample:
    chosen = f"period = {int(Period.TRAIN)} AND credits = 0"
    row = connection.execute(f"SELECT count(*) FROM cells WHERE {chosen}").fetchone()
    step = max((row[0] if row else 0) // FIT_CELLS, 0) + 1
    columns = connection.execute(f"{_CELLS} WHERE {chosen} AND hash(query_no) % {step} = 0").fetchnumpy()
    whole = _cells(columns)
    held = replace(
        whole,
        shown=columns["held_shown"].astype(np.float64),
        clicks=columns["held_clicks"].astype(np.float64),
        rejected=columns["held_rejected"].astype(np.float64),
    )
    kept = replace(
        whole,
        shown=whole.shown - held.shown,
        clicks=whole.clicks - held.clicks,
        rejected=whole.rejected - held.rejected,
    )
    return _Sample(whole, kept, held)


def _models(config: LogsConfig, plan: EvidencePlan) -> tuple[ClickModel, ...]:
    if config.click_model is not ClickModel.AUTO:
        return (config.click_model,)
    if not plan.shape.ranks_known:
        return (ClickModel.POSITION_BASED,)
    return (ClickModel.POSITION_BASED, ClickModel.USER_BROWSING)


def _fit(name: ClickModel, sample: _Sample, start: Floats, plan: EvidencePlan) -> Fit:
    """Fit one model without the held-out searches; the position-based one has one state for each rank."""
    if name in {ClickModel.COEC, ClickModel.INVERSE_PROPENSITY} or not plan.shape.ranks_known:
        return fit_prior(sample.kept, examination=start, bands=BANDS)
    if name is ClickModel.USER_BROWSING:
        return fit(sample.kept, start=start, bands=BANDS)
    by_rank = replace(sample.kept, state=sample.kept.state // DISTANCES * DISTANCES)
    model = fit(by_rank, start=start, bands=BANDS)
    spread = model.examination[np.arange(STATES) // DISTANCES * DISTANCES]
    return replace(model, examination=spread)


def _mean_prior(cells: Cells, model: Fit) -> Floats:
    """Return the prior over all pairs, whatever their band."""
    shares = np.bincount(cells.band, minlength=BANDS) / max(cells.pairs, 1)
    prior: Floats = shares @ model.prior if cells.pairs else model.prior[0]
    return prior


def _grade_cuts(prior: Floats, threshold: float) -> tuple[float, float]:
    """Return the relevance from which a positive has grade 2 and 3: thirds of the way to the log's best."""
    attractive = np.where(threshold <= LEVELS, prior, 0)
    if not attractive.sum():
        return threshold, threshold
    top = float(LEVELS[np.searchsorted(np.cumsum(attractive) / attractive.sum(), 0.9)])
    return threshold + (top - threshold) / 3, threshold + 2 * (top - threshold) / 3


def _predict(sample: _Sample, model: Fit) -> Floats:
    return click_probability(sample.held, model, posterior(sample.kept, model).mean)


def _baselines(sample: _Sample) -> dict[str, Floats]:
    """Return the click rate of the rank, and of the pair smoothed with it: what needs no click model."""
    kept, held = sample.kept, sample.held
    rate = _click_rates(kept)[held.state // DISTANCES]
    shown = np.bincount(kept.pair, weights=kept.shown, minlength=kept.pairs)[held.pair]
    clicks = np.bincount(kept.pair, weights=kept.clicks, minlength=kept.pairs)[held.pair]
    popularity = (clicks + POPULARITY_PSEUDO * rate) / (shown + POPULARITY_PSEUDO)
    return {"popularity": popularity, "rank_only": rate}


def _click_rates(cells: Cells) -> Floats:
    """Return the raw click rate by bucket of the rank."""
    bucket = cells.state // DISTANCES
    shown = np.bincount(bucket, weights=cells.shown, minlength=LAST_BUCKET + 1)
    clicks = np.bincount(bucket, weights=cells.clicks, minlength=LAST_BUCKET + 1)
    return clicks / np.clip(shown, 1, None)


def _log_loss(held: Cells, probability: Floats) -> Floats:
    """Return the bits that the clicks of each cell cost under the predicted probabilities."""
    chance = np.clip(probability, 1e-6, 1 - 1e-6)
    bits: Floats = -(held.clicks * np.log2(chance) + (held.shown - held.clicks) * np.log2(1 - chance))
    return bits


def _perplexity(held: Cells, probability: Floats) -> float:
    """Return 2 to the mean bits per impression: 1 is perfect, 2 is a coin."""
    shown = float(held.shown.sum())
    return float(2 ** (_log_loss(held, probability).sum() / shown)) if shown else 1.0


def _by_bucket(held: Cells, probability: Floats) -> tuple[float, ...]:
    bucket = held.state // DISTANCES
    bits = np.bincount(bucket, weights=_log_loss(held, probability), minlength=LAST_BUCKET + 1)
    shown = np.bincount(bucket, weights=held.shown, minlength=LAST_BUCKET + 1)
    return tuple(float(value) for value in 2 ** (bits / np.clip(shown, 1, None)))
