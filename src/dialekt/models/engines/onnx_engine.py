"""ONNX graphs through onnxruntime, on the CPU."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialekt.config import EngineName
from dialekt.errors import BackendError, MissingExtraError, ModelError
from dialekt.models.engines.lanes import cpu_lanes
from dialekt.models.engines.records import TokenRow
from dialekt.models.padding import PadStyle, pad_rows, unpad

SENTENCE_OUTPUT = "sentence_embedding"
TOKEN_OUTPUT = "token_embeddings"  # noqa: S105 - the name of a graph's output
_BATCH_TOKENS_PER_THREAD = 1_024  # as in torch: activations stay in the cache of the CPU
_CALL_TOKENS = 96  # MiniLM in bf16, with what Python does around a call; 20 to 48 gave 2% to 4% fewer queries/s
_MEMORY_PER_BYTE = 1.4  # of the file: measured on MiniLM, 130 MB for 91 MB


class OnnxEngine:
    """An exported graph in onnxruntime, in fp32 or with int8 weights."""

    def __init__(self, graph: Path, *, name: EngineName, precision: str, style: PadStyle):
        lanes = cpu_lanes()
        self.name = name
        self.precision = precision
        self.size_bytes = int(graph.stat().st_size * _MEMORY_PER_BYTE)
        self.batch_tokens = _BATCH_TOKENS_PER_THREAD * lanes.threads
        self.call_tokens = _CALL_TOKENS * lanes.threads
        self.lanes = lanes.count
        self.device = "cpu"
        self._session: Any = open_session(graph, threads=lanes.threads)
        self._style = style_of_graph(style, [item.name for item in self._session.get_inputs()])
        outputs = {output.name: output.shape for output in self._session.get_outputs()}
        self.width = int(outputs[SENTENCE_OUTPUT][1])

    def run(self, rows: Sequence[TokenRow]) -> NDArray[np.float32]:
        """Return pooled vectors (rows, width), not normalised."""
        return self._compute(rows, SENTENCE_OUTPUT)

    def token_vectors(self, rows: Sequence[TokenRow]) -> list[NDArray[np.float32]]:
        """Return the last hidden states of every row's tokens."""
        return unpad(self._compute(rows, TOKEN_OUTPUT), [len(row.ids) for row in rows], self._style)

    def close(self) -> None:
        """Let go of the session."""
        self._session = None

    def _compute(self, rows: Sequence[TokenRow], output: str) -> NDArray[np.float32]:
        feeds = pad_rows([row.ids for row in rows], self._style, segments=[row.segments for row in rows])
        try:
            values: NDArray[np.float32] = self._session.run([output], feeds)[0]
        except _faults() as error:
            raise BackendError(f"onnxruntime failed: {str(error).strip().partition(chr(10))[0]}") from error
        return values


def style_of_graph(style: PadStyle, inputs: Sequence[str]) -> PadStyle:
    """Return a tokenizer's style with segments only where the graph takes them."""
    return replace(style, segments=style.segments and "token_type_ids" in inputs)


def open_session(graph: Path, *, threads: int) -> Any:
    """Open an ONNX graph on the CPU; idle threads sleep, since others need the cores between two batches."""
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("serve", needed_for="the engine 'onnx'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except _faults() as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(f"onnxruntime cannot load the graph: {reason}", path=graph) from error


def _faults() -> tuple[type[Exception], ...]:
    """Return what onnxruntime raises: classes of its own without a common base."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = ("EPFail", "Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoSuchFile", "NotImplemented")
    return (*(getattr(state, name) for name in names), state.RuntimeException)
