"""An encoder whose vectors are moved by a map: those of queries by one, those of documents by another or by none."""

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dialekt.config import Precision
from dialekt.models.contract import EncodingContract
from dialekt.models.text_encoder import Embedded, TextEncoder
from dialekt.models.vector_map import VectorMap
from dialekt.types import ReportProgress, Role, no_progress


class AdaptedEncoder:
    """A base encoder and a map behind it; where the contract says so, `load_documents` encodes the documents."""

    def __init__(
        self,
        base: TextEncoder,
        vector_map: VectorMap,
        contract: EncodingContract,
        *,
        load_documents: Callable[[], TextEncoder],
    ):
        self.base = base
        self.vector_map = vector_map
        self.contract = contract
        self._load_documents = load_documents

    @property
    def dimension(self) -> int:
        """Number of components of a vector."""
        return self.contract.dimension

    @property
    def precision(self) -> Precision:
        """Number format of the base; the map computes in fp32."""
        return self.base.precision

    def encode(
        self, texts: Sequence[str], role: Role, *, progress: ReportProgress = no_progress
    ) -> NDArray[np.float32]:
        """Return vectors float32 (texts, dimension), L2-normalised."""
        return self.embed(texts, role, progress=progress).vectors

    def embed(self, texts: Sequence[str], role: Role, *, progress: ReportProgress = no_progress) -> Embedded:
        """Return the vectors of texts and how many tokens they took."""
        if role is Role.DOCUMENT and self.contract.document_model:
            return self._documents.embed(texts, role, progress=progress)
        found = self.base.embed(texts, role, progress=progress)
        return Embedded(self.vector_map.apply(found.vectors), found.tokens)

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Return, per text, the characters (start, end) of its tokens, without special tokens or a limit."""
        return self.base.token_offsets(texts)

    @cached_property
    def _documents(self) -> TextEncoder:
        return self._load_documents()
