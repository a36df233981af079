"""The estimated label noise follows the share of wrong pairs, as far as wrong means unrelated."""

from dataclasses import replace

import numpy as np
import pytest
from tests.diagnosis.searches import SAMPLING
from tests.world import unit

from dialekt.diagnosis.inputs import DataInputs, Sampling
from dialekt.diagnosis.labels import LEAST_PAIRS, RoundTrip, label_noise, round_trip, teacher_disagreement
from dialekt.measures.retrieval import Collection
from dialekt.models.lexical import Bm25
from dialekt.models.vectors import Vectors
from dialekt.types import Language, Pair, Query

TOPICS = 300
PER_TOPIC = 5
DIMENSION = 32


def topics(*, model_sees: bool = True) -> DataInputs:
    """Five documents and five queries for each of 300 topics; query n of a topic is paired with its document n.

    A query shares its topic's word with the documents and, if the model sees anything, its direction.
    """
    generator = np.random.default_rng(3)
    centres = np.repeat(generator.normal(size=(TOPICS, DIMENSION)), PER_TOPIC, axis=0)
    count = len(centres)
    sides = [unit(centres + generator.normal(size=centres.shape)) for _ in range(2)]
    names = [f"{row}" for row in range(count)]
    texts = tuple(f"topic{row // PER_TOPIC} about document{row}" for row in range(count))
    queries = [Query(f"q{row}", f"which topic{row // PER_TOPIC}") for row in range(count)]
    seen = sides[1] if model_sees else unit(generator.normal(size=centres.shape))
    return DataInputs(
        collection=Collection(tuple(names), texts, tuple(names), np.arange(count)),
        lexical=Bm25.build(texts, language=Language.OTHER),
        vectors=Vectors(names, sides[0], [query.id for query in queries], seen),
        pairs=[Pair(f"q{row}", name) for row, name in enumerate(names)],
        queries=queries,
        standard_deviation=0.3,
        sampling=SAMPLING,
    )


@pytest.fixture(scope="module")
def clean() -> DataInputs:
    """All pairs are right."""
    return topics()


def with_wrong(inputs: DataInputs, share: float) -> DataInputs:
    """Give a share of the pairs the document of another pair."""
    generator = np.random.default_rng(4)
    others = generator.permutation(len(inputs.pairs))
    wrong = set(generator.permutation(len(inputs.pairs))[: round(share * len(inputs.pairs))].tolist())
    pairs = [
        replace(pair, document_id=inputs.pairs[others[row]].document_id) if row in wrong else pair
        for row, pair in enumerate(inputs.pairs)
    ]
    return replace(inputs, pairs=pairs)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5])
def test_the_estimate_follows_the_share_of_wrong_pairs(clean: DataInputs, share: float) -> None:
    """Shuffled pairs are counted within three hundredths, and the interval holds the truth."""
    found = label_noise(round_trip(with_wrong(clean, share)), SAMPLING)
    assert found is not None
    assert found.value == pytest.approx(share, abs=0.035)
    assert found.low <= share <= found.high


def test_words_vouch_for_pairs_of_which_the_model_sees_nothing() -> None:
    """With vectors that mean nothing, BM25 alone keeps right pairs from being counted as wrong."""
    found = label_noise(round_trip(topics(model_sees=False)), SAMPLING)
    assert found is not None
    assert found.value < 0.03


def test_plausible_mistakes_are_not_counted(clean: DataInputs) -> None:
    """A document of the same topic passes for an answer, as the docs say."""
    shifted = [
        replace(pair, document_id=f"{row - row % PER_TOPIC + (row + 1) % PER_TOPIC}")
        for row, pair in enumerate(clean.pairs)
    ]
    found = label_noise(round_trip(replace(clean, pairs=shifted)), SAMPLING)
    assert found is not None
    assert found.value < 0.01


def test_documents_that_neither_side_finds_are_counted(clean: DataInputs) -> None:
    """Of pairs shuffled over 1,500 documents about nine in ten are beyond rank 100 of both."""
    assert round_trip(clean).unfindable == 0
    lost = round_trip(with_wrong(clean, 0.5)).unfindable
    assert 0.85 * 750 <= lost <= 750


def test_pairs_that_cannot_be_looked_at_are_left_out(clean: DataInputs) -> None:
    """A document outside the corpus or a query without a vector says nothing."""
    foreign = [*clean.pairs[:80], Pair("q1", "elsewhere"), Pair("unknown", "1")]
    assert len(round_trip(replace(clean, pairs=foreign)).places) == 80


def test_a_few_pairs_give_no_estimate(clean: DataInputs) -> None:
    """Below fifty pairs the interval would say nothing; without pairs nothing breaks."""
    assert label_noise(round_trip(replace(clean, pairs=clean.pairs[: LEAST_PAIRS - 1])), SAMPLING) is None
    none = round_trip(replace(clean, pairs=[]))
    assert (label_noise(none, SAMPLING), none.unfindable) == (None, 0)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Over 500 samples of 200 pairs, a fifth of them wrong, the 90% interval holds it at least 90 times in 100."""
    generator = np.random.default_rng(5)
    sampling = Sampling(confidence=0.9, resamples=1, seed=1)
    held = 0
    for _ in range(500):
        places = np.where(generator.random(200) < 0.2, generator.random(200), generator.random(200) * 0.1)
        found = label_noise(RoundTrip(places, queries=200, unfindable=0), sampling)
        assert found is not None
        held += found.low <= 0.2 <= found.high
    assert 0.9 <= held / 500 <= 0.98


def test_several_pairs_of_a_query_do_not_narrow_the_interval() -> None:
    """Pairs of one query count as one observation."""
    places = np.array([0.9, *[0.1] * 9] * 30)
    many = label_noise(RoundTrip(places, queries=300, unfindable=0), SAMPLING)
    few = label_noise(RoundTrip(places, queries=60, unfindable=0), SAMPLING)
    assert many is not None
    assert few is not None
    assert few.value == many.value == pytest.approx(0.2)
    assert few.low < many.low < many.high < few.high


def test_no_wrong_pair_at_all_still_leaves_doubt() -> None:
    """Of 100 pairs in place, some may be wrong; of 100 out of place, all are."""
    none = label_noise(RoundTrip(np.zeros(100), queries=100, unfindable=0), SAMPLING)
    every = label_noise(RoundTrip(np.ones(100), queries=100, unfindable=0), SAMPLING)
    assert none is not None
    assert every is not None
    assert (none.value, none.low) == (0, 0)
    assert 0.05 < none.high < 0.1
    assert (every.value, every.high) == (1, 1)


def test_a_teacher_disagrees_where_its_logit_is_negative() -> None:
    """Zero is undecided, and no scores are no disagreement."""
    assert teacher_disagreement(np.array([-2, 0, 1, 3], dtype=np.float32)) == 0.25
    assert teacher_disagreement(np.empty(0, dtype=np.float32)) == 0
