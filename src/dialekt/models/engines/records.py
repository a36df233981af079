"""What an engine takes and gives, and what was measured when one was chosen. Imports no engine."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dialekt.config import EngineName

if TYPE_CHECKING:
    from dialekt.models.engines.tokenizer import TokenInfo


class ModelKind(StrEnum):
    """What a model makes of its inputs."""

    EMBEDDING = "embedding"
    RERANKER = "reranker"
    CLASSIFIER = "classifier"


class RemoteName(StrEnum):
    """What computes where nothing does here; not for choosing, unlike an `EngineName`."""

    ENDPOINT = "endpoint"


REMOTE = "remote"
"""The device of an engine that computes elsewhere."""

EngineLabel: TypeAlias = EngineName | RemoteName


class TruncationDirection(StrEnum):
    """Which end of a text that is too long goes away."""

    LEFT = "left"
    RIGHT = "right"


@dataclass(frozen=True, slots=True)
class ModelInput:
    """A text, a pair of texts, or token ids, which stand for the text that they decode to."""

    text: str = ""
    pair: str | None = None
    ids: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class TokenizeOptions:
    """How inputs become tokens. Without `truncate` a row keeps all its tokens, however many."""

    prompt: str = ""
    truncate: bool = True
    direction: TruncationDirection = TruncationDirection.RIGHT


@dataclass(frozen=True, slots=True, eq=False)
class TokenRow:
    """Token ids of one input with special tokens; `segments` (as many) only where a pair is told apart by them."""

    ids: list[int]
    segments: list[int] | None = None


class InputTokenizer(Protocol):
    """Inputs of requests → rows that an engine takes."""

    max_tokens: int

    @property
    def vocabulary_size(self) -> int:
        """Number of tokens, added ones included; 0 where they are not known."""

    def encode(self, inputs: Sequence[ModelInput], options: TokenizeOptions) -> list[TokenRow]:
        """Return a row per input, in their order; raises a `RequestError` for what cannot be one."""

    def inspect(
        self, inputs: Sequence[ModelInput], *, add_special_tokens: bool, prompt: str = ""
    ) -> "list[list[TokenInfo]]":
        """Return the tokens of every input behind the prompt, uncut."""

    def decode(self, ids: Sequence[Sequence[int]], *, skip_special_tokens: bool) -> list[str]:
        """Return the texts that rows of token ids stand for."""


class Engine(Protocol):
    """A loaded model that computes; rows keep their order.

    `width` is the number of components of a vector or of labels; `batch_tokens` how many padded tokens a call should
    hold; `call_tokens` how many it could compute in the time that a call costs beside its tokens; `lanes` how many
    calls may go on at once, from threads of their own. The caller sorts by length and cuts; an engine computes what it
    gets.
    """

    precision: str
    width: int
    batch_tokens: int
    call_tokens: int
    lanes: int

    @property
    def name(self) -> EngineLabel:
        """Which engine it is."""

    @property
    def device(self) -> str:
        """Where it computes: cpu, cuda, mps, remote."""

    def run(self, rows: Sequence[TokenRow]) -> NDArray[np.float32]:
        """Return (rows, width): vectors as pooled, not normalised; or logits."""

    def token_vectors(self, rows: Sequence[TokenRow]) -> list[NDArray[np.float32]]:
        """Return the last hidden state of every row, (its tokens, hidden size); embedding models only."""

    def close(self) -> None:
        """Give memory and threads back."""


@dataclass(frozen=True, slots=True)
class EngineTrial:
    """What was measured of one engine. `refused` says why it may not be taken; empty: it may.

    Speeds are texts per second, of short queries and of 128-token passages. `min_cosine` is against the model in
    fp32; `quality_change` the mean NDCG@10 on dev minus that of the model in fp32, None where it was not measured.
    """

    engine: EngineLabel
    precision: str
    queries_per_second: float = 0.0
    passages_per_second: float = 0.0
    min_cosine: float | None = None
    quality_change: float | None = None
    refused: str = ""


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """The engine that was taken, and the trials behind it; `measured` is False where the user named the engine."""

    engine: EngineLabel
    measured: bool
    from_cache: bool = False
    trials: tuple[EngineTrial, ...] = ()
