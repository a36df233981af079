"""The running words that carry meaning, and the terms among them that are typical of a corpus."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import Stemmer
from numpy.typing import NDArray

from dialekt.diagnosis.frequencies import GeneralLanguage
from dialekt.diagnosis.terms import LEAST_DOCUMENTS, Vocabulary, count_documents

_MOST_TERMS = 300
_MOST_CONTEXTS = 5_000
_LEAST_TERM_DOCUMENTS = 10
_LEAST_LETTERS = 3
_MOST_SHARE = 0.5  # a word in so many documents is a function word of this corpus
_STOP_ZIPF = 5.7  # about the 200 most frequent words of a language
_TYPICAL_RATIO = 10.0
_UNKNOWN = 1e-8  # the rarest words of the English list: taken for words that it does not know


@dataclass(frozen=True, eq=False)
class ContentWords:
    """Running words in order. Row n: which word and in which text, both (words,) int64.

    Words are numbered below `contexts`, the terms first; forms of one word (`cell`, `cells`) are one. `terms` are the
    vocabulary's rows of the commonest form of each term, `documents` the number of texts it is in.
    """

    rows: NDArray[np.int64]
    text_rows: NDArray[np.int64]
    contexts: int
    terms: tuple[int, ...]
    documents: tuple[int, ...]

    def where(self, kept: NDArray[np.bool_]) -> Self:
        """Return the running words of a mask (words,), in order."""
        return replace(self, rows=self.rows[kept], text_rows=self.text_rows[kept])


@dataclass(frozen=True, eq=False)
class _Joined:
    """Words whose forms are joined. `running` (running words,) points into them; the rest is (joined words,)."""

    running: NDArray[np.int64]
    counts: NDArray[np.int64]
    documents: NDArray[np.int64]
    commonest: NDArray[np.int64]
    frequencies: NDArray[np.float64]

    @classmethod
    def of(cls, vocabulary: Vocabulary, language: GeneralLanguage) -> Self:
        """Join the words that have a stem in common."""
        stems = _stems(vocabulary, language)
        size = int(stems.max(initial=-1)) + 1
        running = stems[vocabulary.word_rows]
        commonest = np.zeros(size, dtype=np.int64)
        order = np.argsort(vocabulary.counts, kind="stable")
        commonest[stems[order]] = order  # of several forms the last one written, the commonest, stays
        zipf = np.array([language.zipf(vocabulary.terms[row]) for row in commonest.tolist()], dtype=np.float64)
        return cls(
            running,
            np.bincount(running, minlength=size),
            count_documents(running, vocabulary.words.text_rows, size),
            commonest,
            10 ** (zipf - 9),
        )


def content_words(vocabulary: Vocabulary, language: GeneralLanguage) -> ContentWords:
    """Leave out the stop words and the rare words of a corpus, and number the terms that are typical of it first."""
    joined = _Joined.of(vocabulary, language)
    content = (
        (joined.documents >= LEAST_DOCUMENTS)
        & (joined.documents <= _MOST_SHARE * vocabulary.words.texts)
        & (joined.frequencies < 10 ** (_STOP_ZIPF - 9))
    )
    terms = _typical(vocabulary, joined, content)
    others = np.setdiff1d(np.flatnonzero(content), terms)
    others = others[np.argsort(-joined.documents[others], kind="stable")][: _MOST_CONTEXTS - len(terms)]
    numbers = np.full(len(content), -1, dtype=np.int64)
    numbers[np.concatenate([terms, others])] = np.arange(len(terms) + len(others))
    rows = numbers[joined.running]
    return ContentWords(
        rows=rows[rows >= 0],
        text_rows=vocabulary.words.text_rows[rows >= 0].astype(np.int64),
        contexts=len(terms) + len(others),
        terms=tuple(joined.commonest[terms].tolist()),
        documents=tuple(joined.documents[terms].tolist()),
    )


def _typical(vocabulary: Vocabulary, joined: _Joined, content: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the words with the greatest count x ln(share here / share in general), at least ten times as frequent.

    These are the summands of the Kullback-Leibler divergence of the corpus from the general language.
    """
    ratios = joined.counts / max(1, len(joined.running)) / np.maximum(joined.frequencies, _UNKNOWN)
    long = np.array([len(vocabulary.terms[row]) >= _LEAST_LETTERS for row in joined.commonest.tolist()], dtype=np.bool_)
    shown = joined.documents >= max(_LEAST_TERM_DOCUMENTS, vocabulary.least_documents)
    typical = content & long & vocabulary.plain[joined.commonest] & shown & (ratios >= _TYPICAL_RATIO)
    weights = np.where(typical, joined.counts * np.log(np.maximum(ratios, 1.0)), 0.0)
    order = np.argsort(-weights, kind="stable")[:_MOST_TERMS]
    return order[weights[order] > 0]


def _stems(vocabulary: Vocabulary, language: GeneralLanguage) -> NDArray[np.int64]:
    """Return the number of each word's stem (distinct words,): its own where there is no stemmer of the language."""
    try:
        stems = Stemmer.Stemmer(language.code).stemWords([term.casefold() for term in vocabulary.terms])
    except KeyError:
        return np.arange(len(vocabulary.terms))
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(stem, len(numbers)) for stem in stems], dtype=np.int64)
