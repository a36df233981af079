"""Tokens of a model whose tokenizer is not here: estimated from the characters."""

import re
from collections.abc import Sequence

# Pieces of a word as the tokenizers of today's models cut them on average; rather too many tokens than too few.
_LATIN_LETTERS, _OTHER_LETTERS, _DIGITS = 6, 3, 3
_TOKEN = re.compile(
    r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]"  # Chinese, Japanese, Korean: a token a character
    rf"|[A-Za-z]{{1,{_LATIN_LETTERS}}}|[^\W\d_A-Za-z]{{1,{_OTHER_LETTERS}}}|\d{{1,{_DIGITS}}}|\S"
)


def estimated_offsets(texts: Sequence[str]) -> list[list[tuple[int, int]]]:
    """Return, per text, the characters (start, end) of its estimated tokens."""
    return [[match.span() for match in _TOKEN.finditer(text)] for text in texts]


def estimated_lengths(texts: Sequence[str]) -> list[int]:
    """Return the estimated number of tokens of every text, one at least."""
    return [max(1, sum(1 for _ in _TOKEN.finditer(text))) for text in texts]
