"""Errors become two lines, JSON and exit codes; the command line answers at once."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Dialekt = Callable[..., Any]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["brew"], "No such command 'brew'"),
        (["run", "--brew"], "No such option: --brew"),
        (["run", "--until", "dinner"], "Invalid value for '--until'"),
        (["models", "promote"], "Missing argument"),
        (["run", "surplus"], "unexpected extra argument"),
    ],
)
def test_wrong_usage_is_two_lines_and_exit_code_2(dialekt: Dialekt, words: list[str], said: str) -> None:
    """What is wrong and which help to read; with --json the same as one object on stdout."""
    answer = dialekt(*words)
    error, hint = answer.err.splitlines()
    assert (answer.code, answer.out) == (2, "")
    assert error.startswith("error: ")
    assert said in error
    assert hint.startswith("hint: dialekt")
    assert hint.endswith("--help")
    answer = dialekt(*words, "--json")
    assert answer.json == {"schema": "dialekt.error/1", "error": error[7:], "hint": hint[6:], "exit_code": 2}


def test_no_project_is_a_hint_to_make_one(dialekt: Dialekt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside a project a command says how to make one."""
    monkeypatch.chdir(tmp_path)
    answer = dialekt("run", "--json")
    assert (answer.code, answer.json["exit_code"]) == (1, 1)
    assert "dialekt init" in answer.json["hint"]


def test_an_unknown_key_names_the_nearest(dialekt: Dialekt, project_copy: Path) -> None:
    """A mistyped setting, in the file or on the command line, is refused with the nearest known one."""
    answer = dialekt("run", "--project", project_copy, "--set", "training.epoch=3")
    assert answer.code == 1
    assert answer.err.splitlines()[-1] == "hint: did you mean 'epochs'?"
    with (project_copy / "dialekt.toml").open("a", encoding="utf-8") as file:
        file.write("\n[negatives]\nmargine = 0.9\n")
    answer = dialekt("run", "--project", project_copy)
    assert answer.code == 1
    assert "did you mean 'margin'?" in answer.err


def test_a_fault_of_ours_is_one_line_unless_debugging(dialekt: Dialekt, project_copy: Path) -> None:
    """An unexpected error points to --debug, and --debug shows the traceback."""
    target = project_copy / "report" / "report.html"
    target.unlink()
    target.mkdir()
    (target / "inside").touch()
    answer = dialekt("report", "--project", project_copy, "--quiet")
    assert answer.code == 1
    assert "Traceback" not in answer.err
    assert answer.err.startswith("error: ")
    assert "--debug" in answer.err
    assert "Traceback" in dialekt("report", "--project", project_copy, "--quiet", "--debug").err


def test_the_version_is_one_line(dialekt: Dialekt) -> None:
    """`dialekt --version` names the program and its version."""
    assert dialekt("--version").out.startswith("dialekt 0.")


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


@pytest.mark.parametrize(
    ("words", "seconds"), [(["--help"], 0.5), (["run", "--help"], 1.0), (["models", "--help"], 1.0)]
)
def test_help_is_instant(words: list[str], seconds: float) -> None:
    """Help takes under half a second of the processor, a command's own twice that where the machine is busy."""
    assert min(_processor_seconds(words) for _ in range(3)) < seconds


def _processor_seconds(words: list[str]) -> float:
    before = os.times()
    done = _python(f"import sys; from dialekt.cli import main; sys.exit(main({words!r}))")
    after = os.times()
    assert "Usage: dialekt" in done.stdout
    return after.children_user + after.children_system - before.children_user - before.children_system


def test_the_command_line_imports_nothing_heavy() -> None:
    """Listing the commands loads no array, table, model or configuration library."""
    heavy = ["numpy", "torch", "pyarrow", "pydantic", "transformers", "sentence_transformers", "scipy"]
    done = _python(f"import sys, json, dialekt.cli; print(json.dumps([m for m in {heavy!r} if m in sys.modules]))")
    assert json.loads(done.stdout) == []


def test_a_reader_that_leaves_early_is_no_error(finished_project: Path) -> None:
    """`dialekt models show | head -1` ends without a word on stderr."""
    words = ["models", "show", "--project", str(finished_project)]
    command = [sys.executable, "-c", f"import sys; from dialekt.cli import main; sys.exit(main({words!r}))"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0
