"""The baseline is scored as everywhere else, and its ceiling is what perfect reranking would give."""

import numpy as np
import pytest
from tests.diagnosis.searches import SAMPLING, four_letter_tokens, run_of
from tests.world import World

from dialekt.diagnosis.baseline import baseline_facts, perfect_reranking
from dialekt.diagnosis.inputs import BASE, BaselineInputs
from dialekt.measures.metrics import NDCG, judge, score_run
from dialekt.measures.retrieval import dense_run, lexical_run, read_collection
from dialekt.models.lexical import Bm25
from dialekt.models.vectors import load_vectors
from dialekt.types import Language, Qrel, Split


def world_inputs(world: World, *, noise: float) -> BaselineInputs:
    """Search the world's test queries with BM25 and with noisy vectors."""
    collection = read_collection(world.folder("corpus"))
    vectors = load_vectors(world.write_vectors("base", noise=noise))
    queries = [query for query in world.queries if query.split is Split.TEST]
    index = Bm25.build(collection.texts, language=Language.OTHER)
    return BaselineInputs(
        collection=collection,
        documents=world.documents,
        document_vectors=vectors.document_vectors,
        queries=queries,
        judgments=judge(world.qrels, minimum_grade=1.0),
        systems={
            BASE: dense_run(collection, vectors, queries, depth=100),
            "bm25": lexical_run(collection, index, queries, depth=100),
        },
        token_offsets=four_letter_tokens,
        max_tokens=100,
        language=Language.OTHER,
        sampling=SAMPLING,
    )


def test_every_system_is_scored_on_the_same_queries(world: World) -> None:
    """Means are those of ir-measures, inside their intervals, below the ceiling."""
    inputs = world_inputs(world, noise=1.0)
    facts = baseline_facts(inputs)
    assert (facts.queries, facts.documents) == (12, 120)
    assert [score.system for score in facts.systems] == [BASE, "bm25"]
    for score in facts.systems:
        expected = score_run(inputs.systems[score.system], inputs.judgments)
        assert score.ndcg.value == pytest.approx(expected[NDCG].mean())
        assert score.recall is not None
        assert score.recall.value == pytest.approx(expected["Recall@100"].mean())
        assert score.ndcg.low <= score.ndcg.value <= score.ndcg.high
    assert facts.systems[0].ndcg.value < facts.ceiling.value <= 1
    assert (facts.truncated_share, facts.duplicate_share) == (0, 0)


def test_equal_inputs_give_equal_facts(world: World) -> None:
    """Nothing is random that the seed does not decide."""
    inputs = world_inputs(world, noise=1.0)
    assert baseline_facts(inputs) == baseline_facts(inputs)


def test_reranking_cannot_find_what_was_not_found() -> None:
    """The ceiling is 1 where all answers were found however deep, less where one is missing, 0 without any."""
    documents = [f"d{number}" for number in range(100)]
    run = run_of([documents, documents[:50], documents[:50], []], documents)
    qrels = [Qrel("q0", "d99"), Qrel("q1", "d49"), Qrel("q1", "d51"), Qrel("q2", "d60"), Qrel("q3", "d1")]
    ceiling = perfect_reranking(run, judge(qrels, minimum_grade=1.0))
    np.testing.assert_allclose(ceiling, [1.0, 1 / (1 + 1 / np.log2(3)), 0.0, 0.0])


def test_the_best_grades_come_first() -> None:
    """No order of the found documents has a higher NDCG@10."""
    documents = [f"d{number}" for number in range(12)]
    run = run_of([documents], documents)
    judgments = judge([Qrel("q0", name, float(number % 4)) for number, name in enumerate(documents)], minimum_grade=1.0)
    assert perfect_reranking(run, judgments)[0] == pytest.approx(1.0)
    assert score_run(run, judgments)[NDCG][0] < 1
