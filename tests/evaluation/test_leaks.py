"""The leak check passes clean artefacts and names what leaked in others."""

import re
from dataclasses import replace

import pytest
from tests.world import World

from dialekt.errors import LeakError
from dialekt.evaluation import leaks
from dialekt.evaluation.records import LeakFacts
from dialekt.types import HardNegative, Pair, Qrel, Query, Retriever, Split


def check(world: World) -> LeakFacts:
    """Check the artefacts of a world."""
    folders = {name: world.folder(name) for name in ("corpus", "split", "pairs", "negatives")}
    return leaks.check(**folders)  # type: ignore[arg-type]


def negative(query_id: str, document_id: str) -> HardNegative:
    """Make a hard negative of a query."""
    return HardNegative(query_id, document_id, rank=1, score=0.4, positive_score=0.8, retriever=Retriever.BM25)


def test_clean_artefacts_pass(world: World) -> None:
    """What was looked at is counted."""
    assert check(world) == LeakFacts(
        train_queries=16,
        held_out_queries=24,
        held_out_documents=48,
        pairs=16,
        negatives=16,
        near_duplicate_similarity=0.9,
    )


def test_pairs_and_negatives_may_be_missing(world: World) -> None:
    """Where nothing was trained only the split itself is checked."""
    facts = leaks.check(corpus=world.folder("corpus"), split=world.folder("split"), pairs=None, negatives=None)
    assert (facts.pairs, facts.negatives, facts.train_queries) == (0, 0, 0)


def test_a_query_in_two_splits_leaks(world: World) -> None:
    """One id in train and test is named."""
    twice = world.changed(queries=(*world.queries, Query("q30", "another text", Split.TEST)))
    with pytest.raises(LeakError, match=r"query ids in two splits: 1 \(q30\)"):
        check(twice)


def test_a_held_out_query_with_a_training_pair_leaks(world: World) -> None:
    """A pair of a test query is a leak even if its text is unlike all others."""
    with pytest.raises(LeakError, match=r"held-out queries in training: 1 \(q0\)"):
        check(world.changed(pairs=(*world.pairs, Pair("q0", "30/1"))))


@pytest.mark.parametrize("text", ["which topic1 word1", "Word1: which TOPIC1?"])
def test_a_trained_query_with_the_words_of_a_test_query_leaks(world: World, text: str) -> None:
    """The same words in another order and case are the same query."""
    queries = tuple(replace(query, text=text) if query.id == "q30" else query for query in world.queries)
    with pytest.raises(LeakError, match=r"training queries like a held-out query: 1 \(q30 ~ q1\)"):
        check(world.changed(queries=queries))


def test_a_similar_query_that_is_not_trained_on_does_not_leak(world: World) -> None:
    """Only queries that occur in pairs or negatives count."""
    alike = Query("unused", "which topic1 word1", Split.TRAIN)
    assert check(world.changed(queries=(*world.queries, alike))).train_queries == 16


def test_a_document_of_test_queries_only_may_be_neither_negative_nor_positive(world: World) -> None:
    """Both are named, chunks by their own id."""
    leaking = world.changed(
        pairs=(*world.pairs, Pair("q30", "5/0")), negatives=(*world.negatives, negative("q30", "6/2#1"))
    )
    with pytest.raises(LeakError) as caught:
        check(leaking)
    assert "held-out documents among training positives: 1 (5/0)" in caught.value.message
    assert "held-out documents among training negatives: 1 (6/2#1)" in caught.value.message


def test_a_document_that_answers_a_training_query_too_is_no_leak(world: World) -> None:
    """A document shared by train and test queries may be trained on."""
    shared = world.changed(qrels=(*world.qrels, Qrel("q30", "5/0")), pairs=(*world.pairs, Pair("q30", "5/0")))
    assert check(shared).held_out_documents == 47


def test_grades_below_the_minimum_hold_nothing_out(world: World) -> None:
    """A judged non-match of a test query may be a training negative."""
    judged = world.changed(qrels=(*world.qrels, Qrel("q0", "30/1", 0.0)))
    assert check(judged).held_out_documents == 48


def test_the_text_of_a_held_out_document_under_another_id_leaks(world: World) -> None:
    """A negative in the duplicate cluster of a test document is found although its id is another."""
    documents = tuple(
        replace(document, duplicate_of="3/0") if document.id == "30/1" else document for document in world.documents
    )
    expected = r"training negatives with the text of a held-out document: 1 \(30/1\)"
    with pytest.raises(LeakError, match=expected):
        check(world.changed(documents=documents))


def test_no_more_than_five_ids_are_shown(world: World) -> None:
    """The count is complete, the list is not; no text is in the message."""
    negatives = [negative("q30", f"{topic}/0") for topic in range(9)]
    with pytest.raises(LeakError) as caught:
        check(world.changed(negatives=negatives))
    shown = r"training negatives: 9 \(0/0, 1/0, 2/0, 3/0, 4/0, \.\.\.\)"
    assert re.search(shown, caught.value.message)
    assert "rotor" not in caught.value.message
