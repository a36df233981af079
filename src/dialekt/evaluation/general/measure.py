"""Ask the general queries of a model, and say what tuning did to them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.evaluation.comparison import Settings, compare
from dialekt.evaluation.records import GeneralFacts
from dialekt.measures.metrics import CUTOFF, NDCG, GainTable, judge, ndcg, tabulate
from dialekt.measures.statistics import bootstrap_intervals
from dialekt.models.topk import top_k
from dialekt.models.vectors import load_vectors
from dialekt.store.tables import read_records
from dialekt.types import Document, Interval, Qrel, Query, Split

MANY_QUERIES = 100
"""From so many queries on, a mean loss counts without proof: fewer are too easily led by chance."""


@dataclass(frozen=True, slots=True, eq=False)
class GeneralSet:
    """Texts to encode, the base model's vectors of them, and what is needed to score a ranking.

    `base_documents` (documents, dimension) and `base_queries` (queries, dimension) are float32 and normalised.
    """

    query_texts: tuple[str, ...]
    document_texts: tuple[str, ...]
    base_queries: NDArray[np.float32]
    base_documents: NDArray[np.float32]
    gains: GainTable

    @property
    def texts(self) -> int:
        """How many texts one scoring encodes."""
        return len(self.query_texts) + len(self.document_texts)


@dataclass(frozen=True, slots=True, eq=False)
class GeneralScores:
    """NDCG@10 of the same general queries (queries,) before and after tuning."""

    name: str
    documents: int
    base: NDArray[np.float64]
    tuned: NDArray[np.float64]


def read_set(folder: Path, *, split: Split | None = None) -> GeneralSet:
    """Open a general artefact with the queries of one split, or with all."""
    documents = read_records(folder / "documents.parquet", Document)
    queries = read_records(folder / "queries.parquet", Query)
    vectors = load_vectors(folder)
    rows = [row for row, query in enumerate(queries) if split in (None, query.split)]
    judgments = judge(read_records(folder / "qrels.parquet", Qrel), minimum_grade=0.0)
    return GeneralSet(
        query_texts=tuple(queries[row].text for row in rows),
        document_texts=tuple(document.content for document in documents),
        base_queries=np.asarray(vectors.query_vectors[rows], dtype=np.float32),
        base_documents=np.asarray(vectors.document_vectors, dtype=np.float32),
        gains=tabulate(
            judgments,
            query_ids=[queries[row].id for row in rows],
            document_ids=[document.id for document in documents],
        ),
    )


def score(
    general: GeneralSet, query_vectors: NDArray[np.float32], document_vectors: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return NDCG@10 of each query (queries,) from vectors in the order of the set's texts."""
    return ndcg(top_k(query_vectors, document_vectors, CUTOFF).indices, general.gains)


def score_base(general: GeneralSet) -> NDArray[np.float64]:
    """Return NDCG@10 of each query (queries,) as the base model ranks."""
    return score(general, general.base_queries, general.base_documents)


def general_facts(scores: GeneralScores, settings: Settings, *, limit: float) -> GeneralFacts:
    """Say what tuning did to the general queries.

    It does not pass when the mean loss is above the limit and is proven, or stands on `MANY_QUERIES` or more.
    """
    found = compare({"base": {NDCG: scores.base}, "tuned": {NDCG: scores.tuned}}, [("tuned", "base", NDCG)], settings)
    base, tuned = _intervals(scores, settings)
    counts = found[0].high < 0 or len(scores.base) >= MANY_QUERIES
    return GeneralFacts(
        name=scores.name,
        queries=len(scores.base),
        documents=scores.documents,
        base=base,
        tuned=tuned,
        comparison=found[0],
        limit=limit,
        passed=found[0].difference >= -limit or not counts,
    )


def _intervals(scores: GeneralScores, settings: Settings) -> tuple[Interval, Interval]:
    values = np.column_stack([scores.base, scores.tuned])  # (queries, 2)
    bounds = bootstrap_intervals(
        values, confidence=settings.confidence, resamples=settings.resamples, seed=settings.seed, bounds=(0.0, 1.0)
    )
    base, tuned = (
        Interval(float(value), float(low), float(high))
        for value, (low, high) in zip(values.mean(axis=0), bounds, strict=True)
    )
    return base, tuned
