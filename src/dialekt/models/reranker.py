"""A cross-encoder: query and document read together → one score. Scored in bulk, never query by query."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import CrossEncoder
from sentence_transformers.base.modules import Transformer
from torch import nn

from dialekt.config import Precision
from dialekt.errors import ModelError
from dialekt.models.base import fetch_model
from dialekt.models.encoder import batch_tokens, budget_batches
from dialekt.models.fitting import quiet_libraries
from dialekt.models.folders import position_limit, read_modules
from dialekt.models.loading import LOAD_ERRORS, quiet
from dialekt.models.machine import choose_device, fastest_precision
from dialekt.models.pair_tokens import PairTokenizer
from dialekt.types import Progress, ReportProgress, no_progress

_LABEL = "score pairs"
_LIBRARY_PAIRS = 4_096  # pairs per call of the library, where tokens cannot be joined here


class Reranker:
    """A cross-encoder with one output. Scores are logits, in the order of the pairs, whatever the batches were."""

    def __init__(self, model: CrossEncoder, *, max_tokens: int, precision: Precision):
        self.model = model
        self.max_tokens = max_tokens
        self.precision = precision
        self.tokenizer = PairTokenizer.of(model.tokenizer, max_tokens) if joins_texts(model) else None

    @classmethod
    def load(
        cls,
        name: str,
        *,
        device: str | None = None,
        max_tokens: int,
        trust_remote_code: bool = False,
        precision: Precision | None = None,
    ) -> Self:
        """Load a cross-encoder by folder or name; without `precision` in the fastest of this machine.

        `max_tokens` is the longest query and document together, less where the model reads less. Raises `ModelError`.
        """
        folder = fetch_model(name, trust_remote_code=trust_remote_code)
        model = load_cross_encoder(folder, device=device, trust_remote_code=trust_remote_code)
        if model.num_labels != 1:
            raise ModelError(
                f"{name!r} has {model.num_labels} outputs, expected one score per pair",
                hint="name a cross-encoder that was trained to rank",
            )
        precision = precision or fastest_precision(str(model.device))
        if precision is Precision.BF16:
            model.to(torch.bfloat16)
            model.set_keep_in_fp32_modules(score_heads(model))
        return cls(model.eval(), max_tokens=_limit(model, max_tokens), precision=precision)

    @classmethod
    def untrained(
        cls, base: str, *, device: str | None = None, max_tokens: int, trust_remote_code: bool = False, seed: int
    ) -> Self:
        """Return a cross-encoder with the weights of an embedding model and a fresh head, in fp32, to be trained.

        Raises `ModelError` where the base is no transformer.
        """
        folder = fetch_model(base, trust_remote_code=trust_remote_code)
        first = read_modules(folder)[0]
        if first.kind != "Transformer":
            raise ModelError(
                f"no cross-encoder can be made of {base!r}: its first module is a {first.kind}",
                hint="name a cross-encoder in teacher.model",
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = load_cross_encoder(first.folder, device=device, trust_remote_code=trust_remote_code, outputs=1)
        return cls(model, max_tokens=_limit(model, max_tokens), precision=fastest_precision(str(model.device)))

    def score(
        self,
        queries: Sequence[str],
        documents: Sequence[str],
        pairs: NDArray[np.int64],
        *,
        progress: ReportProgress = no_progress,
    ) -> NDArray[np.float32]:
        """Return the logit of every pair (pairs,), higher for a better answer.

        `pairs` (pairs, 2) holds row numbers of `queries` and `documents`. All pairs are sorted by length together
        and go through the model in batches of as many tokens as the device likes.
        """
        scores = np.empty(len(pairs), dtype=np.float32)
        training = self.model.training
        self.model.eval()
        try:
            with torch.inference_mode():
                self._score_into(scores, queries, documents, pairs, progress=progress)
        finally:
            self.model.train(training)
        if not np.isfinite(scores).all():
            raise ModelError(
                "the cross-encoder returned scores that are not finite",
                hint="are the weights damaged? copy the model again",
            )
        return scores

    def save(self, folder: Path) -> None:
        """Save weights as safetensors, with tokenizer and configuration."""
        with quiet():
            self.model.save_pretrained(str(folder), create_model_card=False)

    def _score_into(
        self,
        scores: NDArray[np.float32],
        queries: Sequence[str],
        documents: Sequence[str],
        pairs: NDArray[np.int64],
        *,
        progress: ReportProgress,
    ) -> None:
        if self.tokenizer is None:
            self._library_scores(scores, queries, documents, pairs, progress=progress)
            return
        texts = self.tokenizer.join(
            self.tokenizer.tokenise(queries), self.tokenizer.tokenise(documents, progress=progress), pairs
        )
        done = 0
        for rows in budget_batches(texts.lengths, batch_tokens(self.model.device.type)):
            with self.autocast():
                logits = self.logits(self.tokenizer.features(texts, rows))
            scores[rows] = logits.float().cpu().numpy()
            done += len(rows)
            progress(Progress(_LABEL, done, len(pairs)))

    def logits(self, features: dict[str, NDArray[np.int64]]) -> torch.Tensor:
        """Return the logits (rows,) of padded rows, with their graph where one is wanted."""
        wanted = {*self.model.tokenizer.model_input_names}
        inputs = {
            name: torch.from_numpy(values).to(self.model.device) for name, values in features.items() if name in wanted
        }
        scores: torch.Tensor = self.model(inputs)["scores"]
        return scores.reshape(len(features["input_ids"]))  # (rows, 1) → (rows,)

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the mixed precision that fp32 weights want on this machine."""
        mixed = self.precision is Precision.BF16 and self.model.dtype is torch.float32
        return torch.autocast(self.model.device.type, torch.bfloat16) if mixed else nullcontext()

    def _library_scores(
        self,
        scores: NDArray[np.float32],
        queries: Sequence[str],
        documents: Sequence[str],
        pairs: NDArray[np.int64],
        *,
        progress: ReportProgress,
    ) -> None:
        """Score through the library: for models that join two texts in a way of their own."""
        self.model.max_seq_length = self.max_tokens
        lengths = np.array([len(queries[query]) + len(documents[document]) for query, document in pairs.tolist()])
        order = np.argsort(-lengths, kind="stable")
        for start in range(0, len(order), _LIBRARY_PAIRS):
            rows = order[start : start + _LIBRARY_PAIRS]
            texts = [(queries[query], documents[document]) for query, document in pairs[rows].tolist()]
            scores[rows] = self.model.predict(texts, activation_fn=nn.Identity(), show_progress_bar=False)
            progress(Progress(_LABEL, min(start + _LIBRARY_PAIRS, len(order)), len(order)))


def load_cross_encoder(
    folder: Path, *, device: str | None, trust_remote_code: bool, outputs: int | None = None
) -> CrossEncoder:
    """Load a cross-encoder in fp32; with a fresh head where `outputs` are wanted. Raises `ModelError`."""
    try:
        with quiet(), quiet_libraries():
            return CrossEncoder(
                str(folder),
                num_labels=outputs,
                device=choose_device(device),
                trust_remote_code=trust_remote_code,
                local_files_only=not trust_remote_code,
                model_kwargs={"use_safetensors": True, "dtype": "float32"},
            )
    except LOAD_ERRORS as error:
        first_line = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelError(
            f"the cross-encoder cannot be loaded: {first_line}",
            path=folder,
            hint="is it a cross-encoder, and is the folder complete?",
        ) from error


def joins_texts(model: CrossEncoder) -> bool:
    """Return whether two texts go into one row without a prompt, and the first module's output is the score."""
    prompt = model.prompts.get(model.default_prompt_name or "", "") if model.prompts else ""
    first = model[0]
    plain = len(model) == 1 and isinstance(first, Transformer)
    return plain and not prompt and first.transformer_task == "sequence-classification"


def score_heads(model: CrossEncoder) -> list[str]:
    """Return the names of the layers that make the scores: in bf16 a score of 8 would be a multiple of 0.06."""
    outputs = model.num_labels
    return [n for n, module in model.named_modules() if type(module) is nn.Linear and module.out_features == outputs]


def _limit(model: CrossEncoder, max_tokens: int) -> int:
    own = position_limit(model.config.to_dict()) if model.config is not None else None
    return max_tokens if own is None else min(max_tokens, own)
