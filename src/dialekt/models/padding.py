"""Rows of token ids → the rectangular arrays that a model takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class PadStyle:
    """How a model wants its rows: the id that fills them, at which end, and whether it takes segments."""

    pad_id: int
    left: bool = False
    segments: bool = False

    @classmethod
    def of(cls, tokenizer: Any) -> Self:
        """Return the style that a transformers tokenizer states."""
        return cls(
            pad_id=tokenizer.pad_token_id or 0,
            left=tokenizer.padding_side == "left",
            segments="token_type_ids" in tokenizer.model_input_names,
        )


def pad_rows(
    token_ids: Sequence[Sequence[int]],
    style: PadStyle,
    *,
    segments: Sequence[Sequence[int] | None] | None = None,
    longest: int = 1,
) -> dict[str, NDArray[np.int64]]:
    """Return `input_ids` and `attention_mask`, and `token_type_ids` where wanted, all int64 (rows, width).

    The width is that of the longest row, and `longest` at least. A row without segments has segment 0 throughout.
    """
    lengths = np.fromiter(map(len, token_ids), dtype=np.int64, count=len(token_ids))
    longest = int(lengths.max(initial=max(1, longest)))
    places = np.arange(longest)
    filled = places >= longest - lengths[:, None] if style.left else places < lengths[:, None]  # (rows, longest)
    total = int(lengths.sum())
    input_ids = np.full(filled.shape, style.pad_id, dtype=np.int64)
    input_ids[filled] = np.fromiter(chain.from_iterable(token_ids), dtype=np.int64, count=total)
    arrays = {"input_ids": input_ids, "attention_mask": filled.astype(np.int64)}
    if style.segments:
        arrays["token_type_ids"] = np.zeros_like(input_ids)
        for row, own in enumerate(segments or ()):
            if own is not None:
                arrays["token_type_ids"][row, filled[row]] = own
    return arrays


def unpad(states: NDArray[np.float32], lengths: Sequence[int], style: PadStyle) -> list[NDArray[np.float32]]:
    """Cut (rows, longest, width) into one matrix (its tokens, width) per row, each a copy of its own."""
    longest = states.shape[1]
    starts = [longest - length if style.left else 0 for length in lengths]
    return [
        states[row, start : start + length].copy()
        for row, (start, length) in enumerate(zip(starts, lengths, strict=True))
    ]
