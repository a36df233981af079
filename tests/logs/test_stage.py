"""From a log on disk to judgments on disk, and to a folder that other tools read."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.logs.written import search, write_lines

from dialekt.config import CleaningConfig, LogsConfig
from dialekt.errors import ConfigError, InputError
from dialekt.flow.facts import plain
from dialekt.logs.database import open_database
from dialekt.logs.export import KnownDocument, known_documents, write_beir
from dialekt.logs.records import QRELS_NAME, LogQrel, LogsFacts, LogsInputs
from dialekt.logs.stage import run
from dialekt.store.tables import read_records, write_records
from dialekt.types import Progress

DAY = 86_400


def write_log(folder: Path) -> Path:
    """Write a log of four weeks in which `d2` answers every query and `d1`, above it, none."""
    rows = [
        row
        for day in range(28)
        for number in range(30)
        for row in search(f"c{day}-{number}", f"how to {number}", clicked=2, at=day * DAY + number * 977, number=number)
    ]
    return write_lines(folder / "log.jsonl", rows)


def judge(folder: Path, log: Path, *, corpus: Path | None = None, **settings: Any) -> LogsFacts:
    """Run the stage into `folder/out`."""
    inputs = LogsInputs(CleaningConfig(), corpus=corpus, dev_share=0.1, test_share=0.2, seed=1)
    out = folder / "out"
    out.mkdir(exist_ok=True)
    return run(LogsConfig(path=(str(log),), **settings), inputs, out)


def test_clicks_become_judgments(tmp_path: Path) -> None:
    """Every judged answer is the clicked document, held-out queries lie in the future, and no scratch file stays."""
    facts = judge(tmp_path, write_log(tmp_path))
    qrels = read_records(tmp_path / "out" / QRELS_NAME, LogQrel)
    assert {qrel.document_id for qrel in qrels if qrel.grade > 0} == {"d2"}
    assert {qrel.split for qrel in qrels} >= {"train", "test"}
    assert facts.queries == 30
    assert facts.clients == 840
    assert (facts.intake.searches, facts.intake.shown, facts.intake.actions) == (840, 2520, 840)
    names = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert names == ["qrels.parquet", "queries.parquet", "report.json", "weak_negatives.parquet"]


def test_facts_hold_no_text(tmp_path: Path) -> None:
    """Neither facts nor report carry a query unless examples were asked for."""
    log = write_log(tmp_path)
    facts = json.dumps(plain(judge(tmp_path, log)))
    report = (tmp_path / "out" / "report.json").read_text(encoding="utf-8")
    assert "how to" not in facts + report
    judge(tmp_path, log, examples=1)
    assert "how to" in (tmp_path / "out" / "report.json").read_text(encoding="utf-8")


def test_documents_that_are_gone_are_no_answers(tmp_path: Path) -> None:
    """A clicked document that the corpus does not have is counted, and no judgment names it."""
    corpus = tmp_path / "corpus.jsonl"
    write_lines(corpus, [{"_id": "d1", "text": "one"}, {"_id": "d3", "text": "three"}])
    facts = judge(tmp_path, write_log(tmp_path), corpus=known_documents(corpus, tmp_path))
    assert facts.documents_unknown == 1
    assert all(qrel.document_id != "d2" for qrel in read_records(tmp_path / "out" / QRELS_NAME, LogQrel))


def test_corpus_artefact_knows_chunks_and_their_documents(tmp_path: Path) -> None:
    """A log may name the whole document of which the corpus has chunks."""
    path = tmp_path / "documents.parquet"
    write_records(path, [KnownDocument("d2#1", "d2")], KnownDocument)
    facts = judge(tmp_path, write_log(tmp_path), corpus=known_documents(tmp_path, tmp_path))
    assert facts.documents_unknown == 2


def test_a_log_without_clicks_or_documents_says_so(tmp_path: Path) -> None:
    """No usable row is an error that names the log; no path is one that names the setting."""
    log = write_lines(tmp_path / "log.jsonl", [{"query": "shoes", "doc_id": ""}])
    with pytest.raises(InputError, match="the log has no search with a document"):
        judge(tmp_path, log)
    short = write_lines(tmp_path / "short.jsonl", [{"query": "x", "doc_id": "a"}])
    with pytest.raises(InputError, match="cleaning left nothing of the log"):
        judge(tmp_path, short)
    with pytest.raises(InputError, match="there is no search log"):
        run(LogsConfig(), LogsInputs(CleaningConfig(), None, 0.1, 0.1, 1), tmp_path / "out")


def test_progress_tells_every_step(tmp_path: Path) -> None:
    """Reading, cleaning and evidence report while they work."""
    seen: list[Progress] = []
    inputs = LogsInputs(CleaningConfig(), corpus=None, dev_share=0.1, test_share=0.1, seed=1)
    run(LogsConfig(path=(str(write_log(tmp_path)),)), inputs, tmp_path / "out", progress=seen.append)
    labels = list(dict.fromkeys(report.label for report in seen))
    assert labels[0] == "reading file 1 of 1"
    assert "masking personal data" in labels
    assert len(labels) > 6


def test_memory_limit_must_be_a_size(tmp_path: Path) -> None:
    """A limit that DuckDB cannot read is an error of the configuration."""
    with (
        pytest.raises(ConfigError, match=r"logs\.memory_limit = 'much' is no size"),
        open_database(tmp_path, memory_limit="much"),
    ):
        pass


def test_same_log_gives_the_same_judgments(tmp_path: Path) -> None:
    """Two runs write the same tables, whatever the order in which threads met the rows."""
    log = write_log(tmp_path)
    judge(tmp_path, log)
    first = [
        (tmp_path / "out" / name).read_bytes() for name in ("queries.parquet", QRELS_NAME, "weak_negatives.parquet")
    ]
    judge(tmp_path, log)
    assert first == [
        (tmp_path / "out" / name).read_bytes() for name in ("queries.parquet", QRELS_NAME, "weak_negatives.parquet")
    ]


def test_judgments_as_a_beir_folder(tmp_path: Path) -> None:
    """`queries.jsonl` and one file of judgments per split name the same pairs as the tables."""
    judge(tmp_path, write_log(tmp_path))
    out = tmp_path / "out"
    write_beir(out)
    ids = {json.loads(line)["_id"] for line in (out / "queries.jsonl").read_text(encoding="utf-8").splitlines()}
    qrels = read_records(out / QRELS_NAME, LogQrel)
    rows = [line.split("\t") for file in (out / "qrels").iterdir() for line in file.read_text().splitlines()[1:]]
    assert {(query, document) for query, document, _ in rows} == {(q.query_id, q.document_id) for q in qrels}
    assert {row[0] for row in rows} <= ids
