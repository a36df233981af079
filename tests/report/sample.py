"""Stored facts as a run leaves them: a good one, one where tuning does not help, and one with hardly anything in it."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from tests.report.depth import general, similarity, slices, thresholds, unjudged

from dialekt.config import Config
from dialekt.evaluation.records import (
    Comparison,
    EvaluationFacts,
    Fusion,
    FusionMethod,
    LeakFacts,
    QueryChange,
    SystemResult,
)
from dialekt.measures.metrics import METRICS, NDCG
from dialekt.report.records import ChangeTexts, ReportInputs
from dialekt.types import Interval

QUERIES = 812
DIMENSIONS = (384, 192, 96)
GOOD = {"base": 0.504, "bm25": 0.471, "hybrid_base": 0.536, "tuned": 0.571, "hybrid_tuned": 0.588}
BAD = {"base": 0.655, "bm25": 0.642, "hybrid_base": 0.681, "tuned": 0.652, "hybrid_tuned": 0.678}
FACTORS = {NDCG: 1.0, "MRR@10": 0.94, "Recall@10": 1.21, "Recall@100": 1.5}


def _result(system: str, value: float, dimension: int | None, queries: int) -> SystemResult:
    metrics = {}
    for metric in METRICS:
        mean = min(value * FACTORS[metric], 0.97)
        half = 1.96 * 0.38 / queries**0.5
        metrics[metric] = Interval(mean, max(mean - half, 0.0), min(mean + half, 1.0))
    fusion = Fusion(FusionMethod.CONVEX, 0.35, 60, value + 0.01, 402) if system.startswith("hybrid") else None
    return SystemResult(system, dimension, metrics, fusion, value + 0.008)


def _systems(means: Mapping[str, float], queries: int) -> tuple[SystemResult, ...]:
    results = [_result(name, mean, None if name == "bm25" else DIMENSIONS[0], queries) for name, mean in means.items()]
    losses = {192: (0.012, 0.004), 96: (0.047, 0.017)}
    for dimension, (base_loss, tuned_loss) in losses.items():
        for name, loss in (("base", base_loss), ("tuned", tuned_loss)):
            if name in means:
                results.append(_result(f"{name}@{dimension}", means[name] - loss, dimension, queries))
    return tuple(results)


def _comparison(means: Mapping[str, float], system: str, against: str, metric: str, queries: int) -> Comparison:
    difference = (means[system] - means[against]) * FACTORS[metric]
    half = 1.96 * 0.19 / queries**0.5
    p_value = 0.0001 if abs(difference) > 1.6 * half else 0.031 if abs(difference) > half else 0.417
    wins = int(queries * (0.27 + difference))
    losses = int(queries * (0.27 - difference))
    low, high = difference - half, difference + half
    return Comparison(system, against, metric, difference, low, high, p_value, wins, losses, queries - wins - losses)


def _changes(sign: int) -> tuple[QueryChange, ...]:
    generator = np.random.default_rng(11 + sign)
    changes = []
    for number in range(20):
        low, gain = sorted((float(generator.uniform(0, 0.4)), float(generator.uniform(0.2, 1.0) * (1 - number / 30))))
        before, after = (low, min(low + gain, 1.0)) if sign > 0 else (min(low + gain, 1.0), low)
        changes.append(
            QueryChange(
                f"{'pandas.DataFrame' if number % 3 else 'torch.nn'}.{number * 37 % 101}", before, after, after - before
            )
        )
    return tuple(sorted(changes, key=lambda change: -sign * change.difference))


def evaluation_facts(
    means: Mapping[str, float], *, recommendation: str, reason: str, queries: int = QUERIES
) -> EvaluationFacts:
    """Return what an evaluation with these NDCG@10 means would have found."""
    wanted = [
        ("tuned", "base"),
        ("tuned", "bm25"),
        ("hybrid_tuned", "base"),
        ("hybrid_tuned", "hybrid_base"),
        ("hybrid_tuned", "tuned"),
        ("hybrid_base", "base"),
    ]
    pairs = [(system, against) for system, against in wanted if system in means and against in means]
    tuned = "tuned" in means
    return EvaluationFacts(
        queries=queries,
        documents=19_204,
        systems=_systems(means, queries),
        comparisons=tuple(_comparison(means, *pair, metric, queries) for metric in METRICS for pair in pairs),
        minimum_detectable_effect=2.8 * 0.19 / queries**0.5,
        standard_deviation=0.19,
        recommendation=recommendation,
        recommendation_reason=reason,
        strongest_baseline=max(
            (name for name in ("bm25", "base", "hybrid_base") if name in means), key=lambda name: means[name]
        ),
        similarity=similarity(separated=means["tuned"] > means["base"]) if tuned else {},
        separation={"base": 0.684, "tuned": 0.873 if means["tuned"] > means["base"] else 0.684} if tuned else {},
        wins=_changes(1) if tuned else (),
        losses=_changes(-1) if tuned else (),
        leaks=LeakFacts(5_683, 1_218, 1_104, 5_683, 22_104, 0.9),
        dev_queries=402,
    )


def training_facts(*, base: float, best: float, share: float) -> dict[str, Any]:
    """Return the facts of a training stage with its curves, as JSON holds them."""
    generator = np.random.default_rng(3)
    steps = 178
    curve: list[dict[str, Any]] = []
    for step in range(0, steps + 1, 2):
        loss = 0.35 + 1.5 * float(np.exp(-step / 40)) + float(generator.normal(0, 0.04))
        curve.append(
            {
                "step": step,
                "epoch": step / 89,
                "seconds": step * 1.48,
                "loss": loss,
                "learning_rate": 2e-5,
                "dev_ndcg": None,
            }
        )
    for step in (30, 60, 90, 120, 150, 178):
        value = base + (best - base) * (1 - float(np.exp(-step / 45))) / (1 - float(np.exp(-150 / 45)))
        value = best if step == 150 else value - (0.004 if step > 150 else 0.0)
        curve.append(
            {
                "step": step,
                "epoch": step / 89,
                "seconds": step * 1.48 + 0.4,
                "loss": None,
                "learning_rate": None,
                "dev_ndcg": value,
            }
        )
    mixtures = [
        {"share": one, "dev_ndcg": base + (best - base) * (1 - (one - share) ** 2 * (1.4 if one < share else 0.9))}
        for one in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    ]
    return {
        "pairs": 5_683,
        "queries": 5_683,
        "steps": steps,
        "epochs": 2.0,
        "batch_size": 64,
        "queries_per_document": 1,
        "learning_rate": 2e-5,
        "precision": "bf16",
        "device": "cpu",
        "loss": "multiple negatives ranking inside Matryoshka [384, 192, 96]",
        "hard_negatives": 1,
        "max_query_tokens": 48,
        "max_document_tokens": 128,
        "seconds": 264.3,
        "pairs_per_second": 43.1,
        "base_dev_ndcg": base,
        "best_dev_ndcg": best,
        "best_step": 150,
        "interpolation": share,
        "mixtures": mixtures,
        "stopped_early": False,
        "resumed": False,
        "curve": curve,
        "warnings": [],
        "derived": {
            "epochs": {"value": 2.0, "why": "5,683 pairs: two passes fit the time and more did not help at this size"},
            "batch_size": {"value": 64, "why": "the largest that fits 4.1 GB with documents of 128 tokens"},
            "learning_rate": {"value": 2e-5, "why": "a pre-trained encoder of 22.7 M weights at batch size 64"},
            "precision": {"value": "bf16", "why": "this processor multiplies bf16 matrices in hardware"},
            "max_document_tokens": {"value": 128, "why": "95% of the training documents are shorter than 121 tokens"},
        },
    }


def stage_facts(evaluation: EvaluationFacts, training: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the facts of a whole journey by stage name."""
    vectors = {
        "documents": 19_204,
        "queries": 6_901,
        "dimension": 384,
        "tokens": 2_411_870,
        "seconds": 71.2,
        "tokens_per_second": 33_874.6,
    }
    return {
        "judgments": {
            "format": "beir",
            "queries": 7_024,
            "qrels": 7_310,
            "inline_documents": 0,
            "given_negatives": 0,
            "splits_given": {},
            "dropped": {"unknown_document": 12, "no_positive": 0},
            "warnings": [],
        },
        "corpus": {
            "format": "beir",
            "files": 1,
            "documents": 19_210,
            "chunks": 19_204,
            "chunk_tokens": None,
            "empty_dropped": 6,
            "exact_duplicates": 41,
            "near_duplicates": 318,
            "truncated_documents": 0,
            "characters": 9_882_114,
            "median_tokens": 96,
            "dropped": {"empty": 6},
            "warnings": [],
        },
        "split": {
            "method": "grouped",
            "queries": {"train": 5_683, "dev": 402, "test": QUERIES},
            "positives": {"train": 5_911, "dev": 420, "test": 851},
            "held_out_documents": 1_104,
            "near_duplicate_queries_removed": 111,
            "query_clusters": 6_612,
            "minimum_detectable_effect": 0.0295,
            "assumed_standard_deviation": 0.3,
            "dropped": {"near_duplicate_of_held_out": 111},
            "warnings": [],
        },
        "pairs": {
            "pairs": 5_683,
            "queries": 5_683,
            "documents": 5_590,
            "by_source": {"qrels": 5_683},
            "dropped": {},
            "warnings": [],
        },
        "base_vectors": vectors,
        "negatives": {
            "queries": 5_683,
            "negatives": 22_104,
            "queries_without": 17,
            "queries_short": 203,
            "candidates": 711_695,
            "found_by_several": 88_120,
            "mean_rank": 8.36,
            "kept_by_retriever": {"given": 0, "dense": 14_902, "bm25": 7_202},
            "dropped": {
                "positive": 5_390,
                "near_duplicate": 702,
                "held_out": 20_118,
                "above_margin": 61_377,
                "not_sampled": 602_004,
            },
            "warnings": ["17 queries have no hard negative: every candidate was barred"],
        },
        "training": training,
        "tuned_vectors": vectors | {"queries": 1_218, "seconds": 68.9, "tokens_per_second": 34_100.2},
        "evaluation": asdict(evaluation),
        "registry": {"version": "v3", "content_id": "9f2c41d07be1a6c3", "promotable": True},
    }


SECONDS = {
    "judgments": 0.6,
    "corpus": 3.2,
    "split": 2.9,
    "pairs": 1.4,
    "base_vectors": 71.2,
    "negatives": 12.8,
    "training": 264.3,
    "tuned_vectors": 68.9,
    "evaluation": 17.5,
    "registry": 1.1,
}


def _inputs(evaluation: EvaluationFacts, training: dict[str, Any]) -> ReportInputs:
    return ReportInputs(
        project="python-docs",
        created="2025-06-14T09:41:00+00:00",
        config=Config().model_dump(mode="json"),
        facts=stage_facts(evaluation, training),
        seconds=SECONDS,
        commands=("dialekt run --config dialekt.toml --set project.seed=13", "dialekt report --open"),
        ids={stage: f"{number:x}7c1e4ab90d25f3{number:x}" * 4 for number, stage in enumerate(SECONDS)},
        versions={
            "dialekt": "0.1.0",
            "python": "3.11.9",
            "torch": "2.7.1",
            "sentence-transformers": "6.2.0",
            "transformers": "5.0.1",
        },
    )


def good() -> ReportInputs:
    """A run in which tuning helps, and the tuned hybrid most."""
    reason = (
        "hybrid_tuned beats the strongest baseline on the test queries, and no simpler system comes within the interval"
    )
    evaluation = replace(
        evaluation_facts(GOOD, recommendation="hybrid_tuned", reason=reason),
        slices=slices(0.067),
        general=general(-0.008),
        unjudged=unjudged(GOOD, _comparison(GOOD, "tuned", "base", NDCG, QUERIES), meaningful=False),
        thresholds=thresholds(),
        labels=112,
    )
    return _inputs(evaluation, training_facts(base=0.512, best=0.579, share=0.8))


def good_with_texts() -> ReportInputs:
    """The good run of someone who asked for texts."""
    inputs = good()
    change = inputs.facts["evaluation"]["wins"][0]
    texts = ChangeTexts(
        "Return the first n rows ordered by columns in descending order.",
        "DataFrame.head: this function returns the first n rows for the object based on position. " * 8,
        "DataFrame.nlargest: return the first n rows with the largest values in columns, in descending order.",
    )
    return replace(inputs, texts={change["query_id"]: texts})


def bad() -> ReportInputs:
    """A run in which tuning does not help: the base hybrid stays."""
    reason = "no tuned system is significantly better than hybrid_base, which needs no tuned model"
    evaluation = replace(
        evaluation_facts(BAD, recommendation="hybrid_base", reason=reason),
        slices=slices(-0.003, losing="1-2 words"),
        general=general(-0.052),
        unjudged=unjudged(BAD, _comparison(BAD, "tuned", "base", NDCG, QUERIES), meaningful=True),
        thresholds=thresholds(),
    )
    inputs = _inputs(evaluation, training_facts(base=0.661, best=0.664, share=0.2))
    warnings = ("only 812 test queries: differences below 0.019 stay invisible",)
    return replace(inputs, facts={**inputs.facts, "evaluation": asdict(replace(evaluation, warnings=warnings))})


def forgetful() -> ReportInputs:
    """A run in which the domain gains and the general world loses too much."""
    inputs = good()
    evaluation = dict(inputs.facts["evaluation"]) | {"general": asdict(general(-0.071))}
    return replace(inputs, facts={**inputs.facts, "evaluation": evaluation})


def sparse() -> ReportInputs:
    """A run of nine test queries with no tuned model: the intervals are all that a metric can be."""
    evaluation = evaluation_facts({"base": 0.41, "bm25": 0.52}, recommendation="bm25", reason="", queries=9)
    wide = [replace(one, metrics={NDCG: Interval(one.metrics[NDCG].value, 0.0, 1.0)}) for one in evaluation.systems[:2]]
    tiny = replace(evaluation, systems=tuple(wide), comparisons=(), separation={}, documents=40, metrics=(NDCG,))
    return ReportInputs(
        project="tiny",
        created="2025-06-14",
        config={},
        facts={
            "evaluation": asdict(tiny),
            "split": {
                "queries": {"train": 3, "test": 9},
                "positives": {},
                "warnings": ["9 test queries prove nothing"],
            },
        },
        seconds={},
        commands=(),
    )


def nothing() -> ReportInputs:
    """A project in which no stage has run."""
    return ReportInputs(project="empty", created="", config={}, facts={}, seconds={}, commands=())


SAMPLES = {
    "good": good,
    "texts": good_with_texts,
    "bad": bad,
    "forgetful": forgetful,
    "sparse": sparse,
    "nothing": nothing,
}


def write_samples(folder: Path) -> None:
    """Write every sample's report into its own folder: to be looked at in a browser."""
    from dialekt.report.page import write_report

    for name, make in SAMPLES.items():
        write_report(make(), folder / name)
