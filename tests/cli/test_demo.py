"""`dialekt demo`, on a demo that was made before."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dialekt.cli.demo import MARKER

Dialekt = Callable[..., Any]


@pytest.fixture
def earlier_demo(project_copy: Path) -> Path:
    """A finished project that carries the demo's marker."""
    (project_copy / MARKER).write_text("dialekt demo of 500 docstrings\n", encoding="utf-8")
    return project_copy


def test_a_finished_demo_is_shown_again(dialekt: Dialekt, earlier_demo: Path) -> None:
    """Table, three held-out queries with base and tuned side by side, and how they were chosen."""
    answer = dialekt("demo", earlier_demo, "--limit", "500")
    assert answer.code == 0
    assert "Tuned minus base" in answer.out
    assert "chosen among those that tuning changed most" in " ".join(answer.out.split())
    assert (answer.out.count("  base  "), answer.out.count("  tuned ✓")) == (3, 3)
    assert all(len(line) <= 80 for line in answer.out.splitlines() if line.startswith("  "))


def test_json_has_the_questions(dialekt: Dialekt, earlier_demo: Path) -> None:
    """The three questions are in the object, with the first documents of each system."""
    questions = dialekt("demo", earlier_demo, "--limit", "500", "--json").json["questions"]
    assert len(questions) == 3
    assert questions[0]["first"].keys() == {"base", "tuned"}


@pytest.mark.parametrize("option", [[], ["--fresh"]])
def test_a_folder_that_is_no_demo_is_never_touched(dialekt: Dialekt, project_copy: Path, option: list[str]) -> None:
    """Neither overwritten nor removed: the demo only owns what it made."""
    before = sorted(project_copy.rglob("*"))
    answer = dialekt("demo", project_copy, *option)
    assert answer.code == 2
    assert "is not empty and no demo" in answer.err
    assert sorted(project_copy.rglob("*")) == before
