"""The systems that are compared: BM25, the base and tuned models at every dimension, and hybrids."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.evaluation.fusion import choose_fusion, default_fusion, fuse
from dialekt.evaluation.records import Fusion
from dialekt.measures.metrics import Judgments, ndcg, tabulate
from dialekt.measures.retrieval import Collection, dense_run, lexical_run, require_same_corpus
from dialekt.measures.runs import Run
from dialekt.models.lexical import Bm25
from dialekt.models.vectors import Vectors, load_vectors
from dialekt.types import Query, ReportProgress


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """The held-out queries, dev before test, and what is relevant to them; `labels` of it were said of top results."""

    dev: Sequence[Query]
    test: Sequence[Query]
    judgments: Judgments
    labels: int = 0

    @property
    def dev_rows(self) -> NDArray[np.int64]:
        """Rows of the dev queries in a run over all held-out queries."""
        return np.arange(len(self.dev), dtype=np.int64)

    @property
    def test_rows(self) -> NDArray[np.int64]:
        """Rows of the test queries in a run over all held-out queries."""
        return np.arange(len(self.dev), len(self.dev) + len(self.test), dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class System:
    """One row of the result table: its runs over the test and the dev queries, and how it was made."""

    name: str
    run: Run
    dev_run: Run | None = None
    dimension: int | None = None
    fusion: Fusion | None = None
    dev_score: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What to build. `depth` is the documents per query; `dimensions` the smaller Matryoshka dimensions."""

    base_vectors: Path
    tuned_vectors: Path | None
    dimensions: tuple[int, ...]
    depth: int
    rank_constant: int


@dataclass(frozen=True, slots=True, eq=False)
class Workshop:
    """What every system is built from."""

    collection: Collection
    held: Held
    plan: Plan
    lexical: Run = field(repr=False)


def build_systems(collection: Collection, held: Held, plan: Plan, *, progress: ReportProgress) -> Iterator[System]:
    """Yield every system: bm25, then per model the full dimension, its two hybrids and its smaller dimensions.

    `hybrid_*` is fused as the dev queries choose, by the same procedure for base and tuned; `rrf_*` is plain
    reciprocal rank fusion.
    """
    index = Bm25.build(collection.texts, language=collection.language, progress=progress)
    lexical = lexical_run(collection, index, [*held.dev, *held.test], depth=plan.depth)
    workshop = Workshop(collection, held, plan, lexical)
    yield _finished(workshop, "bm25", lexical)
    yield from _systems_of_model(workshop, "base", plan.base_vectors)
    if plan.tuned_vectors is not None:
        yield from _systems_of_model(workshop, "tuned", plan.tuned_vectors)


def _systems_of_model(workshop: Workshop, name: str, folder: Path) -> Iterator[System]:
    vectors = load_vectors(folder)
    require_same_corpus(workshop.collection, vectors, folder)
    held, plan = workshop.held, workshop.plan
    full = int(vectors.document_vectors.shape[1])
    dense = dense_run(workshop.collection, vectors, [*held.dev, *held.test], depth=plan.depth)
    yield _finished(workshop, name, dense, dimension=full)
    yield from _hybrids(workshop, name, dense, full)
    for dimension in sorted((size for size in set(plan.dimensions) if size < full), reverse=True):
        yield _cut(workshop, name, vectors, dimension)


def _hybrids(workshop: Workshop, name: str, dense: Run, dimension: int) -> Iterator[System]:
    plan, held = workshop.plan, workshop.held
    dev_lexical, dev_dense = workshop.lexical.select(held.dev_rows), dense.select(held.dev_rows)
    table = tabulate(held.judgments, query_ids=dev_dense.query_ids, document_ids=dense.document_ids)
    chosen = choose_fusion(dev_lexical, dev_dense, table, rank_constant=plan.rank_constant)
    for prefix, fusion in (("hybrid", chosen), ("rrf", default_fusion(plan.rank_constant))):
        fused = fuse(workshop.lexical, dense, fusion, depth=plan.depth)
        yield _finished(workshop, f"{prefix}_{name}", fused, dimension=dimension, fusion=fusion)


def _cut(workshop: Workshop, name: str, vectors: Vectors, dimension: int) -> System:
    held, depth = workshop.held, workshop.plan.depth
    run = dense_run(workshop.collection, vectors, held.test, depth=depth, dimension=dimension)
    return System(f"{name}@{dimension}", run, dimension=dimension)


def _finished(
    workshop: Workshop,
    name: str,
    run: Run,
    *,
    dimension: int | None = None,
    fusion: Fusion | None = None,
) -> System:
    """Score the dev rows of a run, keep its test rows."""
    held = workshop.held
    dev_run = run.select(held.dev_rows)
    dev_score = None
    if held.dev:
        table = tabulate(held.judgments, query_ids=dev_run.query_ids, document_ids=run.document_ids)
        dev_score = float(ndcg(dev_run.indices, table).mean())
    return System(name, run.select(held.test_rows), dev_run, dimension, fusion, dev_score)
