"""The words of a corpus: how often, in how many documents and tokens, and which of them stand out."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dialekt.diagnosis.frequencies import GeneralLanguage
from dialekt.diagnosis.records import Term
from dialekt.store.words import LETTERS, UNIT
from dialekt.types import Progress, ReportProgress, no_progress

TokenOffsets = Callable[[Sequence[str]], list[list[tuple[int, int]]]]

LEAST_DOCUMENTS = 5  # a word in fewer may be a person's name or a secret: it is not shown
_LEAST_SHARE = 0.001
_JOINED = rf"(?:(?:[-'’_/+]|\.(?![A-Z][a-z])){LETTERS})*"
_WORD = re.compile(rf"{UNIT}|{LETTERS}{_JOINED}")
_QUANTITY = re.compile(r"\d+[a-z]{1,2}|(?:\d+-)+[^\W\d_]+(?:-[^\W\d_]+)*")  # 2nd, 90s, 10mg, 3-day
_POSSESSIVE = ("'s", "’s")
_JOINT = re.compile(r"[-'’_./+]")
_LETTER = re.compile(r"[^\W\d_]")
_PLAIN = re.compile(r"[^\d_/+]+")
_DIGIT = re.compile(r"\d")
_SHOUTING_SHARE = 0.5
_TEXTS_PER_CALL = 500


@dataclass(frozen=True, eq=False)
class RunningWords:
    """The words of texts in order. Row n: its spelling, its text and its number of tokens, all (words,) int32.

    `spellings` are distinct; numbers alone are no words.
    """

    spellings: tuple[str, ...]
    spelling_rows: NDArray[np.int32]
    text_rows: NDArray[np.int32]
    pieces: NDArray[np.int32]
    texts: int

    @property
    def fertility(self) -> float:
        """Tokens per word, 0 without any."""
        return float(self.pieces.mean()) if len(self.pieces) else 0.0


def read_words(
    texts: Sequence[str], token_offsets: TokenOffsets, *, progress: ReportProgress = no_progress
) -> RunningWords:
    """Split texts into words and count the tokens of each.

    `token_offsets` gives, per text, the characters (start, end) of its tokens; a token belongs to the last word that it
    shares a character with. A possessive's "'s" is no part of a word. Words of a text that shouts are lower-cased, so
    that they are not taken for acronyms.
    """
    rows: dict[str, int] = {}
    spellings, numbers, pieces = [], [], []
    for first in range(0, len(texts), _TEXTS_PER_CALL):
        part = texts[first : first + _TEXTS_PER_CALL]
        for number, (text, offsets) in enumerate(zip(part, token_offsets(part), strict=True), start=first):
            spans = _spans(text)
            cased = text if not _shouts(text) else "".join(map(_lower, text))
            spellings += [rows.setdefault(cased[start:end], len(rows)) for start, end in spans]
            numbers += [number] * len(spans)
            pieces.append(_pieces(spans, offsets))
        progress(Progress("read words", first + len(part), len(texts)))
    return RunningWords(
        tuple(rows),
        np.array(spellings, dtype=np.int32),
        np.array(numbers, dtype=np.int32),
        np.concatenate([np.empty(0, dtype=np.int32), *pieces]),
        len(texts),
    )


def _spans(text: str) -> list[tuple[int, int]]:
    """Return where the words of a text start and end: those with a letter, without a possessive's "'s"."""
    found = [match for match in _WORD.finditer(text) if _LETTER.search(match[0])]
    return [(match.start(), match.end() - 2 * match[0].endswith(_POSSESSIVE)) for match in found]


def _lower(character: str) -> str:
    """Return the small letter, or the character itself where that would be two."""
    return small if len(small := character.lower()) == 1 else character


def _shouts(text: str) -> bool:
    letters = sum(map(str.isalpha, text))
    return sum(map(str.isupper, text)) > _SHOUTING_SHARE * letters


def _pieces(words: list[tuple[int, int]], tokens: list[tuple[int, int]]) -> NDArray[np.int32]:
    """Return how many tokens share characters with each word (words,); of several words the last one has the token."""
    counts = np.zeros(len(words), dtype=np.int32)
    if not words or not tokens:
        return counts
    spans, pieces = np.array(words), np.array(tokens)
    pieces = pieces[pieces[:, 1] > pieces[:, 0]]
    word = np.searchsorted(spans[:, 0], pieces[:, 1], side="left") - 1  # the last word that starts before the end
    inside = (word >= 0) & (pieces[:, 0] < spans[word, 1])
    np.add.at(counts, word[inside], 1)
    return counts


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The distinct words of a corpus without regard to case, each in its commonest spelling.

    `word_rows` (running words,) points into them; `counts`, `documents` and `pieces` are (distinct words,).
    """

    words: RunningWords
    terms: tuple[str, ...]
    word_rows: NDArray[np.int32]

    @classmethod
    def of(cls, words: RunningWords) -> Self:
        """Join the spellings of each word."""
        rows: dict[str, int] = {}
        of_spelling = np.array([rows.setdefault(text.casefold(), len(rows)) for text in words.spellings], np.int32)
        counts = np.bincount(words.spelling_rows, minlength=len(words.spellings))
        terms = [""] * len(rows)
        for spelling in np.lexsort((np.arange(len(counts)), -counts))[::-1].tolist():  # the commonest comes last
            terms[of_spelling[spelling]] = words.spellings[spelling]
        return cls(words, tuple(terms), of_spelling[words.spelling_rows])

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Occurrences of each word."""
        return np.bincount(self.word_rows, minlength=len(self.terms))

    @cached_property
    def documents(self) -> NDArray[np.int64]:
        """Number of documents that each word is in."""
        return count_documents(self.word_rows, self.words.text_rows, len(self.terms))

    @cached_property
    def pieces(self) -> NDArray[np.int64]:
        """Tokens of each word, rounded from the mean of its occurrences."""
        sums = np.bincount(self.word_rows, weights=self.words.pieces, minlength=len(self.terms))
        pieces: NDArray[np.int64] = np.maximum(1, np.rint(sums / np.maximum(self.counts, 1))).astype(np.int64)
        return pieces

    @cached_property
    def excess(self) -> NDArray[np.int64]:
        """Tokens of each word beyond one for each of its parts and joints: none for `third-party` as three tokens."""
        joints = np.array([len(_JOINT.findall(term)) for term in self.terms], dtype=np.int64)
        excess: NDArray[np.int64] = np.maximum(0, self.pieces - 1 - 2 * joints)
        return excess

    @cached_property
    def codes(self) -> NDArray[np.bool_]:
        """Whether each word is an acronym, a code or an identifier."""
        return np.array([is_code(term) for term in self.terms], dtype=np.bool_)

    @cached_property
    def plain(self) -> NDArray[np.bool_]:
        """Whether each word is of letters and no code."""
        return np.array([is_plain(term) for term in self.terms], dtype=np.bool_)

    @property
    def least_documents(self) -> int:
        """In how many documents a word must be to be shown."""
        return max(LEAST_DOCUMENTS, round(_LEAST_SHARE * self.words.texts))

    def term(self, row: int, language: GeneralLanguage) -> Term:
        """Return the record of a word."""
        term = self.terms[row]
        count, documents, pieces = (int(values[row]) for values in (self.counts, self.documents, self.pieces))
        return Term(term, count, documents, pieces, language.zipf(term))


def count_documents(word_rows: NDArray[np.integer], text_rows: NDArray[np.integer], size: int) -> NDArray[np.int64]:
    """Return in how many texts each of `size` words occurs."""
    together = np.unique(text_rows.astype(np.int64) * size + word_rows)
    return np.bincount(together % max(size, 1), minlength=size)


def is_code(term: str) -> bool:
    """Say whether a spelling is an acronym (`MRI`, `APIs`), a code (`T1059.001`, `libc6-dev`) or like `snake_case`."""
    letters = _LETTER.findall(term.removesuffix("s"))
    if "_" in term or (len(letters) > 1 and all(map(str.isupper, letters))):
        return True
    if "/" in term:
        return all(map(is_code, term.split("/")))
    return _DIGIT.search(term) is not None and _QUANTITY.fullmatch(term) is None


def is_plain(term: str) -> bool:
    """Say whether a spelling is of two or more letters, with hyphens, points and apostrophes at most between them."""
    return len(term) > 1 and not is_code(term) and _PLAIN.fullmatch(term) is not None


def ranked(vocabulary: Vocabulary, weights: NDArray[np.float64], *, most: int) -> list[int]:
    """Return the rows of the words with the greatest weights above 0 that are in enough documents to be shown."""
    shown = np.flatnonzero((weights > 0) & (vocabulary.documents >= vocabulary.least_documents))
    order = sorted(shown.tolist(), key=lambda row: (-weights[row], vocabulary.terms[row]))
    return order[:most]


def folded_counts(vocabulary: Vocabulary) -> Counter[str]:
    """Return the occurrences of the plain words, case folded: what tells the language."""
    counts = vocabulary.counts.tolist()
    return Counter(
        {term.casefold(): counts[row] for row, term in enumerate(vocabulary.terms) if not vocabulary.codes[row]}
    )
