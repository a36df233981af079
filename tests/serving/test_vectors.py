"""Served vectors of the real MiniLM beside those of the library, for every engine that every machine has."""

import random
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from tests.serving.conftest import folder_source, serving

from dialekt.config import EngineName
from dialekt.models.parity import NEUTRAL_SENTENCES

TEXTS = [
    *NEUTRAL_SENTENCES,
    "a",
    "?",
    "Reset my password.",
    *(" ".join(NEUTRAL_SENTENCES[:count]) for count in range(2, 6)),
    *(f"error {number}: the pump's valve no. {number * 7} leaks " * (1 + number % 9) for number in range(24)),
]


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "bound"), [("torch", 0.9999), ("onnx", 0.9999), ("openvino", 0.999)])
def test_rest_gives_the_vectors_of_the_library(engine: str, bound: float, minilm: Path, tmp_path: Path) -> None:
    """Alone or in a batch, in any order, on both protocols: short and long texts, beyond the limit too."""
    expected = SentenceTransformer(str(minilm), device="cpu").encode(TEXTS, normalize_embeddings=True)
    with serving([folder_source("minilm", minilm)], tmp_path, engine=EngineName(engine)) as served:
        order = random.Random(3).sample(range(len(TEXTS)), len(TEXTS))
        singles = np.array([served.post("/embed", {"inputs": text}).json()[0] for text in TEXTS])
        shuffled = np.empty_like(singles)
        for start in range(0, len(order), 32):
            rows = order[start : start + 32]
            shuffled[rows] = _vectors(served.post("/embed", {"inputs": [TEXTS[row] for row in rows]}))
        answer = served.post("/v1/embeddings", {"model": "minilm", "input": TEXTS}).json()
    listed = np.array([item["embedding"] for item in answer["data"]])
    for found in (singles, shuffled, listed):
        assert float((found * expected).sum(axis=1).min()) >= bound


def _vectors(response: httpx.Response) -> NDArray[np.float64]:
    """Return (inputs, 384)."""
    return np.array(response.json())
