"""A diagnosis walks the cheap stages, probes a little of the data, and keeps what it did."""

import shutil
from pathlib import Path

import pytest

from dialekt.diagnosis.records import Decision, DiagnosisFacts
from dialekt.diagnosis.reviving import facts_from_json
from dialekt.errors import StorageError
from dialekt.flow.diagnosing import diagnose
from dialekt.flow.journey import run
from dialekt.flow.project import open_project
from dialekt.flow.records import StageName, StageRecord, StageStatus
from dialekt.types import Progress

QUICK = ("diagnosis.share=0.6", "diagnosis.minutes=3", "diagnosis.seeds=1")


class Watcher:
    """Remembers what ended and what was said; stops at a progress report that begins with some words."""

    def __init__(self, *, stop_at: str = "") -> None:
        self.ended: list[StageRecord] = []
        self.said: list[str] = []
        self._stop_at = stop_at

    def stage_started(self, stage: StageName, reason: str) -> None:
        """Ignore a begun stage."""

    def progressed(self, stage: str, progress: Progress) -> None:  # noqa: ARG002 - the observer's shape
        """Stop where a person would have pressed Ctrl-C."""
        self.said.append(progress.label)
        if self._stop_at and progress.label.startswith(self._stop_at):
            raise KeyboardInterrupt

    def stage_ended(self, record: StageRecord) -> None:
        """Note the record."""
        self.ended.append(record)


def diagnosed(home: Path, *settings: str) -> DiagnosisFacts:
    """Return the facts of a diagnosis."""
    return facts_from_json(diagnose(open_project(home, overrides=(*QUICK, *settings))).facts)


def unfinished(project: Path) -> Path:
    """Forget everything that the journey of a project left behind."""
    for name in (".dialekt", "report", "registry"):
        shutil.rmtree(project / name, ignore_errors=True)
    return project


def test_a_learnable_dialect_is_seen_from_a_part_of_the_data(project_copy: Path) -> None:
    """Where full tuning brings a large gain, the probes find a gain, every part is there, and nothing holds a text."""
    facts = diagnosed(project_copy)
    assert facts.gain is not None
    assert facts.baseline is not None
    assert facts.data is not None
    assert facts.gain.full.gain.value > 0.03
    assert facts.decision is not Decision.NOT_WORTH
    assert {point.recipe for point in facts.gain.points} == {"tuned", "adapter"}
    assert max(point.queries for point in facts.gain.points) <= 0.6 * facts.gain.full.queries
    assert [system.system for system in facts.baseline.systems] == ["base", "bm25", "hybrid_base"]
    assert set(facts.seconds) == {"language", "probes", "baseline", "data"}


def test_the_diagnosis_and_the_journey_share_their_work(project_copy: Path) -> None:
    """A second diagnosis is skipped, and what it encoded and mined the journey does not do again."""
    home = unfinished(project_copy)
    diagnosed(home)
    again = diagnose(open_project(home, overrides=QUICK))
    assert again.status is StageStatus.SKIPPED
    watcher = Watcher()
    run(open_project(home), observer=watcher, until=StageName.NEGATIVES)
    assert all(
        record.status is StageStatus.SKIPPED for record in watcher.ended if record.stage is not StageName.GENERAL
    )


def test_finished_probes_outlive_an_interruption(project_copy: Path) -> None:
    """Stopped while it trains, a diagnosis goes on without making its linear probes again."""
    project = open_project(project_copy, overrides=QUICK)
    with pytest.raises(KeyboardInterrupt):
        diagnose(project, observer=Watcher(stop_at="probe with"))
    kept = next(project.artefacts.glob("diagnosis/*/probes.json")).read_text(encoding="utf-8")
    facts = facts_from_json(diagnose(project).facts)
    assert facts.gain is not None
    assert all(f'"gain": {point.gain}' in kept for point in facts.gain.points if point.recipe == "adapter")


def test_documents_alone_get_their_language_and_no_promise(project_copy: Path) -> None:
    """Without any query the verdict is to gather data, and only the language part is there."""
    home = unfinished(project_copy)
    for name in ("queries.jsonl", "qrels/all.tsv"):
        (home / "data" / name).unlink()
    facts = diagnosed(home)
    assert facts.decision is Decision.GATHER
    assert (facts.baseline, facts.data, facts.gain) == (None, None, None)
    assert facts.language.documents == 80


def test_too_few_pairs_are_too_few(project_copy: Path) -> None:
    """With a share that leaves fewer than sixteen train queries there is no probe, and no promise either."""
    facts = diagnosed(project_copy, "diagnosis.share=0.05")
    assert facts.gain is None
    assert facts.decision is Decision.GATHER
    assert facts.data is not None


def test_a_large_corpus_is_sampled_and_says_so(project_copy: Path) -> None:
    """The sample keeps the answers; counts and predictions are of the whole project."""
    home = unfinished(project_copy)
    with (home / "data" / "corpus.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(f'{{"_id": "more{n}", "text": "no query asks for number {n}"}}\n' for n in range(40))
    facts = diagnosed(home, "diagnosis.max_documents=90")
    assert facts.data is not None
    assert facts.gain is not None
    assert facts.data.train_queries == facts.gain.full.queries > 100
    assert facts.baseline is not None
    assert facts.baseline.documents == 90
    assert any("the corpus was sampled: 90 of 120 units" in note for note in facts.warnings)
    assert not (home / ".dialekt" / "training").exists()


def test_damaged_facts_are_refused() -> None:
    """Facts of another version are no diagnosis."""
    with pytest.raises(StorageError, match="damaged or of another version"):
        facts_from_json({"decision": "fine-tune"})
