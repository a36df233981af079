"""Short vectors that a first stage searches: cut to their first components, scaled to length 1, quantised."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialekt.config import Quantization
from dialekt.index.records import FirstStage
from dialekt.models.topk import NO_DOCUMENT, select_best

BLOCK_ROWS = 8_192
QUERY_ROWS = 32
_INT8_STEPS = 127
_WORD_BITS = 64
_SIGN_CANDIDATES = 4  # rows per result that the Hamming distance leaves for the query's own components

Codes = NDArray[Any]
"""float32 or int8 (rows, dimensions), or uint64 (rows, words of 64 signs), as the quantisation says."""


@dataclass(frozen=True, slots=True, eq=False)
class Coder:
    """How vectors become codes, and codes are compared with queries, which stay float32.

    `steps` is float32 (dimensions,): what one int8 step of each component is worth. Component by component, an outlier
    of one does not coarsen the others, and no row pays for a scale of its own.
    """

    first_stage: FirstStage
    steps: NDArray[np.float32]

    @classmethod
    def fit(cls, first_stage: FirstStage, vectors: NDArray[np.float32]) -> "Coder":
        """Return a coder whose int8 steps span the vectors (rows, dimension); components beyond them are clipped."""
        short = shorten(vectors, first_stage.dimensions)
        largest = np.abs(short).max(axis=0) if len(short) else np.ones(first_stage.dimensions, np.float32)
        return cls(first_stage, np.maximum(largest / _INT8_STEPS, np.float32(1e-12)).astype(np.float32))

    def encode(self, vectors: NDArray[np.float32]) -> Codes:
        """Return the codes of vectors (rows, dimension)."""
        short = shorten(vectors, self.first_stage.dimensions)
        match self.first_stage.quantization:
            case Quantization.NONE:
                return short
            case Quantization.INT8:
                steps = np.rint(short / self.steps)
                return np.asarray(np.clip(steps, -_INT8_STEPS, _INT8_STEPS), dtype=np.int8)
            case Quantization.BINARY:
                return _signs(short)

    def candidates(
        self, codes: Codes, queries: NDArray[np.float32], count: int, *, allowed: NDArray[np.bool_] | None = None
    ) -> NDArray[np.int64]:
        """Return the places of the codes nearest to each query (queries, dimension), best first.

        The result is (queries, count); where fewer rows are allowed, the rest is -1.
        """
        short = shorten(queries, self.first_stage.dimensions)
        passing = np.arange(len(codes)) if allowed is None else np.flatnonzero(allowed[: len(codes)])
        kept = codes if len(passing) == len(codes) else codes[passing]
        best = np.full((len(queries), count), NO_DOCUMENT, dtype=np.int64)
        for start in range(0, len(short), QUERY_ROWS):
            for row, places in enumerate(self._nearest(kept, short[start : start + QUERY_ROWS], count), start):
                best[row, : len(places)] = passing[places]
        return best

    def _nearest(self, codes: Codes, queries: NDArray[np.float32], count: int) -> list[NDArray[np.int64]]:
        match self.first_stage.quantization:
            case Quantization.NONE:
                return [select_best(scores, count) for scores in _dots(codes, queries)]
            case Quantization.INT8:
                return [select_best(scores, count) for scores in _dots(codes, queries * self.steps)]
            case Quantization.BINARY:
                return [_nearest_signs(codes, query, count) for query in queries]


def shorten(vectors: NDArray[np.float32], dimensions: int) -> NDArray[np.float32]:
    """Return the first components (rows, dimensions), scaled to length 1; a row of zeros stays zero."""
    cut = np.array(vectors[:, :dimensions], dtype=np.float32)
    lengths = np.linalg.norm(cut, axis=1, keepdims=True)
    cut /= np.where(lengths > 0, lengths, np.float32(1))
    return cut


def _dots(codes: Codes, queries: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the dot products (queries, rows), a block of rows at a time as float32."""
    scores = np.empty((len(queries), len(codes)), np.float32)
    for start in range(0, len(codes), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        scores[:, rows] = queries @ codes[rows].astype(np.float32, copy=False).T  # (queries, block)
    return scores


def _nearest_signs(codes: Codes, query: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Return the best by Hamming distance, in the order of the query's own components against the signs."""
    near = select_best(-_hamming(codes, _signs(query[None])[0]), _SIGN_CANDIDATES * count)
    scores = _signed(codes[near], len(query)) @ query
    return near[select_best(scores, count)]


def _hamming(codes: Codes, query: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Return the number of differing signs (rows,)."""
    distances = np.zeros(len(codes), np.float32)
    for word, asked in enumerate(query):
        distances += np.bitwise_count(codes[:, word] ^ asked)
    return distances


def _signs(short: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return a bit per component, set where it is positive: (rows, words)."""
    words = -(-short.shape[1] // _WORD_BITS)
    bits = np.zeros((len(short), words * _WORD_BITS), np.bool_)
    bits[:, : short.shape[1]] = short > 0
    return np.packbits(bits, axis=1).view(np.uint64)


def _signed(codes: NDArray[np.uint64], dimensions: int) -> NDArray[np.float32]:
    """Return the codes as -1 and 1: (rows, dimensions)."""
    bits = np.unpackbits(np.ascontiguousarray(codes).view(np.uint8), axis=1, count=dimensions)
    return bits.astype(np.float32) * 2 - 1
