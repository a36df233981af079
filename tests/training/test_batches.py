"""Steps: every pair once, no document twice, no answer as a negative."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialekt.training.batches import Piece, collate, plan_steps
from dialekt.training.examples import Examples, build_examples
from dialekt.types import Document, HardNegative, Pair, Qrel, Query, Retriever, Role


def tokenise(texts: Sequence[str], role: Role) -> list[list[int]]:
    """One token per word."""
    return [[1, *(10 + len(word) for word in text.split()), 2] for text in texts]


def examples_of(pairs: Sequence[tuple[int, int]], negatives: Sequence[tuple[int, int]] = ()) -> Examples:
    """Examples over queries and documents that are numbers."""
    documents = [Document(f"d{i}", "word " * (i % 7 + 1), duplicate_of=f"d{i}", parent_id=f"d{i}") for i in range(40)]
    queries = [Query(f"q{i}", "word " * (i % 5 + 1)) for i in range(40)]
    return build_examples(
        documents,
        queries,
        [Pair(f"q{query}", f"d{document}") for query, document in pairs],
        [HardNegative(f"q{q}", f"d{d}", 1, 0.1, 0.5, Retriever.BM25) for q, d in negatives],
        tokenise=tokenise,
    )


PAIRS = st.lists(st.tuples(st.integers(0, 39), st.integers(0, 39)), min_size=1, max_size=120, unique=True)


@given(PAIRS, st.integers(2, 16), st.integers(1, 4), st.integers(0, 3))
@settings(deadline=None, max_examples=60)
def test_every_epoch_holds_every_pair_once(pairs: list[tuple[int, int]], size: int, queries: int, seed: int) -> None:
    """A plan of one epoch is a permutation of the pairs, and the same seed gives the same plan."""
    examples = examples_of(pairs)
    plan = plan_steps(examples, batch_size=size, queries_per_document=queries, epochs=1, seed=seed)
    assert sorted(np.concatenate(plan.steps)) == list(range(len(pairs)))
    again = plan_steps(examples, batch_size=size, queries_per_document=queries, epochs=1, seed=seed)
    assert all(np.array_equal(left, right) for left, right in zip(plan.steps, again.steps, strict=True))


@given(PAIRS, st.integers(0, 3))
@settings(deadline=None, max_examples=60)
def test_no_answer_is_a_negative(pairs: list[tuple[int, int]], seed: int) -> None:
    """Every document of a step that answers a query is its target or masked, and each document stands there once."""
    examples = examples_of(pairs, negatives=[(q, (d + 3) % 40) for q, d in pairs if (q, (d + 3) % 40) not in pairs])
    plan = plan_steps(examples, batch_size=12, queries_per_document=2, epochs=1, seed=seed)
    for step in plan.steps:
        batch = collate(examples, step, hard_negatives=1, piece=Piece(8, 10_000), pad_id=0, seed=seed)
        assert not bool(batch.masked[np.arange(len(step)), batch.targets].any())
        per_query = batch.masked.sum(dim=1).numpy() + 1
        for row, pair in enumerate(step):
            query = examples.pair_query[pair]
            answers = {d for q, d in pairs if f"q{q}" == examples.query_ids[query]}
            assert 1 <= per_query[row] <= len(answers)


def test_documents_of_many_queries_are_dealt_over_the_steps() -> None:
    """One document with thirty queries does not make one step of thirty pairs."""
    examples = examples_of([(i, 0) for i in range(30)] + [(i, i + 1) for i in range(30)])
    plan = plan_steps(examples, batch_size=10, queries_per_document=4, epochs=1, seed=1)
    with_popular = [int((examples.pair_document[step] == 0).sum()) for step in plan.steps]
    assert max(with_popular) <= 5
    assert sum(with_popular) == 30


def test_parts_of_an_epoch_are_cut_from_the_plan() -> None:
    """Half an epoch is half of its steps."""
    examples = examples_of([(i, i) for i in range(40)])
    whole = plan_steps(examples, batch_size=4, queries_per_document=1, epochs=1, seed=2)
    half = plan_steps(examples, batch_size=4, queries_per_document=1, epochs=0.5, seed=2)
    assert len(half.steps) == len(whole.steps) // 2
    assert half.steps_per_epoch == whole.steps_per_epoch


def test_padding_keeps_every_token_in_its_row() -> None:
    """Texts are padded in groups of similar length, and `rows` leads back to the order of the step."""
    examples = examples_of([(i, i) for i in range(20)])
    step = np.arange(20, dtype=np.int32)
    batch = collate(examples, step, hard_negatives=0, piece=Piece(6, 10_000), pad_id=0, seed=0)
    assert len(batch.queries) == 4
    rows = np.concatenate([part.rows.numpy() for part in batch.queries])
    assert sorted(rows) == list(range(20))
    for part in batch.queries:
        for line, row in enumerate(part.rows.tolist()):
            length = int(part.attention_mask[line].sum())
            tokens = part.input_ids[line, :length].numpy()
            assert np.array_equal(tokens, examples.query_tokens.row(int(examples.pair_query[step[row]])))


def test_chunks_and_near_duplicates_of_an_answer_are_masked() -> None:
    """A chunk of the answer's document and a near-duplicate of it are never negatives."""
    documents = [
        Document("a#0", "first chunk", parent_id="a", duplicate_of="a#0"),
        Document("a#1", "second chunk", parent_id="a", duplicate_of="a#1"),
        Document("twin", "first chunk again", parent_id="twin", duplicate_of="a#0"),
        Document("b", "another", parent_id="b", duplicate_of="b"),
    ]
    queries = [Query("q", "what"), Query("r", "who"), Query("s", "where"), Query("t", "when")]
    pairs = [Pair("q", "a#0"), Pair("r", "a#1"), Pair("s", "twin"), Pair("t", "b")]
    examples = build_examples(documents, queries, pairs, [], tokenise=tokenise)
    answers = examples.is_answer(np.arange(4, dtype=np.int32), np.arange(4, dtype=np.int32))
    assert answers.tolist() == [
        [True, True, True, False],
        [True, True, False, False],
        [True, False, True, False],
        [False, False, False, True],
    ]


def test_a_piece_keeps_its_token_budget() -> None:
    """No piece has more padded tokens than the budget, unless one text alone does."""
    examples = examples_of([(i, i) for i in range(40)])
    step = np.arange(40, dtype=np.int32)
    batch = collate(examples, step, hard_negatives=0, piece=Piece(32, 20), pad_id=0, seed=0)
    assert all(part.tokens <= 20 for part in batch.documents)
    assert sum(len(part.rows) for part in batch.documents) == 40


def test_answers_that_are_no_pair_are_masked() -> None:
    """A judged answer that is no pair, for its low grade or a limit, is no negative; a judged non-match may be one."""
    documents = [Document(f"d{i}", "text", parent_id=f"d{i}", duplicate_of=f"d{i}") for i in range(3)]
    pairs = [Pair("q", "d0"), Pair("r", "d1"), Pair("r", "d2")]
    qrels = [Qrel("q", "d0", 2.0), Qrel("q", "d1", 1.0), Qrel("q", "d2", 0.0)]
    examples = build_examples(documents, [Query("q", "a"), Query("r", "b")], pairs, [], tokenise=tokenise, qrels=qrels)
    answers = examples.is_answer(np.array([0], dtype=np.int32), np.arange(3, dtype=np.int32))
    assert answers.tolist() == [[True, True, False]]


@pytest.mark.parametrize("limit", [2, 3, 5])
def test_cutting_keeps_the_closing_token(limit: int) -> None:
    """A cut text still ends with its separator."""
    examples = examples_of([(4, 6)]).cut(max_query_tokens=limit, max_document_tokens=limit)
    row = examples.document_tokens.row(0)
    assert len(row) == limit
    assert row[-1] == 2
