"""The model's own modules in torch: every kind of model, every device."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling, StaticEmbedding

from dialekt.config import EngineName, Precision
from dialekt.errors import BackendError, ModelError
from dialekt.models.encoder import batch_tokens, normalize
from dialekt.models.engines.packing import PackedTransformer
from dialekt.models.engines.records import TokenRow
from dialekt.models.machine import fastest_precision
from dialekt.models.padding import PadStyle, pad_rows, unpad

CALL_TOKENS = 96  # some hundred operations that are started from Python, 5 ms on MiniLM
_STATIC_BATCH_TOKENS = 65_536  # a static embedding is a look-up: what a call costs is the call
_PROBED_LENGTHS = (3, 17, 60, 5)
_MIN_PACKED_COSINE = 0.999
_NOT_PACKED = (TypeError, ValueError, AttributeError, ImportError, NotImplementedError)  # models that cannot be packed


class TorchEngine:
    """An embedding model in torch, without its last normalisation. `packed` rows take no padding."""

    name = EngineName.TORCH

    def __init__(self, model: SentenceTransformer, *, precision: Precision, packed: bool = False):
        self.precision: str = precision.value
        self._device = model.device
        self.device = model.device.type
        padding_is_free = packed or self.device != "cpu" or isinstance(model[0], StaticEmbedding)
        self.call_tokens = _STATIC_BATCH_TOKENS if padding_is_free else CALL_TOKENS
        self.lanes = 1  # torch's threads are a team for one call
        self.width = int(model.get_embedding_dimension() or 0)
        self._static = isinstance(model[0], StaticEmbedding)
        self._modules: list[Any] = [module for module in model if not isinstance(module, Normalize)]
        self._style = PadStyle(0) if self._static else PadStyle.of(model.tokenizer)
        self._packed = PackedTransformer(model) if packed else None
        self._mixed = precision is Precision.BF16 and model.dtype is torch.float32
        self.batch_tokens = _STATIC_BATCH_TOKENS if self._static else batch_tokens(model.device.type)
        self.size_bytes = sum(weight.numel() * weight.element_size() for weight in model.parameters())

    @classmethod
    def of(cls, model: SentenceTransformer, *, precision: Precision | None, pack: bool | None = None) -> Self:
        """Take over a loaded model; its weights are rounded to `precision`, the machine's fastest where unset.

        A static embedding multiplies nothing, so rounding it would bring nothing. `pack` leaves padding out where the
        model allows it, on a GPU if unset. Raises `ModelError` for a model that does not take token ids.
        """
        check_takes_ids(model)
        fastest = Precision.FP32 if isinstance(model[0], StaticEmbedding) else fastest_precision(str(model.device))
        precision = precision or fastest
        if precision is Precision.BF16:
            model.to(torch.bfloat16)
        engine = cls(model.eval(), precision=precision)
        pack = model.device.type == "cuda" if pack is None else pack
        return engine._without_padding(model, precision) if pack and not engine._static else engine

    @property
    def is_packed(self) -> bool:
        """Whether rows take no padding."""
        return self._packed is not None

    def run(self, rows: Sequence[TokenRow]) -> NDArray[np.float32]:
        """Return pooled vectors (rows, width), not normalised."""
        return self._numpy(self._forward(rows)["sentence_embedding"])

    def token_vectors(self, rows: Sequence[TokenRow]) -> list[NDArray[np.float32]]:
        """Return the last hidden states of every row's tokens; of a static embedding its tokens' vectors."""
        if self._static:
            weights = self._modules[0].embedding.weight.detach()
            return [self._numpy(weights[torch.tensor(row.ids, dtype=torch.int64, device=self._device)]) for row in rows]
        states = self._numpy(self._forward(rows)["token_embeddings"])
        lengths = [len(row.ids) for row in rows]
        if self._packed is not None:
            return [part.copy() for part in np.split(states[0], np.cumsum(lengths)[:-1])]
        return unpad(states, lengths, self._style)

    def close(self) -> None:
        """Let go of the weights."""
        self._modules.clear()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _forward(self, rows: Sequence[TokenRow]) -> dict[str, Any]:
        try:
            with torch.inference_mode(), self._autocast():
                features, modules = self._begin(rows)
                for module in modules:
                    features = module(features)
        except RuntimeError as error:  # torch's word for "out of memory" and for a kernel that failed
            first_line = str(error).strip().partition("\n")[0]
            raise BackendError(f"the model failed: {first_line}") from error
        return features

    def _begin(self, rows: Sequence[TokenRow]) -> tuple[dict[str, Any], list[Any]]:
        """Return the inputs of the first module, or the outputs of a packed transformer; and the modules to come."""
        if self._packed is not None:
            return self._packed(rows), self._modules[1:]
        return self._features(rows), self._modules

    def _without_padding(self, model: SentenceTransformer, precision: Precision) -> Self:
        """Return an engine without padding if it computes the same vectors, else this one."""
        vocabulary = len(model.tokenizer)
        rows = [TokenRow([token % vocabulary for token in range(length, 3 * length)]) for length in _PROBED_LENGTHS]
        attention = model[0].model.config._attn_implementation
        expected = normalize(self.run(rows))
        try:
            packed = type(self)(model, precision=precision, packed=True)
            if (normalize(packed.run(rows)) * expected).sum(axis=1).min() >= _MIN_PACKED_COSINE:
                return packed
        except (BackendError, *_NOT_PACKED):
            pass
        model[0].model.set_attn_implementation(attention)
        return self

    def _features(self, rows: Sequence[TokenRow]) -> dict[str, torch.Tensor]:
        if self._static:
            lengths = np.cumsum([0, *(len(row.ids) for row in rows[:-1])])
            flat = np.concatenate([np.asarray(row.ids, dtype=np.int64) for row in rows])
            arrays = {"input_ids": flat, "offsets": lengths}
        else:
            arrays = pad_rows([row.ids for row in rows], self._style, segments=[row.segments for row in rows])
        return {name: torch.from_numpy(values).to(self._device) for name, values in arrays.items()}

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self._device.type, torch.bfloat16) if self._mixed else nullcontext()

    @staticmethod
    def _numpy(values: torch.Tensor) -> NDArray[np.float32]:
        array: NDArray[np.float32] = values.float().cpu().numpy()
        return array


def check_takes_ids(model: SentenceTransformer) -> None:
    """Raise `ModelError` for a model that cannot be served: one that prepares its inputs in a way of its own."""
    first = model[0]
    if not isinstance(first, Transformer | StaticEmbedding):
        raise ModelError(
            f"the model's first module is a {type(first).__name__}, which takes no token ids",
            hint="serve a transformer or a static embedding",
        )
    if not all(module.include_prompt for module in model if isinstance(module, Pooling)):
        raise ModelError(
            "the model leaves the prompt out of its pooling, which the server cannot do",
            hint="serve a model whose pooling has include_prompt = true",
        )
