"""The probes that count: the journey's own training, on a little of the data."""

import math
import shutil
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.diagnosis.curve import TUNED
from dialekt.evaluation import dev
from dialekt.flow import adapting
from dialekt.flow.probing.material import Finished, FinishedProbes, Probes, finish
from dialekt.flow.records import StageName
from dialekt.flow.teaching import frozen_documents
from dialekt.store.tables import read_records, write_records
from dialekt.training.derive import default_epochs
from dialekt.training.records import EncodeFunction, TrainingFacts, TrainingInputs
from dialekt.types import HardNegative, Pair, Progress, Role

FIRST_PROBE = 128
LEAST_PROBE = 16
RESERVE = 0.9
"""Of the time for probes; the rest is for what was reckoned wrong."""

LIMIT = 1.5
"""A probe is cut short when it takes this many times what was left."""


def trained_probes(probes: Probes, finished: FinishedProbes) -> list[Finished]:
    """Train at a first size, at the largest that the time allows, and repeat with other queries while there is time."""
    first = min(FIRST_PROBE, max(min(LEAST_PROBE, probes.largest), probes.largest // 4))
    left = probes.config.minutes * 60 * RESERVE
    runs = [_once(probes, finished, first, seed=1, left=left)]
    left -= runs[0].point.seconds
    size = _largest_in(left, probes, runs[0])
    if size > first:
        runs.append(_once(probes, finished, size, seed=1, left=left))
        left -= runs[-1].point.seconds
    lasted = {run.point.queries: run.point.seconds for run in reversed(runs)}  # the largest first
    for seed in range(2, probes.config.seeds + 1):
        for again, seconds in lasted.items():
            if seconds < left:
                runs.append(_once(probes, finished, again, seed=seed, left=left))
                left -= runs[-1].point.seconds
    return runs


def _largest_in(left: float, probes: Probes, done: Finished) -> int:
    """Return the largest probe that fits: what a probe costs beside its steps is known from the first one.

    More queries are trained on in fewer passes, so a larger probe may well be the cheaper one.
    """
    passes = _passes(probes, done.point.queries)
    overhead = max(0.0, done.point.seconds - passes / done.pairs_per_second)
    affordable = (left - overhead) * done.pairs_per_second
    sizes = range(probes.largest, done.point.queries, -1)
    return next((size for size in sizes if _passes(probes, size) <= affordable), done.point.queries)


def _passes(probes: Probes, queries: int) -> float:
    """Return how many pairs go through training for so many queries."""
    pairs = queries * probes.pairs_per_query
    return pairs * (probes.workbench.config.training.epochs or default_epochs(round(pairs)))


def _once(probes: Probes, finished: FinishedProbes, queries: int, *, seed: int, left: float) -> Finished:
    name = f"{TUNED} {queries} {seed}"
    found = finished.get(name)
    if found is None:
        found = _train(probes, queries, seed=seed, left=left)
        finished.keep(name, found)
    return found


def _train(probes: Probes, queries: int, *, seed: int, left: float) -> Finished:
    """Tune the base model on some train queries in a folder of its own, and measure what that brought."""
    began = time.monotonic()
    folder = probes.folder / f"probe-{queries}-{seed}"
    shutil.rmtree(folder, ignore_errors=True)  # of a killed one: its time is not known, and the time decides the next
    label = _label(queries)
    facts = _fit(probes, frozenset(probes.draw(queries, seed=seed)), folder, seed=seed, limit=LIMIT * left)
    probes.progress(Progress(f"{label}: measuring", 0))
    encode = adapting.encode_of(probes.workbench, folder / "out" / "model", dev_sets=[probes.measured])
    scores = _scores(probes, probes.measured, encode)
    shutil.rmtree(folder, ignore_errors=True)
    return finish(probes, scores, recipe=TUNED, queries=queries, seed=seed, began=began, trained=facts)


def _fit(probes: Probes, chosen: frozenset[str], folder: Path, *, seed: int, limit: float) -> TrainingFacts:
    label = _label(len(chosen))
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
        document_vectors=frozen_documents(workbench),
        base_vectors=workbench.folder(StageName.BASE_VECTORS),
    )
    training = config.training.without_teachers().model_copy(
        update={
            "evaluations": 2,
            "remine_every": None,
            "time_limit_minutes": min(limit / 60, config.training.time_limit_minutes or math.inf),
        }
    )

    def report(step: Progress) -> None:
        probes.progress(Progress(f"{label}: {step.label}", step.done, step.total, step.note))

    return adapting.train_by_method(
        workbench, training, inputs, [probes.choosing], folder / "out", barred=probes.barred, progress=report
    )


def _label(queries: int) -> str:
    return f"probe with {queries:,} train queries"


def _write_examples(probes: Probes, chosen: frozenset[str], folder: Path) -> None:
    """Write the pairs and negatives of some queries as the stages before training do."""
    folder.mkdir(parents=True, exist_ok=True)
    pairs = read_records(probes.workbench.folder(StageName.PAIRS) / "pairs.parquet", Pair)
    negatives = read_records(probes.workbench.folder(StageName.NEGATIVES) / "negatives.parquet", HardNegative)
    fair = (one for one in negatives if one.query_id in chosen and one.document_id not in probes.barred)
    write_records(folder / "pairs.parquet", (one for one in pairs if one.query_id in chosen), Pair)
    write_records(folder / "negatives.parquet", fair, HardNegative)


def _scores(probes: Probes, pool: dev.DevSet, encode: EncodeFunction) -> NDArray[np.float64]:
    if not pool.query_ids:
        return np.zeros(1)
    frozen = frozen_documents(probes.workbench)
    documents = encode(pool.document_texts, Role.DOCUMENT) if frozen is None else dev.pool_vectors(pool, frozen)
    return dev.dev_scores(pool, encode(pool.query_texts, Role.QUERY), documents)
