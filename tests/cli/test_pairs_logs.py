"""`dialekt pairs logs`: a data report on the screen, a folder on disk, errors in two lines."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.logs.written import search, write_lines

Dialekt = Callable[..., Any]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of sixty searchers, two of them with mail addresses in their queries."""
    rows = [
        row
        for number in range(60)
        for row in search(f"c{number}", f"how to {number % 6}", clicked=2, at=number * 4000, number=number)
    ]
    rows += [row for name in "ab" for row in search(name, f"invoice {name}@example.com", clicked=1)]
    return write_lines(tmp_path / "log.jsonl.gz", rows)


@pytest.fixture
def run(dialekt: Dialekt) -> Callable[..., str]:
    """Call the command and return its stdout; it must succeed."""

    def call(*words: object) -> str:
        answer = dialekt("pairs", "logs", "--quiet", *words)
        assert answer.code == 0, answer.err
        return str(answer.out)

    return call


def test_report_and_folder(run: Callable[..., str], tmp_path: Path, log: Path) -> None:
    """Outside a project: the funnel on the screen, tables and a BEIR-like folder on disk, and no text anywhere else."""
    out = tmp_path / "judged"
    text = run("--log", log, "--out", out)
    assert "62 searches, 186 documents shown, 62 acted on" in text
    assert "2 queries with mail masked" in text
    assert "machines: never click" in text
    assert "how to" not in text
    assert (out / "qrels" / "train.tsv").is_file()
    assert "invoice <mail>" in (out / "queries.jsonl").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_json_is_one_object(run: Callable[..., str], tmp_path: Path, log: Path) -> None:
    """With --json, facts and report are one object on stdout."""
    answer = json.loads(run("--log", log, "--out", tmp_path / "judged", "--json"))
    assert answer["schema"] == "dialekt.pairs-logs/1"
    assert answer["facts"]["intake"]["searches"] == 62
    assert answer["report"]["examples"] == {}


def test_examples_show_texts_on_request(run: Callable[..., str], tmp_path: Path, log: Path) -> None:
    """Only --examples prints queries."""
    assert "how to" in run("--log", log, "--out", tmp_path / "judged", "--examples", "2")


def test_corpus_says_which_documents_exist(run: Callable[..., str], tmp_path: Path, log: Path) -> None:
    """Documents that the corpus does not have are counted."""
    corpus = write_lines(tmp_path / "corpus.jsonl", [{"_id": "d2", "text": "two"}])
    text = run("--log", log, "--out", tmp_path / "judged", "--corpus", corpus)
    assert "2 documents that the corpus does not have" in text


def test_settings_reach_the_rules(run: Callable[..., str], dialekt: Dialekt, tmp_path: Path, log: Path) -> None:
    """--set changes a rule; one that the log cannot keep leaves no folder behind."""
    out = tmp_path / "judged"
    run("--log", log, "--out", out, "--set", "cleaning.personal_data=drop")
    assert "invoice" not in (out / "queries.jsonl").read_text(encoding="utf-8")
    wrong = dialekt("pairs", "logs", "--log", log, "--out", tmp_path / "other", "--set", "logs.query_column=nothing")
    assert wrong.code == 1
    assert "the log has no such column" in wrong.err
    assert not (tmp_path / "other").exists()


def test_wrong_use_says_what_to_do(dialekt: Dialekt, tmp_path: Path, log: Path) -> None:
    """A log needs a folder, the folder must be new, and --out alone is no mode."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for words, said in (
        (["--log", log], "--log needs --out"),
        (["--log", log, "--out", tmp_path / "full"], "is there already"),
        (["--out", tmp_path / "judged"], "go with --log"),
    ):
        answer = dialekt("pairs", "logs", *words)
        assert answer.code == 2
        assert said in answer.err
