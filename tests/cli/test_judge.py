"""`dialekt judge`: results out to people, grades back into the evaluation."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any


def fill_in(path: Path, grade: str) -> Path:
    """Grade every row of a judging file alike, as a spreadsheet would save it."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    filled = path.with_name("filled.csv")
    with filled.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "grade": grade} for row in rows)
    return filled


def test_grades_flow_back_into_the_evaluation(project_copy: Path, dialekt: Callable[..., Any]) -> None:
    """Disputed results are graded, read, and counted by the next evaluation; then they are no longer disputed."""
    before = dialekt("judge", "status", "-p", project_copy, "--json").json
    assert before["labels"] == 0
    made = dialekt("judge", "disputed", "-p", project_copy, "--most", 6, "--json").json
    assert made["results"] == 6
    assert "tuned" not in Path(made["csv"]).read_text(encoding="utf-8")

    filled = fill_in(Path(made["csv"]), "0")
    read = dialekt("judge", "read", filled, "-p", project_copy, "--json").json
    assert (read["added"], read["changed"], read["empty"], read["labels"]) == (6, 0, 0, 6)
    again = dialekt("judge", "read", filled, "-p", project_copy, "--json").json
    assert (again["added"], again["repeated"]) == (0, 6)

    evaluated = dialekt("evaluate", "-p", project_copy, "--json").json["stages"]
    statuses = {stage["stage"]: stage["status"] for stage in evaluated}
    assert (statuses["training"], statuses["evaluation"]) == ("skipped", "done")
    assert next(stage for stage in evaluated if stage["stage"] == "evaluation")["facts"]["labels"] == 6

    after = dialekt("judge", "status", "-p", project_copy, "--json").json
    assert (after["labels"], after["test_labels"], after["answers"]) == (6, 6, 0)
    assert after["disputed"] == before["disputed"] - 6
    assert {one["system"]: one["judged"] for one in after["systems"]}["tuned"] > 0


def test_a_changed_grade_is_said(project_copy: Path, dialekt: Callable[..., Any]) -> None:
    """The later grade counts, and the person learns that there was another."""
    made = dialekt("judge", "disputed", "-p", project_copy, "--most", 2, "--json").json
    dialekt("judge", "read", fill_in(Path(made["csv"]), "0"), "-p", project_copy)
    answer = dialekt("judge", "read", fill_in(Path(made["csv"]), "1"), "-p", project_copy)
    assert answer.code == 0
    assert "2 had another grade before: the new one counts" in answer.out
    assert (project_copy / "labels.csv").read_text(encoding="utf-8").count(",1,") == 2


def test_a_fault_changes_nothing(project_copy: Path, dialekt: Callable[..., Any]) -> None:
    """The row is named, and no label is written."""
    made = dialekt("judge", "disputed", "-p", project_copy, "--most", 2, "--json").json
    answer = dialekt("judge", "read", fill_in(Path(made["csv"]), "seven"), "-p", project_copy)
    assert answer.code == 1
    assert "filled.csv:2: the grade 'seven' is no number" in answer.err
    assert not (project_copy / "labels.csv").exists()


def test_an_unknown_system_names_those_there_are(project_copy: Path, dialekt: Callable[..., Any]) -> None:
    """A typing error costs nothing."""
    answer = dialekt("judge", "disputed", "-p", project_copy, "--systems", "base,tuend")
    assert answer.code == 2
    assert "there is no system 'tuend'" in answer.err
    assert "hybrid_tuned" in answer.err


def test_looking_runs_nothing(project_copy: Path, dialekt: Callable[..., Any]) -> None:
    """The last evaluation is read although the next training would be another; the person learns that it is stale."""
    trained = sorted((project_copy / ".dialekt").glob("*/*"))
    fresh = dialekt("judge", "status", "-p", project_copy, "--json").json
    words = ("-p", project_copy, "--set", "training.learning_rate=0.002")
    found = dialekt("judge", "status", *words, "--json").json
    assert (fresh["stale"], found["stale"]) == (False, True)
    assert found["systems"] == fresh["systems"]
    answer = dialekt("judge", "disputed", *words)
    assert answer.code == 0
    assert "something has changed since the last evaluation" in answer.out
    assert sorted((project_copy / ".dialekt").glob("*/*")) == trained


def test_without_an_evaluation_there_is_nothing_to_look_at(project_copy: Path, dialekt: Callable[..., Any]) -> None:
    """Neither one of other held-out queries nor none at all starts the journey."""
    for command in ("status", "disputed"):
        other = dialekt("judge", command, "-p", project_copy, "--set", "split.test_share=0.3")
        assert other.code == 1
        assert "have changed since the last evaluation" in " ".join(other.err.split())
        assert "dialekt evaluate" in other.err
    shutil.rmtree(project_copy / ".dialekt")
    for command in ("status", "disputed"):
        none = dialekt("judge", command, "-p", project_copy)
        assert none.code == 1
        assert "nothing was evaluated yet" in " ".join(none.err.split())
        assert "dialekt evaluate" in none.err
    assert not list((project_copy / ".dialekt").glob("*/*"))
