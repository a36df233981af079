"""What flow, index and evaluation ask of a model, whatever computes: weights here, an endpoint, a map behind either."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dialekt.config import Precision
from dialekt.models.contract import EncodingContract
from dialekt.types import ReportProgress, Role, no_progress


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors float32 (texts, dimension) of length 1, and how many tokens went in, special ones included.

    The tokens of an endpoint are estimated.
    """

    vectors: NDArray[np.float32]
    tokens: int


class TextEncoder(Protocol):
    """Texts and their role → L2-normalised vectors in the order of the texts."""

    @property
    def contract(self) -> EncodingContract:
        """How a text becomes a vector."""

    @property
    def precision(self) -> Precision:
        """Number format of what computes here."""

    @property
    def dimension(self) -> int:
        """Number of components of a vector."""

    def encode(
        self, texts: Sequence[str], role: Role, *, progress: ReportProgress = no_progress
    ) -> NDArray[np.float32]:
        """Return vectors float32 (texts, dimension) of length 1."""

    def embed(self, texts: Sequence[str], role: Role, *, progress: ReportProgress = no_progress) -> Embedded:
        """Return the vectors of texts and how many tokens they took."""

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Return, per text, the characters (start, end) of its tokens, without special tokens or a limit."""
