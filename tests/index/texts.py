"""Documents for tests, and an encoder that needs no model: hashed trigrams, so that like texts have like vectors."""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dialekt.config import IndexEngine
from dialekt.index.opened import OpenIndex
from dialekt.index.records import EngineSpec, IndexVersion
from dialekt.types import Document, Role

DIMENSION = 32


def embed(texts: Sequence[str], role: Role, *, seed: int = 0) -> NDArray[np.float32]:
    """Return vectors (texts, 32) of length 1."""
    vectors = np.zeros((len(texts), DIMENSION), dtype=np.float32)
    for row, text in enumerate(texts):
        for start in range(max(1, len(text) - 2)):
            digest = zlib.crc32(f"{seed}{text[start : start + 3]}".encode())
            vectors[row, digest % DIMENSION] += 1 if digest & 0x100 else -1
        vectors[row, 0] += 0.01
    scaled: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled


def document(name: str, text: str = "", **metadata: str) -> Document:
    """Return a document of one unit."""
    return Document(name, text or f"text of {name}", parent_id=name, metadata=metadata)


def add_version(opened: OpenIndex, *, space: str = "s0") -> IndexVersion:
    """Add an empty index version with exact search."""
    spec = EngineSpec(IndexEngine.EXACT, DIMENSION)
    return opened.catalogue.add_version(space, spec, created="2026-01-01T00:00:00+00:00")
