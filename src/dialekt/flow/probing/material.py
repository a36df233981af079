"""What all probes share: the queries that choose and those that measure, over pools of documents."""

import json
import math
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.config import DiagnosisConfig
from dialekt.diagnosis.records import CurvePoint
from dialekt.evaluation import dev
from dialekt.flow.records import StageName
from dialekt.flow.workbench import Workbench
from dialekt.models.vectors import load_vectors
from dialekt.store.atomic import write_atomic
from dialekt.store.tables import read_records
from dialekt.types import Pair, Query, ReportProgress, Split

CHOOSING_QUERIES = 100
ENOUGH_MEASURED = 300
MOST_MEASURED = 500
CHOOSING_UNITS = 400
MEASURED_UNITS = 2_500
LARGEST_PROBE = 4_096


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished probe: its point, the deviation of one query's difference, and the speed of training, 0 if unknown."""

    point: CurvePoint
    deviation: float
    pairs_per_second: float = 0.0


class FinishedProbes:
    """Finished probes in one JSON file, so that a killed diagnosis goes on from them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def get(self, name: str) -> Finished | None:
        """Return a probe that was finished before."""
        found = self._found.get(name)
        return found and Finished(**found | {"point": CurvePoint(**found["point"])})

    def keep(self, name: str, finished: Finished) -> None:
        """Keep a finished probe."""
        self._found[name] = asdict(finished)
        write_atomic(self._path, json.dumps(self._found))


@dataclass(frozen=True, slots=True, eq=False)
class Probes:
    """What all probes share: who is asked, over which documents, and how well the base model does.

    `choosing` lets a probe choose its mixture with the base, `measured` says what it brought. `train_queries` are the
    only ones that any probe learns from, the configured share of `all_train_queries`.
    """

    workbench: Workbench
    choosing: dev.DevSet
    measured: dev.DevSet
    base: NDArray[np.float64]
    train_queries: tuple[str, ...]
    all_train_queries: int
    folder: Path
    progress: ReportProgress

    @property
    def config(self) -> DiagnosisConfig:
        """The section of the configuration."""
        return self.workbench.config.diagnosis

    @property
    def largest(self) -> int:
        """How many train queries the largest probe may learn from."""
        return len(self.train_queries)

    @property
    def asks_test_queries(self) -> bool:
        """Whether test queries had to measure, as there were too few dev queries."""
        path = self.workbench.folder(StageName.PAIRS) / "queries.parquet"
        test = {query.id for query in read_records(path, Query) if query.split is Split.TEST}
        return not test.isdisjoint(self.measured.query_ids)

    def draw(self, queries: int, *, seed: int) -> list[str]:
        """Draw from the probes' train queries without replacement, other ones for every seed and number."""
        generator = np.random.default_rng([seed, queries, self.workbench.config.project.seed])
        return [self.train_queries[row] for row in generator.permutation(len(self.train_queries))[:queries].tolist()]


def open_probes(workbench: Workbench, folder: Path, *, progress: ReportProgress) -> Probes:
    """Draw the queries that choose and those that measure, and pools of documents for both.

    Dev queries first: the test queries stay unasked, unless there are too few dev queries to see anything.
    """
    pairs = read_records(workbench.pairs / "pairs.parquet", Pair)
    inputs = dev.DevInputs(
        corpus=workbench.folder(StageName.CORPUS),
        split=workbench.folder(StageName.PAIRS),
        vectors=workbench.folder(StageName.BASE_VECTORS),
        minimum_grade=workbench.config.pairs.minimum_grade,
        seed=workbench.config.project.seed,
    )
    choosing_ids, measured_ids = _divide(inputs)
    choosing = dev.make_dev_set(
        inputs, max_queries=CHOOSING_QUERIES, max_documents=CHOOSING_UNITS, among=choosing_ids, progress=progress
    )
    measured = dev.make_dev_set(
        inputs, max_queries=MOST_MEASURED, max_documents=MEASURED_UNITS, among=measured_ids, progress=progress
    )
    base = dev.dev_scores(measured, query_vectors(inputs.vectors, measured), dev.pool_vectors(measured, inputs.vectors))
    every = sorted({pair.query_id for pair in pairs})
    size = max(1, min(LARGEST_PROBE, int(workbench.config.diagnosis.share * len(every))))
    drawn = np.random.default_rng(inputs.seed).permutation(len(every))[:size]
    train_queries = tuple(every[row] for row in drawn.tolist())
    return Probes(workbench, choosing, measured, base, train_queries, len(every), folder, progress)


def _divide(inputs: dev.DevInputs) -> tuple[list[str], list[str]]:
    """Return the queries that choose and those that measure."""
    by_split: dict[Split, list[str]] = defaultdict(list)
    for query in read_records(inputs.split / "queries.parquet", Query):
        by_split[query.split].append(query.id)
    generator = np.random.default_rng(inputs.seed)
    shuffled = [by_split[Split.DEV][row] for row in generator.permutation(len(by_split[Split.DEV])).tolist()]
    choosing = min(CHOOSING_QUERIES, len(shuffled) // 2)
    rest = shuffled[choosing:]
    if len(rest) >= ENOUGH_MEASURED:
        return shuffled[:choosing], rest
    test = [by_split[Split.TEST][row] for row in generator.permutation(len(by_split[Split.TEST])).tolist()]
    return shuffled[:choosing], rest + test[: MOST_MEASURED - len(rest)]


def finish(
    probes: Probes,
    scores: NDArray[np.float64],
    *,
    recipe: str,
    queries: int,
    seed: int,
    began: float,
    pairs_per_second: float = 0.0,
) -> Finished:
    """Return a probe with its gain over the base model; `began` is when its work began, by the monotonic clock."""
    gains = scores - probes.base
    deviation = float(gains.std(ddof=1)) if len(gains) > 1 else 1.0
    seconds = round(time.monotonic() - began, 1)
    error = deviation / math.sqrt(len(gains))
    return Finished(CurvePoint(recipe, queries, seed, float(gains.mean()), error, seconds), deviation, pairs_per_second)


def query_vectors(folder: Path, pool: dev.DevSet) -> NDArray[np.float32]:
    """Return the vectors that a pool's queries have in a vectors artefact; (queries, dimension)."""
    vectors = load_vectors(folder)
    rows = {query_id: row for row, query_id in enumerate(vectors.query_ids)}
    found: Sequence[int] = [rows[query_id] for query_id in pool.query_ids]
    return np.asarray(vectors.query_vectors[found], dtype=np.float32)
