"""What tests of engines share: the graphs of the tiny model, built once."""

from pathlib import Path

import pytest
from sentence_transformers import SentenceTransformer

from dialekt.models.engines.graph import export_graph


@pytest.fixture(scope="session")
def tiny_graph(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as an ONNX graph in fp32."""
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    export_graph(SentenceTransformer(str(tiny_model), device="cpu"), path)
    return path


@pytest.fixture(scope="session")
def engine_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An engine cache that tests fill and share."""
    return tmp_path_factory.mktemp("cache")
