"""The probes that count: the journey's own training, on a little of the data."""

import shutil
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.config import TunedSide
from dialekt.diagnosis.curve import TUNED
from dialekt.evaluation import dev
from dialekt.flow.probing.material import Finished, FinishedProbes, Probes, finish
from dialekt.flow.records import StageName
from dialekt.models.encoder import Encoder
from dialekt.store.tables import read_records, write_records
from dialekt.training import stage
from dialekt.training.records import EncodeFunction, TrainingFacts, TrainingInputs
from dialekt.types import HardNegative, Pair, Progress, Role

FIRST_PROBE = 256
LEAST_PROBE = 16
RESERVE = 0.85
LARGER_COSTS_MORE = 1.2


def trained_probes(probes: Probes, finished: FinishedProbes) -> list[Finished]:
    """Train at a first size, at the largest that the time allows, and repeat with other queries while there is time."""
    first = min(FIRST_PROBE, max(min(LEAST_PROBE, probes.largest), probes.largest // 4))
    runs = [_once(probes, finished, first, seed=1)]
    left = probes.config.minutes * 60 * RESERVE - runs[0].point.seconds
    per_query = LARGER_COSTS_MORE * runs[0].point.seconds / first
    size = min(probes.largest, int(max(0.0, left) / per_query))
    if size > first:
        runs.append(_once(probes, finished, size, seed=1))
        left -= runs[-1].point.seconds
    lasted = {run.point.queries: run.point.seconds for run in reversed(runs)}  # the largest first
    for seed in range(2, probes.config.seeds + 1):
        for again, seconds in lasted.items():
            if seconds < left:
                runs.append(_once(probes, finished, again, seed=seed))
                left -= runs[-1].point.seconds
    return runs


def _once(probes: Probes, finished: FinishedProbes, queries: int, *, seed: int) -> Finished:
    name = f"{TUNED} {queries} {seed}"
    found = finished.get(name)
    if found is None:
        found = _train(probes, queries, seed=seed)
        finished.keep(name, found)
    return found


def _train(probes: Probes, queries: int, *, seed: int) -> Finished:
    """Tune the base model on some train queries in a folder of its own, and measure what that brought."""
    began = time.monotonic()
    folder = probes.folder / f"probe-{queries}-{seed}"
    label = f"probe with {queries:,} train queries"
    facts = _fit(probes, frozenset(probes.draw(queries, seed=seed)), folder, seed=seed, label=label)
    probes.progress(Progress(f"{label}: measuring", 0))
    encoder = Encoder.load(str(folder / "out" / "model"), probes.workbench.config.model)
    scores = _scores(probes, probes.measured, encoder.encode)
    shutil.rmtree(folder, ignore_errors=True)
    speed = facts.pairs_per_second
    return finish(probes, scores, recipe=TUNED, queries=queries, seed=seed, began=began, pairs_per_second=speed)


def _fit(probes: Probes, chosen: frozenset[str], folder: Path, *, seed: int, label: str) -> TrainingFacts:
    workbench = probes.workbench
    config = workbench.config
    _write_examples(probes, chosen, folder)
    inputs = TrainingInputs(
        model=config.model,
        corpus=workbench.folder(StageName.CORPUS),
        split=workbench.folder(StageName.PAIRS),
        pairs=folder,
        negatives=folder,
        seed=config.project.seed + seed,
        score_dev=lambda encode: float(_scores(probes, probes.choosing, encode).mean()),
        dev_texts=probes.choosing.texts,
        made_dev_queries=bool(workbench.artefacts[StageName.PAIRS].manifest.facts["made_dev_queries"]),
        document_vectors=_frozen(probes),
    )
    training = config.training.model_copy(
        update={"evaluations": 2, "remine_every": None, "time_limit_minutes": config.diagnosis.minutes / 2}
    )

    def report(step: Progress) -> None:
        probes.progress(Progress(f"{label}: {step.label}", step.done, step.total, step.note))

    return stage.run(training, inputs, folder / "out", progress=report)


def _write_examples(probes: Probes, chosen: frozenset[str], folder: Path) -> None:
    """Write the pairs and negatives of some queries as the stages before training do."""
    folder.mkdir(parents=True, exist_ok=True)
    pairs = read_records(probes.workbench.pairs / "pairs.parquet", Pair)
    negatives = read_records(probes.workbench.negatives / "negatives.parquet", HardNegative)
    write_records(folder / "pairs.parquet", (one for one in pairs if one.query_id in chosen), Pair)
    write_records(folder / "negatives.parquet", (one for one in negatives if one.query_id in chosen), HardNegative)


def _frozen(probes: Probes) -> Path | None:
    """Return the folder of the vectors that documents keep where only the query side is tuned."""
    query_side = probes.workbench.config.training.side is TunedSide.QUERY
    return probes.workbench.folder(StageName.BASE_VECTORS) if query_side else None


def _scores(probes: Probes, pool: dev.DevSet, encode: EncodeFunction) -> NDArray[np.float64]:
    if not pool.query_ids:
        return np.zeros(1)
    frozen = _frozen(probes)
    documents = encode(pool.document_texts, Role.DOCUMENT) if frozen is None else dev.pool_vectors(pool, frozen)
    return dev.dev_scores(pool, encode(pool.query_texts, Role.QUERY), documents)
