"""When two texts say the same: their distinct words, and how many of them they share.

The split keeps near-duplicates apart and the leak check looks for them again: both must mean the same by it.
"""

import re
import unicodedata

SINGLE_CHARACTER_WORDS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0e7f"  # no blanks there
_TOKEN = re.compile(rf"[{SINGLE_CHARACTER_WORDS}]|[^\W_{SINGLE_CHARACTER_WORDS}]+")


def normalised_tokens(text: str) -> frozenset[str]:
    """Return the distinct words of a text, without case, accents' encoding or punctuation.

    A text without any word ("???") is one token by itself, so that it is like nothing but itself.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return frozenset(_TOKEN.findall(folded)) or frozenset([folded.strip()])


def jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    """Return the share of tokens that both sets have among those that either has, in [0, 1]."""
    shared = len(first & second)
    return shared / (len(first) + len(second) - shared)
