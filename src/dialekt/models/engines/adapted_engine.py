"""An engine with a map behind it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dialekt.errors import BackendError
from dialekt.models.encoder import normalize
from dialekt.models.engines.records import Engine, EngineLabel, TokenRow
from dialekt.models.vector_map import VectorMap


class AdaptedEngine:
    """Computes what its base does, and moves the vectors; its vectors have length 1."""

    def __init__(self, base: Engine, vector_map: VectorMap, *, size_bytes: int):
        self.name: EngineLabel = base.name
        self.precision = base.precision
        self.width = vector_map.dimension
        self.batch_tokens = base.batch_tokens
        self.call_tokens = base.call_tokens
        self.lanes = base.lanes
        self.device = base.device
        self.size_bytes = size_bytes + sum(value.nbytes for value in vector_map.weights.values())
        self._base = base
        self._map = vector_map

    def run(self, rows: Sequence[TokenRow]) -> NDArray[np.float32]:
        """Return vectors (rows, width) of length 1."""
        return self._map.apply(normalize(np.array(self._base.run(rows), dtype=np.float32)))

    def token_vectors(self, rows: Sequence[TokenRow]) -> list[NDArray[np.float32]]:  # noqa: ARG002 - of every engine
        """Refuse: the map was learnt on vectors of whole texts. Raises `BackendError`."""
        raise BackendError("an adapter moves vectors of texts, not of tokens", failure="model_type")

    def close(self) -> None:
        """Close the base."""
        self._base.close()
