"""Rows one behind the other without padding, for GPUs: attention is told where each row begins and ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from dialekt.models.engines.records import TokenRow

_ATTENTION = "dialekt_packed"


@dataclass(slots=True, eq=False)
class _Packing:
    """Where rows begin and end in the long row, (rows + 1,); `layers` counts those that heeded it."""

    starts: torch.Tensor
    longest: int
    layers: int = 0


class PackedTransformer:
    """A model's transformer on rows that lie in one long row. Making one changes the model's attention."""

    def __init__(self, model: SentenceTransformer):
        AttentionInterface.register(_ATTENTION, _attend)
        self._model = model[0].model
        self._model.set_attn_implementation(_ATTENTION)
        self._device = model.device
        self._first_position = _first_position(self._model)

    def __call__(self, rows: Sequence[TokenRow]) -> dict[str, Any]:
        """Return `token_embeddings` (1, tokens of all rows, hidden), and where rows begin as the library's pooling
        wants it. Raises `NotImplementedError` where a layer attends in a way of its own, beyond the ends of rows.
        """
        lengths = [len(row.ids) for row in rows]
        packing = _Packing(self._tensor([0, *accumulate(lengths)], torch.int32), max(lengths))
        places = [self._first_position + place for length in lengths for place in range(length)]
        states = self._model(
            input_ids=self._tensor([token for row in rows for token in row.ids])[None],
            position_ids=self._tensor(places)[None],
            packing=packing,
        )[0]
        if packing.layers < self._model.config.num_hidden_layers:
            raise NotImplementedError("a layer attends in a way of its own")
        return {"token_embeddings": states, "cu_seq_lens_q": packing.starts}

    def _tensor(self, values: list[int], dtype: torch.dtype = torch.int64) -> torch.Tensor:
        return torch.tensor(values, dtype=dtype).to(self._device, non_blocking=True)


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    packing: _Packing,
    scaling: float | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attend within rows: (1, heads, tokens, head size) → (1, tokens, heads, head size)."""
    if attention_mask is not None or options.get("sliding_window") is not None:
        raise NotImplementedError("attention with a mask or window of its own is not packed")
    packing.layers += 1
    causal = options.get("is_causal")
    causal = bool(getattr(module, "is_causal", False)) if causal is None else bool(causal)
    if not query.is_cuda:
        return _attend_row_by_row(query, key, value, packing.starts, scale=scaling, causal=causal)[None], None
    from torch.nn.attention.varlen import varlen_attn

    query, key, value = (part[0].transpose(0, 1).contiguous() for part in (query, key, value))
    found = varlen_attn(  # (tokens, heads, head size)
        query, key, value, packing.starts, packing.starts, packing.longest, packing.longest,
        scale=scaling, window_size=(-1, 0) if causal else (-1, -1), enable_gqa=query.shape[1] != key.shape[1],
    )  # fmt: skip
    assert isinstance(found, torch.Tensor)
    return found[None], None


def _attend_row_by_row(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    starts: torch.Tensor,
    *,
    scale: float | None,
    causal: bool,
) -> torch.Tensor:
    """Do the same without the GPU's kernel: (1, heads, tokens, head size) → (tokens, heads, head size)."""
    bounds = starts.tolist()
    grouped = query.shape[1] != key.shape[1]
    found = [
        scaled_dot_product_attention(
            query[:, :, start:end], key[:, :, start:end], value[:, :, start:end],
            is_causal=causal, scale=scale, enable_gqa=grouped,
        )
        for start, end in pairwise(bounds)
    ]  # fmt: skip
    return torch.cat(found, dim=2)[0].transpose(0, 1)


def _first_position(model: Any) -> int:
    """Return the position id of a row's first token: RoBERTa's family counts from behind its padding id."""
    for module in model.modules():
        padding = getattr(module, "padding_idx", None)
        if isinstance(padding, int) and isinstance(getattr(module, "position_embeddings", None), torch.nn.Embedding):
            return padding + 1
    return 0
