"""Rows that are mapped from an older model, embedded when a search finds them, and put into the index for the next."""

import threading
from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray

from dialekt.errors import DialektError
from dialekt.index.documents import content_hash
from dialekt.index.opened import OpenIndex
from dialekt.index.records import IndexVersion
from dialekt.index.update.mixed import Fresh, store_fresh
from dialekt.serving.embedding import DocumentEncoder
from dialekt.types import Role

_MOST_KEPT = 10_000  # vectors that wait for the version to be free


class Freshener:
    """For the threads that search: what one search has embedded, no other embeds again."""

    def __init__(self, opened: OpenIndex, version: IndexVersion, encoder: DocumentEncoder, executor: Executor):
        self._opened = opened
        self._version = version
        self._encoder = encoder
        self._executor = executor
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], NDArray[np.float32]] = {}  # by unit and content, not in the index yet
        self._is_storing = False

    def __call__(self, units: Sequence[str]) -> Fresh:
        """Return the units that are still there, embedded by the new model; blocks while they are."""
        now = {(unit.id, content_hash(unit)): unit for unit in self._opened.documents.read(units).values()}
        with self._lock:
            known = {key: self._kept[key] for key in now if key in self._kept}
        lacking = [key for key in now if key not in known]
        if lacking:
            vectors = self._encoder([now[key].content for key in lacking], Role.DOCUMENT)
            made = dict(zip(lacking, vectors, strict=True))
            known |= made
            self._keep(made)
        dimension = self._version.spec.dimension
        rows = np.stack([known[key] for key in now]) if now else np.empty((0, dimension), dtype=np.float32)
        return Fresh(tuple(unit for unit, _ in now), tuple(content for _, content in now), rows)

    def stop(self) -> None:
        """Give up what is being computed."""
        self._encoder.stop()

    def _keep(self, made: dict[tuple[str, str], NDArray[np.float32]]) -> None:
        """Have vectors stored soon, by one thread for all searches."""
        with self._lock:
            if len(self._kept) < _MOST_KEPT:
                self._kept |= made
            if self._is_storing:
                return
            self._is_storing = True
        self._executor.submit(self._store)

    def _store(self) -> None:
        """Store what is kept until nothing is left; what cannot be stored now comes with a later search."""
        try:
            while part := self._waiting():
                ids, hashes = (tuple(column) for column in zip(*part, strict=True))
                fresh = Fresh(ids, hashes, np.stack(list(part.values())))
                with self._opened.holding(self._version.name):
                    store_fresh(self._opened.engine(self._version.name), fresh, space=self._version.space)
                with self._lock:
                    for key in part:
                        self._kept.pop(key, None)
        except DialektError:
            return
        finally:
            with self._lock:
                self._is_storing = False

    def _waiting(self) -> dict[tuple[str, str], NDArray[np.float32]]:
        with self._lock:
            return dict(self._kept)
