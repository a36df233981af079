"""The pairs stage: which judgments become training pairs, and with which chunk."""

from pathlib import Path

import pytest
from tests.pairs.dividing import document, make_pairs, write_inputs

from dialekt.config import PairsConfig
from dialekt.errors import InputError
from dialekt.pairs.records import HeldOutDocument
from dialekt.store.tables import write_records
from dialekt.types import Document, Pair, PairSource, Qrel, Query, Split

QUERY = Query("q1", "reset the password")


def prepare(
    folder: Path,
    qrels: list[Qrel],
    documents: list[Document],
    *,
    held_out: tuple[str, ...] = (),
    inline: tuple[Document, ...] = (),
) -> Path:
    """Write the artefacts that the stage reads: one train query, one test query."""
    write_inputs(folder, [], [], documents, inline=inline)
    write_records(folder / "split/queries.parquet", [QUERY, Query("t1", "test", Split.TEST)], Query)
    write_records(folder / "split/qrels.parquet", qrels, Qrel)
    write_records(folder / "split/held_out_documents.parquet", map(HeldOutDocument, held_out), HeldOutDocument)
    return folder


def test_train_positives_become_pairs(tmp_path: Path) -> None:
    """Every positive of a train query is a pair of weight 1 with its grade, best first; test queries give none."""
    qrels = [Qrel("q1", "b", 1.0), Qrel("q1", "a", 2.0), Qrel("q1", "c", 0.0), Qrel("t1", "d", 1.0)]
    prepare(tmp_path, qrels, [document(name) for name in "abcd"], inline=(document("b"),))
    facts, pairs = make_pairs(tmp_path)
    assert pairs == [Pair("q1", "a", 2.0, 1.0, PairSource.QRELS), Pair("q1", "b", 1.0, 1.0, PairSource.PAIRS)]
    assert (facts.pairs, facts.queries, facts.documents) == (2, 1, 2)
    assert facts.by_source == {"pairs": 1, "qrels": 1}
    assert facts.dropped == {"judgments_below_minimum_grade": 1}


def test_limit_keeps_the_highest_grades(tmp_path: Path) -> None:
    """With a limit the highest grades stay, and equal grades are taken by document id."""
    qrels = [Qrel("q1", name, grade) for name, grade in (("d", 1.0), ("c", 2.0), ("b", 1.0), ("a", 1.0))]
    prepare(tmp_path, qrels, [document(name) for name in "abcd"])
    facts, pairs = make_pairs(tmp_path, PairsConfig(max_positives_per_query=2))
    assert [pair.document_id for pair in pairs] == ["c", "a"]
    assert facts.dropped == {"positives_beyond_limit": 2}


def test_best_chunk_of_a_document(tmp_path: Path) -> None:
    """A chunked document gives its chunk with the query's rarest words, the first of equals."""
    documents = [
        document("d#0", "the the of and", parent="d"),
        document("d#1", "the password reset page", parent="d"),
        document("d#2", "reset password", parent="d"),
        document("e#0", "the nothing", parent="e"),
        document("e#1", "the nothing", parent="e"),
    ]
    prepare(tmp_path, [Qrel("q1", "d"), Qrel("q1", "e")], documents)
    _, pairs = make_pairs(tmp_path)
    assert [pair.document_id for pair in pairs] == ["d#1", "e#0"]


def test_near_duplicate_positives_collapse(tmp_path: Path) -> None:
    """Of positives with the same text only the best-graded stays."""
    documents = [document("a"), document("b", twin_of="a"), document("c")]
    prepare(tmp_path, [Qrel("q1", "a", 1.0), Qrel("q1", "b", 3.0), Qrel("q1", "c", 1.0)], documents)
    facts, pairs = make_pairs(tmp_path)
    assert [pair.document_id for pair in pairs] == ["b", "c"]
    assert facts.dropped == {"near_duplicate_positives": 1}


def test_text_of_a_held_out_document_is_not_trained_on(tmp_path: Path) -> None:
    """A positive with the text of a held-out document is left out; of a chunked one another chunk is taken."""
    documents = [
        document("held"),
        document("twin", twin_of="held"),
        document("d#0", "reset the password", parent="d", twin_of="held"),
        document("d#1", "something", parent="d"),
    ]
    prepare(tmp_path, [Qrel("q1", "twin"), Qrel("q1", "d")], documents, held_out=("held",))
    facts, pairs = make_pairs(tmp_path)
    assert [pair.document_id for pair in pairs] == ["d#1"]
    assert facts.dropped == {"positives_with_held_out_text": 1}


def test_no_pair_at_all(tmp_path: Path) -> None:
    """A minimum grade that no judgment reaches is an error that says so."""
    prepare(tmp_path, [Qrel("q1", "a", 1.0)], [document("a")])
    with pytest.raises(InputError, match="no train query has a document of grade 5 or more"):
        make_pairs(tmp_path, PairsConfig(minimum_grade=5))
