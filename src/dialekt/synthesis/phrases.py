"""Key phrases of a document: runs of content words, weighted by how often they occur here and how rarely elsewhere."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from dialekt.synthesis.language import Vocabulary, is_unspaced, words

PHRASE_WORDS = (1, 3)
PHRASE_CHARACTERS = (2, 4)  # where every character counts as a word
_CLAUSE = re.compile(
    r"[,;:()\[\]{}\"“”|=<>]|\s[-–—/]\s|[.!?](?:\s|$)"
    r"|[。，、；：！？｡（）「」『』【】《》،؛؟۔।॥။។]"  # noqa: RUF001 - full-width marks
)
_LENGTH_BONUS = {1: 0.7, 2: 1.0, 3: 1.05, 4: 1.1}


def key_phrases(text: str, vocabulary: Vocabulary, *, most: int = 24) -> list[tuple[str, ...]]:
    """Return a document's best phrases of one to three words, best first, none made of words of a better one.

    A phrase is a run of content words inside a clause, as in RAKE (Rose et al. 2010); its score is the mean rarity of
    its words times 1 + ln of its occurrences, and a bonus for the length that people type.
    """
    counts: Counter[tuple[str, ...]] = Counter()
    for clause in _CLAUSE.split(text):
        for run in _runs(words(clause), vocabulary):
            counts.update(_windows(run))
    scored = sorted(counts, key=lambda phrase: (-_score(phrase, counts[phrase], vocabulary), phrase))
    chosen: list[tuple[str, ...]] = []
    used: set[str] = set()
    for phrase in scored:
        fresh = set(phrase) - used
        if len(fresh) * 2 > len(phrase):
            chosen.append(phrase)
            used |= set(phrase)
        if len(chosen) == most:
            break
    return chosen


def _runs(clause: Sequence[str], vocabulary: Vocabulary) -> Iterator[list[str]]:
    run: list[str] = []
    for word in clause:
        if vocabulary.is_content(word):
            run.append(word.lower())
        elif run:
            yield run
            run = []
    if run:
        yield run


def _windows(run: Sequence[str]) -> Iterator[tuple[str, ...]]:
    least, most = PHRASE_CHARACTERS if is_unspaced(run) else PHRASE_WORDS
    for size in range(least, min(most, len(run)) + 1):
        for start in range(len(run) - size + 1):
            yield tuple(run[start : start + size])


def _score(phrase: tuple[str, ...], count: int, vocabulary: Vocabulary) -> float:
    return vocabulary.mean_rarity(phrase) * (1 + 0.5 * (count > 1) + 0.1 * min(count, 10)) * _LENGTH_BONUS[len(phrase)]
