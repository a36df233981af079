"""Sets of integers, one per query, as two arrays: membership of a whole block of candidates in one search."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Ragged:
    """Row r holds `values[offsets[r]:offsets[r + 1]]`, ascending and without repeats. Values are 0 or more."""

    offsets: Integers  # (rows + 1,)
    values: Integers  # (members,)

    @classmethod
    def build(cls, rows: Integers, values: Integers, *, row_count: int) -> "Ragged":
        """Group (row, value) pairs, given in any order and with repeats."""
        stride = int(values.max(initial=0)) + 1
        keys = np.unique(rows.astype(np.int64) * stride + values)
        offsets = np.searchsorted(keys, np.arange(row_count + 1, dtype=np.int64) * stride)
        return cls(offsets.astype(np.int64), keys % stride)

    @property
    def row_count(self) -> int:
        """How many sets there are."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Integers:
        """How many members each set has; (rows,)."""
        return np.diff(self.offsets)

    @property
    def rows(self) -> Integers:
        """The row of every member; (members,)."""
        return np.repeat(np.arange(self.row_count, dtype=np.int64), self.lengths)

    def block(self, start: int, stop: int) -> "Ragged":
        """Return the sets `start` to `stop` as rows from 0."""
        offsets = self.offsets[start : stop + 1]
        return Ragged(offsets - offsets[0], self.values[offsets[0] : offsets[-1]])

    def contains(self, candidates: Integers) -> NDArray[np.bool_]:
        """Return whether `candidates[r, c]` is in set r; (rows, width). A negative value never is."""
        if not len(self.values):
            return np.zeros(candidates.shape, dtype=np.bool_)
        stride = max(int(self.values.max()), int(candidates.max(initial=0))) + 1
        members = self.rows * stride + self.values  # (members,), ascending
        wanted = np.arange(self.row_count)[:, None] * stride + candidates  # (rows, width)
        places = np.minimum(np.searchsorted(members, wanted), len(members) - 1)
        found: NDArray[np.bool_] = (members[places] == wanted) & (candidates >= 0)
        return found

    def padded(self) -> Integers:
        """Return the sets as one array (rows, longest), filled up with -1."""
        width = int(self.lengths.max(initial=0))
        table = np.full((self.row_count, width), -1, dtype=np.int64)
        table[np.arange(width) < self.lengths[:, None]] = self.values
        return table

    def follow(self, links: "Ragged") -> "Ragged":
        """Replace every member by the members of its row in `links`: keys become what they stand for."""
        counts = links.lengths[self.values]
        starts = np.repeat(links.offsets[self.values] - (np.cumsum(counts) - counts), counts)
        values = links.values[starts + np.arange(len(starts))]
        return Ragged.build(np.repeat(self.rows, counts), values, row_count=self.row_count)

    def union(self, other: "Ragged") -> "Ragged":
        """Return the union of two lists of sets, row by row."""
        rows = np.concatenate([self.rows, other.rows])
        return Ragged.build(rows, np.concatenate([self.values, other.values]), row_count=self.row_count)
