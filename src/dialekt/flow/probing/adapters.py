"""The cheap probes: linear maps on frozen vectors, seconds each, many sizes and seeds."""

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialekt.diagnosis.curve import ADAPTER
from dialekt.evaluation import dev
from dialekt.flow.probing.material import Finished, FinishedProbes, Probes, finish, query_vectors
from dialekt.flow.records import StageName
from dialekt.measures.retrieval import read_collection, rows_by_name
from dialekt.models.vectors import load_vectors
from dialekt.pairs.records import HeldOutDocument
from dialekt.store.tables import read_records
from dialekt.training.adapter import Adapter, AdapterMaterial, fit_adapter
from dialekt.types import Pair, Progress

SHARES = (0.25, 0.5, 0.75, 1.0)
FRACTIONS = (0.125, 0.25, 0.5, 1.0)


def adapter_probes(probes: Probes, finished: FinishedProbes) -> Iterator[Finished]:
    """Yield the probe of every size and seed, the smallest first."""
    sizes = sorted({max(1, round(fraction * probes.largest)) for fraction in FRACTIONS})
    wanted = [(size, seed) for size in sizes for seed in range(1, probes.config.seeds + 1)]
    opened: _Opened | None = None
    for done, (size, seed) in enumerate(wanted, start=1):
        name = f"{ADAPTER} {size} {seed}"
        found = finished.get(name)
        if found is None:
            opened = opened or _open(probes)
            found = _probe(probes, opened, size, seed=seed)
            finished.keep(name, found)
        probes.progress(Progress("linear probes", done, len(wanted)))
        yield found


@dataclass(frozen=True, slots=True, eq=False)
class _Pool:
    """Queries with a pool of documents, and the base model's vectors of both."""

    asked: dev.DevSet
    queries: NDArray[np.float32]
    documents: NDArray[np.float32]

    def scores(self, adapter: Adapter, share: float) -> NDArray[np.float64]:
        """Return NDCG@10 of each query (queries,) in the learnt space."""
        moved = adapter.queries(self.queries, share=share), adapter.documents(self.documents, share=share)
        return dev.dev_scores(self.asked, *moved)


@dataclass(frozen=True, slots=True, eq=False)
class _Opened:
    """What all linear probes read, read once."""

    material: AdapterMaterial
    choosing: _Pool
    measured: _Pool


def _open(probes: Probes) -> _Opened:
    vectors = probes.workbench.folder(StageName.BASE_VECTORS)
    choosing, measured = (
        _Pool(asked, query_vectors(vectors, asked), dev.pool_vectors(asked, vectors))
        for asked in (probes.choosing, probes.measured)
    )
    return _Opened(_material(probes), choosing, measured)


def _probe(probes: Probes, opened: _Opened, size: int, *, seed: int) -> Finished:
    """Fit, let the choosing queries choose the share of the map (none, if none helps), and measure."""
    began = time.monotonic()
    rows = {query_id: row for row, query_id in enumerate(probes.train_queries)}
    adapter = fit_adapter(opened.material, [rows[query_id] for query_id in probes.draw(size, seed=seed)], seed=seed)
    tried = {share: opened.choosing.scores(adapter, share).sum() for share in (0.0, *SHARES)}
    best = max(tried, key=lambda share: (tried[share], share))
    scores = opened.measured.scores(adapter, best)
    return finish(probes, scores, recipe=ADAPTER, queries=size, seed=seed, began=began)


def _material(probes: Probes) -> AdapterMaterial:
    """Lay out train queries and documents; held-out documents are no negatives here either."""
    workbench = probes.workbench
    vectors = load_vectors(workbench.folder(StageName.BASE_VECTORS))
    collection = read_collection(workbench.folder(StageName.CORPUS))
    units = rows_by_name(collection)
    rows = {query_id: row for row, query_id in enumerate(vectors.query_ids)}
    positives: dict[str, list[int]] = defaultdict(list)
    for pair in read_records(workbench.folder(StageName.PAIRS) / "pairs.parquet", Pair):
        positives[pair.query_id] += units.get(pair.document_id, [])[:1]
    path = workbench.folder(StageName.PAIRS) / "held_out_documents.parquet"
    names = (*(one.document_id for one in read_records(path, HeldOutDocument)), *probes.barred)
    barred = {row for name in names for row in units.get(name, [])}
    open_rows = [row for row in range(len(collection.unit_ids)) if row not in barred]
    return AdapterMaterial(
        queries=np.asarray(vectors.query_vectors[[rows[query_id] for query_id in probes.train_queries]]),
        documents=vectors.document_vectors,
        positives=[positives[query_id] for query_id in probes.train_queries],
        negatives=np.array(open_rows, dtype=np.int64),
    )
