"""Mining again during training, with the vectors of the model as it is now."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.config import NegativesConfig
from dialekt.negatives.candidates import Floats
from dialekt.negatives.mining import hard_negatives, mine
from dialekt.negatives.sources import NegativesInputs, Sources, read_sources, vectors_in_order
from dialekt.types import HardNegative, ReportProgress, Role, no_progress

EncodeFunction = Callable[[Sequence[str], Role], NDArray[np.float32]]
"""Texts and their role → L2-normalised vectors of shape (texts, dimension)."""


class Reminer:
    """Mines for the same queries and documents as the stage did, each time it is called with another encoder.

    Tables are read once, on the first call; BM25's hits come from the negatives artefact `mined`, so only the dense
    side is new. With `frozen_documents` the documents keep their vectors in `inputs.vectors`, which is else not read.
    """

    def __init__(
        self,
        config: NegativesConfig,
        inputs: NegativesInputs,
        mined: Path,
        *,
        frozen_documents: bool = False,
        progress: ReportProgress = no_progress,
    ) -> None:
        self._config = config
        self._inputs = inputs
        self._mined = mined
        self._frozen_documents = frozen_documents
        self._progress = progress
        self._sources: Sources | None = None

    def __call__(self, encode: EncodeFunction) -> list[HardNegative]:
        """Return new hard negatives, by query id and in the order of choice, as the stage would mine them."""
        sources = self._open()
        tables = sources.tables
        mining = mine(
            self._config,
            tables,
            encode(list(sources.query_texts.values()), Role.QUERY),
            self._document_vectors(encode, sources),
            seed=self._inputs.seed,
            progress=self._progress,
        )
        return list(hard_negatives(mining.selection, tables))

    def _document_vectors(self, encode: EncodeFunction, sources: Sources) -> Floats:
        if self._frozen_documents:
            return vectors_in_order(self._inputs.vectors, sources.tables)[1]
        ids = sources.tables.documents.ids
        documents = sources.document_texts(set(ids))
        return encode([documents[document_id] for document_id in ids], Role.DOCUMENT)

    def _open(self) -> Sources:
        if self._sources is None:
            self._sources = read_sources(self._config, self._inputs, hits=self._mined, progress=self._progress)
        return self._sources
