"""Hubs are documents that stand wrongly among the first results of many queries."""

import pytest
from tests.diagnosis.searches import run_of

from dialekt.diagnosis.hubs import Hubs, find_hubs
from dialekt.measures.metrics import judge
from dialekt.types import Qrel

DOCUMENTS = [f"d{number}" for number in range(400)]


def hubs(popular: int, *, answers: bool = False) -> Hubs:
    """Let 40 queries find ten documents each, `popular` of them d0 in the first place; is it their answer?"""
    others = [[f"d{1 + row * 9 + rank}" for rank in range(9)] for row in range(40)]
    ranking = [["d0", *found] if row < popular else found for row, found in enumerate(others)]
    qrels = [Qrel(f"q{row}", "d0" if answers else "d399") for row in range(40)]
    return find_hubs(run_of(ranking, DOCUMENTS), judge(qrels, minimum_grade=1.0))


def test_a_document_that_many_queries_find_is_a_hub() -> None:
    """A document among the first ten of 20 queries, of no use to any, is a hub and takes 20 of 380 places."""
    found = hubs(20)
    assert found.documents.nonzero()[0].tolist() == [0]
    assert found.share == pytest.approx(20 / (40 * 9 + 20))


def test_an_answer_of_many_queries_is_no_hub() -> None:
    """Places where a document belongs do not count."""
    assert not hubs(40, answers=True).documents.any()


def test_four_queries_make_no_hub() -> None:
    """However rare it is that documents are found twice, below five queries nothing is called a hub."""
    assert not hubs(4).documents[0]
    assert hubs(5).documents[0]


def test_queries_without_results_have_no_hubs() -> None:
    """Empty rows of a run count nowhere."""
    found = find_hubs(run_of([[], []], DOCUMENTS), judge([Qrel("q0", "d0")], minimum_grade=1.0))
    assert not found.documents.any()
    assert found.share == 0
