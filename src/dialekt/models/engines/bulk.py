"""Many rows through an engine at once: sorted by length, cut to what a call should hold, back in their order."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dialekt.models.encoder import budget_batches
from dialekt.models.engines.records import Engine, TokenRow


def run_rows(engine: Engine, rows: Sequence[TokenRow]) -> NDArray[np.float32]:
    """Return what the engine makes of every row, (rows, width)."""
    values = np.empty((len(rows), engine.width), dtype=np.float32)
    for batch in budget_batches(np.array([len(row.ids) for row in rows], dtype=np.int64), engine.batch_tokens):
        values[batch] = engine.run([rows[number] for number in batch.tolist()])
    return values
