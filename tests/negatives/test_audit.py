"""The audit: its table, its histograms, its file."""

from pathlib import Path

import numpy as np
import pytest

from dialekt.config import NegativesConfig
from dialekt.errors import StorageError
from dialekt.negatives.audit import Audit, audit_table, read_audit, write_audit
from dialekt.negatives.mining import mine
from dialekt.negatives.rules import Rule
from dialekt.negatives.tables import MiningTables, document_codes, document_table, query_table
from dialekt.types import Document, Pair, Retriever

COSINES = [0.8, 0.79, 0.4, 0.2, -0.1]


@pytest.fixture
def audit() -> Audit:
    """The audit of one query with a positive at 0.8, one candidate above the margin and three below."""
    documents = [Document(f"d{number}", "text") for number in range(len(COSINES))]
    codes = document_codes(documents)
    table = document_table(documents, codes, held_out=[], category_field=None)
    queries = query_table(table, codes, pairs=[Pair("q", "d0")], qrels=[], given=[], minimum_grade=1)
    vectors = np.array([[cosine, np.sqrt(1 - cosine**2)] for cosine in COSINES], dtype=np.float32)
    config = NegativesConfig(per_query=2, retrievers=(Retriever.DENSE,))
    return mine(config, MiningTables(table, queries, None), np.array([[1, 0]], np.float32), vectors, seed=1).audit


def test_table_lists_kept_and_every_rule_with_shares(audit: Audit) -> None:
    """Rows stand in the order in which the rules are asked, and their shares add up to one."""
    rows = audit_table(audit)
    assert [row.name for row in rows] == ["kept", *Rule]
    assert {row.name: row.count for row in rows if row.count} == {
        "kept": 2,
        "positive": 1,
        "above_margin": 1,
        "not_sampled": 1,
    }
    assert sum(row.share for row in rows) == pytest.approx(1)
    assert all(row.count == row.dense + row.bm25 + row.given for row in rows)


def test_histograms_count_the_kept_negatives(audit: Audit) -> None:
    """Negatives at a half and a quarter of the positive's score, of ranks 3 and 4, are in those bins."""
    ratios = {edge: count for edge, count in zip(audit.ratios.edges, audit.ratios.counts, strict=False) if count}
    assert sum(ratios.values()) == 2
    assert set(ratios) <= {0.2, 0.25, 0.45, 0.5}
    ranks = {edge: count for edge, count in zip(audit.ranks.edges, audit.ranks.counts, strict=False) if count}
    assert ranks == {3.0: 2}
    assert audit.mean_rank == 3.5


def test_examples_name_ids_of_each_fate(audit: Audit) -> None:
    """Each fate that occurred has examples by id, without texts."""
    (example,) = audit.examples["above_margin"]
    assert (example.query_id, example.document_id, example.rank) == ("q", "d1", 2)
    assert (example.query, example.document) == ("", "")
    assert example.positive_score == pytest.approx(0.8)


def test_audit_comes_back_from_its_file(audit: Audit, tmp_path: Path) -> None:
    """What is written is what is read."""
    write_audit(tmp_path, audit)
    assert read_audit(tmp_path) == audit


def test_missing_and_damaged_audits_are_errors(tmp_path: Path) -> None:
    """A folder without an audit, or with half of one, says so."""
    with pytest.raises(StorageError, match="the audit of the negatives is missing"):
        read_audit(tmp_path)
    (tmp_path / "audit.json").write_text('{"queries": 1')
    with pytest.raises(StorageError, match="the audit is damaged"):
        read_audit(tmp_path)
