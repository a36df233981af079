"""Neighbours of terms in a model and in a corpus."""

import random
import re
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from dialekt.diagnosis.content import content_words
from dialekt.diagnosis.frequencies import GeneralLanguage
from dialekt.diagnosis.neighbors import Agreement, compare_neighbors, context_vectors, least_overlap, overlap
from dialekt.diagnosis.terms import Vocabulary, read_words

TOPICS, WORDS = 5, 11  # the ten neighbours of a word are the others of its topic
_NO_LIST = GeneralLanguage.of("")


def word(topic: int, number: int) -> str:
    """Return an invented word."""
    return "".join(("bcdfg"[topic], "aeiou"[number % 5], "klmnp"[number // 5], "aeiou"[topic], "z"))


def topic_texts(seed: int = 1) -> list[str]:
    """Return texts of twelve words of one topic each."""
    draw = random.Random(seed)
    return [" ".join(word(number % TOPICS, draw.randrange(WORDS)) for _ in range(12)) for number in range(TOPICS * 100)]


def vocabulary(texts: Sequence[str]) -> Vocabulary:
    """Read texts; every word is a token."""
    return Vocabulary.of(read_words(texts, lambda part: [[m.span() for m in re.finditer(r"\S+", t)] for t in part]))


def encode_topics(texts: Sequence[str], *, moved: str = "", to: int = 0) -> NDArray[np.float32]:
    """Return vectors that point to a word's topic, and a little to the word; `moved` is taken for another topic."""
    rows = np.zeros((len(texts), TOPICS + len(texts)), dtype=np.float32)
    for row, text in enumerate(texts):
        rows[row, to if text == moved else "bcdfg".index(text[0])] = 1.0
        rows[row, TOPICS + row] = 0.2
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def compare(texts: Sequence[str], *, moved: str = "", to: int = 0) -> Agreement:
    """Compare the neighbours of a corpus with those of the topic model."""
    return compare_neighbors(
        vocabulary(texts), _NO_LIST, lambda terms: encode_topics(terms, moved=moved, to=to), seed=3
    )


def test_a_model_that_knows_the_corpus_agrees() -> None:
    """Where the model's neighbours are the corpus' neighbours, agreement is full and nothing is disputed."""
    found = compare(topic_texts())
    assert found.mean == pytest.approx(1.0)
    assert found.chance == pytest.approx(10 / (TOPICS * WORDS - 1))
    assert found.terms == TOPICS * WORDS
    assert found.disputed == ()


def test_a_word_that_means_something_else_is_disputed() -> None:
    """A word that the model takes for another topic is the only one in dispute, with both lists of neighbours."""
    moved = word(2, 4)
    found = compare(topic_texts(), moved=moved, to=0)
    (dispute,) = found.disputed
    assert (dispute.term, dispute.agreement) == (moved, 0.0)
    assert {term[0] for term in dispute.model_neighbors} == {"b"}
    assert {term[0] for term in dispute.corpus_neighbors} == {"d"}
    assert dispute.documents > 50


def test_words_without_company_are_left_out() -> None:
    """In a corpus of shuffled words the halves do not agree, and hardly a term is compared."""
    draw = random.Random(5)
    words = [word(topic, number) for topic in range(TOPICS) for number in range(WORDS)]
    found = compare([" ".join(draw.sample(words, 12)) for _ in range(200)])
    assert found.terms <= TOPICS * WORDS / 5


def test_too_few_terms() -> None:
    """With a handful of terms there is nothing to compare."""
    assert compare(["pump valve"] * 20) == Agreement()
    assert compare([]) == Agreement()


def test_boilerplate_counts_once() -> None:
    """How often a passage is repeated makes no difference to the neighbours: words that share it stay apart."""
    few, many = (
        content_words(vocabulary([*topic_texts(), *["zebra yodel xenon"] * times]), _NO_LIST) for times in (40, 90)
    )
    assert np.allclose(_cosines(context_vectors(few)), _cosines(context_vectors(many)), atol=1e-5)


def _cosines(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the cosines of all pairs of rows, in order of size: the terms may be numbered otherwise."""
    return np.sort((vectors @ vectors.T).ravel())


def test_the_same_twice() -> None:
    """The same texts and seed give the same answer."""
    assert compare(topic_texts(), moved=word(1, 1)) == compare(topic_texts(), moved=word(1, 1))


def test_overlap() -> None:
    """Overlap is the share of one list that is in the other."""
    first, second = np.array([[1, 2, 3, 4]]), np.array([[4, 9, 1, 8]])
    assert overlap(first, second).tolist() == [0.5]


@pytest.mark.parametrize("terms", [30, 60, 300])
def test_chance_reaches_the_least_overlap_rarely(terms: int) -> None:
    """Random lists of ten overlap that much in at most one case of a hundred, and one step less more often."""
    generator = np.random.default_rng(0)
    first, second = (
        np.argsort(generator.random((20_000, terms - 1)), axis=1)[:, :10].astype(np.int64) for _ in range(2)
    )
    chances = overlap(first, second)
    assert (chances >= least_overlap(terms) - 1e-9).mean() <= 0.013
    assert (chances >= least_overlap(terms) - 0.1 - 1e-9).mean() > 0.01


def test_typical_terms() -> None:
    """Forms of a word are one term, and stop words and words of general English are none."""
    texts = ["the flange and the people have flanges, gaskets"] * 6 + ["a gasket of the flange"] * 6 + ["plain"] * 20
    read = vocabulary(texts)
    found = content_words(read, GeneralLanguage.of("en"))
    assert [read.terms[row].rstrip("s") for row in found.terms] == ["flange", "gasket"]
    assert found.documents == (12, 12)
