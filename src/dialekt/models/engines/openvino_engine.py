"""Graphs through OpenVINO, on the CPU: ONNX files, and its own after quantisation."""

import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialekt.config import EngineName, Precision
from dialekt.errors import BackendError, MissingExtraError, ModelError
from dialekt.models.engines.lanes import cpu_lanes
from dialekt.models.engines.onnx_engine import SENTENCE_OUTPUT, TOKEN_OUTPUT, style_of_graph
from dialekt.models.engines.records import TokenRow
from dialekt.models.padding import PadStyle, pad_rows, unpad

_BATCH_TOKENS_PER_THREAD = 1_024
_CALL_TOKENS = 96  # MiniLM in bf16, with what Python does around a call; 20 to 48 gave 2% to 4% fewer queries/s
_KEPT_KERNELS = 1_000  # OpenVINO's 5,000 are 1.7 MB more for every shape of a batch that it has not seen yet
_MEMORY_PER_BYTE = 2.2  # of the file: measured on MiniLM in bf16, 199 MB for 91 MB


class OpenVinoEngine:
    """A graph in OpenVINO. A graph in fp32 is computed in bf16 where the CPU multiplies in it, unless told not to.

    OpenVINO prepares itself for every shape that it meets, which takes time and memory: numbers of rows and of tokens
    are rounded up, so that fewer occur.
    """

    def __init__(
        self,
        graph: Path,
        *,
        name: EngineName,
        style: PadStyle,
        max_tokens: int,
        precision: Precision | None = None,
    ):
        openvino = import_openvino()
        self._core: Any = openvino.Core()
        hint = precision or (Precision.BF16 if self._computes_bf16() else Precision.FP32)
        self.name = name
        self.precision = "int8" if name is EngineName.OPENVINO_INT8 else hint.value
        lanes = cpu_lanes()
        self.batch_tokens = _BATCH_TOKENS_PER_THREAD * lanes.threads
        self.call_tokens = _CALL_TOKENS * lanes.threads
        self.lanes = lanes.count
        self.device = "cpu"
        self.size_bytes = int((graph.stat().st_size + _weights_bytes(graph)) * _MEMORY_PER_BYTE)
        self._graph = graph
        self._max_tokens = max_tokens
        self._settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if hint is Precision.BF16 else "f32",
            "NUM_STREAMS": str(lanes.count),
            "INFERENCE_NUM_THREADS": str(lanes.count * lanes.threads),
            "CPU_RUNTIME_CACHE_CAPACITY": str(_KEPT_KERNELS),
        }
        self._compiling = threading.Lock()
        self._requests = threading.local()  # one of each output per thread
        self._sentences: Any = self._compile(SENTENCE_OUTPUT)
        self._style = style_of_graph(style, [item.any_name for item in self._sentences.inputs])
        self.width = int(self._sentences.outputs[0].partial_shape[1].get_length())

    def run(self, rows: Sequence[TokenRow]) -> NDArray[np.float32]:
        """Return pooled vectors (rows, width), not normalised."""
        return self._compute(SENTENCE_OUTPUT, rows)

    def token_vectors(self, rows: Sequence[TokenRow]) -> list[NDArray[np.float32]]:
        """Return the last hidden states of every row's tokens; the first call compiles the graph for them."""
        return unpad(self._compute(TOKEN_OUTPUT, rows), [len(row.ids) for row in rows], self._style)

    def close(self) -> None:
        """Let go of the compiled graphs."""
        self.__dict__.pop("_tokens", None)
        self._requests = threading.local()
        self._sentences = self._core = None

    @cached_property
    def _tokens(self) -> Any:
        return self._compile(TOKEN_OUTPUT)

    def _computes_bf16(self) -> bool:
        return "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")

    def _compile(self, output: str) -> Any:
        """Compile the part of the graph that one output needs: copying the other out would cost time."""
        openvino = import_openvino()
        try:
            model = self._core.read_model(str(self._graph))
            part = openvino.Model([model.output(output)], model.get_parameters(), output)
            return self._core.compile_model(part, "CPU", self._settings)
        except RuntimeError as error:
            reason = str(error).strip().partition("\n")[0]
            raise ModelError(f"OpenVINO cannot load the graph: {reason}", path=self._graph) from error

    def _request(self, output: str) -> Any:
        """Return this thread's request for an output; requests of one graph run side by side."""
        found = getattr(self._requests, output, None)
        if found is None:
            with self._compiling:
                compiled = self._sentences if output == SENTENCE_OUTPUT else self._tokens
            found = compiled.create_infer_request()
            setattr(self._requests, output, found)
        return found

    def _compute(self, output: str, rows: Sequence[TokenRow]) -> NDArray[np.float32]:
        ids = [row.ids for row in rows]
        fill = [[self._style.pad_id]] * (rounded_up(len(rows)) - len(rows))
        longest = min(rounded_up(max(map(len, ids))), self._max_tokens)  # no position lies beyond
        feeds = pad_rows([*ids, *fill], self._style, segments=[row.segments for row in rows], longest=longest)
        try:
            found = self._request(output).infer(feeds, share_inputs=True)
        except RuntimeError as error:  # every fault of OpenVINO is one
            raise BackendError(f"OpenVINO failed: {str(error).strip().partition(chr(10))[0]}") from error
        values: NDArray[np.float32] = np.array(
            found[0][: len(rows)], dtype=np.float32
        )  # the request's own memory is used again
        return values


def rounded_up(count: int) -> int:
    """Return the next number that is one of eight steps between powers of two: itself up to 16, then 18, 20 … 32."""
    step = max(1, (1 << max(count, 1).bit_length() - 1) >> 3)
    return -(-count // step) * step


def import_openvino() -> Any:
    """Return the module. Raises `MissingExtraError`."""
    try:
        import openvino
    except ImportError as error:
        raise MissingExtraError("openvino", needed_for="the engine 'openvino'") from error
    return openvino


def _weights_bytes(graph: Path) -> int:
    """Return the size of the file that holds the weights of an OpenVINO graph; an ONNX graph holds its own."""
    weights = graph.with_suffix(".bin")
    return weights.stat().st_size if weights.is_file() else 0
