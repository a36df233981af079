"""The maps under training: each begins as the identity, so that what is learnt is what is added to a vector."""

from collections.abc import Mapping
from typing import assert_never

import numpy as np
import torch
from torch import Tensor, nn

from dialekt.config import AdapterKind
from dialekt.models.vector_map import VectorMap

OUTPUTS = {AdapterKind.LINEAR: "matrix", AdapterKind.MLP: "output"}
"""The weights that are zero at first, and that a mixture with the identity is made of."""


class MapModule(nn.Module):
    """v ↦ v + v M, or v ↦ v + relu(v H + b) O, not normalised; M and O begin at zero.

    Reference of the residual form: He et al. 2016, https://arxiv.org/abs/1603.05027.
    """

    def __init__(self, dimension: int, kind: AdapterKind, *, hidden_dimension: int, generator: torch.Generator):
        super().__init__()
        self.kind = kind
        match kind:
            case AdapterKind.LINEAR:
                self.matrix = nn.Parameter(torch.zeros(dimension, dimension))
            case AdapterKind.MLP:
                scale = (2.0 / dimension) ** 0.5
                drawn = torch.randn(dimension, hidden_dimension, generator=generator)
                # Vectors have length 1: scaled so, a unit's input has a deviation of √2 whatever the dimension.
                self.hidden = nn.Parameter(drawn * scale * dimension**0.5)
                self.bias = nn.Parameter(torch.zeros(hidden_dimension))
                self.output = nn.Parameter(torch.zeros(hidden_dimension, dimension))
            case unreachable:
                assert_never(unreachable)

    def added(self, vectors: Tensor) -> Tensor:
        """Return what the map adds to vectors (rows, dimension) of length 1."""
        match self.kind:
            case AdapterKind.LINEAR:
                return vectors @ self.matrix
            case AdapterKind.MLP:
                return torch.relu(vectors @ self.hidden + self.bias) @ self.output
            case unreachable:
                assert_never(unreachable)

    def frozen(self) -> VectorMap:
        """Return the map as it is now, in numpy."""
        arrays = {name: value.detach().cpu().numpy().astype(np.float32) for name, value in self.named_parameters()}
        if self.kind is AdapterKind.LINEAR:
            arrays["matrix"] = arrays["matrix"] + np.eye(len(arrays["matrix"]), dtype=np.float32)
        return VectorMap(self.kind, arrays)


class Maps(nn.Module):
    """The map of queries and that of documents: two, or one for both, or none for documents."""

    def __init__(self, queries: MapModule, documents: MapModule | None):
        super().__init__()
        self.queries = queries
        self.documents = documents

    @property
    def is_shared(self) -> bool:
        """Whether one map moves both."""
        return self.documents is self.queries

    def identity(self) -> dict[str, Tensor]:
        """Return weights with which the maps change nothing, and a mixture with which is one of what is added."""
        ends = tuple(f".{name}" for name in OUTPUTS.values())
        return {
            name: torch.zeros_like(value) if name.endswith(ends) else value.detach().clone()
            for name, value in self.state_dict().items()
        }

    def copied(self) -> dict[str, Tensor]:
        """Return the weights as they are now."""
        return {name: value.detach().clone() for name, value in self.state_dict().items()}

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Put weights in place."""
        self.load_state_dict(dict(weights))
