"""What travels between the routes, the queue and the engines."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from dialekt.models.engines.records import ModelInput, ModelKind, TokenizeOptions


class Priority(IntEnum):
    """Who goes first: somebody who waits for a search, or a program that fills an index."""

    QUERY = 0
    BULK = 1


@dataclass(frozen=True, slots=True)
class Work:
    """The inputs of one request. `token_level` asks for a vector per token."""

    inputs: tuple[ModelInput, ...]
    options: TokenizeOptions
    priority: Priority
    deadline_seconds: float
    token_level: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What became of a request's inputs, in their order. Times are means over the inputs, in seconds.

    `values` (inputs, width) as the engine made them; for token-level work instead `token_values`, one matrix per input.
    `tokens` counts special ones too.
    """

    values: NDArray[np.float32]
    token_values: tuple[NDArray[np.float32], ...]
    tokens: tuple[int, ...]
    tokenization_seconds: float
    queue_seconds: float
    inference_seconds: float


@dataclass(frozen=True, slots=True)
class CatalogueRow:
    """One model or version that can be asked for, as GET /v1/models shows it."""

    id: str
    created: int
    kind: ModelKind
    aliases: tuple[str, ...] = ()
    base_model: str = ""
    loaded: bool = False
    dimensions: tuple[int, ...] = ()
