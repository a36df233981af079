"""The journey with other seeds: only the training changes, and what was done is skipped."""

from pathlib import Path

import pytest

from dialekt.errors import UsageError
from dialekt.flow.journey import finished, plan
from dialekt.flow.project import open_project
from dialekt.flow.records import Action, SilentObserver, StageName
from dialekt.flow.seeding import repeat_training


def test_the_seed_of_the_project_changes_nothing(finished_project: Path) -> None:
    """A training whose own seed is the project's is the same training."""
    seed = open_project(finished_project).config.project.seed
    planned = plan(open_project(finished_project, overrides=(f"training.seed={seed}",)))
    assert {stage.action for stage in planned} == {Action.SKIP}


def test_another_seed_trains_again_on_the_same_pairs(finished_project: Path) -> None:
    """Everything before the training is skipped."""
    planned = plan(open_project(finished_project, overrides=("training.seed=99",)))
    first = next(stage for stage in planned if stage.action is not Action.SKIP)
    assert first.stage is StageName.TRAINING
    assert "training.seed" in first.reason


def test_two_seeds_are_compared_on_the_same_queries(project_copy: Path) -> None:
    """Both gains are there, the first is that of the finished journey, and the project's own journey stays done."""
    project = open_project(project_copy)
    found = repeat_training(project, seeds=2, observer=SilentObserver())
    records = {record.stage: record for record in finished(project)}
    facts = records[StageName.EVALUATION].facts
    gain = next(
        item["difference"]
        for item in facts["comparisons"]
        if (item["system"], item["against"], item["metric"]) == ("tuned", "base", "NDCG@10")
    )
    assert [run.seed for run in found.runs] == [project.config.project.seed, project.config.project.seed + 1]
    assert found.runs[0].gain == pytest.approx(gain)
    assert found.runs[1].ndcg != found.runs[0].ndcg
    assert found.queries == facts["queries"]
    assert StageName.REPORT in records


def test_one_seed_is_no_comparison(finished_project: Path) -> None:
    """A single seed has no spread."""
    with pytest.raises(UsageError, match="1 seeds show no spread"):
        repeat_training(open_project(finished_project), seeds=1, observer=SilentObserver())
