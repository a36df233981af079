"""BM25: the lexical baseline, and a source of candidates for mining."""

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dialekt.models.topk import TopK, empty_top_k, select_best
from dialekt.types import Progress, ReportProgress, no_progress

K1 = 1.2
B = 0.75
_WORD = re.compile(r"(?u)\b\w\w+\b")  # bm25s' and scikit-learn's default
_SAMPLE_TEXTS = 1_000
_SAMPLE_CHARACTERS = 2_000
_ENGLISH_SHARE = 0.04  # measured: terse command help 0.08, product names 0.12, prose 0.14 to 0.19
_ENGLISH_WORDS = frozenset({"the", "and", "to", "with", "that", "this", "from", "are", "by"})
_IDEOGRAPHS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
_REPORT_EVERY = 1_000


class Analyzer:
    """Texts → terms: lower-cased words of two or more characters; English without stop words, and stemmed."""

    def __init__(self, *, english: bool):
        self.english = english
        self._terms: dict[str, str | None] = {}

    def __getstate__(self) -> dict[str, object]:
        """Leave out what is made again when it is needed; a stemmer cannot be pickled."""
        return {"english": self.english, "_terms": {}}

    @cached_property
    def _stop_words(self) -> frozenset[str]:
        from bm25s.stopwords import STOPWORDS_EN

        return frozenset(STOPWORDS_EN)

    @cached_property
    def _stemmer(self) -> Any:
        import Stemmer

        return Stemmer.Stemmer("english")

    def terms(self, text: str) -> list[str]:
        """Return the terms of a text, in order, repetitions included."""
        words = _WORD.findall(text.lower())
        if not self.english:
            return [term for word in words for term in _segments(word)]
        return [term for word in words if (term := self._term(word)) is not None]

    def _term(self, word: str) -> str | None:
        if word not in self._terms:
            self._terms[word] = None if word in self._stop_words else self._stemmer.stemWord(word)
        return self._terms[word]


def _segments(word: str) -> list[str]:
    """Split Chinese and Japanese, which put no spaces between words, into overlapping pairs, as Lucene does."""
    if word.isascii() or not _IDEOGRAPHS.search(word):
        return [word]
    return [word[start : start + 2] for start in range(len(word) - 1)]


def looks_english(texts: Iterable[str]) -> bool:
    """Say whether a sample of texts is English: mostly ASCII words, a share of them function words of English."""
    words = [word for text in islice(texts, _SAMPLE_TEXTS) for word in _WORD.findall(text[:_SAMPLE_CHARACTERS].lower())]
    if not words:
        return False
    ascii_share = sum(word.isascii() for word in words) / len(words)
    english_share = sum(word in _ENGLISH_WORDS for word in words) / len(words)
    return ascii_share > 0.9 and english_share > _ENGLISH_SHARE


class Bm25:
    """An inverted index with Lucene's BM25 (k1 1.2, b 0.75), scored by bm25s."""

    def __init__(self, index: Any, analyzer: Analyzer, *, documents: int):
        self._index = index
        self._analyzer = analyzer
        self.documents = documents

    @property
    def english(self) -> bool:
        """Whether stop words are dropped and words stemmed."""
        return self._analyzer.english

    @classmethod
    def build(
        cls, texts: Sequence[str], *, english: bool | None = None, progress: ReportProgress = no_progress
    ) -> Self:
        """Index texts; `english=None` looks at a sample. Other languages keep every word, lower-cased."""
        import bm25s

        analyzer = Analyzer(english=looks_english(texts) if english is None else english)
        vocabulary: dict[str, int] = {}
        term_ids: list[list[int]] = []
        for number, text in enumerate(texts, start=1):
            term_ids.append([vocabulary.setdefault(term, len(vocabulary)) for term in analyzer.terms(text)])
            if number % _REPORT_EVERY == 0 or number == len(texts):
                progress(Progress("index words", number, len(texts)))
        index = bm25s.BM25(k1=K1, b=B, method="lucene")
        if vocabulary:
            index.index((term_ids, vocabulary), show_progress=False)
        return cls(index, analyzer, documents=len(texts))

    def search(self, queries: Sequence[str], k: int, *, progress: ReportProgress = no_progress) -> TopK:
        """Return the k best documents of every query; those that share no term with it are left out."""
        result = empty_top_k(len(queries), k)
        for row, query in enumerate(queries):
            scores = self._scores(query)
            positions = np.flatnonzero(scores > 0)
            positions = positions[select_best(scores[positions], k)]
            result.indices[row, : len(positions)] = positions
            result.scores[row, : len(positions)] = scores[positions]
            if (row + 1) % _REPORT_EVERY == 0 or row + 1 == len(queries):
                progress(Progress("search words", row + 1, len(queries)))
        return result

    def _scores(self, query: str) -> NDArray[np.float32]:
        vocabulary: dict[str, int] = getattr(self._index, "vocab_dict", {})
        ids = [vocabulary[term] for term in self._analyzer.terms(query) if term in vocabulary]
        if not ids:
            return np.zeros(self.documents, dtype=np.float32)
        scores: NDArray[np.float32] = self._index.get_scores_from_ids(ids)
        return scores
