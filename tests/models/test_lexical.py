"""BM25."""

import bm25s
import numpy as np
import pytest
import Stemmer

from dialekt.models.lexical import Analyzer, Bm25, looks_english
from dialekt.types import Progress

DOCUMENTS = [
    "The solar panels are installed on the roof by an electrician.",
    "Reset the password of your account from the login page.",
    "The invoice and the receipt are sent to the billing address.",
    "Panels and batteries: charging the battery with solar power.",
    "",
]


def test_scores_equal_bm25s_with_its_own_tokenizer() -> None:
    """Our terms and ties change nothing about bm25s' scores with English stop words and stemmer."""
    queries = ["charging batteries with solar panels", "resetting passwords", "invoices", "the of"]
    stemmer = Stemmer.Stemmer("english")
    reference = bm25s.BM25(k1=1.2, b=0.75, method="lucene")
    reference.index(
        bm25s.tokenize(DOCUMENTS, stopwords="en", stemmer=stemmer, show_progress=False), show_progress=False
    )
    tokens = bm25s.tokenize(queries, stopwords="en", stemmer=stemmer, show_progress=False)
    _, expected = reference.retrieve(tokens, k=5, show_progress=False)
    found = Bm25.build(DOCUMENTS, english=True).search(queries, 5)
    assert np.where(found.indices >= 0, found.scores, 0).tolist() == expected.tolist()


def test_documents_without_a_common_term_are_left_out() -> None:
    """Rows with fewer than k matches are padded with index -1 and score -inf."""
    found = Bm25.build(DOCUMENTS).search(["password", "zebra", ""], 3)
    assert found.indices.tolist() == [[1, -1, -1], [-1, -1, -1], [-1, -1, -1]]
    assert np.isneginf(found.scores[found.indices < 0]).all()


def test_equal_scores_come_in_the_order_of_the_documents() -> None:
    """Ties go to the lower index, so that a run is reproducible."""
    found = Bm25.build(["solar roof"] * 40 + ["wind"]).search(["solar"], 4)
    assert found.indices.tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize("texts", [[], ["", "!"]])
def test_a_corpus_without_words_finds_nothing(texts: list[str]) -> None:
    """An index without a single term answers every query with nothing."""
    assert Bm25.build(texts).search(["solar"], 2).indices.tolist() == [[-1, -1]]


def test_other_languages_keep_their_words() -> None:
    """German is neither stemmed in English nor robbed of words that English counts as stop words."""
    texts = ["Die Anlage war in der Nacht außer Betrieb", "Das Kabel wird in den Schacht gelegt und geprüft"] * 5
    index = Bm25.build(texts)
    assert not index.english
    assert Analyzer(english=False).terms("Was in Schächten war") == ["was", "in", "schächten", "war"]


def test_chinese_is_searched_by_pairs_of_characters() -> None:
    """Languages without spaces are found by overlapping pairs."""
    found = Bm25.build(["重置密码的方法", "太阳能电池板"]).search(["密码"], 1)
    assert found.indices.tolist() == [[0]]


def test_english_is_recognised_by_its_function_words() -> None:
    """Prose and terse help texts are English; lists of part numbers and other languages are not."""
    assert looks_english(DOCUMENTS)
    assert not looks_english(["Il cavo e collegato alla presa e la batteria si carica di notte."])
    assert not looks_english(["AX-100 BX-200 CX-300"])
    assert not looks_english([])


def test_progress_counts_documents_and_queries() -> None:
    """Building and searching report the work done and its total."""
    steps: list[Progress] = []
    Bm25.build(DOCUMENTS, progress=steps.append).search(["solar", "roof"], 1, progress=steps.append)
    assert [(step.done, step.total) for step in steps] == [(5, 5), (2, 2)]
