"""Two models whose spaces are related as those of a base and its fine-tune are, without any weights."""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from tests.index.texts import DIMENSION, embed

from dialekt.index.update.mapping import Pairs
from dialekt.types import Role

_SHIFT = np.random.default_rng(5).normal(size=(DIMENSION, DIMENSION)).astype(np.float32) * 0.15
_WORD = np.random.default_rng(6).normal(size=DIMENSION).astype(np.float32) * 0.5
TOPICS = ("anchor rope", "violin bow", "copper wire", "river bank", "paper mill", "orange grove")


def base(texts: Sequence[str], role: Role = Role.DOCUMENT) -> NDArray[np.float32]:
    """Return old vectors (texts, 32)."""
    return embed(texts, role)


def tuned(texts: Sequence[str], role: Role = Role.DOCUMENT) -> NDArray[np.float32]:
    """Return new vectors (texts, 32): the old ones moved linearly, and by one word that means something here."""
    marked = np.array([["special" in text.split()] for text in texts], dtype=np.float32)
    vectors = base(texts, role) @ (np.eye(DIMENSION, dtype=np.float32) + _SHIFT) + marked @ _WORD[None, :]
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def stranger(texts: Sequence[str], role: Role = Role.DOCUMENT) -> NDArray[np.float32]:
    """Return vectors (texts, 32) that neither old vectors nor words foretell."""
    draws = (np.random.default_rng(zlib.crc32(text.encode())).normal(size=DIMENSION) for text in texts)
    vectors = np.stack([*draws, np.ones(DIMENSION)])[:-1]
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def texts(count: int, *, seed: int = 0) -> tuple[str, ...]:
    """Return texts about a few topics; some have the special word."""
    draw = np.random.default_rng(seed)
    words = [f"{'special ' * (draw.random() < 0.3)}{TOPICS[draw.integers(len(TOPICS))]}" for _ in range(count)]
    return tuple(f"{word} {''.join(draw.choice(list('abcdefgh'), 8))} {row}" for row, word in enumerate(words))


def pairs(count: int, *, seed: int = 0) -> Pairs:
    """Return texts in both spaces."""
    made = texts(count, seed=seed)
    return Pairs(base(made), tuned(made), made)
