"""The rows of an index version in memory: what exact search compares queries with."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dialekt.index.engines.codes import Coder
from dialekt.index.filters import Filter
from dialekt.index.records import FirstStage

_FIRST_CAPACITY = 1_024
_FITTED_ROWS = 4_096  # a coder that was fitted to so many rows is good for all


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A row in memory. `number` is its own for ever: a changed row is another one."""

    number: int
    id: str
    document_id: str
    space: str


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The rows at one moment: those at places where `alive` is set.

    `matrix` holds vectors or first-stage codes (places, width); places are only ever appended, so a view stays as it is
    while rows are added and removed.
    """

    matrix: NDArray[np.generic]
    alive: NDArray[np.bool_]
    rows: Sequence[Held]
    coder: Coder | None


@dataclass(slots=True, eq=False)
class ResidentRows:
    """A growing table that searches read while rows are added and removed. The caller holds a lock for every call."""

    first_stage: FirstStage | None
    coder: Coder | None = None
    rows: list[Held] = field(default_factory=list)
    _fitted: int = 0
    _matrix: NDArray[np.generic] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    _alive: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))
    _places: dict[int, int] = field(default_factory=dict)
    _postings: dict[str, "array[int]"] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._places)

    @property
    def stale(self) -> bool:
        """Whether it is time to read all afresh: most places are of rows that are gone, or the coder saw too few."""
        wasted = len(self.rows) > max(_FIRST_CAPACITY, 2 * len(self._places))
        return wasted or (0 < self._fitted < _FITTED_ROWS and len(self._places) >= 2 * self._fitted)

    @property
    def size_bytes(self) -> int:
        """Memory that a search reads."""
        width = self._matrix.shape[1] * self._matrix.itemsize
        return int(len(self._places) * width)

    def add(self, rows: Sequence[Held], tags: Iterable[Sequence[str]], vectors: NDArray[np.float32]) -> None:
        """Append rows with their tags and vectors (rows, dimension)."""
        if not rows:
            return
        start, end = len(self.rows), len(self.rows) + len(rows)
        coded = self._encoded(vectors)
        self._matrix = _grown(self._matrix, end, coded)
        self._matrix[start:end] = coded
        for place, (row, row_tags) in enumerate(zip(rows, tags, strict=True), start):
            self._places[row.number] = place
            for tag in row_tags:
                self._postings.setdefault(tag, array("q")).append(place)
        self.rows.extend(rows)
        self._alive = np.concatenate([self._alive, np.ones(len(rows), np.bool_)])

    def remove(self, numbers: Iterable[int]) -> None:
        """Let go of rows; one that is not there is no error."""
        gone = [place for number in numbers if (place := self._places.pop(number, None)) is not None]
        if gone:
            self._alive = self._alive.copy()  # a search may be reading the old one
            self._alive[gone] = False

    def view(self, where: Filter | None = None) -> View:
        """Return the rows that pass a filter."""
        alive = self._alive
        for condition in where.conditions if where else ():
            holding = np.zeros(len(alive), np.bool_)
            for tag in condition.tags:
                if tag in self._postings:
                    holding[np.frombuffer(self._postings[tag], np.int64)] = True
            alive = alive & (holding ^ condition.negated)
        return View(self._matrix[: len(alive)], alive, self.rows, self.coder)

    def _encoded(self, vectors: NDArray[np.float32]) -> NDArray[np.generic]:
        if self.first_stage is None:
            return vectors
        if self.coder is None:
            self.coder, self._fitted = Coder.fit(self.first_stage, vectors), len(vectors)
        return self.coder.encode(vectors)


def _grown(matrix: NDArray[np.generic], rows: int, like: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return a matrix with room for so many rows; views of the old one stay as they are."""
    if rows <= len(matrix):
        return matrix
    larger = np.empty((max(_FIRST_CAPACITY, rows, 2 * len(matrix)), like.shape[1]), like.dtype)
    if len(matrix):
        larger[: len(matrix)] = matrix
    return larger
