"""The words of units as sparse vectors: what an old vector does not say of where a new model puts a text."""

import zlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from dialekt.store.words import find_terms, search_form

BUCKETS = 1 << 18


def count_words(texts: Sequence[str]) -> sparse.csr_array:
    """Return 1 + ln(frequency) of every hashed word, (texts, 2^18)."""
    counts = [Counter(zlib.crc32(word.encode()) % BUCKETS for word in find_terms(search_form(text))) for text in texts]
    starts = np.cumsum([0, *(len(count) for count in counts)])
    columns = np.fromiter((column for count in counts for column in count), np.int32, starts[-1])
    values = np.fromiter((times for count in counts for times in count.values()), np.float32, starts[-1])
    return sparse.csr_array((1 + np.log(values), columns, starts), shape=(len(texts), BUCKETS))


def rarity(counts: sparse.csr_array) -> NDArray[np.float32]:
    """Return ln((1 + texts) / (1 + texts with the word)) of every bucket, (2^18,): none is below 0."""
    seen = np.bincount(counts.indices, minlength=BUCKETS)
    return np.log((1 + counts.shape[0]) / (1 + seen)).astype(np.float32)


def weigh(counts: sparse.csr_array, rarities: NDArray[np.float32]) -> sparse.csr_array:
    """Return tf-idf rows of length 1; a text without words stays zero."""
    weighted = counts.multiply(rarities[None, :]).tocsr()
    lengths = np.sqrt(weighted.multiply(weighted).sum(axis=1))  # (texts,)
    return sparse.csr_array(weighted.multiply((1 / np.maximum(lengths, 1e-9))[:, None]).tocsr(), dtype=np.float32)
