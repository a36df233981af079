"""The dev set is a bounded, reproducible pool that scores like the whole corpus where it matters."""

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.world import World

from dialekt.evaluation.dev import DevInputs, DevSet, dev_scores, make_dev_set, score_dev
from dialekt.measures.metrics import judge, score_run
from dialekt.measures.retrieval import dense_run, read_collection
from dialekt.models.vectors import load_vectors
from dialekt.types import Split


@pytest.fixture
def inputs(world: World) -> DevInputs:
    """The folders of a world with noisy base vectors."""
    vectors = world.write_vectors("base", noise=0.7)
    return DevInputs(world.folder("corpus"), world.folder("split"), vectors, seed=5)


def vectors_of(dev_set: DevSet, inputs: DevInputs) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the base vectors of the set's queries and documents."""
    vectors = load_vectors(inputs.vectors)
    queries = [vectors.query_ids.index(query_id) for query_id in dev_set.query_ids]
    documents = [vectors.document_ids.index(document_id) for document_id in dev_set.document_ids]
    return np.asarray(vectors.query_vectors)[queries], np.asarray(vectors.document_vectors)[documents]


def test_a_pool_of_everything_scores_like_the_whole_corpus(world: World, inputs: DevInputs) -> None:
    """With room for all documents the score is ir-measures' NDCG@10 of the dev queries."""
    dev_set = make_dev_set(inputs, max_queries=100, max_documents=1000)
    assert len(dev_set.document_ids) == len(world.documents)
    dev = [query for query in world.queries if query.split is Split.DEV]
    run = dense_run(read_collection(inputs.corpus), load_vectors(inputs.vectors), dev, depth=100)
    expected = score_run(run, judge(world.qrels, minimum_grade=1))["NDCG@10"]
    np.testing.assert_allclose(dev_scores(dev_set, *vectors_of(dev_set, inputs)), expected, atol=1e-9)
    assert score_dev(dev_set, *vectors_of(dev_set, inputs)) == pytest.approx(expected.mean())


def test_queries_and_pool_are_bounded(inputs: DevInputs) -> None:
    """Never more queries or documents than asked for, all of them from the dev split."""
    dev_set = make_dev_set(inputs, max_queries=5, max_documents=40)
    assert len(dev_set.query_ids) == len(set(dev_set.query_ids)) == 5
    assert set(dev_set.query_ids) <= {f"q{topic}" for topic in range(12, 24)}
    assert len(dev_set.document_ids) == 40
    assert dev_set.texts == 45


def test_positives_are_in_the_pool_even_beyond_its_limit(inputs: DevInputs) -> None:
    """A pool too small for the positives holds exactly them."""
    dev_set = make_dev_set(inputs, max_queries=4, max_documents=1)
    topics = [query_id.removeprefix("q") for query_id in dev_set.query_ids]
    expected = {f"{topic}/{unit}" for topic in topics for unit in ("0", "2#0", "2#1")}
    assert set(dev_set.document_ids) == expected


def test_hard_candidates_come_before_random_ones(world: World, inputs: DevInputs) -> None:
    """The base model's nearest documents are in a pool that could not hold half of the corpus."""
    dev_set = make_dev_set(inputs, max_queries=12, max_documents=75, candidates=2)
    run = dense_run(
        read_collection(inputs.corpus),
        load_vectors(inputs.vectors),
        [query for query in world.queries if query.id in dev_set.query_ids],
        depth=1,
    )
    assert {run.document_ids[index] for index in run.indices[:, 0].tolist()} <= set(dev_set.parent_ids)


def test_the_same_seed_gives_the_same_set(inputs: DevInputs) -> None:
    """Another seed draws other queries."""
    first, second = (make_dev_set(inputs, max_queries=5, max_documents=50) for _ in range(2))
    assert (first.query_ids, first.document_ids) == (second.query_ids, second.document_ids)
    other = make_dev_set(
        DevInputs(inputs.corpus, inputs.split, inputs.vectors, seed=6), max_queries=5, max_documents=50
    )
    assert other.query_ids != first.query_ids


def test_no_dev_queries_give_an_empty_set_that_scores_zero(world: World, inputs: DevInputs) -> None:
    """Nothing is encoded in vain."""
    world.changed(queries=tuple(query for query in world.queries if query.split is not Split.DEV))
    dev_set = make_dev_set(inputs, max_queries=5, max_documents=50)
    assert dev_set.texts == 0
    nothing = np.zeros((0, 16), dtype=np.float32)
    assert score_dev(dev_set, nothing, nothing) == 0.0
