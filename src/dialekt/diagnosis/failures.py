"""Why queries fail: what the failed ones show more often than the others."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialekt.diagnosis.hubs import find_hubs, wrong_places
from dialekt.diagnosis.inputs import BASE, BaselineInputs, TokenOffsets
from dialekt.diagnosis.records import Failure, FailureBucket
from dialekt.measures.metrics import CUTOFF, Judgments
from dialekt.measures.runs import Run
from dialekt.models.lexical import Analyzer
from dialekt.store.words import LETTERS, UNIT

SHARED_WEIGHT = 0.3  # of the query's terms, by idf: below it the answer speaks other words
RARE_DOCUMENTS = 2
BROKEN_PIECES = 4
DUPLICATE_COSINE = 0.97
_HUB_RANK = 3
_TEXTS_PER_BLOCK = 1_000  # offsets are Python tuples, some 100 bytes a token
_CHARACTERS_PER_TOKEN = 20  # no text averages longer tokens: what lies beyond the limit need not be counted
_WORD = re.compile(rf"{UNIT}|(?:{LETTERS}|_)+")


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Which causes each query shows: `shows` (queries,) by failure, for failed and other queries by the same rule.

    `truncated_units` (units,) says which units are longer than the model reads.
    """

    shows: dict[Failure, NDArray[np.bool_]]
    hub_share: float
    truncated_units: NDArray[np.bool_]


def failed_queries(run: Run, judgments: Judgments) -> NDArray[np.bool_]:
    """Return which queries (queries,) have no answer among the first ten results."""
    wrong = wrong_places(run, judgments)
    right = (run.indices[:, :CUTOFF] >= 0) & ~wrong
    return np.asarray(~right.any(axis=1), dtype=np.bool_)


def failures(evidence: Evidence, failed: NDArray[np.bool_]) -> tuple[FailureBucket, ...]:
    """Count each cause among failed and other queries, the one that tells them apart best first.

    ratio = (failed with it + share of failed) / failed : (others with it + share of others) / others. One query more,
    spread over both as all are, keeps it finite, and 1 where the cause occurs nowhere.
    """
    buckets = [_bucket(failure, shows, failed) for failure, shows in evidence.shows.items()]
    return tuple(sorted(buckets, key=lambda bucket: -bucket.ratio))


def _bucket(failure: Failure, shows: NDArray[np.bool_], failed: NDArray[np.bool_]) -> FailureBucket:
    among_failed, among_others = int(shows[failed].sum()), int(shows[~failed].sum())
    all_failed, queries = int(failed.sum()), len(failed)
    if all_failed in (0, queries):
        return FailureBucket(failure, among_failed, among_others, 1.0)
    failed_share = among_failed / all_failed + 1 / queries
    others_share = among_others / (queries - all_failed) + 1 / queries
    return FailureBucket(failure, among_failed, among_others, failed_share / others_share)


def gather_evidence(inputs: BaselineInputs) -> Evidence:
    """Look for every cause in every query. With several answers, a cause counts only where it holds for all."""
    run, judgments = inputs.systems[BASE], inputs.judgments
    answers = _answers(run, judgments)
    truncated = _longer_than(inputs.max_tokens, inputs.collection.texts, inputs.token_offsets)
    hubs = find_hubs(run, judgments)
    top = run.indices[:, :_HUB_RANK]
    misled = wrong_places(run, judgments)[:, :_HUB_RANK] & (top >= 0) & hubs.documents[top]
    words = _Words.of(inputs)
    units = _units_by_document(inputs.collection.parents, len(inputs.collection.document_ids))
    return Evidence(
        shows={
            Failure.LEXICAL_GAP: _lexical_gaps(inputs, words, answers),
            Failure.RARE_TERMS: _rare_terms(inputs, words),
            Failure.NEAR_DUPLICATES: _near_duplicates(inputs, answers, units),
            Failure.CUT_OFF: _cut_off(answers, units, truncated),
            Failure.HUBS: np.asarray(misled.any(axis=1), dtype=np.bool_),
        },
        hub_share=hubs.share,
        truncated_units=truncated,
    )


def _answers(run: Run, judgments: Judgments) -> list[list[int]]:
    """Return the rows of each query's answers in the corpus."""
    place = {document_id: row for row, document_id in enumerate(run.document_ids)}
    return [[place[name] for name in judgments.positives(query) if name in place] for query in run.query_ids]


def _units_by_document(parents: NDArray[np.int64], documents: int) -> list[NDArray[np.int64]]:
    order = np.argsort(parents, kind="stable")
    return np.split(order, np.searchsorted(parents[order], np.arange(1, documents)))


def _longer_than(limit: int, texts: Sequence[str], token_offsets: TokenOffsets) -> NDArray[np.bool_]:
    """Return which texts (texts,) have more tokens than the limit."""
    most = (limit + 1) * _CHARACTERS_PER_TOKEN
    counts: list[int] = []
    for start in range(0, len(texts), _TEXTS_PER_BLOCK):
        counts += map(len, token_offsets([text[:most] for text in texts[start : start + _TEXTS_PER_BLOCK]]))
    return np.array(counts, dtype=np.int64) > limit


@dataclass(frozen=True, slots=True, eq=False)
class _Words:
    """The different terms of each query and of each document that answers one, and how many documents have a term."""

    queries: list[frozenset[str]]
    documents: list[frozenset[str]]
    frequencies: Counter[str]

    @classmethod
    def of(cls, inputs: BaselineInputs) -> "_Words":
        analyzer = Analyzer(inputs.language)
        queries = [frozenset(analyzer.terms(query.text)) for query in inputs.queries]
        asked = frozenset[str]().union(*queries)
        found: list[set[str]] = [set() for _ in inputs.collection.document_ids]
        for text, parent in zip(inputs.collection.texts, inputs.collection.parents.tolist(), strict=True):
            found[parent].update(asked.intersection(analyzer.terms(text)))
        documents = [frozenset(terms) for terms in found]
        return cls(queries, documents, Counter(term for terms in documents for term in terms))

    def weight(self, terms: frozenset[str]) -> float:
        """Return the sum of the terms' idf, ln(1 + (N - n + ½) / (n + ½)) as in BM25 (Robertson & Zaragoza 2009)."""
        counts = np.array([self.frequencies[term] for term in sorted(terms)], dtype=np.float64)
        return float(np.log1p((len(self.documents) - counts + 0.5) / (counts + 0.5)).sum())


def _lexical_gaps(inputs: BaselineInputs, words: _Words, answers: Sequence[Sequence[int]]) -> NDArray[np.bool_]:
    gaps = np.zeros(len(inputs.queries), dtype=np.bool_)
    for row, (terms, found) in enumerate(zip(words.queries, answers, strict=True)):
        whole = words.weight(terms)
        shared = max((words.weight(terms & words.documents[document]) for document in found), default=whole)
        gaps[row] = whole > 0 and shared / whole < SHARED_WEIGHT
    return gaps


def _rare_terms(inputs: BaselineInputs, words: _Words) -> NDArray[np.bool_]:
    texts = [query.text for query in inputs.queries]
    rare = [any(words.frequencies[term] <= RARE_DOCUMENTS for term in terms) for terms in words.queries]
    broken = [_has_broken_word(text, tokens) for text, tokens in zip(texts, inputs.token_offsets(texts), strict=True)]
    return np.array(rare, dtype=np.bool_) | np.array(broken, dtype=np.bool_)


def _has_broken_word(text: str, tokens: Sequence[tuple[int, int]]) -> bool:
    """Whether a word of the text takes at least four tokens."""
    starts = np.array([start for start, end in tokens if end > start], dtype=np.int64)
    ends = np.array([end for start, end in tokens if end > start], dtype=np.int64)
    spans = [word.span() for word in _WORD.finditer(text)]
    return any(np.count_nonzero((ends > start) & (starts < end)) >= BROKEN_PIECES for start, end in spans)


def _near_duplicates(
    inputs: BaselineInputs, answers: Sequence[Sequence[int]], units: Sequence[NDArray[np.int64]]
) -> NDArray[np.bool_]:
    """Return which queries have a wrong document in the top 10 that is nearly the same as an answer."""
    run = inputs.systems[BASE]
    originals = np.unique([document.duplicate_of or document.id for document in inputs.documents], return_inverse=True)
    wrong = wrong_places(run, inputs.judgments)
    shows = np.zeros(len(inputs.queries), dtype=np.bool_)
    for row, found in enumerate(answers):
        others = run.indices[row, :CUTOFF][wrong[row]]
        if not found or not len(others):
            continue
        right = np.concatenate([units[document] for document in found])
        other = np.concatenate([units[document] for document in others])
        cosines = inputs.document_vectors[right] @ inputs.document_vectors[other].T  # (answers' units, others' units)
        copies = np.isin(originals[1][other], originals[1][right]).any()
        shows[row] = bool(copies) or bool((cosines >= DUPLICATE_COSINE).any())
    return shows


def _cut_off(
    answers: Sequence[Sequence[int]], units: Sequence[NDArray[np.int64]], truncated: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return which queries have only answers of which the model does not read all."""
    return np.array([bool(found) and all(truncated[units[one]].any() for one in found) for found in answers])
