"""The door to models that write: a text in, several short texts out (doc2query and its kin)."""

from collections.abc import Sequence
from typing import Any, Self

import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from dialekt.errors import ModelError
from dialekt.models.base import fetch_model
from dialekt.models.encoder import budget_batches
from dialekt.models.loading import quiet
from dialekt.models.machine import choose_device
from dialekt.types import Progress, ReportProgress, no_progress

MAX_INPUT_TOKENS = 384
MAX_OUTPUT_TOKENS = 48
_BATCH_TOKENS = 8_192
_TOP_P = 0.95  # doc2query samples: beams write the same query over and over (Nogueira & Lin 2019)
_LOAD_ERRORS = (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError, RuntimeError)


class Seq2Seq:
    """A seq2seq model with its tokenizer."""

    def __init__(self, model: Any, tokenizer: Any):
        self._model = model
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, name: str, *, device: str | None = None) -> Self:
        """Load a model by folder or name, safetensors only. Raises `ModelError`."""
        folder = fetch_model(name)
        try:
            with quiet():
                model = AutoModelForSeq2SeqLM.from_pretrained(folder, use_safetensors=True, local_files_only=True)
                tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except _LOAD_ERRORS as error:
            first_line = str(error).strip().partition("\n")[0] or type(error).__name__
            raise ModelError(
                f"the seq2seq model cannot be loaded: {first_line}", path=folder, hint="is it a model such as T5?"
            ) from error
        return cls(model.to(choose_device(device)).eval(), tokenizer)

    def write(
        self, texts: Sequence[str], *, count: int, seed: int, progress: ReportProgress = no_progress
    ) -> list[list[str]]:
        """Return `count` sampled texts per text, in the order of the texts; the same seed writes the same."""
        token_ids = self._tokenizer(list(texts), truncation=True, max_length=MAX_INPUT_TOKENS)["input_ids"]
        lengths = torch.tensor([len(ids) for ids in token_ids]).numpy()
        written: list[list[str]] = [[] for _ in texts]
        done = 0
        devices = [self._model.device] if self._model.device.type == "cuda" else []
        with torch.random.fork_rng(devices), torch.inference_mode():
            torch.manual_seed(seed)
            for rows in budget_batches(lengths, _BATCH_TOKENS // count):
                outputs = self._generate([token_ids[row] for row in rows], count)
                for position, row in enumerate(rows):
                    written[row] = outputs[position * count : (position + 1) * count]
                done += len(rows)
                progress(Progress("write queries", done, len(texts)))
        return written

    def _generate(self, token_ids: list[list[int]], count: int) -> list[str]:
        batch = self._tokenizer.pad({"input_ids": token_ids}, return_tensors="pt").to(self._model.device)
        outputs = self._model.generate(
            **batch, do_sample=True, top_p=_TOP_P, num_return_sequences=count, max_new_tokens=MAX_OUTPUT_TOKENS
        )  # (texts * count, tokens)
        texts: list[str] = self._tokenizer.batch_decode(outputs, skip_special_tokens=True)
        return [text.strip() for text in texts]
