"""onnxruntime and OpenVINO on an exported graph, against torch."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from dialekt.config import EngineName, Precision
from dialekt.errors import BackendError, ModelError
from dialekt.models.encoder import normalize
from dialekt.models.engines.onnx_engine import OnnxEngine
from dialekt.models.engines.openvino_engine import OpenVinoEngine, rounded_up
from dialekt.models.engines.records import TokenRow
from dialekt.models.engines.torch_engine import TorchEngine
from dialekt.models.padding import PadStyle

ROWS = [TokenRow([2, 40, 41, 42, 3]), TokenRow([2, 50, 3]), TokenRow([2, *range(60, 120), 3]), TokenRow([2, 3])]
STYLE = PadStyle(0)

GraphEngine = OnnxEngine | OpenVinoEngine


def onnx_engine(graph: Path) -> GraphEngine:
    """Open a graph in onnxruntime."""
    return OnnxEngine(graph, name=EngineName.ONNX, precision="fp32", style=STYLE)


def openvino_engine(graph: Path) -> GraphEngine:
    """Open a graph in OpenVINO, in fp32 on every processor."""
    return OpenVinoEngine(graph, name=EngineName.OPENVINO, style=STYLE, max_tokens=64, precision=Precision.FP32)


@pytest.fixture(params=[onnx_engine, openvino_engine])
def make(request: pytest.FixtureRequest) -> Callable[[Path], GraphEngine]:
    """One way after the other to open a graph."""
    chosen: Callable[[Path], GraphEngine] = request.param
    return chosen


@pytest.fixture(scope="module")
def reference(tiny_model: Path) -> TorchEngine:
    """The tiny model in torch."""
    return TorchEngine.of(SentenceTransformer(str(tiny_model), device="cpu"), precision=Precision.FP32)


def test_vectors_are_torchs(make: Callable[[Path], GraphEngine], tiny_graph: Path, reference: TorchEngine) -> None:
    """Pooled vectors and the tokens' vectors are those of the model in torch, for rows of any mix of lengths."""
    engine = make(tiny_graph)
    assert engine.width == reference.width
    np.testing.assert_allclose(engine.run(ROWS), reference.run(ROWS), atol=1e-4)
    for found, expected in zip(engine.token_vectors(ROWS), reference.token_vectors(ROWS), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_more_rows_than_stay_as_they_are(
    make: Callable[[Path], GraphEngine], tiny_graph: Path, reference: TorchEngine
) -> None:
    """Nineteen rows of up to 17 tokens are nineteen vectors, and every token has its own."""
    rows = [TokenRow([2, *range(40, 40 + length), 3]) for length in range(-3, 16)]
    engine = make(tiny_graph)
    np.testing.assert_allclose(engine.run(rows), reference.run(rows), atol=1e-4)
    assert [len(matrix) for matrix in engine.token_vectors(rows)] == [len(row.ids) for row in rows]


def test_batched_equals_single(make: Callable[[Path], GraphEngine], tiny_graph: Path) -> None:
    """A row's vector does not depend on the rows beside it, nor on their order."""
    engine = make(tiny_graph)
    together = engine.run(ROWS)
    np.testing.assert_allclose(engine.run(ROWS[::-1])[::-1], together, atol=1e-5)
    for number, row in enumerate(ROWS):
        np.testing.assert_allclose(engine.run([row])[0], together[number], atol=1e-5)


def test_results_stay_when_the_engine_goes_on(make: Callable[[Path], GraphEngine], tiny_graph: Path) -> None:
    """An answer is not overwritten by the next one of the same shape."""
    engine = make(tiny_graph)
    first = engine.run(ROWS[:1])
    kept = first.copy()
    engine.run([TokenRow([2, 90, 91, 92, 3])])
    np.testing.assert_array_equal(first, kept)


def test_a_call_from_another_thread(make: Callable[[Path], GraphEngine], tiny_graph: Path) -> None:
    """An engine that one thread made computes in another: the server loads and computes in different ones."""
    engine = make(tiny_graph)
    found: list[NDArray[np.float32]] = []
    thread = threading.Thread(target=lambda: found.append(engine.run(ROWS)))
    thread.start()
    thread.join()
    np.testing.assert_allclose(found[0], engine.run(ROWS), atol=1e-6)


def test_a_token_id_outside_the_vocabulary(tiny_graph: Path) -> None:
    """onnxruntime's fault becomes an error of ours, and the engine goes on."""
    engine = onnx_engine(tiny_graph)
    with pytest.raises(BackendError, match="onnxruntime failed"):
        engine.run([TokenRow([2, 10**6, 3])])
    assert engine.run(ROWS).shape == (4, 32)


def test_a_damaged_graph(tmp_path: Path) -> None:
    """A file that is no graph is one clear error."""
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match="onnxruntime cannot load the graph"):
        onnx_engine(tmp_path / "model.onnx")
    with pytest.raises(ModelError, match="OpenVINO cannot load the graph"):
        openvino_engine(tmp_path / "model.onnx")


def test_openvino_in_the_processors_precision(tiny_graph: Path, reference: TorchEngine) -> None:
    """Left alone, OpenVINO computes in bf16 where the processor has it, and says in which precision it does."""
    engine = OpenVinoEngine(tiny_graph, name=EngineName.OPENVINO, style=STYLE, max_tokens=64)
    assert engine.precision in {"fp32", "bf16"}
    cosines = (normalize(engine.run(ROWS)) * normalize(reference.run(ROWS))).sum(axis=1)
    assert cosines.min() > (0.999 if engine.precision == "bf16" else 0.9999)


def test_openvino_meets_few_shapes() -> None:
    """Numbers of rows and tokens are rounded up by an eighth at most, and small ones stay."""
    assert [rounded_up(count) for count in (1, 7, 16, 17, 18, 33, 100, 128, 250)] == [
        1,
        7,
        16,
        18,
        18,
        36,
        104,
        128,
        256,
    ]
    assert rounded_up(0) == 0  # a row without tokens
    assert all(count <= rounded_up(count) < count * 1.125 for count in range(1, 3_000))
    assert len({rounded_up(count) for count in range(1, 513)}) == 56


def test_openvino_never_goes_beyond_the_positions(tiny_graph: Path, reference: TorchEngine) -> None:
    """A row as long as the model's positions is not rounded up to more than there are."""
    rows = [TokenRow([2, *([40] * 126), 3]), TokenRow([2, *([40] * 121), 3])]
    engine = OpenVinoEngine(tiny_graph, name=EngineName.OPENVINO, style=STYLE, max_tokens=127, precision=Precision.FP32)
    for row in rows:
        np.testing.assert_allclose(engine.run([row]), reference.run([row]), atol=1e-4)
