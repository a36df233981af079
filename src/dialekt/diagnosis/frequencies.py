"""What is general language: how frequent a word is there, and which of the languages with a list a corpus is in."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import wordfreq

KNOWN_ZIPF = 1.5  # below, the English list holds mostly names and misspellings: once in 30 million words
ENGLISH = "en"
_SEPARATOR = re.compile(r"[-'’_./+]")
_PER_BILLION = 9.0
_EVERYDAY_ZIPF = 3.5  # three in a million; lists hold stray letters and words of other languages below
_LEAST_COVERAGE = 0.5  # by everyday words; measured: command pages 0.7, technical prose 0.92
_DETECTION_WORDS = 2_000
_GENERAL_WORDS = 50_000  # 97% of running English


@dataclass(frozen=True)
class GeneralLanguage:
    """A language and the frequencies of its words, as shares of all words; none for a language without a list."""

    code: str
    frequencies: Mapping[str, float]

    @classmethod
    def of(cls, code: str) -> Self:
        """Return a language by its code, such as "en"; "" is none."""
        return cls(code, wordfreq.get_frequency_dict(code) if code else {})

    def zipf(self, word: str) -> float:
        """Return log10 of a word's occurrences per billion words, 0 where it is unknown (van Heuven et al. 2014).

        A compound that has no entry is as frequent as its rarest part; parts without a letter do not count.
        """
        key = word.casefold().replace("’", "'")
        frequency = self.frequencies.get(key)
        if frequency is None:
            parts = [part for part in _SEPARATOR.split(key) if not part.isdecimal()]
            frequency = min((self.frequencies.get(part, 0.0) for part in parts), default=0.0)
        return max(0.0, math.log10(frequency) + _PER_BILLION) if frequency else 0.0

    def knows(self, word: str) -> bool:
        """Say whether a word is part of the general language."""
        return self.zipf(word) >= KNOWN_ZIPF


def detect_language(counts: Mapping[str, int]) -> GeneralLanguage:
    """Return the language that explains words (case folded) with their counts best; code "" if it knows too few.

    Languages share words, and every list holds some English, so that not the number of known words decides but the
    mean log frequency of the running words: the most likely unigram model.
    """
    chosen = sorted(counts, key=lambda word: (-counts[word], word))[:_DETECTION_WORDS]
    common = {word: counts[word] for word in chosen}
    codes = sorted(wordfreq.available_languages("small"))
    scores = {code: _likelihood(code, common) for code in codes}
    wordfreq.get_frequency_list.cache_clear()  # 150 MB of lists that are not needed again
    best = GeneralLanguage.of(max(codes, key=lambda code: scores[code]))
    known = sum(count for word, count in common.items() if best.zipf(word) >= _EVERYDAY_ZIPF)
    return best if common and known >= _LEAST_COVERAGE * sum(common.values()) else GeneralLanguage.of("")


def _likelihood(code: str, counts: Mapping[str, int]) -> float:
    """Return the sum of the running words' zipf frequencies; bucket n of a list holds the words of 10^(-n/100)."""
    buckets = enumerate(wordfreq.get_frequency_list(code, "small"))
    return math.fsum(
        counts[word] * (_PER_BILLION - n / 100) for n, bucket in buckets for word in bucket if word in counts
    )


def english_words() -> dict[str, float]:
    """Return the most frequent words of general English with their shares of its running words."""
    words = wordfreq.top_n_list(ENGLISH, _GENERAL_WORDS)
    frequencies = wordfreq.get_frequency_dict(ENGLISH)
    return {word: frequencies[word] for word in words if word.isalpha()}
