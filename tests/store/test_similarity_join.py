"""Near twins between two sides are found exactly, by the same words as the split looks for."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialekt.pairs.similarity import Groups, join_near_duplicates
from dialekt.store.similarity_join import near_twins
from dialekt.store.words import jaccard, normalised_tokens

SIDE = st.dictionaries(st.integers(0, 99).map(str), st.text("abc ", max_size=12), max_size=12)


@settings(max_examples=60, deadline=None)
@given(left=SIDE, right=SIDE, threshold=st.sampled_from([0.5, 0.75, 0.9, 1.0]))
def test_the_join_finds_what_comparing_all_pairs_finds(
    left: dict[str, str], right: dict[str, str], threshold: float
) -> None:
    """Looking up rare words misses no pair and invents none."""
    expected = {
        (one, other)
        for one, text in left.items()
        for other, second in right.items()
        if jaccard(normalised_tokens(text), normalised_tokens(second)) >= threshold
    }
    assert sorted(near_twins(left, right, threshold)) == sorted(expected)


WORDS = st.lists(st.text("aBß É\u0301ﬁ_-?7Ⅷ中文カไทย", max_size=6), max_size=6).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(first=WORDS, second=WORDS, threshold=st.sampled_from([0.5, 0.75, 0.9, 1.0]))
def test_twins_are_those_of_the_split(first: str, second: str, threshold: float) -> None:
    """Were they not, the check would find leaks where the split saw none."""
    groups = Groups()
    join_near_duplicates(groups, [("first", first), ("second", second)], threshold)
    together = groups.find("first") == groups.find("second")
    assert bool(list(near_twins({"first": first}, {"second": second}, threshold))) == together


@pytest.mark.parametrize(
    ("first", "second"),
    [("How to reset?", "how to RESET"), ("café menu", "cafe\u0301 menu"), ("a b a b", "b, a"), ("ﬁle", "file")],
)
def test_spelling_does_not_hide_a_twin(first: str, second: str) -> None:
    """Case, punctuation, order, repetition and the encoding of characters do not matter."""
    assert list(near_twins({"x": first}, {"y": second}, 1.0)) == [("x", "y")]


def test_texts_without_words_are_twins_of_the_same_text_only() -> None:
    """Two different strings of punctuation are not the same query."""
    assert list(near_twins({"x": "???"}, {"y": "!!!", "z": "???"}, 0.9)) == [("x", "z")]


def test_time_grows_with_the_queries_not_with_their_product() -> None:
    """5,000 queries a side, 25 million pairs, take about a second."""
    generator = np.random.default_rng(1)

    def side() -> dict[str, str]:
        words = generator.zipf(1.3, size=(5_000, 8)) % 30_000
        return {str(row): " ".join(map(str, numbers)) for row, numbers in enumerate(words.tolist())}

    left, right = side(), side()
    right["twin"] = left["7"]
    start = time.perf_counter()
    assert ("7", "twin") in set(near_twins(left, right, 0.9))
    assert time.perf_counter() - start < 10
