"""`dialekt logs simulate` writes a log that can be extracted from."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.logs.test_simulation import write_beir

Dialekt = Callable[..., Any]


@pytest.mark.parametrize("model", ["position-based", "cascade", "dbn"])
def test_simulated_log_is_written(dialekt: Dialekt, tmp_path: Path, model: str) -> None:
    """Each model writes a log and says what is in it; equal seeds give equal logs."""
    write_beir(tmp_path)
    words = ["logs", "simulate", "--beir", tmp_path, "--model", model, "--sessions", 50, "--bots", 0.2, "--json"]
    answer = dialekt(*words, "--out", tmp_path / "log.tsv")
    assert answer.code == 0
    assert answer.json["schema"] == "dialekt.logs.simulate/1"
    rows = (tmp_path / "log.tsv").read_text(encoding="utf-8").splitlines()
    assert len(rows) - 1 == answer.json["impressions"]
    again = dialekt(*words, "--out", tmp_path / "again.tsv")
    assert again.json | {"log": ""} == answer.json | {"log": ""}
    assert (tmp_path / "again.tsv").read_text(encoding="utf-8").splitlines() == rows
    assert json.loads((tmp_path / "log.tsv.truth.json").read_text(encoding="utf-8"))["settings"]["model"] == model


def test_unknown_model_names_the_known(dialekt: Dialekt, tmp_path: Path) -> None:
    """A model that does not exist is an error of usage, before anything is read."""
    answer = dialekt("logs", "simulate", "--beir", tmp_path, "--out", tmp_path / "log.tsv", "--model", "guess")
    assert answer.code == 2
    assert "position-based, cascade, dbn" in answer.err
