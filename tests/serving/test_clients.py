"""Other people's clients against the live server, each in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.serving.conftest import Serve

from dialekt.config import ModelConfig, Precision
from dialekt.models.encoder import Encoder
from dialekt.serving.access import Keys
from dialekt.types import Role

SCRIPTS = Path(__file__).parent / "clients"
CLIENTS_PYTHON = Path(__file__).parents[2] / ".venv-clients" / "bin" / "python"
NEEDS_CLIENTS = pytest.mark.skipif(
    not CLIENTS_PYTHON.exists(), reason="the clients that need huggingface_hub < 2 are installed by: make clients"
)
TEXTS = ["solar panel", "restart the water pump", "how do I reset my password?"]


@pytest.fixture
def ask(serve: Serve) -> Any:
    """Run a client's script against a server with a key; return what it printed."""

    def run(script: str, python: Path) -> Any:
        with serve(keys=Keys.load(None, {"API_KEY": "a-key"})) as served:
            # The server is no hub: these clients may reach it, offline or not.
            environment = {**os.environ, "HF_HUB_OFFLINE": "0", "no_proxy": "*"}
            done = subprocess.run(
                [python, SCRIPTS / script, served.url, "a-key"],
                input=json.dumps(TEXTS), capture_output=True, text=True, timeout=60, env=environment, check=False,
            )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="module")
def vectors(tiny_model: Path) -> NDArray[np.float32]:
    """What the library makes of the texts."""
    return Encoder.load(str(tiny_model), ModelConfig(device="cpu"), precision=Precision.FP32).encode(
        TEXTS, Role.DOCUMENT
    )


def assert_same(found: Any, vectors: NDArray[np.float32]) -> None:
    """Assert that vectors are those of the library."""
    rows = np.array(found, dtype=np.float32).reshape(-1, vectors.shape[-1])
    assert rows.shape == np.atleast_2d(vectors).shape
    assert np.allclose(rows, vectors, atol=1e-5)


def test_hugging_face(ask: Any, vectors: NDArray[np.float32]) -> None:
    """InferenceClient embeds with all its options and compares sentences, at the server's root."""
    found = ask("hub_client.py", Path(sys.executable))
    short = vectors[:, :16] / np.linalg.norm(vectors[:, :16], axis=1, keepdims=True)
    assert_same(found["documents"], vectors)
    assert_same(found["query"], vectors[:1])
    assert_same(found["short"], short)
    raw = np.array(found["raw"])
    assert_same(raw / np.linalg.norm(raw, axis=1, keepdims=True), vectors)
    assert np.allclose(found["similarities"], vectors[1:] @ vectors[0], atol=1e-5)


@NEEDS_CLIENTS
def test_langchain(ask: Any, vectors: NDArray[np.float32]) -> None:
    """HuggingFaceEndpointEmbeddings embeds documents and queries, also from asynchronous code."""
    found = ask("langchain_client.py", CLIENTS_PYTHON)
    short = vectors[:, :16] / np.linalg.norm(vectors[:, :16], axis=1, keepdims=True)
    assert_same(found["documents"], vectors)
    assert_same(found["documents_async"], vectors)
    assert_same(found["query"], vectors[:1])
    assert_same(found["short"], short)


@NEEDS_CLIENTS
def test_llama_index(ask: Any, vectors: NDArray[np.float32]) -> None:
    """TextEmbeddingsInference embeds texts and queries, also from asynchronous code."""
    found = ask("llama_index_client.py", CLIENTS_PYTHON)
    assert_same(found["documents"], vectors)
    assert_same(found["documents_async"], vectors)
    assert_same(found["query"], vectors[:1])
