"""`dialekt adapt`: what the documents taught, in a table and as JSON."""

import json
from pathlib import Path

import pytest

from dialekt.cli import main

SETTINGS = (
    "--set", "adaptation.methods=['mlm']", "--set", "adaptation.epochs=1", "--set", "adaptation.judged_by=zero_shot",
)  # fmt: skip


def test_the_verdict_of_dev_is_printed(
    project_copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before, after and why; with --json the record of the stage, and where the model lies if there is one."""
    monkeypatch.chdir(project_copy)
    assert main(["adapt", *SETTINGS]) == 0
    out = capsys.readouterr().out
    assert "24 dev queries" in out
    assert "next: dialekt train" in out
    assert main(["adapt", *SETTINGS, "--set", "adaptation.keep=always", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["schema"] == "dialekt.adapt/1"
    assert answer["kept"] == ["mlm"]
    assert (Path(answer["model"]) / "dialekt.json").is_file()


def test_without_a_method_the_command_says_what_to_set(
    project_copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two lines and exit code 1."""
    monkeypatch.chdir(project_copy)
    assert main(["adapt"]) == 1
    assert "adaptation.methods is empty" in capsys.readouterr().err
