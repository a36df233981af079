"""Is the gain the luck of one training? The journey again with other seeds, on the same test queries."""

from dataclasses import replace
from typing import TYPE_CHECKING

from dialekt.errors import UsageError
from dialekt.flow.journey import run
from dialekt.flow.project import Project
from dialekt.flow.records import Observer, StageName, StageRecord
from dialekt.flow.scores import read_ndcg
from dialekt.flow.teaching import training_seed

if TYPE_CHECKING:
    from dialekt.evaluation.seeds import SeedFacts

SYSTEM = "tuned"


def repeat_training(project: Project, *, seeds: int, observer: Observer) -> "SeedFacts":
    """Walk the journey up to the evaluation with `seeds` seeds of the training; what was done before is skipped.

    Only training and what follows from it depends on that seed: split, pairs and negatives stay. Raises `UsageError`
    for fewer than two seeds.
    """
    import numpy as np

    from dialekt.evaluation.comparison import Settings
    from dialekt.evaluation.seeds import compare_seeds

    if seeds < 2:
        raise UsageError(f"{seeds} seeds show no spread", hint="ask for at least two: --seeds 3")
    config = project.config
    first = training_seed(config)
    chosen = range(first, first + seeds)
    scores = [read_ndcg(_walk(project, seed, observer).folder) for seed in chosen]
    return compare_seeds(
        chosen,
        scores[0]["base"],
        np.stack([found[SYSTEM] for found in scores]),
        minimum_gain=config.registry.minimum_gain,
        settings=Settings(config.evaluation.confidence, config.evaluation.resamples, config.project.seed),
    )


def _walk(project: Project, seed: int, observer: Observer) -> StageRecord:
    training = project.config.training.model_copy(update={"seed": seed})
    seeded = replace(project, config=project.config.model_copy(update={"training": training}))
    return run(seeded, observer=observer, until=StageName.EVALUATION)[-1]
