"""Many rows through an engine."""

from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

from dialekt.config import Precision
from dialekt.models.engines.bulk import run_rows
from dialekt.models.engines.records import TokenRow
from dialekt.models.engines.torch_engine import TorchEngine


def test_rows_keep_their_order(tiny_model: Path) -> None:
    """Rows of mixed lengths come back in their order, whatever batches they went through."""
    engine = TorchEngine.of(SentenceTransformer(str(tiny_model), device="cpu"), precision=Precision.FP32)
    draw = np.random.default_rng(5)
    rows = [TokenRow(draw.integers(5, 200, size=draw.integers(1, 60)).tolist()) for _ in range(50)]
    engine.batch_tokens = 100
    together = run_rows(engine, rows)
    assert together.shape == (50, 32)
    for row, vector in zip(rows, together, strict=True):
        np.testing.assert_allclose(engine.run([row])[0], vector, atol=1e-5)


def test_no_rows(tiny_model: Path) -> None:
    """Without rows there are no vectors."""
    engine = TorchEngine.of(SentenceTransformer(str(tiny_model), device="cpu"), precision=Precision.FP32)
    assert run_rows(engine, []).shape == (0, 32)
