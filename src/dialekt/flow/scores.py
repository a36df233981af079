"""What an evaluation measured, query by query."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.store.tables import read_records

SYSTEMS = ("base", "tuned")


def read_ndcg(evaluation: Path) -> dict[str, NDArray[np.float64]]:
    """Return NDCG@10 per test query of base and tuned model, in the order of the query ids; (queries,)."""
    from dialekt.evaluation.records import QueryScore
    from dialekt.measures.metrics import NDCG

    rows = [row for row in read_records(evaluation / "scores.parquet", QueryScore) if row.metric == NDCG]
    rows.sort(key=lambda row: row.query_id)
    return {
        system: np.array([row.value for row in rows if row.system == system], dtype=np.float64) for system in SYSTEMS
    }
