"""Rows → calls of an engine: of similar length, and no larger than a call should be."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from dialekt.models.engines.records import Engine, TokenRow


def calls(lengths: Sequence[int], engine: Engine) -> Iterator[list[int]]:
    """Yield row numbers call by call, longest rows first.

    A row is left to the next call where filling rows up to the length of the longest would cost more tokens than a
    call of its own.
    """
    call: list[int] = []
    longest = filled = 0
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        filled += longest - lengths[row]
        if call and (filled > engine.call_tokens or (len(call) + 1) * longest > engine.batch_tokens):
            yield call
            call = []
        if not call:
            longest, filled = max(1, lengths[row]), 0
        call.append(row)
    if call:
        yield call


def run_rows(engine: Engine, rows: Sequence[TokenRow]) -> NDArray[np.float32]:
    """Return what the engine makes of every row, (rows, width)."""
    values = np.empty((len(rows), engine.width), dtype=np.float32)
    for call in calls([len(row.ids) for row in rows], engine):
        values[call] = engine.run([rows[number] for number in call])
    return values
