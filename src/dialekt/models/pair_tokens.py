"""Two texts → one row of token ids, as a cross-encoder reads them. Every text is tokenised once, however many pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from dialekt.models.tokens import BulkTokenizer
from dialekt.types import Progress, ReportProgress, no_progress

_TEXTS_PER_CALL = 8_192
_SAMPLES = ("a", "b")


@dataclass(frozen=True, slots=True, eq=False)
class TokenRows:
    """Token ids of many texts, end to end: text n is `ids[starts[n] : starts[n + 1]]`, without special tokens."""

    ids: NDArray[np.int32]
    starts: NDArray[np.int64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of every text (texts,)."""
        return np.diff(self.starts)

    def row(self, number: int, length: int) -> NDArray[np.int32]:
        """Return the first tokens of a text."""
        start = self.starts[number]
        return self.ids[start : start + length]


@dataclass(frozen=True, slots=True, eq=False)
class _Template:
    """The special tokens before, between and behind two texts, and the segment number of every part."""

    before: NDArray[np.int32]
    between: NDArray[np.int32]
    behind: NDArray[np.int32]
    segments: tuple[int, ...]

    @property
    def specials(self) -> int:
        return len(self.before) + len(self.between) + len(self.behind)


@dataclass(frozen=True, slots=True, eq=False)
class PairedTexts:
    """Queries and documents as tokens, and which of them are paired: `pairs` (pairs, 2) of row numbers."""

    queries: TokenRows
    documents: TokenRows
    pairs: NDArray[np.int64]
    query_lengths: NDArray[np.int64]  # (pairs,) tokens left of the query
    document_lengths: NDArray[np.int64]  # (pairs,) tokens left of the document
    lengths: NDArray[np.int64]  # (pairs,) tokens of the whole row, special ones included


class PairTokenizer:
    """Joins texts as the model's own fast tokenizer does: same special tokens, same segments, longest cut first."""

    def __init__(self, tokenizer: Tokenizer, template: _Template, *, max_tokens: int, pad_id: int):
        self._bulk = BulkTokenizer(tokenizer, max_tokens=max_tokens, special_tokens=False)
        self._template = template
        self._max_tokens = max_tokens
        self._pad_id = pad_id

    @classmethod
    def of(cls, tokenizer: Any, max_tokens: int) -> Self | None:
        """Return the pair tokenizer of a transformers tokenizer; None for one that joins texts in another way."""
        backend = getattr(tokenizer, "backend_tokenizer", None)
        sides = {getattr(tokenizer, "padding_side", ""), getattr(tokenizer, "truncation_side", "")}
        if not isinstance(backend, Tokenizer) or sides != {"right"}:
            return None
        template = _read_template(Tokenizer.from_str(backend.to_str()))
        if template is None or template.specials >= max_tokens:
            return None
        return cls(backend, template, max_tokens=max_tokens, pad_id=tokenizer.pad_token_id or 0)

    def tokenise(self, texts: Sequence[str], *, progress: ReportProgress = no_progress) -> TokenRows:
        """Return the tokens of every text, each cut to the limit."""
        parts: list[NDArray[np.int32]] = []
        lengths: list[int] = []
        for start in range(0, len(texts), _TEXTS_PER_CALL):
            found = self._bulk.token_ids(texts[start : start + _TEXTS_PER_CALL], "")
            lengths += [len(ids) for ids in found]
            parts.append(np.fromiter((token for ids in found for token in ids), dtype=np.int32))
            progress(Progress("tokenise", min(start + _TEXTS_PER_CALL, len(texts)), len(texts)))
        ids = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int32)
        return TokenRows(ids, np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64))

    def join(self, queries: TokenRows, documents: TokenRows, pairs: NDArray[np.int64]) -> PairedTexts:
        """Pair texts by their row numbers (pairs, 2), and cut each pair to the limit, the longer text first."""
        first, second = queries.lengths[pairs[:, 0]], documents.lengths[pairs[:, 1]]
        room = self._max_tokens - self._template.specials
        short, long = np.minimum(first, second), np.maximum(first, second)
        both = 2 * short > room  # then each gets half, the longer one the odd token
        fits = short + long <= room
        short_left = np.where(fits | ~both, short, room // 2)
        long_left = np.where(fits, long, np.where(both, room - room // 2, room - short))
        query_is_longer = first > second
        left = np.where(query_is_longer, long_left, short_left)
        right = np.where(query_is_longer, short_left, long_left)
        return PairedTexts(queries, documents, pairs, left, right, left + right + self._template.specials)

    def features(self, texts: PairedTexts, rows: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
        """Return padded `input_ids`, `attention_mask` and `token_type_ids` (rows, longest) of some pairs."""
        shape = (len(rows), int(texts.lengths[rows].max(initial=1)))
        input_ids = np.full(shape, self._pad_id, dtype=np.int64)
        segments = np.zeros(shape, dtype=np.int64)
        for place, row in enumerate(rows.tolist()):
            query, document = texts.pairs[row].tolist()
            parts = (
                self._template.before,
                texts.queries.row(query, texts.query_lengths[row]),
                self._template.between,
                texts.documents.row(document, texts.document_lengths[row]),
                self._template.behind,
            )
            at = 0
            for part, segment in zip(parts, self._template.segments, strict=True):
                input_ids[place, at : at + len(part)] = part
                segments[place, at : at + len(part)] = segment
                at += len(part)
        mask = np.arange(shape[1]) < texts.lengths[rows][:, None]  # (rows, longest)
        return {"input_ids": input_ids, "attention_mask": mask.astype(np.int64), "token_type_ids": segments}


def _read_template(tokenizer: Tokenizer) -> _Template | None:
    """Find the special tokens by joining two samples; None when the samples are not found in the result."""
    tokenizer.no_padding()
    tokenizer.no_truncation()
    one, other = (tokenizer.encode(sample, add_special_tokens=False) for sample in _SAMPLES)
    joined = tokenizer.post_process(one, other)
    first = _find(joined.ids, one.ids, 0)
    second = -1 if first < 0 else _find(joined.ids, other.ids, first + len(one.ids))
    if second < 0:
        return None
    cuts = (0, first, first + len(one.ids), second, second + len(other.ids), len(joined.ids))
    parts = [np.array(joined.ids[low:high], dtype=np.int32) for low, high in pairwise(cuts)]
    segments = tuple(joined.type_ids[low] if low < high else 0 for low, high in pairwise(cuts))
    return _Template(parts[0], parts[2], parts[4], segments)


def _find(ids: list[int], wanted: list[int], start: int) -> int:
    """Return where a run of ids begins, -1 when it does not occur or is empty."""
    places = range(start, len(ids) - len(wanted) + 1)
    return next((place for place in places if wanted and ids[place : place + len(wanted)] == wanted), -1)
