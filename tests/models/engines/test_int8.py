"""Graphs in int8, calibrated on texts of the domain."""

import argparse
import inspect
import pathlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from dialekt.config import EngineName
from dialekt.errors import ModelError
from dialekt.models.engines import int8, rounding
from dialekt.models.engines.bulk import run_rows
from dialekt.models.engines.graph import export_graph
from dialekt.models.engines.int8 import quantize_onnx, quantize_openvino
from dialekt.models.engines.onnx_engine import OnnxEngine
from dialekt.models.engines.openvino_engine import OpenVinoEngine
from dialekt.models.engines.records import Engine, ModelInput, TokenizeOptions, TokenRow
from dialekt.models.engines.tokenizer import RequestTokenizer
from dialekt.models.padding import PadStyle

TEXTS = (
    "solar panel cost and warranty",
    "reset the password of my account",
    "the pump leaks oil: replace the seal of the valve",
    "cancel an order and refund the payment to the customer's card",
    "tea",
)


def _rows(model: SentenceTransformer, texts: tuple[str, ...], *, max_tokens: int) -> list[TokenRow]:
    tokenizer = RequestTokenizer.of(model.tokenizer, max_tokens=max_tokens, special_tokens=True, pair_segments=False)
    return tokenizer.encode([ModelInput(text) for text in texts], TokenizeOptions())


def _onnx(graph: Path, model: SentenceTransformer, name: EngineName = EngineName.ONNX_INT8) -> OnnxEngine:
    return OnnxEngine(graph, name=name, precision="", style=PadStyle.of(model.tokenizer))


def _cosines(engine: Engine, reference: Engine, rows: list[TokenRow]) -> NDArray[np.float32]:
    one, other = run_rows(engine, rows), run_rows(reference, rows)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    cosines: NDArray[np.float32] = (one * other).sum(axis=1) / lengths
    return cosines


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> SentenceTransformer:
    """The tiny model."""
    return SentenceTransformer(str(tiny_model), device="cpu")


@pytest.fixture(scope="module")
def rows(model: SentenceTransformer) -> list[TokenRow]:
    """Token rows of a few texts."""
    return _rows(model, TEXTS, max_tokens=64)


@pytest.fixture(scope="module")
def quantized(tiny_graph: Path, rows: list[TokenRow], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model in int8 for onnxruntime."""
    path = tmp_path_factory.mktemp("int8") / "model.onnx"
    facts = quantize_onnx(tiny_graph, rows, path)
    assert (facts.products, facts.kept) == (12, ())
    assert facts.tokens == sum(len(row.ids) for row in rows)
    assert 0 < facts.mean_error < 0.001
    return path


def test_vectors_stay_near_those_in_fp32(
    quantized: Path, tiny_graph: Path, model: SentenceTransformer, rows: list[TokenRow]
) -> None:
    """The int8 graph computes integer products and its vectors are those of the model but for rounding."""
    operations = {node.op_type for node in onnx.load(str(quantized)).graph.node}
    assert "MatMulIntegerToFloat" in operations
    cosines = _cosines(_onnx(quantized, model), _onnx(tiny_graph, model, EngineName.ONNX), rows)
    assert 0.999 < cosines.min() < cosines.max() <= 1.00001


def test_a_vector_does_not_depend_on_its_batch(
    quantized: Path, model: SentenceTransformer, rows: list[TokenRow]
) -> None:
    """Scales are fixed beforehand: alone or among others, padded or not, a text has the same vector."""
    engine = _onnx(quantized, model)
    together = engine.run(rows)
    alone = np.concatenate([engine.run([row]) for row in rows])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_the_scales_are_the_domain_s(tiny_graph: Path, quantized: Path, rows: list[TokenRow], tmp_path: Path) -> None:
    """Other texts make another graph; the same texts the same one."""
    quantize_onnx(tiny_graph, rows, tmp_path / "same.onnx")
    quantize_onnx(tiny_graph, rows[:1], tmp_path / "other.onnx")
    assert (tmp_path / "same.onnx").read_bytes() == quantized.read_bytes()
    assert (tmp_path / "other.onnx").read_bytes() != quantized.read_bytes()


def test_tensors_are_observed_a_few_at_a_time(
    tiny_graph: Path, quantized: Path, rows: list[TokenRow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Little memory makes more passes over the texts and the same graph."""
    monkeypatch.setattr(int8, "_OBSERVED_BYTES", 20_000)
    quantize_onnx(tiny_graph, rows, tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_bytes() == quantized.read_bytes()


def test_what_errs_most_stays_in_fp32(
    tiny_graph: Path,
    model: SentenceTransformer,
    rows: list[TokenRow],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Products above the bound are left as they are, and named; with all of them left the graph is the fp32 one."""
    monkeypatch.setattr(rounding, "_MOST_ERROR", 0.0)
    facts = quantize_onnx(tiny_graph, rows, tmp_path / "model.onnx")
    assert len(facts.kept) == facts.products == 12
    found, expected = (_onnx(path, model).run(rows) for path in (tmp_path / "model.onnx", tiny_graph))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_graph_needs_texts_and_products(tiny_graph: Path, rows: list[TokenRow], tmp_path: Path) -> None:
    """Without a text, or without a product to quantise, there is an error and no file."""
    with pytest.raises(ModelError, match="no text to calibrate on"):
        quantize_onnx(tiny_graph, [], tmp_path / "out.onnx")
    with pytest.raises(ModelError, match="no text to calibrate on"):
        quantize_openvino(tiny_graph, [TokenRow([])], tmp_path / "out.xml")
    graph = onnx.load(str(tiny_graph))
    del graph.graph.node[:]
    onnx.save(graph, str(tmp_path / "empty.onnx"))
    with pytest.raises(ModelError, match="no product with a weight"):
        quantize_onnx(tmp_path / "empty.onnx", rows, tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


def test_openvino_has_a_graph_of_its_own(
    tiny_graph: Path,
    model: SentenceTransformer,
    rows: list[TokenRow],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The OpenVINO graph is near the model too, and making it says nothing."""
    quantize_openvino(tiny_graph, rows, tmp_path / "model.xml")
    assert capfd.readouterr() == ("", "")
    engine = OpenVinoEngine(
        tmp_path / "model.xml",
        name=EngineName.OPENVINO_INT8,
        style=PadStyle.of(model.tokenizer),
        max_tokens=64,
    )
    assert _cosines(engine, _onnx(tiny_graph, model, EngineName.ONNX), rows).min() > 0.98


@pytest.mark.slow
def test_minilm_keeps_its_vectors_on_new_texts(minilm: Path, tmp_path: Path) -> None:
    """The real model, calibrated on some docstrings, is near its fp32 vectors on others."""
    model = SentenceTransformer(str(minilm), device="cpu")
    members = [member for module in (argparse, pathlib) for _, member in inspect.getmembers(module, inspect.isclass)]
    methods = [method for member in members for _, method in inspect.getmembers(member, inspect.isroutine)]
    texts = tuple(dict.fromkeys(text for method in methods if (text := inspect.getdoc(method)) and len(text) > 40))
    rows = _rows(model, texts[:120], max_tokens=64)
    export_graph(model, tmp_path / "fp32.onnx")
    facts = quantize_onnx(tmp_path / "fp32.onnx", rows[::2], tmp_path / "int8.onnx")
    assert facts.kept == ()
    reference = _onnx(tmp_path / "fp32.onnx", model, EngineName.ONNX)
    cosines = _cosines(_onnx(tmp_path / "int8.onnx", model), reference, rows[1::2])
    assert cosines.min() > 0.985
    assert cosines.mean() > 0.997
