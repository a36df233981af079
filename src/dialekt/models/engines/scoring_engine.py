"""Cross-encoders in torch: rows of one text or two → logits, one per label."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import CrossEncoder

from dialekt.config import EngineName, ModelConfig, Precision
from dialekt.errors import BackendError, ModelError
from dialekt.models.encoder import batch_tokens
from dialekt.models.engines.records import TokenRow
from dialekt.models.engines.tokenizer import RequestTokenizer
from dialekt.models.engines.torch_engine import CALL_TOKENS
from dialekt.models.folders import position_limit
from dialekt.models.machine import fastest_precision
from dialekt.models.padding import PadStyle, pad_rows
from dialekt.models.reranker import joins_texts, load_cross_encoder, score_heads

_FALLBACK_MAX_TOKENS = 512
_NO_LIMIT = 1_000_000  # tokenizers without a limit state a number of some 30 digits


class ScoringEngine:
    """A cross-encoder with one label or more. Its head computes in fp32, whatever the rest does."""

    name = EngineName.TORCH

    def __init__(self, model: CrossEncoder, *, precision: Precision):
        self.precision: str = precision.value
        self.width = int(model.num_labels)
        self.batch_tokens = batch_tokens(model.device.type)
        self.size_bytes = sum(weight.numel() * weight.element_size() for weight in model.parameters())
        self._device = model.device
        self.device = model.device.type
        self.call_tokens = CALL_TOKENS
        self.lanes = 1  # torch's threads are a team for one call
        self._mixed = precision is Precision.BF16 and model.dtype is torch.float32
        self._style = PadStyle.of(model.tokenizer)
        self._models = [model]  # empty once closed

    def run(self, rows: Sequence[TokenRow]) -> NDArray[np.float32]:
        """Return logits (rows, labels)."""
        arrays = pad_rows([row.ids for row in rows], self._style, segments=[row.segments for row in rows])
        features = {name: torch.from_numpy(values).to(self._device) for name, values in arrays.items()}
        try:
            with torch.inference_mode(), self._autocast():
                logits = self._models[0](features)["scores"]
        except RuntimeError as error:  # torch's word for "out of memory" and for a kernel that failed
            first_line = str(error).strip().partition("\n")[0]
            raise BackendError(f"the model failed: {first_line}") from error
        scores: NDArray[np.float32] = logits.float().cpu().numpy().reshape(len(rows), self.width)
        return scores

    def token_vectors(self, rows: Sequence[TokenRow]) -> list[NDArray[np.float32]]:
        """Raise `BackendError`: a cross-encoder makes scores, no vectors."""
        raise BackendError(f"model is not an embedding model: {len(rows)} inputs have no vectors", failure="model_type")

    def close(self) -> None:
        """Let go of the weights."""
        self._models.clear()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self._device.type, torch.bfloat16) if self._mixed else nullcontext()


@dataclass(frozen=True, slots=True, eq=False)
class Scorer:
    """A loaded cross-encoder; `labels` in the order of its logits, `max_tokens` for both texts together."""

    engine: ScoringEngine
    tokenizer: RequestTokenizer
    labels: tuple[str, ...]
    max_tokens: int


def load_scorer(folder: Path, *, model: ModelConfig, dtype: Precision | None) -> Scorer:
    """Load a folder that sentence-transformers or transformers saved a cross-encoder in.

    Raises `ModelError`, also for one that joins two texts in a way of its own.
    """
    loaded = load_cross_encoder(folder, device=model.device, trust_remote_code=model.trust_remote_code)
    if not joins_texts(loaded):
        raise ModelError(
            "the cross-encoder joins two texts in a way of its own, which the server cannot do",
            path=folder,
            hint="serve a transformer for sequence classification, without a prompt",
        )
    max_tokens = _max_tokens(loaded, model)
    tokenizer = RequestTokenizer.of(
        loaded.tokenizer,
        max_tokens=max_tokens,
        special_tokens=True,
        pair_segments="token_type_ids" in loaded.tokenizer.model_input_names,
    )
    precision = dtype or fastest_precision(str(loaded.device))
    if precision is Precision.BF16:
        loaded.to(torch.bfloat16)
        loaded.set_keep_in_fp32_modules(score_heads(loaded))
    names = loaded.config.id2label
    labels = tuple(str(names.get(number, f"LABEL_{number}")) for number in range(loaded.num_labels))
    return Scorer(ScoringEngine(loaded.eval(), precision=precision), tokenizer, labels, max_tokens)


def _max_tokens(model: CrossEncoder, config: ModelConfig) -> int:
    """Return the configured limit, or the smaller of the tokenizer's and the positions'."""
    positions = position_limit(model.config.to_dict())
    if config.max_tokens is not None:
        if positions is not None and config.max_tokens > positions:
            raise ModelError(
                f"model.max_tokens = {config.max_tokens} is more than the model's {positions} positions",
                hint=f"set it to {positions} or less",
            )
        return config.max_tokens
    stated = model.tokenizer.model_max_length
    known = [limit for limit in (stated, positions) if limit is not None and limit < _NO_LIMIT]
    return int(min(known, default=_FALLBACK_MAX_TOKENS))
