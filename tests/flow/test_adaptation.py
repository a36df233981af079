"""A journey that adapts the base model first: what is kept, what is skipped, and what says so."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from dialekt.errors import ConfigError
from dialekt.flow.adaptation_alone import adapt
from dialekt.flow.journey import plan, run
from dialekt.flow.project import Project, open_project
from dialekt.flow.records import Action, StageName, StageRecord, StageStatus
from dialekt.models.contract import read_contract
from dialekt.registry.versions import load_version

MLM = "adaptation.methods=['mlm']"
SHORT = ("adaptation.epochs=2", "adaptation.learning_rate=0.003", "adaptation.batch_size=16")
KEPT = (MLM, "adaptation.keep=always", "adaptation.judged_by=zero_shot", *SHORT)


def by_stage(records: tuple[StageRecord, ...]) -> dict[StageName, StageRecord]:
    """Return records by the names of their stages."""
    return {record.stage: record for record in records}


@pytest.fixture(scope="module")
def adapted(finished_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished project that adapts by guessing masked words, whatever dev says."""
    home = Path(shutil.copytree(finished_project, tmp_path_factory.mktemp("adapted") / "project"))
    project = open_project(home, overrides=KEPT)
    run(project)
    return project


def test_training_starts_from_what_was_kept(adapted: Project) -> None:
    """The stages before it are skipped, training is another one, and all is skipped the next time."""
    records = by_stage(run(adapted))
    assert {record.status for record in records.values()} == {StageStatus.SKIPPED}
    facts = records[StageName.ADAPTATION].facts
    assert (facts["kept"], facts["judged_by"], facts["documents"]) == (["mlm"], "zero_shot", 80)
    assert records[StageName.TRAINING].inputs["adaptation"]
    plain = by_stage(run(open_project(adapted.folder)))
    assert "adaptation" not in plain[StageName.TRAINING].inputs
    assert plain[StageName.TRAINING].folder != records[StageName.TRAINING].folder
    assert plain[StageName.BASE_VECTORS].folder == records[StageName.BASE_VECTORS].folder
    share_zero = [record.facts["mixtures"][0] for record in (plain[StageName.TRAINING], records[StageName.TRAINING])]
    assert share_zero[0]["dev_ndcg"] == pytest.approx(share_zero[1]["dev_ndcg"], abs=1e-6)


def test_card_and_report_say_what_the_documents_taught(adapted: Project) -> None:
    """The lineage names the adaptation; the card and the report show its gain; neither shows a text."""
    records = by_stage(run(adapted))
    version = load_version(adapted.config.registry.path, records[StageName.REGISTRY].facts["version"])
    lineage = version.lineage
    assert lineage.artefacts.adaptation == records[StageName.ADAPTATION].id
    assert [(one.method, one.passages) for one in lineage.recipe.adaptation] == [("mlm", 80)]
    gain = lineage.recipe.adaptation[0].gain
    assert gain is not None
    assert gain.value == records[StageName.ADAPTATION].facts["methods"][0]["verdict"]["gain"]
    card = (version.model / "README.md").read_text(encoding="utf-8")
    assert "First the base model learned from the documents alone" in card
    assert f"| adaptation | `{lineage.artefacts.adaptation}` |" in card
    report = (records[StageName.REPORT].folder / "report.md").read_text(encoding="utf-8")
    assert "Learning from documents alone" in report
    assert "Training started from what masked words made of it" in report
    first = load_version(adapted.config.registry.path, "v1")
    assert (first.lineage.artefacts.adaptation, first.lineage.recipe.adaptation) == ("", ())
    assert "documents alone" not in (first.model / "README.md").read_text(encoding="utf-8")


def test_what_dev_refuses_leaves_training_as_it_was(project_copy: Path) -> None:
    """A short training on the same pairs from both starts decides; other refused methods change nothing after it."""
    overrides = (MLM, *SHORT, "adaptation.minimum_gain=0.9", "training.epochs=1")
    facts = adapt(open_project(project_copy, overrides=overrides)).facts
    verdict = facts["methods"][0]["verdict"]
    assert (facts["judged_by"], facts["kept"]) == ("training", [])
    assert "after the same short training" in verdict["why"]
    assert verdict["before"] != verdict["after"]
    first = by_stage(run(open_project(project_copy, overrides=overrides), until=StageName.TRAINING))
    assert first[StageName.ADAPTATION].status is StageStatus.SKIPPED
    other = (*overrides, "adaptation.mask_share=0.5")
    second = by_stage(run(open_project(project_copy, overrides=other), until=StageName.TRAINING))
    assert second[StageName.ADAPTATION].status is StageStatus.DONE
    assert second[StageName.TRAINING].status is StageStatus.SKIPPED
    assert second[StageName.ADAPTATION].facts["methods"][0]["verdict"]["before"] == verdict["before"]


def test_the_short_training_reads_few_pairs(project_copy: Path) -> None:
    """Its size is a setting, and the pace of the machine no part of its key."""
    overrides = (MLM, *SHORT, "adaptation.probe_queries=10", "training.epochs=1")
    slow = (*overrides, "training.time_limit_minutes=5")
    record = adapt(open_project(project_copy, overrides=overrides))
    assert adapt(open_project(project_copy, overrides=slow)).id == record.id
    planned = plan(open_project(project_copy, overrides=(*overrides, "training.temperature=0.1")))
    again = next(one for one in planned if one.stage is StageName.ADAPTATION)
    assert again.action is Action.RUN
    assert "training.temperature" in again.reason


@pytest.fixture
def alone(tiny_model: Path, tmp_path: Path) -> Path:
    """A project with documents and nothing else."""
    home = tmp_path / "alone"
    (home / "data").mkdir(parents=True)
    words = ["water", "pump", "valve", "pressure", "oil", "filter", "motor", "belt"]
    for number in range(12):
        text = " ".join(words[(number * step) % 8] for step in range(1, 8))
        (home / "data" / f"{number}.txt").write_text(f"{text} phosphatidylserine number {number}", encoding="utf-8")
    settings = f'[corpus]\npath = "data"\n\n[model]\nbase = "{tiny_model}"\n'
    (home / "dialekt.toml").write_text(settings, encoding="utf-8")
    return home


def test_documents_alone_are_adapted_only_for_who_insists(alone: Path) -> None:
    """Without a query nothing is kept; unasked there is a model to start from, with the terms of its documents."""
    methods = "adaptation.methods=['vocabulary', 'mlm']"
    refused = adapt(open_project(alone, overrides=(methods, *SHORT)))
    assert refused.facts["kept"] == []
    assert refused.facts["warnings"] == ["nothing was adapted: there are no dev queries, and adaptation.keep is 'dev'"]
    assert not (refused.folder / "model").exists()
    kept = adapt(open_project(alone, overrides=(methods, *SHORT, "adaptation.keep=always")))
    assert kept.facts["kept"] == ["vocabulary", "mlm"]
    assert terms_of(kept) == 1
    assert read_contract(kept.folder / "model").max_tokens == 64
    started = (f"model.base={kept.folder / 'model'}", MLM, "adaptation.keep=always", *SHORT)
    assert adapt(open_project(alone, overrides=started)).facts["kept"] == ["mlm"]


def terms_of(record: StageRecord) -> Any:
    """Return how many tokens the vocabulary gained."""
    return record.facts["methods"][0]["fitted"]["terms"]


def test_without_a_method_there_is_nothing_to_do(alone: Path) -> None:
    """Off is off: the error says what to set."""
    with pytest.raises(ConfigError, match=r"adaptation\.methods is empty"):
        adapt(open_project(alone))
