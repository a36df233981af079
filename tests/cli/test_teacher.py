"""`dialekt teacher`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

Dialekt = Callable[..., Any]


def test_train_compares_the_teacher_and_says_whether_it_is_used(dialekt: Dialekt, project_copy: Path) -> None:
    """The table shows both rankings; a second call skips what is done and answers the same as JSON."""
    words = ["teacher", "train", "--project", project_copy, "--set", "teacher.model=trained"]
    words += ["--set", "teacher.max_tokens=32", "--set", "teacher.minimum_gain=-1.1"]
    first = dialekt(*words)
    assert first.code == 0
    assert "dev queries" in first.out
    assert "used: it ranks better than the student" in " ".join(first.out.split())
    assert "pairs scored" in first.out
    answer = dialekt(*words, "--json").json
    assert answer["schema"] == "dialekt.teacher.train/1"
    assert answer["used"] is True
    assert Path(answer["model"], "model.safetensors").is_file()
    stage = answer["stages"][-1]
    assert (stage["stage"], stage["status"]) == ("teacher", "skipped")


def test_without_a_teacher_the_command_says_what_to_set(dialekt: Dialekt, finished_project: Path) -> None:
    """A project that names no teacher has nothing to train."""
    answer = dialekt("teacher", "train", "--project", finished_project)
    assert answer.code == 1
    assert "teacher.model" in answer.err
