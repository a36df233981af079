"""The map of an adapter, in numpy alone: a vector in, a vector of length 1 out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from dialekt.config import AdapterKind
from dialekt.errors import ModelError
from dialekt.store.atomic import disk_errors

WEIGHT_NAMES = {AdapterKind.LINEAR: ("matrix",), AdapterKind.MLP: ("hidden", "bias", "output")}
_ROWS_PER_BLOCK = 16_384


@dataclass(frozen=True, slots=True, eq=False)
class VectorMap:
    """linear: v ↦ v A / ‖·‖; mlp: v ↦ (v + relu(v H + b) O) / ‖·‖.

    `matrix` A is (dimension, dimension), `hidden` H (dimension, width), `bias` b (width,), `output` O (width,
    dimension), all float32. The mixture with the untouched vectors is inside the weights.
    """

    kind: AdapterKind
    weights: Mapping[str, NDArray[np.float32]]

    @property
    def dimension(self) -> int:
        """Number of components of a vector, before and after."""
        return int(self.weights[WEIGHT_NAMES[self.kind][0]].shape[0])

    def apply(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the vectors (rows, dimension) of length 1 where the map puts those of length 1 that are given."""
        moved = np.empty((len(vectors), self.dimension), dtype=np.float32)
        for start in range(0, len(vectors), _ROWS_PER_BLOCK):
            block = np.asarray(vectors[start : start + _ROWS_PER_BLOCK], dtype=np.float32)
            moved[start : start + len(block)] = self._moved(block)
        lengths = np.linalg.norm(moved, axis=1, keepdims=True)
        moved /= np.maximum(lengths, 1e-12)
        return moved

    def _moved(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        match self.kind:
            case AdapterKind.LINEAR:
                straight: NDArray[np.float32] = block @ self.weights["matrix"]
                return straight
            case AdapterKind.MLP:
                inner = np.maximum(block @ self.weights["hidden"] + self.weights["bias"], 0.0)
                bent: NDArray[np.float32] = block + inner @ self.weights["output"]
                return bent
            case unreachable:
                assert_never(unreachable)


def save_map(vector_map: VectorMap, path: Path) -> None:
    """Write a map's weights as safetensors."""
    with disk_errors(path):
        save_file({name: np.ascontiguousarray(value) for name, value in vector_map.weights.items()}, path)


def load_map(path: Path, kind: AdapterKind) -> VectorMap:
    """Read a map. Raises `ModelError` where its weights are missing, damaged, or of another kind."""
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"the adapter is damaged: {error}", path=path, hint="copy the folder again") from None
    if set(weights) != set(WEIGHT_NAMES[kind]) or not _fit(weights, kind):
        raise ModelError(
            f"these are not the weights of a {kind} adapter: {', '.join(sorted(weights))}",
            path=path,
            hint="copy the folder again",
        )
    return VectorMap(kind, weights)


def _fit(weights: Mapping[str, NDArray[np.float32]], kind: AdapterKind) -> bool:
    if any(not np.isfinite(value).all() for value in weights.values()):
        return False
    if kind is AdapterKind.LINEAR:
        shape = weights["matrix"].shape
        return len(shape) == 2 and shape[0] == shape[1]
    hidden, bias, output = (weights[name].shape for name in WEIGHT_NAMES[kind])
    return len(hidden) == 2 and bias == hidden[1:] and output == hidden[::-1]
