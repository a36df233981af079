"""What all probes share: the queries that choose and those that measure, over pools of documents."""

import json
import math
import time
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
from dialekt.measures.metrics import judge
from dialekt.measures.retrieval import read_collection, units_of_documents
from dialekt.models.vectors import load_vectors
from dialekt.store.atomic import write_atomic
from dialekt.store.tables import read_records
from dialekt.training.records import TrainingFacts
from dialekt.types import Pair, Qrel, Query, ReportProgress, Split

CHOOSING_QUERIES = 100
ENOUGH_MEASURED = 300
MOST_MEASURED = 500
CHOOSING_UNITS = 400
MEASURED_UNITS = 2_500
LARGEST_PROBE = 4_096


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished probe: its point and the deviation of one query's difference.

    `pairs_per_second` is the speed of training, 0 for a linear map; `shortened` says that the time cut it short.
    """

    point: CurvePoint
    deviation: float
    pairs_per_second: float = 0.0
    shortened: bool = False


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
    only ones that any probe learns from. `barred` are answers to measuring queries, which are nobody's negatives.
    """

    workbench: Workbench
    choosing: dev.DevSet
    measured: dev.DevSet
    base: NDArray[np.float64]
    train_queries: tuple[str, ...]
    barred: frozenset[str]
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
    def asks_train_queries(self) -> bool:
        """Whether train queries that no probe learns from measure too, as there are few dev queries."""
        path = self.workbench.folder(StageName.PAIRS) / "queries.parquet"
        train = {query.id for query in read_records(path, Query) if query.split is Split.TRAIN}
        return not train.isdisjoint(self.measured.query_ids)

    @property
    def pairs_per_query(self) -> float:
        """How many pairs a train query has."""
        facts = self.workbench.artefacts[StageName.PAIRS].manifest.facts
        return int(facts["pairs"]) / max(1, int(facts["queries"]))

    def draw(self, queries: int, *, seed: int) -> list[str]:
        """Draw from the probes' train queries without replacement, other ones for every seed and number."""
        generator = np.random.default_rng([seed, queries, self.workbench.config.project.seed])
        return [self.train_queries[row] for row in generator.permutation(len(self.train_queries))[:queries].tolist()]


def open_probes(workbench: Workbench, folder: Path, *, progress: ReportProgress) -> Probes:
    """Draw the train queries to learn from, the queries that choose and those that measure, and pools of documents.

    Dev queries measure; where they are few, train queries that no probe learns from measure too. Test queries are
    never asked: a verdict that was read off them could not be proven on them afterwards.
    """
    inputs = dev.DevInputs(
        corpus=workbench.folder(StageName.CORPUS),
        split=workbench.folder(StageName.PAIRS),
        vectors=workbench.folder(StageName.BASE_VECTORS),
        minimum_grade=workbench.config.pairs.minimum_grade,
        seed=workbench.config.project.seed,
    )
    people = _divide(workbench, inputs)
    choosing = dev.make_dev_set(
        inputs, max_queries=CHOOSING_QUERIES, max_documents=CHOOSING_UNITS, among=people.choosing, progress=progress
    )
    measured = dev.make_dev_set(
        inputs, max_queries=MOST_MEASURED, max_documents=MEASURED_UNITS, among=people.measured, progress=progress
    )
    base = dev.dev_scores(measured, query_vectors(inputs.vectors, measured), dev.pool_vectors(measured, inputs.vectors))
    return Probes(workbench, choosing, measured, base, people.learning, people.barred, folder, progress)


@dataclass(frozen=True, slots=True)
class _Division:
    """Ids of the queries that choose, measure and are learnt from, and of documents that no probe may push away."""

    choosing: tuple[str, ...]
    measured: tuple[str, ...]
    learning: tuple[str, ...]
    barred: frozenset[str]


def _divide(workbench: Workbench, inputs: dev.DevInputs) -> _Division:
    generator = np.random.default_rng(inputs.seed)
    queries = read_records(inputs.split / "queries.parquet", Query)
    paired = sorted({pair.query_id for pair in read_records(inputs.split / "pairs.parquet", Pair)})
    dev_ids = _shuffled([query.id for query in queries if query.split is Split.DEV], generator)
    choosing = min(CHOOSING_QUERIES, len(dev_ids) // 2)
    measured = dev_ids[choosing:]
    wanted = 0 if len(measured) >= ENOUGH_MEASURED else MOST_MEASURED - len(measured)
    shuffled = _shuffled(paired, generator)
    size = min(LARGEST_PROBE, int(workbench.config.diagnosis.share * all_train_queries(workbench)))
    learning = shuffled[: max(1, min(size, len(shuffled) - min(wanted, len(shuffled) // 2)))]
    answers = _Answers(inputs, queries)
    aside = answers.like_test(learning, shuffled[len(learning) :])[:wanted]
    barred = answers.of(aside) - answers.of(learning)
    collection = read_collection(inputs.corpus)
    units = units_of_documents(collection)
    unit_ids = (collection.unit_ids[row] for document_id in barred for row in units.get(document_id, []))
    return _Division(tuple(dev_ids[:choosing]), (*measured, *aside), tuple(learning), barred | frozenset(unit_ids))


def _shuffled(ids: Sequence[str], generator: np.random.Generator) -> list[str]:
    return [ids[row] for row in generator.permutation(len(ids)).tolist()]


def all_train_queries(workbench: Workbench) -> int:
    """Return how many train queries the whole project has, sampled or not."""
    facts = workbench.artefacts[StageName.PAIRS].manifest.facts
    return int(facts.get("all_train_queries", facts["queries"]))


class _Answers:
    """Which documents answer which query; which train queries are to probes what test queries are to training."""

    def __init__(self, inputs: dev.DevInputs, queries: Sequence[Query]) -> None:
        qrels = read_records(inputs.split / "qrels.parquet", Qrel)
        self._judgments = judge(qrels, minimum_grade=inputs.minimum_grade)
        self._clusters = {query.id: query.cluster for query in queries if query.cluster}
        train = self.of([query.id for query in queries if query.split is Split.TRAIN])
        test = [query.id for query in queries if query.split is Split.TEST]
        seen = sum(bool(train & self.of([query_id])) for query_id in test)
        self._answers_are_new = seen < len(test) / 2

    def of(self, query_ids: Sequence[str]) -> frozenset[str]:
        """Return all documents that answer some queries."""
        return frozenset(name for query_id in query_ids for name in self._judgments.positives(query_id))

    def like_test(self, learning: Sequence[str], others: Sequence[str]) -> list[str]:
        """Leave out near-copies of what is learnt and, where test answers are new to training, known answers."""
        clusters = {self._clusters[query_id] for query_id in learning if query_id in self._clusters}
        fresh = [one for one in others if self._clusters.get(one) not in clusters and self._judgments.positives(one)]
        if not self._answers_are_new:
            return fresh
        known = self.of(learning)
        return [one for one in fresh if not known & self.of([one])]


def finish(
    probes: Probes,
    scores: NDArray[np.float64],
    *,
    recipe: str,
    queries: int,
    seed: int,
    began: float,
    trained: TrainingFacts | None = None,
) -> Finished:
    """Return a probe with its gain over the base model; `began` is when its work began, by the monotonic clock."""
    gains = scores - probes.base
    deviation = float(gains.std(ddof=1)) if len(gains) > 1 else 1.0
    seconds = round(time.monotonic() - began, 1)
    error = deviation / math.sqrt(len(gains))
    point = CurvePoint(recipe, queries, seed, float(gains.mean()), error, seconds)
    if trained is None:
        return Finished(point, deviation)
    return Finished(point, deviation, trained.pairs_per_second, shortened="steps" in trained.derived)


def query_vectors(folder: Path, pool: dev.DevSet) -> NDArray[np.float32]:
    """Return the vectors that a pool's queries have in a vectors artefact; (queries, dimension)."""
    vectors = load_vectors(folder)
    rows = {query_id: row for row, query_id in enumerate(vectors.query_ids)}
    found: Sequence[int] = [rows[query_id] for query_id in pool.query_ids]
    return np.asarray(vectors.query_vectors[found], dtype=np.float32)
