"""Which documents are the same, or nearly the same, as an earlier one.

Exact twins by a hash of the normalised text. Near twins by MinHash over word shingles with banding (Broder
1997; Leskovec, Rajaraman & Ullman, Mining of Massive Datasets, chapter 3), every candidate verified by the
true Jaccard similarity of the two shingle sets.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from dialekt.store.hashing import hash_text
from dialekt.store.words import find_words, search_form
from dialekt.types import Progress, ReportProgress, no_progress

SHINGLE_WORDS = 3
SIGNATURE_LENGTH = 64
MINIMUM_RECALL = 0.999  # chance that a pair exactly at the threshold becomes a candidate
BATCH_SHINGLES = 500_000  # shingles hashed at once: 4 MB per pass
MAXIMUM_REPRESENTATIVES = 32  # unlike documents compared within one bucket, so that boilerplate never costs n²
CACHED_SHINGLE_SETS = 64
MAXIMUM_REMEMBERED_WORDS = 1_000_000

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Duplicates:
    """`first[i]` is the position of the first text that text i repeats, or i itself."""

    first: tuple[int, ...]
    exact: int
    near: int


def find_duplicates(texts: Sequence[str], *, similarity: float, progress: ReportProgress = no_progress) -> Duplicates:
    """Cluster the texts; from the Jaccard similarity `similarity` in (0, 1] on, two texts are the same."""
    parents = _Clusters(len(texts))
    unique = _join_exact(texts, parents)
    exact = len(texts) - len(unique)
    for left, right in near_pairs([texts[place] for place in unique], similarity=similarity, progress=progress):
        parents.join(unique[left], unique[right])
    first = tuple(parents.find(place) for place in range(len(texts)))
    return Duplicates(first, exact=exact, near=sum(place != root for place, root in enumerate(first)) - exact)


def _join_exact(texts: Sequence[str], parents: "_Clusters") -> list[int]:
    seen: dict[str, int] = {}
    unique = []
    for place, text in enumerate(texts):
        first = seen.setdefault(hash_text(" ".join(text.casefold().split())), place)
        if first == place:
            unique.append(place)
        else:
            parents.join(first, place)
    return unique


class _Clusters:
    """Union-find whose root is always the earliest member."""

    def __init__(self, size: int) -> None:
        self._parents = list(range(size))

    def find(self, member: int) -> int:
        parents = self._parents
        while parents[member] != member:
            parents[member] = parents[parents[member]]
            member = parents[member]
        return member

    def join(self, left: int, right: int) -> None:
        first, second = sorted((self.find(left), self.find(right)))
        self._parents[second] = first


def near_pairs(
    texts: Sequence[str], *, similarity: float, progress: ReportProgress = no_progress
) -> Iterator[tuple[int, int]]:
    """Yield verified pairs (earlier, later) that link every cluster of nearly equal texts."""
    signatures, has_words = _signatures(texts, progress)
    rows = rows_per_band(similarity)

    @lru_cache(maxsize=CACHED_SHINGLE_SETS)
    def shingles_of(place: int) -> Hashes:
        return shingles(texts[place])

    least = SIGNATURE_LENGTH * (similarity - 4 * math.sqrt(similarity * (1 - similarity) / SIGNATURE_LENGTH))
    compared: dict[tuple[int, int], bool] = {}

    def same(earlier: int, later: int) -> bool:
        if (earlier, later) not in compared:
            found = jaccard(shingles_of(earlier), shingles_of(later)) >= similarity
            compared[earlier, later] = found
        return compared[earlier, later]

    for band in range(0, SIGNATURE_LENGTH - rows + 1, rows):
        keys = signatures[:, band : band + rows].copy().view(np.dtype((np.void, 8 * rows))).ravel()
        for bucket in _buckets(keys, has_words):
            representatives: list[int] = []
            for place in bucket:
                agreeing = (signatures[representatives] == signatures[place]).sum(axis=1)  # (representatives,)
                likely = itertools.compress(representatives, agreeing >= least)
                twin = next((earlier for earlier in likely if same(earlier, place)), None)
                if twin is not None:
                    yield twin, place
                elif len(representatives) < MAXIMUM_REPRESENTATIVES:
                    representatives.append(place)


def _buckets(keys: NDArray[np.void], has_words: NDArray[np.bool_]) -> Iterator[list[int]]:
    """Yield the positions that share a key, in order, for keys with at least two."""
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    crowded = np.flatnonzero((counts[inverse] > 1) & has_words)
    order = crowded[np.argsort(inverse[crowded], kind="stable")]
    ends = np.flatnonzero(np.diff(inverse[order])) + 1
    for bucket in np.split(order, ends):
        if len(bucket) > 1:
            yield bucket.tolist()


def rows_per_band(similarity: float) -> int:
    """Return the longest band (fewest false candidates) that still catches pairs at the threshold.

    A pair of similarity s shares one of b bands of r rows with probability 1 - (1 - s^r)^b.
    """
    recalls = {rows: 1 - (1 - similarity**rows) ** (SIGNATURE_LENGTH // rows) for rows in range(1, 17)}
    return max((rows for rows, recall in recalls.items() if recall >= MINIMUM_RECALL), default=1)


def shingles(text: str) -> Hashes:
    """Return the sorted distinct hashes of the text's runs of three words or units; (shingles,) uint64."""
    return np.unique(_raw_shingles(text))


class _WordHashes(dict[str, int]):
    """Remembers the hash of every word it was asked for, up to a bound."""

    def __missing__(self, word: str) -> int:
        if len(self) >= MAXIMUM_REMEMBERED_WORDS:
            self.clear()
        self[word] = value = crc32(word.encode("utf-8", "surrogatepass"))
        return value


_word_hashes = _WordHashes()


def _raw_shingles(text: str) -> Hashes:
    found = find_words(search_form(text.casefold()))
    words = np.fromiter(map(_word_hashes.__getitem__, found), dtype=np.uint64, count=len(found))
    if len(words) < SHINGLE_WORDS:
        return words
    mixed = words[: len(words) - SHINGLE_WORDS + 1].copy()
    for offset in range(1, SHINGLE_WORDS):
        mixed = _mix(mixed) + words[offset : len(words) - SHINGLE_WORDS + 1 + offset]
    return _mix(mixed)


def _mix(values: Hashes) -> Hashes:
    """Scatter 64-bit values (the finalizer of splitmix64, Steele et al. 2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def jaccard(left: Hashes, right: Hashes) -> float:
    """Return the share of common members of two sorted sets of distinct hashes; 0 if both are empty."""
    common = len(np.intersect1d(left, right, assume_unique=True))
    union = len(left) + len(right) - common
    return common / union if union else 0.0


def _signatures(texts: Sequence[str], progress: ReportProgress) -> tuple[Hashes, NDArray[np.bool_]]:
    """MinHash every text: (texts, SIGNATURE_LENGTH) uint64, and whether it has any words."""
    signatures = np.zeros((len(texts), SIGNATURE_LENGTH), dtype=np.uint64)
    has_words = np.zeros(len(texts), dtype=bool)
    batch: list[Hashes] = []
    places: list[int] = []
    waiting = 0
    for place, text in enumerate(texts):
        found = _raw_shingles(text)
        has_words[place] = len(found) > 0
        if len(found):
            batch.append(found)
            places.append(place)
            waiting += len(found)
        if waiting >= BATCH_SHINGLES or (place + 1 == len(texts) and batch):
            signatures[places] = _minhash(batch)
            batch, places, waiting = [], [], 0
            progress(Progress("looking for duplicates", place + 1, len(texts)))
    return signatures, has_words


def _minhash(batch: Sequence[Hashes]) -> Hashes:
    """Return the least value of every set under SIGNATURE_LENGTH hash functions a·x + b mod 2⁶⁴ (a odd)."""
    joined = np.concatenate(batch)
    starts = np.cumsum([0, *(len(found) for found in batch[:-1])])
    generator = np.random.default_rng(0)
    factors = generator.integers(0, 2**63, SIGNATURE_LENGTH, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    summands = generator.integers(0, 2**63, SIGNATURE_LENGTH, dtype=np.uint64)
    columns = [np.minimum.reduceat(joined * a + b, starts) for a, b in zip(factors, summands, strict=True)]
    return np.stack(columns, axis=1)  # (batch, SIGNATURE_LENGTH)
