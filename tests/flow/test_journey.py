"""The journey: what runs, what is skipped, and why."""

import json
import os
import shutil
from pathlib import Path

import pytest

from dialekt.errors import ConfigError, StorageError
from dialekt.flow.journey import finished, plan, run
from dialekt.flow.project import open_project
from dialekt.flow.records import Action, StageName, StageRecord, StageStatus
from dialekt.store.lock import exclusive
from dialekt.types import Progress

OPTIONAL = {
    StageName.LOGS,
    StageName.SYNTHESIS,
    StageName.TEACHER,
    StageName.TEACHER_VECTORS,
    StageName.ADAPTATION,
}
BESIDE = {StageName.SAMPLE, StageName.DIAGNOSIS}
PLAIN = tuple(name for name in StageName if name not in OPTIONAL | BESIDE)


class Watcher:
    """Remembers what it saw; stops the walk when a stage reports progress, if asked to."""

    def __init__(self, *, stop_in: StageName | None = None) -> None:
        self.reasons: dict[StageName, str] = {}
        self.ended: list[StageRecord] = []
        self._stop_in = stop_in

    def stage_started(self, stage: StageName, reason: str) -> None:
        """Note the reason."""
        self.reasons[stage] = reason

    def progressed(self, stage: str, _: Progress) -> None:
        """Stop where a person would have pressed Ctrl-C."""
        if stage is self._stop_in:
            raise KeyboardInterrupt

    def stage_ended(self, record: StageRecord) -> None:
        """Note the record."""
        self.ended.append(record)


def _run(home: Path, *overrides: str, until: StageName = StageName.REPORT) -> Watcher:
    watcher = Watcher()
    run(open_project(home, overrides=overrides), observer=watcher, until=until)
    return watcher


def test_every_stage_leaves_a_record(finished_project: Path) -> None:
    """After a journey all stages are done, in order, each with key, id, seconds, inputs and facts."""
    records = finished(open_project(finished_project))
    assert [record.stage for record in records] == list(PLAIN)
    assert all(record.key and record.id and record.facts and record.inputs for record in records)
    assert all(record.folder.is_dir() for record in records)


def test_the_journey_ends_with_a_model_and_pages(finished_project: Path) -> None:
    """A version is registered and the report lies where a person looks for it."""
    assert (finished_project / "registry" / "models" / "v1" / "model" / "modules.json").is_file()
    assert "<html" in (finished_project / "report" / "report.html").read_text(encoding="utf-8")
    assert (finished_project / "report" / "report.md").is_file()


def test_a_second_run_skips_everything_even_in_another_place(project_copy: Path) -> None:
    """Skipping is by content: a project that was copied elsewhere and touched everywhere is still done."""
    for path in project_copy.rglob("*"):
        os.utime(path)
    watcher = _run(project_copy)
    assert not watcher.reasons
    assert {record.status for record in watcher.ended} == {StageStatus.SKIPPED}


def test_a_changed_byte_runs_what_depends_on_it(project_copy: Path) -> None:
    """A new document runs the corpus again and says which file changed."""
    corpus = project_copy / "data" / "corpus.jsonl"
    corpus.write_text(corpus.read_text(encoding="utf-8") + '{"_id": "new", "text": "red pump"}\n', encoding="utf-8")
    watcher = _run(project_copy, until=StageName.PAIRS)
    assert watcher.reasons[StageName.CORPUS] == "file corpus.jsonl changed"
    assert "corpus changed" in watcher.reasons[StageName.PAIRS]


def test_a_damaged_artefact_is_said_and_made_again(project_copy: Path) -> None:
    """A file that does not hash as recorded runs its stage; the same result lets the rest be skipped."""
    folder = {record.stage: record.folder for record in finished(open_project(project_copy))}[StageName.PAIRS]
    (folder / "pairs.parquet").write_bytes(b"damaged")
    watcher = _run(project_copy)
    assert watcher.reasons == {StageName.PAIRS: "damaged: pairs.parquet has changed"}


@pytest.mark.parametrize(
    ("override", "first"),
    [
        ("report.texts=true", StageName.REPORT),
        ("evaluation.resamples=500", StageName.EVALUATION),
        ("evaluation.wins_and_losses=3", StageName.EVALUATION),
        ("training.epochs=2", StageName.TRAINING),
        ("negatives.per_query=1", StageName.NEGATIVES),
        ("model.max_tokens=32", StageName.CORPUS),
        ("split.test_share=0.3", StageName.SPLIT),
        ("project.seed=14", StageName.SPLIT),
        ("judgments.minimum_score=0.7", StageName.JUDGMENTS),
        ("registry.minimum_gain=0.5", StageName.REGISTRY),
        ("model.device=cpu", None),
        ("negatives.examples=2", StageName.NEGATIVES),
    ],
)
def test_a_setting_runs_only_what_it_can_change(finished_project: Path, override: str, first: StageName | None) -> None:
    """The plan starts at the first stage that a setting affects; what is before it is skipped."""
    planned = plan(open_project(finished_project, overrides=[override]))
    would_run = [stage.stage for stage in planned if stage.action is not Action.SKIP]
    assert (would_run[0] if would_run else None) is first
    assert all(stage.key for stage in planned if stage.action is Action.SKIP)
    if first is StageName.NEGATIVES:
        assert StageName.BASE_VECTORS not in would_run


def test_texts_in_the_audit_do_not_train_again(project_copy: Path) -> None:
    """Examples change the audit and not the negatives, so the training before stays as it is."""
    watcher = _run(project_copy, "negatives.examples=2")
    assert set(watcher.reasons) <= {StageName.NEGATIVES, StageName.REPORT}


def test_a_plan_changes_nothing(small_beir: Path, tiny_model: Path) -> None:
    """Planning a first run names every stage and writes no file."""
    home = small_beir.parent
    (home / "dialekt.toml").write_text(f'[corpus]\npath = "data"\n[model]\nbase = "{tiny_model}"\n', encoding="utf-8")
    before = sorted(home.rglob("*"))
    planned = plan(open_project(home))
    assert [stage.stage for stage in planned] == list(PLAIN)
    assert planned[0].reason == "first run"
    assert planned[2].reason == "judgments and corpus will be new"
    assert sorted(home.rglob("*")) == before


def test_a_stopped_stage_is_resumed(project_copy: Path) -> None:
    """Stopped inside a stage, the finished stages are kept, the plan says so, and the next run ends the work."""
    project = open_project(project_copy, overrides=["training.epochs=2"])
    with pytest.raises(KeyboardInterrupt):
        run(project, observer=Watcher(stop_in=StageName.TRAINING), until=StageName.TRAINING)
    planned = {stage.stage: stage for stage in plan(project)}
    assert planned[StageName.NEGATIVES].action is Action.SKIP
    assert planned[StageName.TRAINING].action is Action.RESUME
    watcher = Watcher()
    run(project, observer=watcher, until=StageName.TRAINING)
    assert list(watcher.reasons) == [StageName.TRAINING]
    assert not list(project.artefacts.rglob("*.partial"))


def test_a_version_that_was_removed_is_registered_again(project_copy: Path) -> None:
    """The registry stage is done only while its version is there."""
    shutil.rmtree(project_copy / "registry")
    watcher = _run(project_copy)
    assert "no model is registered yet" in watcher.reasons[StageName.REGISTRY]
    assert (project_copy / "registry" / "models" / "v1").is_dir()


def test_a_lost_page_is_put_back(project_copy: Path) -> None:
    """The pages for people are copies: a removed one comes back without a stage running."""
    (project_copy / "report" / "report.html").unlink()
    assert not _run(project_copy).reasons
    assert (project_copy / "report" / "report.html").is_file()


def test_texts_reach_the_report_only_when_asked(project_copy: Path) -> None:
    """Queries of wins and losses are in the page with report.texts, and not without."""
    rows = (project_copy / "data" / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    queries = [json.loads(row)["text"] for row in rows]
    page = project_copy / "report" / "report.md"
    assert not any(query in page.read_text(encoding="utf-8") for query in queries)
    watcher = _run(project_copy, "report.texts=true")
    assert list(watcher.reasons) == [StageName.REPORT]
    assert any(query in page.read_text(encoding="utf-8") for query in queries)


def test_one_writer_at_a_time(finished_project: Path) -> None:
    """While one command is at work in a project, another is refused with a clear message."""
    with (
        exclusive(finished_project / ".dialekt"),
        pytest.raises(StorageError, match="another dialekt command is at work"),
    ):
        run(open_project(finished_project))


def test_a_project_without_sources_says_what_to_set(tmp_path: Path) -> None:
    """Neither documents nor judgments: the error names the two settings."""
    (tmp_path / "dialekt.toml").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"neither corpus\.path nor judgments\.path is set"):
        run(open_project(tmp_path))


def test_pairs_alone_are_enough(tmp_path: Path, tiny_model: Path) -> None:
    """A file of pairs without a corpus makes its own corpus from the texts inside."""
    rows = [json.dumps({"query": f"reset pump {n}", "positive": f"pump valve filter number {n}"}) for n in range(60)]
    (tmp_path / "pairs.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    settings = f'[judgments]\npath = "pairs.jsonl"\n[model]\nbase = "{tiny_model}"\n'
    (tmp_path / "dialekt.toml").write_text(settings, encoding="utf-8")
    records = run(open_project(tmp_path), until=StageName.PAIRS)
    facts = {record.stage: record.facts for record in records}
    assert facts[StageName.CORPUS]["documents"] == 60
    assert facts[StageName.PAIRS]["pairs"] > 0


def test_a_project_inside_its_own_documents(tmp_path: Path, tiny_model: Path) -> None:
    """Pages and model cards that dialekt wrote beside the documents never become documents themselves."""
    for number in range(30):
        (tmp_path / f"page{number}.md").write_text(f"# pump {number}\n\nreset valve {number}", encoding="utf-8")
    (tmp_path / "judged").mkdir()
    header = "query-id\tcorpus-id\tscore\n"
    qrels = header + "".join(f"q{number}\tpage{number}.md\t1\n" for number in range(30))
    queries = "".join(json.dumps({"_id": f"q{number}", "text": f"valve {number}"}) + "\n" for number in range(30))
    (tmp_path / "judged" / "queries.jsonl").write_text(queries, encoding="utf-8")
    (tmp_path / "judged" / "qrels.tsv").write_text(qrels, encoding="utf-8")
    for output in ("report/report.md", "registry/models/v1/model/README.md"):
        (tmp_path / output).parent.mkdir(parents=True)
        (tmp_path / output).write_text("# ours", encoding="utf-8")
    settings = f'[corpus]\npath = "."\n[judgments]\npath = "judged"\n[model]\nbase = "{tiny_model}"\n'
    (tmp_path / "dialekt.toml").write_text(settings, encoding="utf-8")
    records = run(open_project(tmp_path), until=StageName.PAIRS)
    assert records[1].facts["documents"] == 30


def test_judgments_elsewhere_than_documents(small_beir: Path, tiny_model: Path) -> None:
    """Judgments in their own folder are read there, documents from the corpus folder."""
    home = small_beir.parent
    (home / "judged").mkdir()
    for name in ("queries.jsonl", "qrels"):
        (small_beir / name).rename(home / "judged" / name)
    settings = f'[corpus]\npath = "data"\n[judgments]\npath = "judged"\n[model]\nbase = "{tiny_model}"\n'
    (home / "dialekt.toml").write_text(settings, encoding="utf-8")
    records = run(open_project(home), until=StageName.PAIRS)
    assert records[0].facts["qrels"] == 240
