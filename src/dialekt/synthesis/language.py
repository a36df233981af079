"""Texts → sentences and words, and how rare a word is in the corpus: what the local generator works with."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from dialekt.models.lexical import looks_english
from dialekt.store.words import SINGLE_CHARACTER_WORDS

_WORD = re.compile(
    rf"[{SINGLE_CHARACTER_WORDS}]|[^\W_{SINGLE_CHARACTER_WORDS}]+(?:[-'’.][^\W_{SINGLE_CHARACTER_WORDS}]+)*"
)
_SINGLE = re.compile(f"[{SINGLE_CHARACTER_WORDS}]")
_BREAK = re.compile(r"(?<=[.!?])[\"')\]]*\s+|(?<=[。！？])|\n+|\s+[-•*]\s+|\s+;\s+")  # noqa: RUF001 - full-width marks
_ABBREVIATED = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|cf|dr|mr|mrs|ms|prof|fig|no|st|approx|inc|ltd)|\b[A-Za-z])\.$", re.I
)
_PLAIN = re.compile(r"[(\"'“]*[^\W\d_]+(?:[-'’][^\W\d_]+)*[.,;:!?)\"'”]*")
_COMMON_SHARE = 0.5  # a word in so many documents tells none of them from another
_COMMON_SHARE_WITHOUT_LIST = 0.25
_FEW_DOCUMENTS = 50  # below this, shares of documents say little about a word


def words(text: str) -> list[str]:
    """Return the words of a text in order; hyphens, points and apostrophes inside a word stay: `file.txt`."""
    return _WORD.findall(text)


def join_words(chosen: Sequence[str]) -> str:
    """Write words as one text, with blanks except between characters of scripts that have none."""
    parts: list[str] = []
    for number, word in enumerate(chosen):
        glued = number and _SINGLE.match(word) and _SINGLE.match(chosen[number - 1])
        parts.append(word if glued or not number else f" {word}")
    return "".join(parts)


def sentences(text: str) -> list[str]:
    """Split a text at sentence ends, lines and list marks; an abbreviation's point ends no sentence."""
    found: list[str] = []
    for piece in _BREAK.split(text):
        stripped = piece.strip()
        if not stripped:
            continue
        if found and _ABBREVIATED.search(found[-1]):
            found[-1] = f"{found[-1]} {stripped}"
        else:
            found.append(stripped)
    return found


def is_unspaced(chosen: Sequence[str]) -> bool:
    """Say whether most words are single characters of scripts without blanks, such as Chinese."""
    return 2 * sum(_SINGLE.match(word) is not None for word in chosen) > len(chosen)


def is_prose(sentence: str) -> bool:
    """Say whether most blank-separated parts are plain words: code, tables and lists of numbers are not."""
    parts = sentence.split()
    if is_unspaced(words(sentence)):
        return True
    return sum(_PLAIN.fullmatch(part) is not None for part in parts) >= 0.7 * len(parts)


@dataclass(frozen=True)
class Vocabulary:
    """In how many documents each word, case folded, occurs."""

    documents: int
    frequency: Counter[str]
    english: bool

    @classmethod
    def of(cls, texts: Sequence[str]) -> Self:
        """Count the words of a corpus."""
        frequency: Counter[str] = Counter()
        for text in texts:
            frequency.update({word.casefold() for word in words(text)})
        return cls(len(texts), frequency, looks_english(texts))

    @cached_property
    def _listed(self) -> frozenset[str]:
        from bm25s.stopwords import STOPWORDS_EN_PLUS

        return frozenset(STOPWORDS_EN_PLUS) | {"may", "also", "within", "without", "via", "e.g", "i.e", "etc"}

    def rarity(self, word: str) -> float:
        """Return ln((N + 1) / (n + 0.5)) of a word in n of N documents."""
        return math.log((self.documents + 1) / (self.frequency.get(word.casefold(), 0) + 0.5))

    def is_content(self, word: str) -> bool:
        """Say whether a word tells documents apart: no function word of English, and not in most documents."""
        key = word.casefold()
        if self.english and (key in self._listed or (len(key) == 1 and not _SINGLE.match(key))):
            return False
        if self.documents < _FEW_DOCUMENTS:
            return True
        limit = _COMMON_SHARE if self.english else _COMMON_SHARE_WITHOUT_LIST
        return self.frequency.get(key, 0) <= limit * self.documents

    def content(self, chosen: Iterable[str]) -> list[str]:
        """Return the words that tell documents apart, in order."""
        return [word for word in chosen if self.is_content(word)]

    def mean_rarity(self, chosen: Iterable[str]) -> float:
        """Return the mean rarity of the content words, 0 without any."""
        rarities = [self.rarity(word) for word in self.content(chosen)]
        return math.fsum(rarities) / len(rarities) if rarities else 0.0
