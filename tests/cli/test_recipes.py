"""`dialekt train --budget`."""

import importlib.util
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.docs.reading import REPOSITORY

from dialekt.cli.recipes import outcome, tried
from dialekt.flow.recipes.records import Fidelity, Pending, Trial, TrialState

Dialekt = Callable[..., Any]
NAMED = set(re.findall(r"`([\w.]+)`", (REPOSITORY / "docs" / "json.md").read_text(encoding="utf-8")))


def test_a_gain_that_can_be_chance_keeps_the_default(dialekt: Dialekt, project_copy: Path) -> None:
    """Too few dev queries for the confidence asked: dialekt.toml stays, and table, reason and next command say so."""
    strict = ("--set", "evaluation.confidence=0.99999999")
    before = (project_copy / "dialekt.toml").read_bytes()
    answer = dialekt("train", "--project", project_copy, "--budget", "6s", "--write", "--json", *strict)
    assert answer.code == 0
    found = answer.json
    assert found["schema"] == "dialekt.train/1"
    assert found["stages"][-1]["stage"] == "training"
    search = found["search"]
    assert search["decision"]["winner"] == 0
    assert search["trials"][0]["settings"] == {}
    assert search["written"] == {}
    assert (project_copy / "dialekt.toml").read_bytes() == before
    assert Path(search["recipe_file"]).is_file()
    assert Path(found["model"]).is_dir()
    inner = (search, search["decision"], *search["trials"])
    assert {key for part in inner for key in part} <= NAMED
    again = dialekt("train", "--project", project_copy, "--budget", "6s", *strict)
    assert "Kept: the default recipe, since" in " ".join(again.out.split())
    assert "held-out test of dialekt evaluate decides" in " ".join(again.out.split())
    assert again.out.splitlines()[-1] == "Next: dialekt run"
    assert all(len(line) <= 80 or str(project_copy) in line for line in again.out.splitlines())


def test_no_text_is_printed_or_kept(dialekt: Dialekt, project_copy: Path) -> None:
    """The search speaks of numbers alone, on the screen and on disk."""
    answer = dialekt("train", "--project", project_copy, "--budget", "1s")
    study = next((project_copy / ".dialekt" / "search").rglob("study.json")).read_text(encoding="utf-8")
    rows = (project_copy / "data" / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    assert not any(json.loads(row)["text"] in answer.out + answer.err + study for row in rows)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--budget", "30"], 2, "--budget '30' is no length of time"),
        (["--write"], 2, "--write does nothing without a search"),
        (["--keep-models"], 2, "--keep-models does nothing without a search"),
    ],
)
def test_wrong_words_are_refused(
    dialekt: Dialekt, finished_project: Path, words: list[str], code: int, message: str
) -> None:
    """A length without unit, and options that would do nothing."""
    answer = dialekt("train", "--project", finished_project, *words)
    assert answer.code == code
    assert message in answer.err


def test_a_missing_extra_is_said_before_anything_runs(
    dialekt: Dialekt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Optuna two lines say what to install."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "optuna" else find(name))
    (tmp_path / "dialekt.toml").write_text("", encoding="utf-8")
    answer = dialekt("train", "--project", tmp_path, "--budget", "30m")
    assert answer.code == 1
    assert answer.err.splitlines() == [
        "error: dialekt train --budget needs the optional dependency set 'search', which is not installed",
        "hint: pip install 'dialekt[search]'",
    ]


def test_a_trial_is_one_short_line() -> None:
    """What was tried, at what length, and how it ended."""
    pending = Pending(3, Fidelity.PROBE, {"learning_rate": 0.00012, "hard_negatives": 2, "time_limit_minutes": 1.5}, {})
    assert tried(pending) == "learning_rate 0.00012, hard_negatives 2, 1.5 min"
    assert tried(Pending(0, Fidelity.FULL, {}, {})) == "the default recipe"
    failed = Trial(3, Fidelity.PROBE, {}, {}, TrialState.FAILED, 1.0, error="RuntimeError")
    assert outcome(failed) == "failed: RuntimeError (probe)"
