"""BM25: the lexical baseline, and a source of candidates for mining."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dialekt.models.language import derive_language, stemmer, stop_words
from dialekt.models.topk import TopK, empty_top_k, select_best
from dialekt.store.words import find_terms, is_unit, search_form
from dialekt.types import Language, Progress, ReportProgress, no_progress

K1 = 1.2
B = 0.75
_REPORT_EVERY = 1_000


class Analyzer:
    """Texts → terms: lower-cased words of two or more characters, without stop words and stemmed as the language asks.

    Scripts without blanks give overlapping pairs of units (`store.words`), whatever the language.
    """

    def __init__(self, language: Language):
        self.language = language
        self._terms: dict[str, str | None] = {}

    def __getstate__(self) -> dict[str, object]:
        """Leave out what is made again when it is needed; a stemmer cannot be pickled."""
        return {"language": self.language, "_terms": {}}

    @cached_property
    def _stop_words(self) -> frozenset[str]:
        return stop_words(self.language)

    @cached_property
    def _stemmer(self) -> Any:
        return stemmer(self.language)

    def terms(self, text: str) -> list[str]:
        """Return the terms of a text, in order, repetitions included."""
        found = find_terms(search_form(text, turkish=self.language is Language.TURKISH))
        words = [word for word in found if len(word) > 1 or is_unit(word)]
        if self.language is Language.OTHER:
            return words
        return [term for word in words if (term := self._term(word)) is not None]

    def _term(self, word: str) -> str | None:
        if word not in self._terms:
            self._terms[word] = None if word in self._stop_words else self._stem(word)
        return self._terms[word]

    def _stem(self, word: str) -> str:
        return str(self._stemmer.stemWord(word)) if self._stemmer else word


class Bm25:
    """An inverted index with Lucene's BM25 (k1 1.2, b 0.75), scored by bm25s."""

    def __init__(self, index: Any, analyzer: Analyzer, *, documents: int):
        self._index = index
        self._analyzer = analyzer
        self.documents = documents

    @property
    def language(self) -> Language:
        """The language whose stop words are dropped and whose stemmer is used."""
        return self._analyzer.language

    @classmethod
    def build(
        cls, texts: Sequence[str], *, language: Language | None = None, progress: ReportProgress = no_progress
    ) -> Self:
        """Index texts; `language=None` looks at a sample of them."""
        import bm25s

        analyzer = Analyzer(derive_language(texts) if language is None else language)
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
        ids = [found for term in self._analyzer.terms(query) for found in _matches(term, vocabulary)]
        if not ids:
            return np.zeros(self.documents, dtype=np.float32)
        scores: NDArray[np.float32] = self._index.get_scores_from_ids(ids)
        return scores


def _matches(term: str, vocabulary: dict[str, int]) -> Iterator[int]:
    """Yield the ids of the documents' terms that a query's term stands for: itself, or the pairs that hold a unit."""
    if is_unit(term):
        yield from (found for known, found in vocabulary.items() if term in known)
    elif term in vocabulary:
        yield vocabulary[term]
