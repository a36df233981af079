"""Texts → sentences and words, and how rare a word is in the corpus: what the local generator works with."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from dialekt.models.language import derive_language, function_words
from dialekt.store.words import JOINERS, LETTERS, MARKS, UNIT, has_unspaced
from dialekt.types import Language

_KATAKANA = "[\u30a1-\u30fa\u30fc-\u30ff]+"  # a run of it is one word, mostly a foreign one
_WORD = re.compile(rf"{_KATAKANA}|{UNIT}|{LETTERS}(?:[-'’.]{LETTERS})*")
_HIRAGANA = re.compile("[\u3041-\u3096]")  # endings and particles: what holds Japanese together
_SOUTHERN = "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]"  # Thai, Lao, Burmese, Khmer: a blank ends a clause there
_BREAK = re.compile(
    r"(?<=[.!?])[\"')\]]*\s+|(?<=[。！？｡])(?![」』）”’。！？])|(?<=[。！？][」』）”’])"  # noqa: RUF001 - full-width marks
    rf"|(?<=[؟۔।॥။។])\s*|(?<={_SOUTHERN})\s+(?={_SOUTHERN})|\n+|\s+[-•*]\s+|\s+;\s+"  # noqa: RUF001 - other scripts
)
_QUESTION_MARKS = ("?", "？", "؟")  # noqa: RUF001 - a full-width mark
_ABBREVIATED = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|cf|dr|mr|mrs|ms|prof|fig|no|st|approx|inc|ltd)|\b[A-Za-z])\.$", re.I
)
_PLAIN = re.compile(
    rf"[(\"'“«]*(?:[^\W\d_]|[{MARKS}{JOINERS}])+(?:[-'’](?:[^\W\d_]|[{MARKS}{JOINERS}])+)*"
    r"[.,;:!?)\"'”»،؛؟।۔]*"  # noqa: RUF001 - other scripts
)
_COMMON_SHARE = 0.5  # a word in so many documents tells none of them from another
_COMMON_SHARE_WITHOUT_LIST = 0.25
_FEW_DOCUMENTS = 50  # below this, shares of documents say little about a word


def words(text: str) -> list[str]:
    """Return the words of a text in order; hyphens, points and apostrophes inside a word stay: `file.txt`.

    In scripts without blanks every unit is a word (`store.words`), and a run of katakana.
    """
    return _WORD.findall(text)


def join_words(chosen: Sequence[str]) -> str:
    """Write words as one text, with blanks except between characters of scripts that have none."""
    parts: list[str] = []
    for number, word in enumerate(chosen):
        glued = number and has_unspaced(word[0]) and has_unspaced(chosen[number - 1])
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
    """Say whether most words are of scripts without blanks, such as Chinese."""
    return 2 * sum(map(has_unspaced, chosen)) > len(chosen)


def is_question(sentence: str) -> bool:
    """Say whether a sentence ends with a question mark."""
    return sentence.rstrip().endswith(_QUESTION_MARKS)


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
    language: Language

    @property
    def english(self) -> bool:
        """Whether questions can be made by the wording of sentences."""
        return self.language is Language.ENGLISH

    @classmethod
    def of(cls, texts: Sequence[str], *, language: Language | None = None) -> Self:
        """Count the words of a corpus; `language=None` looks at the texts."""
        frequency: Counter[str] = Counter()
        for text in texts:
            frequency.update({word.casefold() for word in words(text)})
        return cls(len(texts), frequency, derive_language(texts) if language is None else language)

    @cached_property
    def _listed(self) -> frozenset[str]:
        """Return the function words of the language; of Chinese those of one character. Empty without a list."""
        from bm25s.stopwords import STOPWORDS_CHINESE, STOPWORDS_EN_PLUS

        if self.language is Language.CHINESE:
            return frozenset(word for word in STOPWORDS_CHINESE if len(word) == 1)
        if not self.english:
            return function_words(self.language)
        return frozenset(STOPWORDS_EN_PLUS) | {"may", "also", "within", "without", "via", "e.g", "i.e", "etc"}

    def rarity(self, word: str) -> float:
        """Return ln((N + 1) / (n + 0.5)) of a word in n of N documents."""
        return math.log((self.documents + 1) / (self.frequency.get(word.casefold(), 0) + 0.5))

    def is_content(self, word: str) -> bool:
        """Say whether a word tells documents apart: no function word, and not in most documents."""
        key = word.casefold()
        if self._listed and (key in self._listed or (len(key) == 1 and not has_unspaced(key))):
            return False
        if _HIRAGANA.match(key):
            return False
        if self.documents < _FEW_DOCUMENTS:
            return True
        limit = _COMMON_SHARE if self._listed else _COMMON_SHARE_WITHOUT_LIST
        return self.frequency.get(key, 0) <= limit * self.documents

    def content(self, chosen: Iterable[str]) -> list[str]:
        """Return the words that tell documents apart, in order."""
        return [word for word in chosen if self.is_content(word)]

    def mean_rarity(self, chosen: Iterable[str]) -> float:
        """Return the mean rarity of the content words, 0 without any."""
        rarities = [self.rarity(word) for word in self.content(chosen)]
        return math.fsum(rarities) / len(rarities) if rarities else 0.0
