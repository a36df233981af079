"""A sentence-transformers model → one ONNX graph from token ids to pooled vectors, checked against torch."""

import inspect
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import nn

from dialekt.errors import MissingExtraError, ModelError
from dialekt.models.engines.onnx_engine import SENTENCE_OUTPUT, TOKEN_OUTPUT, open_session
from dialekt.models.padding import PadStyle, pad_rows

_EXPORTABLE = (Transformer, Pooling, Dense, Normalize)
_EXPORT_ERRORS = (RuntimeError, ValueError, TypeError, AttributeError, KeyError, NotImplementedError, AssertionError)
_PROBED_LENGTHS = ((1,), (2, 2), (5, 3, 17), (16, 1, 9, 12))  # of the rows that a new graph is checked on
_MAX_DIFFERENCE = 1e-3  # of a component, relative to the largest: float32 summed in another order gives 1e-6


class _Pipeline(nn.Module):
    """The model's modules but the last normalisation, as a function of arrays."""

    def __init__(self, model: SentenceTransformer):
        super().__init__()
        self.transformer = model[0].model
        self.heads = nn.ModuleList(module for module in list(model)[1:] if not isinstance(module, Normalize))

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return vectors (rows, width) and last hidden states (rows, tokens, hidden)."""
        segments = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        states = self.transformer(input_ids=input_ids, attention_mask=attention_mask, **segments)[0]
        features: dict[str, Any] = {TOKEN_OUTPUT: states, "attention_mask": attention_mask}
        for head in self.heads:
            features = head(features)
        return features[SENTENCE_OUTPUT], states


def refusal(model: SentenceTransformer) -> str:
    """Return why a model cannot become a graph; empty when it can."""
    odd = next((type(module).__name__ for module in model if not isinstance(module, _EXPORTABLE)), "")
    if odd or not isinstance(model[0], Transformer):
        return f"a model with a module {odd or type(model[0]).__name__} runs in torch only"
    if not any(isinstance(module, Pooling) for module in model):
        return "a model without a pooling module runs in torch only"
    return ""


def export_graph(model: SentenceTransformer, path: Path) -> None:
    """Write a model in fp32 on the CPU as an ONNX graph with any number of rows and tokens.

    Inputs: `input_ids`, `attention_mask` and, where the model takes them, `token_type_ids`, int64 (rows, tokens).
    Outputs: `sentence_embedding` (rows, width), pooled but not normalised, and `token_embeddings`. The graph is
    compared with torch before this returns. Raises `ModelError`, `MissingExtraError`.
    """
    if reason := refusal(model):
        raise ModelError(reason, hint="use the engine torch")
    pipeline = _Pipeline(model).eval()
    style = PadStyle.of(model.tokenizer)
    if "token_type_ids" not in inspect.signature(pipeline.transformer.forward).parameters:
        style = replace(style, segments=False)
    example = _probe((9, 7), style, model)
    names = list(example)
    axes = {0: torch.export.Dim("rows"), 1: torch.export.Dim("tokens")}
    try:
        with _quiet(), torch.no_grad():
            torch.onnx.export(
                pipeline,
                tuple(torch.from_numpy(example[name]) for name in names),
                str(path),
                input_names=names,
                output_names=[SENTENCE_OUTPUT, TOKEN_OUTPUT],
                dynamic_shapes=dict.fromkeys(names, axes),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except ImportError as error:
        raise MissingExtraError("serve", needed_for="an ONNX graph") from error
    except _EXPORT_ERRORS as error:
        raise ModelError(
            f"the model cannot become a graph: {_first_line(error)}", hint="use the engine torch"
        ) from error
    _verify(model, pipeline, path, style)


def _verify(model: SentenceTransformer, pipeline: _Pipeline, path: Path, style: PadStyle) -> None:
    """Raise `ModelError` unless the graph computes what torch does, for several shapes and paddings."""
    session = open_session(path, threads=1)
    for lengths in _PROBED_LENGTHS:
        feeds = _probe(lengths, style, model)
        with torch.inference_mode():
            expected = pipeline(**{name: torch.from_numpy(values) for name, values in feeds.items()})
        found = session.run([SENTENCE_OUTPUT, TOKEN_OUTPUT], feeds)
        filled = feeds["attention_mask"].astype(bool)
        pairs = ((expected[0].numpy(), found[0]), (expected[1].numpy()[filled], found[1][filled]))
        if not all(_near(left, right) for left, right in pairs):
            raise ModelError(
                f"the exported graph does not compute what torch does, for rows of {lengths} tokens",
                hint="use the engine torch",
            )


def _near(expected: NDArray[np.float32], found: NDArray[np.float32]) -> bool:
    if expected.shape != found.shape or not np.isfinite(found).all():
        return False
    return bool(np.abs(expected - found).max() <= _MAX_DIFFERENCE * max(1e-6, float(np.abs(expected).max())))


def _probe(lengths: tuple[int, ...], style: PadStyle, model: SentenceTransformer) -> dict[str, NDArray[np.int64]]:
    """Return rows of these lengths with ids drawn from the whole vocabulary."""
    draw = np.random.default_rng(len(lengths))
    vocabulary = len(model.tokenizer)
    ids = draw.integers(0, vocabulary, sum(lengths))
    ids[ids == style.pad_id] = vocabulary - 1  # some models find their padding by its id
    rows = np.split(ids, np.cumsum(lengths)[:-1])
    return pad_rows([row.tolist() for row in rows], style)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's warnings and log off the screen: what counts is whether the graph computes the same."""
    names = ("torch.onnx", "torch.export", "torch._dynamo", "onnxscript", "root")
    levels = {name: logging.getLogger(name).level for name in names}
    try:
        for name in names:
            logging.getLogger(name).setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
