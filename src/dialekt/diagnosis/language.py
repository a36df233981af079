"""How far the language of a corpus is from general English, for the tokenizer, a word list and the base model."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dialekt.diagnosis.frequencies import ENGLISH, GeneralLanguage, detect_language, english_words
from dialekt.diagnosis.neighbors import Encode, compare_neighbors
from dialekt.diagnosis.records import LanguageFacts, Term
from dialekt.diagnosis.terms import (
    RunningWords,
    TokenOffsets,
    Vocabulary,
    folded_counts,
    ranked,
    read_words,
)
from dialekt.types import ReportProgress, no_progress

MAX_DOCUMENTS = 5_000
_MAX_CHARACTERS = 6_000_000  # about a million words
_MAX_TEXT_CHARACTERS = 20_000
_MOST_TERMS = 25


def language_facts(
    texts: Sequence[str],
    *,
    token_offsets: TokenOffsets,
    encode: Encode,
    seed: int,
    progress: ReportProgress = no_progress,
) -> LanguageFacts:
    """Return what is special about the language of documents, from a sample of at most a million words.

    `token_offsets` gives the characters (start, end) of the tokens of each text, and `encode` vectors float32
    (texts, dimension) of length 1: both of the base model. The same texts and seed give the same facts.
    """
    sample = draw_sample(texts, seed=seed)
    words = read_words(sample, token_offsets, progress=progress)
    vocabulary = Vocabulary.of(words)
    language = detect_language(folded_counts(vocabulary))
    unknown = _unknown(vocabulary, language)
    agreement = compare_neighbors(vocabulary, language, encode, seed=seed, progress=progress)
    running = max(1, len(vocabulary.word_rows))
    return LanguageFacts(
        documents=len(sample),
        words=len(vocabulary.word_rows),
        distinct_words=len(vocabulary.terms),
        fertility=words.fertility,
        english_fertility=_english_fertility(token_offsets),
        unknown_share=float(vocabulary.counts[unknown].sum() / running),
        code_share=float(vocabulary.counts[vocabulary.codes].sum() / running),
        agreement=agreement.mean,
        chance_agreement=agreement.chance,
        terms_compared=agreement.terms,
        fragmented=_fragmented(vocabulary, language),
        unknown=_shown(vocabulary, language, np.where(unknown, vocabulary.counts, 0)),
        codes=_shown(vocabulary, language, np.where(vocabulary.codes, vocabulary.counts, 0)),
        disputed=agreement.disputed,
        english=language.code == ENGLISH,
        language=language.code,
    )


def draw_sample(texts: Sequence[str], *, seed: int) -> list[str]:
    """Return the beginnings of random documents in their order: at most 5,000, and about a million words."""
    order = np.random.default_rng(seed).permutation(len(texts))[:MAX_DOCUMENTS]
    lengths = np.array([min(len(texts[row]), _MAX_TEXT_CHARACTERS) for row in order.tolist()], dtype=np.int64)
    kept = order[np.cumsum(lengths) - lengths < _MAX_CHARACTERS]
    return [texts[row][:_MAX_TEXT_CHARACTERS] for row in sorted(kept.tolist())]


def _english_fertility(token_offsets: TokenOffsets) -> float:
    """Return the tokens per word of general English: the mean over its frequent words, weighted by frequency."""
    frequencies = english_words()
    words: RunningWords = read_words([" ".join(frequencies)], token_offsets)
    weights = [frequencies[words.spellings[row]] for row in words.spelling_rows.tolist()]
    return float(np.average(words.pieces, weights=weights))


def _unknown(vocabulary: Vocabulary, language: GeneralLanguage) -> NDArray[np.bool_]:
    """Return which words the list of the language does not know (distinct words,): none where there is no list."""
    if not language.code:
        return np.zeros(len(vocabulary.terms), dtype=np.bool_)
    return vocabulary.plain & np.array([not language.knows(term) for term in vocabulary.terms], dtype=np.bool_)


def _fragmented(vocabulary: Vocabulary, language: GeneralLanguage) -> tuple[Term, ...]:
    """Return the words that cost most tokens beyond one each, all occurrences together."""
    return _shown(vocabulary, language, np.where(vocabulary.plain, vocabulary.counts * vocabulary.excess, 0))


def _shown(vocabulary: Vocabulary, language: GeneralLanguage, weights: NDArray[np.int64]) -> tuple[Term, ...]:
    rows = ranked(vocabulary, weights.astype(np.float64), most=_MOST_TERMS)
    return tuple(vocabulary.term(row, language) for row in rows)
