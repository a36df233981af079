"""What the test queries can show, and what it would take to show more."""

import numpy as np
import pytest
from scipy import stats
from tests.diagnosis.searches import SAMPLING
from tests.world import World

from dialekt.diagnosis.effects import EFFECTS, data_facts, needed_judgments
from dialekt.diagnosis.inputs import DataInputs
from dialekt.measures.retrieval import read_collection
from dialekt.measures.statistics import minimum_detectable_effect
from dialekt.models.lexical import Bm25
from dialekt.models.vectors import load_vectors
from dialekt.types import Language


@pytest.mark.parametrize("deviation", [0.07, 0.25, 0.4])
def test_needed_judgments_invert_the_detectable_effect(deviation: float) -> None:
    """So many queries detect the effect, and one less does not."""
    for needed in needed_judgments(deviation):
        assert minimum_detectable_effect(deviation, needed.queries) <= needed.effect * (1 + 1e-9)
        if needed.queries > 2:
            assert minimum_detectable_effect(deviation, needed.queries - 1) > needed.effect


def test_equal_differences_need_hardly_any_query() -> None:
    """Without deviation, the smallest sample that has one is enough."""
    assert [needed.queries for needed in needed_judgments(0.0)] == [2] * len(EFFECTS)


def test_the_needed_judgments_find_the_effect_as_often_as_they_say() -> None:
    """Over 1,000 test sets of that size, a paired t-test finds a true gain of 0.05 in four of five."""
    needed = needed_judgments(0.3, (0.05,))[0]
    samples = np.random.default_rng(7).normal(0.05, 0.3, size=(needed.queries, 1_000))
    found = np.mean(stats.ttest_1samp(samples, 0.0).pvalue < 0.05)
    assert found == pytest.approx(0.8, abs=0.04)


def world_inputs(world: World) -> DataInputs:
    """Return the world's pairs with vectors of all its queries."""
    collection = read_collection(world.folder("corpus"))
    return DataInputs(
        collection=collection,
        lexical=Bm25.build(collection.texts, language=Language.OTHER),
        vectors=load_vectors(world.write_vectors("base", noise=0.1)),
        pairs=world.pairs,
        queries=world.queries,
        standard_deviation=0.3,
        sampling=SAMPLING,
    )


def test_data_are_counted(world: World) -> None:
    """Sixteen pairs are counted, and are too few for an estimate of their noise."""
    facts = data_facts(world_inputs(world))
    assert (facts.pairs, facts.train_queries, facts.dev_queries, facts.test_queries) == (16, 16, 12, 12)
    assert (facts.documents_with_pairs, facts.unfindable) == (16, 0)
    assert (facts.suspicious_share, facts.teacher_disagreement, facts.made_queries) == (None, None, False)
    assert facts.detectable == pytest.approx(minimum_detectable_effect(0.3, 12))
    assert facts.needed == needed_judgments(0.3)
