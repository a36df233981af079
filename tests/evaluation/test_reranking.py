"""A teacher is compared with the student on the same dev queries, over what the student found."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.world import World, topic_of

from dialekt.evaluation.dev import DevInputs, make_dev_set, score_dev
from dialekt.evaluation.reranking import RerankingInputs, ScorePairs, compare
from dialekt.models.vectors import load_vectors
from dialekt.types import Split


@pytest.fixture
def inputs(world: World) -> RerankingInputs:
    """The folders of a world with noisy student vectors."""
    vectors = world.write_vectors("base", noise=1.2)
    folders = (world.folder("corpus"), world.folder("split"), vectors)
    return RerankingInputs(*folders, depth=30, max_queries=100, seed=5)


def by_topic(*, sign: float) -> ScorePairs:
    """Return a teacher that knows the topics, or with a negative sign one that has them upside down."""

    def score(queries: Sequence[str], documents: Sequence[str], pairs: NDArray[np.int64]) -> NDArray[np.float32]:
        same = [topic_of(queries[query]) == topic_of(documents[document]) for query, document in pairs.tolist()]
        return sign * np.array(same, dtype=np.float32)

    return score


def test_a_knowing_teacher_is_proven_better(inputs: RerankingInputs) -> None:
    """Documents of the topic come first, so the whole interval of the gain lies above zero."""
    found = compare(inputs, by_topic(sign=1.0))
    assert found.queries == 12
    assert found.teacher_ndcg > found.student_ndcg
    assert 0 < found.low < found.gain < found.high
    assert found.gain == pytest.approx(found.teacher_ndcg - found.student_ndcg)


def test_a_bad_teacher_loses(inputs: RerankingInputs) -> None:
    """The worst order is below the student's, beyond doubt."""
    assert compare(inputs, by_topic(sign=-1.0)).high < 0


def test_a_teacher_without_an_opinion_equals_the_student(world: World, inputs: RerankingInputs) -> None:
    """Equal scores leave the student's order, which scores what the dev set says, at any depth."""
    dev_inputs = DevInputs(inputs.corpus, inputs.split, inputs.vectors)
    dev_set = make_dev_set(dev_inputs, max_queries=100, max_documents=1000)
    vectors = load_vectors(inputs.vectors)
    rows = [vectors.query_ids.index(query_id) for query_id in dev_set.query_ids]
    expected = score_dev(dev_set, np.asarray(vectors.query_vectors)[rows], np.asarray(vectors.document_vectors))
    for depth in (2, 30):
        found = compare(replace(inputs, depth=depth), by_topic(sign=0.0))
        assert found.student_ndcg == pytest.approx(expected)
        assert (found.gain, found.low, found.high) == (0.0, 0.0, 0.0)


def test_only_what_the_student_found_is_read(inputs: RerankingInputs) -> None:
    """The teacher reads `depth` units for each of `max_queries` dev queries, every text once."""
    seen: list[tuple[int, int, int]] = []

    def score(queries: Sequence[str], documents: Sequence[str], pairs: NDArray[np.int64]) -> NDArray[np.float32]:
        seen.append((len(queries), len(set(documents)) - len(documents), len(pairs)))
        return np.zeros(len(pairs), dtype=np.float32)

    assert compare(replace(inputs, depth=7, max_queries=5), score).queries == 5
    assert seen == [(5, 0, 35)]


def test_without_dev_queries_there_is_nothing_to_compare(world: World, inputs: RerankingInputs) -> None:
    """The comparison says so by its count, and asks the teacher nothing."""
    world.changed(queries=tuple(replace(query, split=Split.TRAIN) for query in world.queries))
    assert compare(inputs, by_topic(sign=1.0)).queries == 0
