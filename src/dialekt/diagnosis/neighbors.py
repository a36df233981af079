"""Words that mean something else here: their neighbours in the base model against their neighbours in the corpus."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.stats import hypergeom

from dialekt.diagnosis.content import ContentWords, content_words
from dialekt.diagnosis.frequencies import GeneralLanguage
from dialekt.diagnosis.records import DisputedTerm
from dialekt.diagnosis.terms import Vocabulary
from dialekt.types import Progress, ReportProgress, no_progress

Encode = Callable[[Sequence[str]], NDArray[np.float32]]

NEIGHBORS = 10
_LEAST_TERMS = 3 * NEIGHBORS  # among fewer, any two lists of ten share much
_WINDOW = 5
_SMOOTHING = 0.75
_STABLE_BY_CHANCE = 0.01
_MOST_AGREEMENT = 0.1
_MOST_DISPUTED = 20
_SHOWN_NEIGHBORS = 6
_LABEL = "compare neighbours"


@dataclass(frozen=True, slots=True)
class Agreement:
    """Over terms with stable neighbours: the mean overlap, what chance would give, and the terms without agreement."""

    mean: float = 0.0
    chance: float = 0.0
    terms: int = 0
    disputed: tuple[DisputedTerm, ...] = ()


def compare_neighbors(
    vocabulary: Vocabulary,
    language: GeneralLanguage,
    encode: Encode,
    *,
    seed: int,
    progress: ReportProgress = no_progress,
) -> Agreement:
    """Compare, for the terms that are typical of a corpus, the ten nearest terms of the model and of the corpus.

    What two halves of the texts do not agree on is noise: terms whose neighbours in both halves overlap no more than
    chance explains (p < 0.01) are left out. With too few terms there is nothing to compare.
    """
    words = content_words(vocabulary, language)
    if len(words.terms) < _LEAST_TERMS:
        return Agreement()
    second = np.random.default_rng(seed).permutation(vocabulary.words.texts)[words.text_rows] % 2 == 1
    parts = (words, words.where(~second), words.where(second))
    nearest = [nearest_rows(encode([vocabulary.terms[row] for row in words.terms]))]
    for part in parts:
        progress(Progress(_LABEL, len(nearest), len(parts) + 1))
        nearest.append(nearest_rows(context_vectors(part)))
    progress(Progress(_LABEL, len(nearest), len(nearest)))
    stability = overlap(nearest[2], nearest[3])
    stable = np.flatnonzero(stability >= least_overlap(len(words.terms)))
    agreement = overlap(nearest[0], nearest[1])
    if not len(stable):
        return Agreement()
    order = stable[np.lexsort((-stability[stable], agreement[stable]))]
    rows = [row for row in order.tolist() if agreement[row] <= _MOST_AGREEMENT][:_MOST_DISPUTED]
    disputed = tuple(_dispute(vocabulary, words, row, float(agreement[row]), nearest[:2]) for row in rows)
    return Agreement(float(agreement[stable].mean()), NEIGHBORS / (len(words.terms) - 1), len(stable), disputed)


def _dispute(
    vocabulary: Vocabulary, words: ContentWords, row: int, agreement: float, nearest: list[NDArray[np.int64]]
) -> DisputedTerm:
    of_model, of_corpus = (
        tuple(vocabulary.terms[words.terms[other]] for other in rows[row, :_SHOWN_NEIGHBORS].tolist())
        for rows in nearest
    )
    return DisputedTerm(vocabulary.terms[words.terms[row]], words.documents[row], agreement, of_model, of_corpus)


def context_vectors(words: ContentWords) -> NDArray[np.float32]:
    """Return, for each term, its association with the words around it (terms, contexts), L2-normalised.

    Positive pointwise mutual information in a window of five content words to either side, with smoothed contexts
    (Levy, Goldberg & Dagan 2015). A passage that is repeated word for word counts once: boilerplate is no usage.
    """
    counts = _cooccurrences(words).tocoo()
    of_word = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    of_context = of_word**_SMOOTHING / max(float((of_word**_SMOOTHING).sum()), 1e-12)
    information = np.log(counts.data / (of_word[counts.row] * of_context[counts.col]))
    kept = (information > 0) & (counts.row < len(words.terms))
    shape = (len(words.terms), words.contexts)
    vectors = np.zeros(shape, dtype=np.float32)
    vectors[counts.row[kept], counts.col[kept]] = information[kept]
    lengths: NDArray[np.float32] = np.linalg.norm(vectors, axis=1, keepdims=True)  # (terms, 1)
    vectors /= np.maximum(lengths, 1e-12)
    return vectors


def _cooccurrences(words: ContentWords) -> sparse.csr_matrix:
    """Count how often two words are near each other, symmetric (contexts, contexts)."""
    rows, shape = words.rows, (words.contexts, words.contexts)
    fresh = _first_passages(words)
    counts = sparse.csr_matrix(shape, dtype=np.float64)
    for distance in range(1, min(_WINDOW, len(rows) - 1) + 1):
        together = fresh[:-distance] & (words.text_rows[:-distance] == words.text_rows[distance:])
        pairs = (rows[:-distance][together], rows[distance:][together])
        counts = counts + sparse.csr_matrix((np.ones(len(pairs[0])), pairs), shape=shape)
    counts = (counts + counts.T).tocsr()
    counts.setdiag(0)
    counts.eliminate_zeros()
    return counts


def _first_passages(words: ContentWords) -> NDArray[np.bool_]:
    """Return for each word whether it and the window behind it come up for the first time (words,)."""
    padded = np.append(words.rows, np.full(_WINDOW, words.contexts)).astype(np.uint64)
    hashes = np.zeros(len(words.rows), dtype=np.uint64)
    for distance in range(_WINDOW + 1):
        hashes = hashes * np.uint64(1_099_511_628_211) + padded[distance : distance + len(hashes)]  # FNV's prime
    fresh = np.zeros(len(hashes), dtype=np.bool_)
    fresh[np.unique(hashes, return_index=True)[1]] = True
    return fresh


def nearest_rows(vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the ten nearest other rows by cosine (rows, 10), nearest first; vectors have length 1."""
    cosines = vectors @ vectors.T  # (rows, rows)
    np.fill_diagonal(cosines, -np.inf)
    return np.argsort(-cosines.round(5), axis=1, kind="stable")[:, :NEIGHBORS].astype(np.int64)


def overlap(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the share of neighbours that two lists of each term have in common (terms,)."""
    shared = (first[:, :, None] == second[:, None, :]).sum(axis=(1, 2))
    return np.asarray(shared / first.shape[1], dtype=np.float64)


def least_overlap(terms: int) -> float:
    """Return the smallest overlap that two random lists of ten reach with a probability of at most 0.01."""
    chances = hypergeom.sf(np.arange(NEIGHBORS + 1) - 1, terms - 1, NEIGHBORS, NEIGHBORS)
    return float(np.argmax(chances <= _STABLE_BY_CHANCE) / NEIGHBORS)
