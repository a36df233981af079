"""How like the user's own queries the made ones are: lengths, words and questions, by counting."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from dialekt.synthesis.language import is_question, words
from dialekt.synthesis.records import Realism

ENOUGH_QUERIES = 50
_QUESTION_WORDS = frozenset(
    "what how why when where who which whose whom can could do does did is are was were should would will".split()  # noqa: SIM905 - a list of quoted words is unreadable
)


@dataclass(frozen=True, slots=True)
class Lengths:
    """The numbers of words between which made queries are believed."""

    shortest: int
    longest: int

    @classmethod
    def of(cls, real: Sequence[str]) -> Self | None:
        """Return half of the 1st and twice the 99th percentile of real queries; `None` when they are too few."""
        if len(real) < ENOUGH_QUERIES:
            return None
        low, high = np.percentile([len(words(text)) for text in real], [1, 99])
        return cls(int(low // 2), int(np.ceil(2 * high)))

    def fits(self, text: str) -> bool:
        """Say whether a text has a length that real queries have."""
        return self.shortest <= len(words(text)) <= self.longest


def compare_with_real(real: Sequence[str], made: Sequence[str]) -> Realism | None:
    """Return how the made queries compare with real train queries; `None` when either are too few to say."""
    if len(real) < ENOUGH_QUERIES or not made:
        return None
    real_words, made_words = _words(real), _words(made)
    known = {word for found in real_words for word in found}
    used = [word for found in made_words for word in found]
    return Realism(
        real_queries=len(real),
        real_words=float(np.mean([len(found) for found in real_words])),
        made_words=float(np.mean([len(found) for found in made_words])),
        real_questions=_question_share(real, real_words),
        made_questions=_question_share(made, made_words),
        shared_words=sum(word in known for word in used) / max(1, len(used)),
        length_distance=_distance([len(found) for found in real_words], [len(found) for found in made_words]),
    )


def _words(texts: Sequence[str]) -> list[list[str]]:
    return [[word.casefold() for word in words(text)] for text in texts]


def _question_share(texts: Sequence[str], found: Sequence[Sequence[str]]) -> float:
    asked = (
        is_question(text) or (bool(one) and one[0] in _QUESTION_WORDS) for text, one in zip(texts, found, strict=True)
    )
    return sum(asked) / len(texts)


def _distance(real: Sequence[int], made: Sequence[int]) -> float:
    """Return the total variation distance of two distributions of counts, from 0 to 1."""
    one, other = Counter(real), Counter(made)
    return 0.5 * sum(abs(one[key] / len(real) - other[key] / len(made)) for key in one.keys() | other.keys())
