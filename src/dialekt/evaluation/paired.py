"""Two tuned models that were measured on the same test queries at different times, compared query by query."""

from pathlib import Path

import numpy as np

from dialekt.evaluation.comparison import Settings, compare
from dialekt.evaluation.records import Comparison, QueryScore
from dialekt.measures.metrics import NDCG
from dialekt.store.tables import read_records

TUNED = "tuned"


def compare_tuned(own: Path, other: Path, settings: Settings) -> Comparison | None:
    """Compare the tuned models of two evaluation artefacts by NDCG@10: own minus other.

    None when they were not measured on the same queries. Raises `StorageError` for a folder without scores.
    """
    before, after = (_tuned_scores(folder) for folder in (other, own))
    if not after or before.keys() != after.keys():
        return None
    queries = sorted(after)
    scores = {
        name: {NDCG: np.array([found[query] for query in queries])}
        for name, found in (("own", after), ("other", before))
    }
    return compare(scores, [("own", "other", NDCG)], settings)[0]


def _tuned_scores(folder: Path) -> dict[str, float]:
    rows = read_records(folder / "scores.parquet", QueryScore)
    return {row.query_id: row.value for row in rows if (row.system, row.metric) == (TUNED, NDCG)}
