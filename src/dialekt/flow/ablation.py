"""What each source of training material contributes: the journey again without it, on the same test queries."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dialekt.config import Config
from dialekt.errors import ConfigError
from dialekt.flow.journey import run
from dialekt.flow.project import Project
from dialekt.flow.records import Observer, StageName, StageRecord
from dialekt.flow.scores import read_ndcg
from dialekt.types import PairSource, Retriever

SYSTEM = "tuned"


@dataclass(frozen=True, slots=True)
class Contribution:
    """What leaving a source out does to the tuned model: NDCG@10 without it, and everything minus that.

    `count` counts the pairs or negatives of the source; `low` and `high` bound the difference, paired by test query.
    """

    source: str
    count: int
    ndcg_without: float
    difference: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True, slots=True)
class Ablation:
    """The contributions of all sources, beside the tuned model and the base model with NDCG@10 of both."""

    queries: int
    pairs: int
    ndcg: float
    base_ndcg: float
    confidence: float
    contributions: tuple[Contribution, ...]


@dataclass(frozen=True, slots=True)
class _Source:
    """Something that training can do without: how much of it there is, and the configuration without it."""

    name: str
    count: int
    without: Config


def ablate_sources(project: Project, *, observer: Observer) -> Ablation:
    """Walk the journey up to the evaluation with all sources, then without each; what was done before is skipped.

    Sources are those of the pairs, the weak negatives of a log, and a teacher that was used. Raises `ConfigError` where
    there is nothing that training could do without.
    """
    whole = _walk(project, observer)
    sources = _sources(project.config, whole)
    if not sources:
        raise ConfigError(
            "all training examples come from one source: there is nothing to leave out",
            hint="add logs ([logs] path), made queries ([synthesis] generators) or judgments",
        )
    scores = read_ndcg(whole[StageName.EVALUATION].folder)
    contributions = tuple(_leave_out(project, observer, source, scores) for source in sources)
    return Ablation(
        queries=len(scores[SYSTEM]),
        pairs=whole[StageName.PAIRS].facts["pairs"],
        ndcg=float(scores[SYSTEM].mean()),
        base_ndcg=float(scores["base"].mean()),
        confidence=project.config.evaluation.confidence,
        contributions=contributions,
    )


def _sources(config: Config, whole: Mapping[StageName, StageRecord]) -> list[_Source]:
    """Return what can be left out; the only source of pairs cannot."""
    pairs = whole[StageName.PAIRS].facts
    by_source = pairs["by_source"] if len(pairs["by_source"]) > 1 else {}
    found = [_Source(name, count, _without(config, PairSource(name))) for name, count in by_source.items()]
    if weak := pairs["known_negatives"].get(Retriever.SKIPPED.value):
        logs = config.logs.model_copy(update={"skip_above": False})
        found.append(_Source("weak negatives", weak, config.model_copy(update={"logs": logs})))
    teacher = whole.get(StageName.TEACHER)
    if teacher is not None and teacher.facts["used"]:
        none = config.teacher.model_copy(update={"model": None})
        training = config.training.without_scores()
        without = config.model_copy(update={"teacher": none, "training": training})
        found.append(_Source("teacher", teacher.facts["scored"], without))
    return found


def _leave_out(
    project: Project, observer: Observer, source: _Source, scores: Mapping[str, NDArray[np.float64]]
) -> Contribution:
    from dialekt.evaluation.comparison import Settings, compare
    from dialekt.measures.metrics import NDCG

    without = _walk(replace(project, config=source.without), observer)
    other = read_ndcg(without[StageName.EVALUATION].folder)[SYSTEM]
    settings = project.config.evaluation
    found = compare(
        {"all": {NDCG: scores[SYSTEM]}, "without": {NDCG: other}},
        [("all", "without", NDCG)],
        Settings(settings.confidence, settings.resamples, project.config.project.seed),
    )[0]
    return Contribution(
        source=source.name,
        count=source.count,
        ndcg_without=float(other.mean()),
        difference=found.difference,
        low=found.low,
        high=found.high,
        p_value=found.p_value,
    )


def _without(config: Config, source: PairSource) -> Config:
    pairs = config.pairs.model_copy(update={"leave_out": (*config.pairs.leave_out, source)})
    return config.model_copy(update={"pairs": pairs})


def _walk(project: Project, observer: Observer) -> dict[StageName, StageRecord]:
    return {record.stage: record for record in run(project, observer=observer, until=StageName.EVALUATION)}
