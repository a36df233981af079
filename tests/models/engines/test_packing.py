"""Rows without padding, as a GPU takes them; here on the CPU, attention row by row."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from tests.models.engines.test_graph import PADDED_BY_ONE, PLAIN, ROWS, assemble, mpnet, qwen, roberta, small
from transformers import AutoTokenizer, DebertaV2Config, DebertaV2Model

from dialekt.config import Precision
from dialekt.models.engines.torch_engine import TorchEngine


def deberta(vocabulary: int) -> Any:
    """A model with an attention of its own."""
    return DebertaV2Model(DebertaV2Config(**small(vocabulary)))


@pytest.mark.parametrize("pooling", ["mean", "cls", "max", "lasttoken"])
def test_packed_equals_padded(tiny_model: Path, pooling: str) -> None:
    """Vectors and the tokens' vectors are the same with and without padding, for every pooling."""
    models = [SentenceTransformer(str(tiny_model), device="cpu") for _ in range(2)]
    for model in models:
        model[1].pooling_mode = pooling
    padded, packed = (
        TorchEngine(model.eval(), precision=Precision.FP32, packed=wanted)
        for model, wanted in zip(models, (False, True), strict=True)
    )
    np.testing.assert_allclose(packed.run(ROWS), padded.run(ROWS), atol=1e-5)
    for found, expected in zip(packed.token_vectors(ROWS), padded.token_vectors(ROWS), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "pooling", "tokenizer", "packed"),
    [
        (roberta, "cls", PADDED_BY_ONE, True),
        (qwen, "lasttoken", {**PLAIN, "padding_side": "left"}, True),
        (mpnet, "mean", PADDED_BY_ONE, False),
        (deberta, "mean", PLAIN, False),
    ],
)
def test_only_what_computes_the_same_is_packed(
    tiny_model: Path, tmp_path: Path, make: Any, pooling: str, tokenizer: dict[str, Any], packed: bool
) -> None:
    """Positions begin where a family has them begin, a decoder's tokens see only those before them; models whose
    attention is their own keep the padding, and the same vectors.
    """
    model = assemble(tmp_path, tiny_model, make(len(AutoTokenizer.from_pretrained(tiny_model))), pooling, **tokenizer)
    expected = TorchEngine(model, precision=Precision.FP32).run(ROWS)
    engine = TorchEngine.of(model, precision=Precision.FP32, pack=True)
    assert engine.is_packed is packed
    np.testing.assert_allclose(engine.run(ROWS), expected, atol=1e-4)
