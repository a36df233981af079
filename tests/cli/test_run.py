"""`dialekt run` and the single-stage commands."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dialekt.flow.records import StageName

Dialekt = Callable[..., Any]


def test_a_skipped_run_prints_the_table_and_what_to_type_next(
    dialekt: Dialekt, project_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results go to stdout: systems with intervals, the comparison, the recommendation, report and next command."""
    monkeypatch.chdir(project_copy)
    answer = dialekt("run")
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert [line.split()[0] for line in lines if line.startswith(("BM25 ", "base ", "hybrid ", "tuned "))] == [
        "base",
        "BM25",
        "hybrid",
        "tuned",
        "tuned",
    ]
    assert "Tuned minus base: +0." in answer.out
    assert ": a" in answer.out
    assert "Report: report/report.html" in answer.out
    assert lines[-1] == "Next: dialekt models promote v1"


def test_every_stage_has_its_line_on_stderr(dialekt: Dialekt, finished_project: Path) -> None:
    """A skipped stage still says what it holds; --quiet silences all of them."""
    answer = dialekt("run", "--project", finished_project)
    beside = {StageName.SAMPLE, StageName.DIAGNOSIS}
    optional = {StageName.LOGS, StageName.SYNTHESIS, StageName.TEACHER, StageName.TEACHER_VECTORS, StageName.ADAPTATION}
    stages = set(StageName) - optional - beside
    for stage in stages:
        assert f"· {stage.value}" in answer.err
    assert answer.err.count("done before") == len(stages)
    assert dialekt("run", "--project", finished_project, "--quiet").err == ""


@pytest.mark.parametrize(
    ("command", "last"),
    [
        ("pairs", "pairs"),
        ("mine", "negatives"),
        ("train", "training"),
        ("evaluate", "evaluation"),
        ("run", "report"),
        ("report", "report"),
    ],
)
def test_json_is_one_object_with_the_facts_of_every_stage(
    dialekt: Dialekt, finished_project: Path, command: str, last: str
) -> None:
    """With --json stdout holds one object with its schema, and the stages up to the command's own."""
    answer = dialekt(command, "--project", finished_project, "--json")
    facts = answer.json
    assert answer.code == 0
    assert answer.out.count("\n") == 1
    assert facts["schema"] == f"dialekt.{command}/1"
    assert [stage["stage"] for stage in facts["stages"]][-1] == last
    assert {"stage", "status", "seconds", "key", "id", "folder", "inputs", "facts"} == facts["stages"][0].keys()


def test_no_text_of_a_query_or_document_is_printed(dialekt: Dialekt, finished_project: Path) -> None:
    """Facts, lines and pages speak in ids and counts."""
    rows = (finished_project / "data" / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    answer = dialekt("run", "--project", finished_project, "--json")
    assert not any(json.loads(row)["text"] in answer.out + answer.err for row in rows)


def test_a_dry_run_names_every_stage_and_why(dialekt: Dialekt, finished_project: Path) -> None:
    """The plan says skip or run with the reason, as a table and as JSON."""
    words = ["run", "--project", finished_project, "--dry-run", "--set", "training.epochs=2"]
    answer = dialekt(*words)
    assert "training.epochs changed from 8.0 to 2.0" in " ".join(answer.out.split())
    stages = {stage["stage"]: stage for stage in dialekt(*words, "--json").json["stages"]}
    assert stages["negatives"]["action"] == "skip"
    assert (stages["training"]["action"], stages["training"]["reason"]) == (
        "run",
        "training.epochs changed from 8.0 to 2.0",
    )
    assert stages["evaluation"]["key"] is None


def test_until_stops_after_a_stage(dialekt: Dialekt, finished_project: Path) -> None:
    """`--until split` answers with three stages and no result table."""
    answer = dialekt("run", "--project", finished_project, "--until", "split", "--json")
    assert [stage["stage"] for stage in answer.json["stages"]] == ["judgments", "corpus", "split"]


def test_the_audit_table_shows_every_rule(dialekt: Dialekt, finished_project: Path) -> None:
    """`dialekt mine` prints what was kept and what each rule dropped, without texts."""
    out = dialekt("mine", "--project", finished_project).out
    assert "kept as a hard negative" in " ".join(out.split())
    assert "query:" not in out


def test_examples_show_texts_on_request(dialekt: Dialekt, project_copy: Path) -> None:
    """`dialekt mine --examples 2` prints queries and documents of decisions."""
    out = dialekt("mine", "--project", project_copy, "--examples", "2").out
    assert "query:" in out
    assert "document:" in out


def test_a_fresh_stage_says_what_came_out_and_what_was_derived(dialekt: Dialekt, project_copy: Path) -> None:
    """A stage that runs prints its reason, its result, and after training what was derived and why."""
    answer = dialekt("train", "--project", project_copy, "--set", "training.epochs=1")
    assert "training: training.epochs changed from 8.0 to 1.0" in answer.err
    assert "✓ training" in answer.err
    assert "batch_size = " in answer.err
    assert Path(answer.out.splitlines()[0]).is_dir()
