"""Measure every system on the held-out test queries, compare them, and say which one to deploy."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.config import EvaluationConfig
from dialekt.evaluation import leaks
from dialekt.evaluation.comparison import (
    Recommendation,
    Settings,
    compare_all,
    largest_changes,
    mean_intervals,
    measured_deviation,
    measured_effect,
    recommend,
)
from dialekt.evaluation.general.measure import GeneralScores, general_facts
from dialekt.evaluation.held import read_held
from dialekt.evaluation.records import EvaluationFacts, Histogram, LeakFacts, QueryScore, SystemResult, Threshold
from dialekt.evaluation.similarity import histogram, measure_cosines, separation
from dialekt.evaluation.slices import SliceSources, slice_queries
from dialekt.evaluation.systems import Held, Plan, System, build_systems
from dialekt.evaluation.thresholds import calibrate
from dialekt.evaluation.unjudged import unjudged_facts
from dialekt.measures.metrics import METRICS, NDCG, score_run
from dialekt.measures.retrieval import Collection, read_collection, rows_of_queries
from dialekt.measures.runs import write_run
from dialekt.models.vectors import load_vectors
from dialekt.store.atomic import disk_errors, write_atomic
from dialekt.store.tables import write_records
from dialekt.types import Progress, ReportProgress, no_progress

STAGE_VERSION = 4
_DEEPEST_CUTOFF = 100
MADE_QUERIES_REASON = (
    "the test queries were made from documents, so these scores say how well such queries find their documents, and "
    "nothing about people's queries; judge some real queries, a few hundred if you can, and run again"
)
_BASELINES = ("bm25", "base", "hybrid_base")
_DENSE = ("base", "tuned")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationInputs:
    """Folders of the artefacts. Without `tuned_vectors` only the baselines are measured.

    Without `pairs` and `negatives` the leak check has nothing to compare with the held-out side. Without `logs` nobody
    knows how frequent a query is.
    `matryoshka_dimensions` may contain the full dimension; it is measured once. `made_queries` says that the test
    queries were made from documents. `labels` is a file of what people said of top results, whether it is there or not.
    `general` holds the scores of general queries before and after tuning.
    """

    corpus: Path
    split: Path
    base_vectors: Path
    tuned_vectors: Path | None = None
    pairs: Path | None = None
    negatives: Path | None = None
    logs: Path | None = None
    labels: Path | None = None
    general: GeneralScores | None = None
    matryoshka_dimensions: tuple[int, ...] = ()
    made_queries: bool = False
    seed: int = 13
    minimum_grade: float = 1.0
    near_duplicate_similarity: float = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What was measured before anything is compared."""

    systems: Sequence[System]
    scores: Mapping[str, Mapping[str, NDArray[np.float64]]]
    similarity: dict[str, Histogram]
    separation: dict[str, float]


def run(
    config: EvaluationConfig,
    inputs: EvaluationInputs,
    out: Path,
    *,
    progress: ReportProgress = no_progress,
) -> EvaluationFacts:
    """Write runs/<system>.run.gz, scores.parquet and results.json, and return the facts.

    Raises `LeakError` before anything is measured when held-out queries or documents reached training,
    `InputError` when there are no test queries, `StorageError` when vectors and corpus do not fit.
    """
    checked = leaks.check(
        corpus=inputs.corpus,
        split=inputs.split,
        pairs=inputs.pairs,
        negatives=inputs.negatives,
        minimum_grade=inputs.minimum_grade,
        near_duplicate_similarity=inputs.near_duplicate_similarity,
    )
    held = read_held(inputs.split, labels=inputs.labels, minimum_grade=inputs.minimum_grade)
    collection = read_collection(inputs.corpus)
    measured = _measure(config, inputs, collection, held, out, progress=progress)
    write_records(out / "scores.parquet", _query_scores(held, measured), QueryScore)
    facts = _facts(config, inputs, collection, held, measured, leak_facts=checked)
    write_atomic(out / "results.json", json.dumps(asdict(facts), indent=2, ensure_ascii=False) + "\n")
    return facts


def _measure(
    config: EvaluationConfig,
    inputs: EvaluationInputs,
    collection: Collection,
    held: Held,
    out: Path,
    *,
    progress: ReportProgress,
) -> Measured:
    plan = Plan(
        base_vectors=inputs.base_vectors,
        tuned_vectors=inputs.tuned_vectors,
        dimensions=inputs.matryoshka_dimensions,
        depth=max(config.depth, _DEEPEST_CUTOFF),
        rank_constant=config.hybrid_rank_constant,
    )
    runs = out / "runs"
    with disk_errors(runs):
        runs.mkdir(parents=True, exist_ok=True)
    systems, scores = [], {}
    for number, system in enumerate(build_systems(collection, held, plan, progress=progress), start=1):
        write_run(runs / f"{system.name}.run.gz", system.run, system=system.name)
        scores[system.name] = score_run(system.run, held.judgments)
        systems.append(system)
        progress(Progress("evaluate", number, note=f"{system.name} {scores[system.name][NDCG].mean():.3f}"))
    similarity, auc = _similarity(inputs, collection, held, systems)
    return Measured(systems, scores, similarity, auc)


def _similarity(
    inputs: EvaluationInputs, collection: Collection, held: Held, systems: Sequence[System]
) -> tuple[dict[str, Histogram], dict[str, float]]:
    runs = {system.name: system.run for system in systems}
    histograms: dict[str, Histogram] = {}
    separations: dict[str, float] = {}
    for name, folder in (("base", inputs.base_vectors), ("tuned", inputs.tuned_vectors)):
        if folder is None:
            continue
        vectors = load_vectors(folder)
        cosines = measure_cosines(
            collection,
            held.judgments,
            runs[name],
            query_vectors=rows_of_queries(vectors, held.test),
            document_vectors=vectors.document_vectors,
        )
        histograms[f"{name}_positives"] = histogram(cosines.positives)
        histograms[f"{name}_negatives"] = histogram(cosines.negatives)
        separations[name] = separation(cosines)
    return histograms, separations


def _query_scores(held: Held, measured: Measured) -> Iterator[QueryScore]:
    for system, metrics in measured.scores.items():
        for metric, values in metrics.items():
            for query, value in zip(held.test, values.tolist(), strict=True):
                yield QueryScore(query.id, system, metric, value)


def _facts(
    config: EvaluationConfig,
    inputs: EvaluationInputs,
    collection: Collection,
    held: Held,
    measured: Measured,
    *,
    leak_facts: LeakFacts,
) -> EvaluationFacts:
    settings = Settings(config.confidence, config.resamples, inputs.seed)
    scores = measured.scores
    results = mean_intervals(scores, settings)
    baseline = _strongest_baseline(measured)
    comparisons = compare_all(scores, strongest_baseline=baseline, settings=settings)
    effect = measured_effect(scores, settings)
    advice = (
        Recommendation("base", MADE_QUERIES_REASON)
        if inputs.made_queries
        else recommend(comparisons, results, effect=effect)
    )
    wins, losses = largest_changes([query.id for query in held.test], scores, most=config.wins_and_losses)
    return EvaluationFacts(
        queries=len(held.test),
        documents=len(collection.document_ids),
        systems=tuple(
            SystemResult(item.name, item.dimension, results[item.name], item.fusion, item.dev_score)
            for item in measured.systems
        ),
        comparisons=comparisons,
        minimum_detectable_effect=effect,
        standard_deviation=measured_deviation(scores),
        recommendation=advice.system,
        recommendation_reason=advice.reason,
        strongest_baseline=baseline,
        similarity=measured.similarity,
        separation=measured.separation,
        wins=wins,
        losses=losses,
        leaks=leak_facts,
        confidence=config.confidence,
        resamples=config.resamples,
        dev_queries=len(held.dev),
        made_queries=inputs.made_queries,
        metrics=METRICS,
        warnings=tuple(_warnings(held, collection)),
        slices=slice_queries(_slice_sources(config, inputs), collection, held, scores, settings=settings),
        unjudged=unjudged_facts({item.name: item.run for item in measured.systems}, held.judgments, settings),
        thresholds=tuple(_thresholds(config, held, measured, settings)),
        labels=held.labels,
        general=None
        if inputs.general is None
        else general_facts(inputs.general, settings, limit=config.max_general_loss),
    )


def _slice_sources(config: EvaluationConfig, inputs: EvaluationInputs) -> SliceSources:
    return SliceSources(inputs.corpus, inputs.pairs, inputs.logs, config.slice_fields)


def _thresholds(config: EvaluationConfig, held: Held, measured: Measured, settings: Settings) -> Iterator[Threshold]:
    """Calibrate the base and the tuned model; without dev queries there is nothing to choose on."""
    for system in measured.systems:
        if system.name in _DENSE and held.dev and system.dev_run is not None:
            yield calibrate(
                system.name,
                system.dev_run,
                system.run,
                held.judgments,
                target=config.threshold_precision,
                settings=settings,
            )


def _strongest_baseline(measured: Measured) -> str:
    """Return the best of BM25, base and base hybrid on dev; without dev queries on test, which favors the baseline."""

    def strength(name: str) -> float:
        system = next(system for system in measured.systems if system.name == name)
        on_test = float(measured.scores[name][NDCG].mean())
        return on_test if system.dev_score is None else system.dev_score

    return max(_BASELINES, key=strength)


def _warnings(held: Held, collection: Collection) -> Iterator[str]:
    if not held.dev:
        yield "there are no dev queries: hybrids are plain reciprocal rank fusion"
    known = frozenset(collection.document_ids)
    missing = sum(document_id not in known for query in held.test for document_id in held.judgments.positives(query.id))
    if missing:
        yield f"{missing} positives of test queries are not in the corpus; they count as not found"
