"""`dialekt pairs export`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Dialekt = Callable[..., Any]


@pytest.mark.parametrize("layout", ["autotrain", "vertex", "sentence-transformers", "flag-embedding"])
def test_a_finished_project_is_written_in_every_layout(
    dialekt: Dialekt, finished_project: Path, tmp_path: Path, layout: str
) -> None:
    """It says what was written, for whom, and that texts are in it; the same folder is never written twice."""
    out = tmp_path / "out"
    said = dialekt("pairs", "export", out, "--for", layout, "--project", finished_project)
    assert said.code == 0, said.err
    assert "training pairs and" in said.out
    assert "hold texts" in said.out
    assert not list(tmp_path.glob("*.partial"))
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    again = dialekt("pairs", "export", out, "--for", layout, "--project", finished_project)
    assert (again.code, "nothing is overwritten" in again.err) == (2, True)
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_facts_count_and_name_no_text(dialekt: Dialekt, finished_project: Path, tmp_path: Path) -> None:
    """With --json the answer has counts and file names only."""
    out = tmp_path / "out"
    facts = dialekt(
        "pairs", "export", out, "--for", "flag-embedding", "--queries", "20", "--project", finished_project, "--json"
    ).json
    assert (facts["schema"], facts["layout"], facts["holds_texts"]) == (
        "dialekt.pairs-export/1", "flag-embedding", True,
    )  # fmt: skip
    rows = (out / "train.jsonl").read_text(encoding="utf-8").splitlines()
    assert facts["written"]["rows"] == {"train.jsonl": 20} == {"train.jsonl": len(rows)}
    assert not any(json.loads(row)["query"] in json.dumps(facts) for row in rows)


def test_what_is_not_mined_cannot_be_exported(dialekt: Dialekt, project_copy: Path, tmp_path: Path) -> None:
    """Other settings than those that were run need another run first, and nothing is left behind."""
    words = ("pairs", "export", tmp_path / "out", "--for", "vertex", "--project", project_copy)
    said = dialekt(*words, "--set", "negatives.per_query=2")
    assert (said.code, "dialekt mine" in said.err) == (2, True)
    assert not (tmp_path / "out").exists()


def test_an_unknown_layout_is_wrong_usage(dialekt: Dialekt, tmp_path: Path) -> None:
    """The layouts that there are are named."""
    said = dialekt("pairs", "export", tmp_path / "out", "--for", "openai")
    assert (said.code, "flag-embedding" in said.err) == (2, True)
