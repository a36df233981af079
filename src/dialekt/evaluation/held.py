"""The held-out queries and what is relevant to them: the judgments of the split, and what people said since."""

from pathlib import Path

from dialekt.errors import InputError
from dialekt.evaluation.labels import join, read_labels
from dialekt.evaluation.systems import Held
from dialekt.measures.metrics import judge
from dialekt.store.tables import read_records
from dialekt.types import Qrel, Query, Split


def read_held(split: Path, *, labels: Path | None, minimum_grade: float) -> Held:
    """Read dev and test queries with their judgments; labels of other queries count for nothing.

    Raises `InputError` when there are no test queries or a label is malformed.
    """
    queries = read_records(split / "queries.parquet", Query)
    dev = [query for query in queries if query.split is Split.DEV]
    test = [query for query in queries if query.split is Split.TEST]
    if not test:
        raise InputError("there are no test queries", path=split, hint="raise split.test_share")
    ids = {query.id for query in (*dev, *test)}
    qrels = [qrel for qrel in read_records(split / "qrels.parquet", Qrel) if qrel.query_id in ids]
    said = [] if labels is None else [label for label in read_labels(labels) if label.query_id in ids]
    return Held(dev, test, judge(join(qrels, said), minimum_grade=minimum_grade), labels=len(said))
