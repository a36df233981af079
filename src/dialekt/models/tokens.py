"""Texts → token ids and token offsets, in bulk."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Self

from tokenizers import Tokenizer

CHARACTERS_PER_TOKEN = 100  # no text averages longer tokens; what lies beyond the limit need not be tokenised
_SLICE_CHARACTERS = 100_000
_BATCH_CHARACTERS = 4_000_000


class BulkTokenizer:
    """A private copy of a fast tokenizer, without padding; the model's own keeps its settings."""

    def __init__(self, tokenizer: Tokenizer, *, max_tokens: int, special_tokens: bool):
        self._max_tokens = max_tokens
        self._special_tokens = special_tokens
        self._cut = Tokenizer.from_str(tokenizer.to_str())
        self._cut.no_padding()
        self._cut.enable_truncation(max_tokens)

    @cached_property
    def _whole(self) -> Tokenizer:
        whole = Tokenizer.from_str(self._cut.to_str())
        whole.no_truncation()
        return whole

    @classmethod
    def of(cls, tokenizer: Any, max_tokens: int) -> Self | None:
        """Return a bulk tokenizer of a transformers or tokenizers tokenizer; None for a slow one."""
        if isinstance(tokenizer, Tokenizer):  # a static embedding's: it adds no special tokens
            return cls(tokenizer, max_tokens=max_tokens, special_tokens=False)
        backend = getattr(tokenizer, "backend_tokenizer", None)
        return cls(backend, max_tokens=max_tokens, special_tokens=True) if isinstance(backend, Tokenizer) else None

    def token_ids(self, texts: Sequence[str], prompt: str) -> list[list[int]]:
        """Return the token ids of every text behind its prompt, cut to the limit, special ones included."""
        limit = self._max_tokens * CHARACTERS_PER_TOKEN
        cut = [encodable(prompt + text[:limit]) for text in texts]
        encodings = self._cut.encode_batch_fast(cut, add_special_tokens=self._special_tokens)
        return [encoding.ids for encoding in encodings]

    def offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Return, per text, the characters (start, end) of its tokens, without special tokens or a limit."""
        pieces = [(row, start, end) for row, text in enumerate(texts) for start, end in _slices(text)]
        found: list[list[tuple[int, int]]] = [[] for _ in texts]
        for group in _groups(pieces):
            slices = [encodable(texts[row][start:end]) for row, start, end in group]
            encodings = self._whole.encode_batch(slices, add_special_tokens=False)
            for (row, start, _), encoding in zip(group, encodings, strict=True):
                found[row].extend((first + start, last + start) for first, last in encoding.offsets)
        return found


def encodable(text: str) -> str:
    """Replace lone surrogates, which no tokenizer takes, by question marks of the same length."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _slices(text: str) -> list[tuple[int, int]]:
    """Cut a long text at white space, so that no token crosses a cut and time stays linear in the length."""
    slices, start = [], 0
    while len(text) - start > _SLICE_CHARACTERS:
        end = start + _SLICE_CHARACTERS
        space = max(text.rfind(" ", start, end), text.rfind("\n", start, end))
        end = space if space > start else end
        slices.append((start, end))
        start = end
    return [*slices, (start, len(text))]


def _groups(pieces: list[tuple[int, int, int]]) -> list[list[tuple[int, int, int]]]:
    """Group slices so that one call holds a bounded number of characters."""
    groups: list[list[tuple[int, int, int]]] = [[]]
    characters = 0
    for piece in pieces:
        length = piece[2] - piece[1]
        if groups[-1] and characters + length > _BATCH_CHARACTERS:
            groups.append([])
            characters = 0
        groups[-1].append(piece)
        characters += length
    return groups
