"""Mixing sources: who may train, what is known twice, caps, weights, and tests made from documents."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.pairs.dividing import document, write_inputs

from dialekt.config import PairsConfig
from dialekt.errors import InputError
from dialekt.pairs import stage
from dialekt.pairs.mixing import Offer, admit, weigh
from dialekt.pairs.records import (
    GivenNegative,
    GivenQrel,
    HeldOutDocument,
    JudgedQuery,
    KnownNegative,
    MadeQuery,
    PassedOver,
)
from dialekt.store.tables import read_records, write_records
from dialekt.types import Document, Pair, PairSource, Qrel, Query, Retriever, Split

TEST = Query("t", "change the locale of the server", Split.TEST)
DEV = Query("d", "restore a backup", Split.DEV)
TRAIN = Query("q", "reset the password", Split.TRAIN)


@dataclass(frozen=True, slots=True)
class LogQrel(GivenQrel):
    """A judgment of a log, with how certain it is."""

    weight: float = 1.0


def made(name: str, text: str, document_id: str) -> Offer:
    """Return an offer of the synthetic source."""
    return Offer(Query(name, text), document_id, PairSource.SYNTHETIC, document_id)


def sources(folder: Path) -> stage.PairsInputs:
    """Write a small project of three sources: one judged train and test query, a log, and made queries."""
    write_inputs(folder, [], [], [document(name) for name in "abcdef"])
    split, logs, synthesis = folder / "split", folder / "logs", folder / "synthesis"
    logs.mkdir()
    synthesis.mkdir()
    write_records(split / "queries.parquet", [TRAIN, DEV, TEST], Query)
    write_records(split / "qrels.parquet", [Qrel("q", "a"), Qrel("d", "f"), Qrel("t", "f")], Qrel)
    write_records(split / "held_out_documents.parquet", [HeldOutDocument("f")], HeldOutDocument)
    write_log(logs)
    made_queries = [
        MadeQuery("m1", "a guide to b", "b", 1.0),
        MadeQuery("m2", "server locale of the change the", "c", 1.0),
    ]
    write_records(synthesis / "queries.parquet", made_queries, MadeQuery)
    write_records(synthesis / "negatives.parquet", [GivenNegative("m1", "e")], GivenNegative)
    return stage.PairsInputs(folder / "corpus", split, folder / "judgments", logs, synthesis)


def write_log(folder: Path) -> None:
    """Write what a log room leaves: a past with two answers and a document passed over, and a future."""
    queries = [JudgedQuery("l1", "Reset the password!"), JudgedQuery("l2", "blue screen"), JudgedQuery("l3", "later")]
    write_records(folder / "queries.parquet", queries, JudgedQuery)
    split_of = {"l1": "train", "l2": "train", "l3": "test"}
    rows = [("l1", "a", 0.9), ("l1", "b", 0.7), ("l2", "d", 0.4), ("l3", "e", 1.0)]
    qrels = [LogQrel(query, name, 1.0, split_of[query], weight) for query, name, weight in rows]
    write_records(folder / "qrels.parquet", qrels, LogQrel)
    write_records(folder / "weak_negatives.parquet", [PassedOver("l2", "e", 0.3, 9)], PassedOver)


def test_queries_like_held_out_ones_are_not_admitted() -> None:
    """An offer whose words are nearly those of a test query is left out and counted; others stay."""
    dropped: Counter[str] = Counter()
    offers = [made("m1", "Change the locale of the server!", "a"), made("m2", "list the users", "b")]
    admitted = admit(offers, [TEST], [], similarity=0.9, dropped=dropped)
    assert [offer.query.id for offer in admitted] == ["m2"]
    assert dropped == {"synthetic_queries_near_held_out": 1}


def test_an_answer_known_from_another_source_counts_once() -> None:
    """The same words with the same answer are one pair; with another answer they join the query that is there."""
    dropped: Counter[str] = Counter()
    offers = [made("m1", "Reset the password", "a"), made("m2", "reset the password?", "b")]
    admitted = admit(offers, [TRAIN], [Qrel("q", "a")], similarity=0.9, dropped=dropped)
    assert [(offer.query.id, offer.document_id) for offer in admitted] == [("q", "b")]
    assert dropped == {"synthetic_pairs_known_from_another_source": 1}


def test_caps_keep_the_heaviest_and_weights_multiply() -> None:
    """A cap keeps the heaviest pairs of its source, a source's weight multiplies the pair's own."""
    pairs = [Pair(f"q{rank}", "a", weight=rank / 10, source=PairSource.LOGS) for rank in range(1, 6)]
    config = PairsConfig(source_caps={PairSource.LOGS: 2}, source_weights={PairSource.LOGS: 0.5})
    dropped: Counter[str] = Counter()
    assert [(pair.query_id, pair.weight) for pair in weigh(pairs, config, seed=1, dropped=dropped)] == [
        ("q4", 0.2),
        ("q5", 0.25),
    ]
    assert dropped == {"logs_pairs_beyond_cap": 3}


def test_every_pair_keeps_its_source(tmp_path: Path) -> None:
    """Judgments, the past of a log and made queries become pairs of one table, with their own weights."""
    inputs = sources(tmp_path)
    facts = stage.run(PairsConfig(), inputs, tmp_path / "pairs")
    pairs = read_records(tmp_path / "pairs/pairs.parquet", Pair)
    assert [(pair.query_id, pair.document_id, pair.weight, pair.source.value) for pair in pairs] == [
        ("l2", "d", 0.4, "logs"),
        ("m1", "b", 0.5, "synthetic"),
        ("q", "a", 1.0, "qrels"),
        ("q", "b", 0.7, "logs"),
    ]
    assert facts.by_source == {"logs": 2, "qrels": 1, "synthetic": 1}
    assert facts.held_out == "judgments"
    assert facts.dropped == {"logs_pairs_known_from_another_source": 1, "synthetic_queries_near_held_out": 1}


def test_queries_of_all_sources_are_in_one_table(tmp_path: Path) -> None:
    """What comes later finds every trained query, its judgments, and the negatives that need no search."""
    stage.run(PairsConfig(), sources(tmp_path), tmp_path / "pairs")
    queries = read_records(tmp_path / "pairs/queries.parquet", Query)
    assert {query.id: query.split for query in queries} == {
        "q": Split.TRAIN,
        "d": Split.DEV,
        "t": Split.TEST,
        "l2": Split.TRAIN,
        "m1": Split.TRAIN,
    }
    assert Qrel("q", "b") in read_records(tmp_path / "pairs/qrels.parquet", Qrel)
    assert read_records(tmp_path / "pairs/known_negatives.parquet", KnownNegative) == [
        KnownNegative("l2", "e", 0.3, Retriever.SKIPPED),
        KnownNegative("m1", "e", 1.0, Retriever.GIVEN),
    ]
    assert read_records(tmp_path / "pairs/held_out_documents.parquet", HeldOutDocument) == [HeldOutDocument("f")]


def test_a_left_out_source_leaves_nothing(tmp_path: Path) -> None:
    """Leaving a source out trains without its queries; leaving all out is an error."""
    inputs = sources(tmp_path)
    facts = stage.run(PairsConfig(leave_out=(PairSource.LOGS,)), inputs, tmp_path / "pairs")
    assert facts.by_source == {"qrels": 1, "synthetic": 1}
    with pytest.raises(InputError, match="no train query has a document"):
        stage.run(PairsConfig(leave_out=(PairSource.LOGS, PairSource.QRELS, PairSource.SYNTHETIC)), inputs, tmp_path)


def test_a_log_alone_is_the_main_source(tmp_path: Path) -> None:
    """Without judgments the divided queries are those of the log, with the log's weights."""
    inputs = replace(sources(tmp_path), judgments=None, synthesis=None)
    assert inputs.split is not None
    write_records(inputs.split / "queries.parquet", [Query("l2", "blue screen"), TEST], Query)
    write_records(inputs.split / "qrels.parquet", [Qrel("l2", "d"), Qrel("t", "f")], Qrel)
    facts = stage.run(PairsConfig(), inputs, tmp_path / "pairs")
    assert read_records(tmp_path / "pairs/pairs.parquet", Pair) == [Pair("l2", "d", 1.0, 0.4, PairSource.LOGS)]
    assert facts.held_out == "logs"


def test_documents_alone_are_divided_by_document(tmp_path: Path) -> None:
    """Without judgments and logs made queries are divided so that no document is asked for on two sides; it warns."""
    names = [f"d{number}" for number in range(40)]
    write_inputs(
        tmp_path, [], [], [Document(name, f"about {name}", parent_id=name, duplicate_of=name) for name in names]
    )
    (tmp_path / "synthesis").mkdir()
    queries = [
        MadeQuery(f"{name}-{kind}", f"{kind} {name} page", name, 1.0) for name in names for kind in ("how", "what")
    ]
    write_records(tmp_path / "synthesis/queries.parquet", queries, MadeQuery)
    write_records(tmp_path / "synthesis/negatives.parquet", [], GivenNegative)
    inputs = stage.PairsInputs(tmp_path / "corpus", None, synthesis=tmp_path / "synthesis")
    facts = stage.run(PairsConfig(), inputs, tmp_path / "pairs")
    split_of = {query.id: query.split for query in read_records(tmp_path / "pairs/queries.parquet", Query)}
    sides: dict[str, set[Split]] = {}
    for qrel in read_records(tmp_path / "pairs/qrels.parquet", Qrel):
        sides.setdefault(qrel.document_id, set()).add(split_of[qrel.query_id])
    assert all(len(splits) == 1 for splits in sides.values())
    assert Counter(split_of.values()) == {Split.TRAIN: 56, Split.TEST: 16, Split.DEV: 8}
    assert facts.held_out == "made queries"
    assert "no judgments and no logs" in facts.warnings[-1]
