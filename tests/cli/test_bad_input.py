"""Bad input, end to end: a clear error or a counted drop, never a traceback, never a half-written artefact."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Dialekt = Callable[..., Any]


@pytest.fixture
def home(small_beir: Path, tiny_model: Path) -> Path:
    """A project that was never run, on a good corpus and the tiny model."""
    settings = f'[corpus]\npath = "data"\n[model]\nbase = "{tiny_model}"\n'
    (small_beir.parent / "dialekt.toml").write_text(settings, encoding="utf-8")
    return small_beir.parent


def _no_half_artefact(home: Path) -> bool:
    """Every folder under a final name has its manifest."""
    folders = [path for path in home.glob(".dialekt/*/*") if path.is_dir() and path.suffix != ".partial"]
    return all((folder / "manifest.json").is_file() for folder in folders)


def _empty_corpus(data: Path) -> None:
    (data / "corpus.jsonl").write_text("", encoding="utf-8")


def _unknown_documents(data: Path) -> None:
    path = data / "qrels" / "all.tsv"
    path.write_text(path.read_text(encoding="utf-8").replace("\td", "\tnothing"), encoding="utf-8")


def _invalid_utf8(data: Path) -> None:
    path = data / "corpus.jsonl"
    path.write_bytes(path.read_bytes() + b'{"_id": "x", "text": "caf\xe9"}\n')


def _truncated_line(data: Path) -> None:
    path = data / "corpus.jsonl"
    path.write_text(path.read_text(encoding="utf-8")[:-20], encoding="utf-8")


def _two_texts_for_one_id(data: Path) -> None:
    with (data / "corpus.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"_id": "d0", "text": "something else altogether"}) + "\n")


def _no_qrels(data: Path) -> None:
    (data / "qrels" / "all.tsv").write_text("query-id\tcorpus-id\tscore\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_empty_corpus, "document"),
        (_unknown_documents, "document"),
        (_invalid_utf8, "corpus.jsonl:81: is not valid UTF-8"),
        (_truncated_line, "corpus.jsonl:80: is not a JSON object"),
        (_two_texts_for_one_id, "document 'd0' has another text"),
        (_no_qrels, "judgment"),
    ],
)
def test_a_bad_file_is_two_lines(dialekt: Dialekt, home: Path, spoil: Callable[[Path], None], said: str) -> None:
    """The error says what and where, the hint what to do; exit code 1; the good project runs afterwards."""
    spoil(home / "data")
    answer = dialekt("pairs", "--project", home, "--quiet")
    assert answer.code == 1
    error, hint = answer.err.splitlines()
    assert error.startswith("error: ")
    assert said in error
    assert hint.startswith("hint: ")
    assert _no_half_artefact(home)


def test_some_unknown_ids_are_counted(dialekt: Dialekt, home: Path) -> None:
    """Judgments of documents that are not there are dropped and counted; the rest goes on."""
    path = home / "data" / "qrels" / "all.tsv"
    path.write_text(path.read_text(encoding="utf-8") + "q0-0\tnowhere\t1\nnobody\td0\t1\n", encoding="utf-8")
    answer = dialekt("pairs", "--project", home, "--json")
    assert answer.code == 0
    dropped = [stage["facts"].get("dropped", {}) for stage in answer.json["stages"]]
    assert sum(sum(counts.values()) for counts in dropped) == 2
    assert "dropped: 1 " in answer.err


def test_three_pairs_are_too_few_and_that_is_said(dialekt: Dialekt, tmp_path: Path, tiny_model: Path) -> None:
    """Three pairs cannot be split, trained and measured: a clear error, no traceback."""
    rows = [{"query": f"red pump {n}", "positive": f"pump valve {n}"} for n in ("one", "two", "three")]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    settings = f'[judgments]\npath = "pairs.jsonl"\n[model]\nbase = "{tiny_model}"\n'
    (tmp_path / "dialekt.toml").write_text(settings, encoding="utf-8")
    answer = dialekt("run", "--project", tmp_path, "--quiet")
    assert answer.code == 1
    assert "only 3 queries have a positive document, at least 10 are needed" in answer.err
    assert _no_half_artefact(tmp_path)


@pytest.mark.parametrize("kind", ["empty folder", "a file", "no such folder", "cut weights"])
def test_a_model_that_is_none_is_a_clear_error(dialekt: Dialekt, home: Path, tiny_model: Path, kind: str) -> None:
    """A model folder that is not one is refused by name before anything is made from it."""
    model = home / "model"
    match kind:
        case "empty folder":
            model.mkdir()
        case "a file":
            model.write_text("no model", encoding="utf-8")
        case "no such folder":
            model = home / "nowhere" / "model" / "deep"
        case "cut weights":
            shutil.copytree(tiny_model, model)
            weights = next(model.rglob("*.safetensors"))
            weights.write_bytes(weights.read_bytes()[:1000])
    answer = dialekt("run", "--project", home, "--quiet", "--set", f"model.base={model}")
    assert answer.code == 1
    assert "unexpected" not in answer.err
    assert len(answer.err.splitlines()) == 2
    assert _no_half_artefact(home)


def test_a_forbidden_folder_is_a_clear_error(dialekt: Dialekt, tmp_path: Path) -> None:
    """A project under a path that is a file cannot be made, and one line says so."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    answer = dialekt("init", tmp_path / "file" / "project")
    assert answer.code == 1
    assert "a file is where a folder belongs" in answer.err
