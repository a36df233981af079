"""A map from the vectors of one model to those of another, learnt from texts that both have encoded.

Measured on fine-tunes of one base (docs/experiments.md): the map must be shrunk towards the identity, words of the
text tell it what the old vector does not, and past queries are cheap further examples.
"""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from dialekt.errors import InputError, StorageError
from dialekt.index.update.words import count_words, rarity, weigh
from dialekt.store.atomic import write_atomic

MAX_EXAMPLES = 3_000  # an eigendecomposition of that many rows takes some 8 s of one core
LEAST_EXAMPLES = 10
_COMPARED = 600
PENALTIES = tuple(float(value) for value in np.logspace(-2, 1.5, 8))
WORD_WEIGHTS = (0.3, 1.0, 3.0)


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """The same texts in both spaces: `old` and `new` are float32 (texts, dimension), L2-normalised, aligned."""

    old: NDArray[np.float32]
    new: NDArray[np.float32]
    texts: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.old.shape != self.new.shape or len(self.texts) != len(self.old):
            shapes = f"old {self.old.shape}, new {self.new.shape}, {len(self.texts)} texts"
            raise InputError(
                f"a map needs vectors of one shape: {shapes}",
                hint="models of different dimensions cannot be mapped: embed the documents again",
            )

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, places: NDArray[np.int64]) -> "Pairs":
        """Return some of the pairs."""
        return Pairs(self.old[places], self.new[places], tuple(self.texts[place] for place in places.tolist()))


@dataclass(frozen=True, slots=True, eq=False)
class SpaceMap:
    """new = normalise(old + old·A + b + words·W), as an old vector's displacement is small and mostly shared.

    `linear` is A (dimension, dimension), `offset` b (dimension,), `word_buckets` the rising hashes (words,) that have
    a row in `word_shifts` W (words, dimension), `rarities` the idf of all buckets.
    """

    linear: NDArray[np.float32]
    offset: NDArray[np.float32]
    word_buckets: NDArray[np.int64]
    word_shifts: NDArray[np.float32]
    rarities: NDArray[np.float32]

    def apply(self, vectors: NDArray[np.float32], texts: Sequence[str]) -> NDArray[np.float32]:
        """Return where the new model would put texts whose old vectors are `vectors`, float32 (n, dimension)."""
        words = weigh(count_words(texts), self.rarities)[:, self.word_buckets]
        return _unit(vectors + vectors @ self.linear + self.offset + words @ self.word_shifts)

    def save(self, path: Path) -> None:
        """Write the map as one .npz file, whole or not at all."""
        file = io.BytesIO()
        np.savez(file, **{name: getattr(self, name) for name in self.__slots__})
        write_atomic(path, file.getvalue())

    @classmethod
    def load(cls, path: Path) -> "SpaceMap":
        """Read a saved map. Raises `StorageError`."""
        try:
            with path.open("rb") as file, np.load(file) as stored:
                return cls(**{name: stored[name] for name in cls.__slots__})
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise StorageError(f"the map cannot be read: {error}", path=path, hint="learn it again") from None


@dataclass(frozen=True, slots=True, eq=False)
class FittedMap:
    """A map and what it says of each of its documents when it is learnt without that document.

    `documents` are those it was learnt from, `held_out` their mapped vectors (documents, dimension). `explained` is the
    share of the squared displacement that the map predicts so, `cosine` the mean cosine with the new vector,
    `cosine_before` that of the old vector.
    """

    map: SpaceMap
    documents: Pairs
    held_out: NDArray[np.float32]
    explained: float
    cosine: float
    cosine_before: float
    penalty: float
    word_weight: float


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """Coefficients (examples, dimension) and leave-one-out residuals of the documents for one setting."""

    coefficients: NDArray[np.float32]
    residuals: NDArray[np.float32]
    error: float
    penalty: float
    word_weight: float


def fit_map(documents: Pairs, *, queries: Pairs | None = None, seed: int) -> FittedMap:
    """Learn the map from documents that were embedded again, and from past queries where there are some.

    Ridge regression of the displacement on [1, old vector, √weight · words], solved in its dual form; penalty and
    word weight have the best leave-one-out cosine on the documents (residuals in closed form, Allen 1974's PRESS), the
    weight on at most 600 of them.
    Raises `InputError` for fewer than 10 documents or different dimensions.
    """
    if len(documents) < LEAST_EXAMPLES:
        raise InputError(f"{len(documents)} documents are too few for a map", hint=f"sample {LEAST_EXAMPLES} or more")
    documents = _at_most(documents, MAX_EXAMPLES, seed)
    every = documents if queries is None else _joined(documents, _at_most(queries, MAX_EXAMPLES // 3, seed))
    counts = count_words(every.texts)
    rarities = rarity(counts[: len(documents)])
    words = weigh(counts, rarities)
    some = _some(len(documents), len(every), seed)
    few = [_fit(every.take(some), words[some], min(len(documents), _COMPARED), weight) for weight in WORD_WEIGHTS]
    weight = min(few, key=lambda fit: fit.error).word_weight
    return _fitted(documents, every, words, rarities, _fit(every, words, len(documents), weight))


def _some(documents: int, examples: int, seed: int) -> NDArray[np.int64]:
    """Return places of at most 600 documents and 200 of the queries behind them, to choose the word weight with."""
    draw = np.random.default_rng(seed)
    chosen = np.sort(draw.permutation(documents)[:_COMPARED])
    queries = documents + np.sort(draw.permutation(examples - documents)[: _COMPARED // 3])
    return np.concatenate([chosen, queries]).astype(np.int64)


def _fit(every: Pairs, words: sparse.csr_array, documents: int, weight: float) -> _Fit:
    """Return the fit with the best penalty for one word weight."""
    shift = every.new - every.old  # (examples, dimension)
    kernel = 1 + every.old @ every.old.T + weight * (words @ words.T).toarray()  # (examples, examples)
    values, basis = np.linalg.eigh(kernel)
    rotated = basis.T @ shift
    fits = []
    for penalty in PENALTIES:
        inverse = 1 / (np.maximum(values, 0) + penalty)
        coefficients = basis @ (inverse[:, None] * rotated)
        residuals = (coefficients / ((basis * basis) @ inverse)[:, None])[:documents]
        mapped = _unit(every.new[:documents] - residuals)
        error = 1 - float(_cosines(mapped, every.new[:documents]).mean())
        fits.append(_Fit(coefficients, residuals, error, penalty, weight))
    return min(fits, key=lambda fit: fit.error)


def _fitted(
    documents: Pairs, every: Pairs, words: sparse.csr_array, rarities: NDArray[np.float32], fit: _Fit
) -> FittedMap:
    """Turn coefficients of examples into weights of features."""
    buckets = np.unique(words.indices).astype(np.int64)
    found = SpaceMap(
        linear=(every.old.T @ fit.coefficients).astype(np.float32),
        offset=fit.coefficients.sum(axis=0).astype(np.float32),
        word_buckets=buckets,
        word_shifts=(fit.word_weight * (words[:, buckets].T @ fit.coefficients)).astype(np.float32),
        rarities=rarities,
    )
    held_out = _unit(documents.new - fit.residuals)
    moved = float(np.square(documents.new - documents.old).sum())
    return FittedMap(
        map=found,
        documents=documents,
        held_out=held_out,
        explained=1 - float(np.square(fit.residuals).sum()) / moved if moved else 1.0,
        cosine=float(_cosines(held_out, documents.new).mean()),
        cosine_before=float(_cosines(documents.old, documents.new).mean()),
        penalty=fit.penalty,
        word_weight=fit.word_weight,
    )


def _at_most(pairs: Pairs, count: int, seed: int) -> Pairs:
    if len(pairs) <= count:
        return pairs
    return pairs.take(np.sort(np.random.default_rng(seed).permutation(len(pairs))[:count]))


def _joined(first: Pairs, second: Pairs) -> Pairs:
    old, new = np.concatenate([first.old, second.old]), np.concatenate([first.new, second.new])
    return Pairs(old, new, first.texts + second.texts)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)


def _cosines(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.einsum("ij,ij->i", left, right), dtype=np.float32)
