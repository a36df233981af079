"""Which engine serves a model: the fastest on this machine whose vectors are still the model's."""

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dialekt.config import EngineName, Precision
from dialekt.errors import DialektError, ModelError
from dialekt.models.contract import EncodingContract
from dialekt.models.engines.bulk import run_rows
from dialekt.models.engines.records import Engine, EngineChoice, EngineLabel, EngineTrial, TokenRow
from dialekt.models.engines.tokenizer import RequestTokenizer
from dialekt.types import Progress, ReportProgress, no_progress

MAX_QUALITY_LOSS = 0.005  # of NDCG@10 on dev, for int8
_MIN_COSINES = {Precision.FP32.value: 0.9999, Precision.BF16.value: 0.999}
_INT8_FLOOR = 0.97
INT8_ENGINES = frozenset({EngineName.ONNX_INT8, EngineName.OPENVINO_INT8})
_NO_GATE = "no dev queries to prove its quality"
_QUERY_LENGTHS = tuple(range(8, 17)) * 4  # tokens of the rows of one batch, 12 in the mean
_PASSAGE_LENGTHS = (128,) * 16
_SECONDS_PER_ENGINE = 1.5
_MIN_ROUNDS = 3


class SizedEngine(Engine, Protocol):
    """An engine that knows how much memory it takes, weights and what is made of them."""

    size_bytes: int


QualityGate = Callable[[Engine], float]  # an engine → its mean NDCG@10 on dev minus that of the model in fp32
QualityGateFactory = Callable[[Engine, RequestTokenizer, EncodingContract], QualityGate]  # of the model in fp32


@dataclass(frozen=True, slots=True)
class CalibrationMaterial:
    """Texts of the domain, on which engines are calibrated and compared; `gate` is None without dev queries."""

    documents: tuple[str, ...]
    queries: tuple[str, ...]
    gate: QualityGateFactory | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """What engines are tried on: rows of the domain, the vectors (rows, width) of the model in fp32, and the gate.

    `build` returns an engine by name and raises a `DialektError` that says why there is none. `max_tokens` is the
    longest row that the model takes.
    """

    build: Callable[[EngineName], SizedEngine]
    rows: Sequence[TokenRow]
    reference: NDArray[np.float32]
    gate: QualityGate | None
    max_tokens: int
    seconds_per_engine: float = _SECONDS_PER_ENGINE


@dataclass(frozen=True, slots=True, eq=False)
class TriedEngine:
    """An engine and what is known of it; no engine where it could not be built."""

    engine: SizedEngine | None
    trial: EngineTrial


def choose_engine(
    names: Sequence[EngineName], trials: Trials, *, progress: ReportProgress = no_progress
) -> tuple[SizedEngine, EngineChoice]:
    """Try engines and return the fastest that may be taken, with all trials. The others are closed.

    Raises `ModelError` when not one may be taken.
    """
    tried = []
    for number, name in enumerate(names):
        progress(Progress("try engines", number, len(names), note=name.value))
        tried.append(try_engine(name, trials))
    progress(Progress("try engines", len(names), len(names)))
    speeds = measure_speeds([item.engine for item in tried if item.engine and not item.trial.refused], trials)
    tried = [_with_speed(item, speeds) for item in tried]
    best = max((item for item in tried if item.engine and not item.trial.refused), key=_speed, default=None)
    for item in tried:
        if item.engine is not None and item is not best:
            item.engine.close()
    if best is None or best.engine is None:
        reasons = "; ".join(f"{item.trial.engine}: {item.trial.refused}" for item in tried)
        raise ModelError(f"no engine may serve the model: {reasons}", hint="are the weights damaged? copy them again")
    return best.engine, EngineChoice(best.trial.engine, measured=True, trials=tuple(item.trial for item in tried))


def try_engine(name: EngineName, trials: Trials) -> TriedEngine:
    """Build an engine and compare its vectors; why it cannot be built or may not be taken goes into the trial."""
    if name in INT8_ENGINES and trials.gate is None:
        return TriedEngine(None, EngineTrial(name, "int8", refused=_NO_GATE))
    try:
        engine = trials.build(name)
        return TriedEngine(engine, judge(engine, trials))
    except Exception as error:  # noqa: BLE001 - one odd engine must not keep the others from being tried
        reason = error.message if isinstance(error, DialektError) else f"unexpected {type(error).__name__}"
        return TriedEngine(None, EngineTrial(name, "", refused=reason))


def judge(engine: Engine, trials: Trials) -> EngineTrial:
    """Compare an engine's vectors with those of the model in fp32, and its ranking where it computes in int8."""
    cosine = _min_cosine(trials.reference, run_rows(engine, trials.rows))
    trial = EngineTrial(engine.name, engine.precision, min_cosine=cosine)
    bound = _MIN_COSINES.get(engine.precision, _INT8_FLOOR)
    if cosine < bound:
        return replace(trial, refused=f"a vector's cosine with the model's is {cosine:.5f}, below {bound}")
    if engine.name not in INT8_ENGINES:
        return trial
    if trials.gate is None:
        return replace(trial, refused=_NO_GATE)
    change = trials.gate(engine)
    trial = replace(trial, quality_change=change)
    if change < -MAX_QUALITY_LOSS:
        return replace(trial, refused=f"NDCG@10 on dev falls by {-change:.4f}, more than {MAX_QUALITY_LOSS}")
    return trial


def measure_speeds(engines: Sequence[Engine], trials: Trials) -> dict[EngineLabel, tuple[float, float]]:
    """Return texts per second of short queries and of passages, the best of rounds in which the engines take turns.

    The best round is the one that other processes disturbed least. One engine alone is not measured: there is nothing
    to choose.
    """
    if len(engines) < 2:
        return {}
    lengths = [[min(length, trials.max_tokens) for length in batch] for batch in (_QUERY_LENGTHS, _PASSAGE_LENGTHS)]
    seconds: dict[EngineLabel, list[list[float]]] = {engine.name: [[], []] for engine in engines}
    make = _row_maker(trials.rows)
    end = time.perf_counter() + trials.seconds_per_engine * len(engines)
    rounds = 0
    with ThreadPoolExecutor(max(engine.lanes for engine in engines)) as threads:
        while rounds <= _MIN_ROUNDS or time.perf_counter() < end:
            batches = [make(batch) for batch in lengths]
            for engine, (kind, batch) in product(engines, enumerate(batches)):
                taken = _seconds(engine, batch, threads)
                if rounds:  # the first warms up
                    seconds[engine.name][kind].append(taken)
            rounds += 1
    return {
        name: (len(_QUERY_LENGTHS) / min(queries), len(_PASSAGE_LENGTHS) / min(passages))
        for name, (queries, passages) in seconds.items()
    }


def _seconds(engine: Engine, rows: Sequence[TokenRow], threads: Executor) -> float:
    """Return the time per batch when every lane of the engine has one."""
    start = time.perf_counter()
    for done in [threads.submit(run_rows, engine, rows) for _ in range(engine.lanes)]:
        done.result()
    return (time.perf_counter() - start) / engine.lanes


def _with_speed(item: TriedEngine, speeds: dict[EngineLabel, tuple[float, float]]) -> TriedEngine:
    queries, passages = speeds.get(item.trial.engine, (0.0, 0.0))
    return TriedEngine(item.engine, replace(item.trial, queries_per_second=queries, passages_per_second=passages))


def _speed(item: TriedEngine) -> float:
    """Return the geometric mean of the two speeds: a ratio counts the same in both."""
    return math.sqrt(item.trial.queries_per_second * item.trial.passages_per_second)


def _min_cosine(reference: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """Return the least cosine of two sets of vectors (rows, width), -1 where one is not finite."""
    if not np.isfinite(found).all():
        return -1.0
    left, right = (vectors.astype(np.float64) for vectors in (reference, found))
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    cosines = (left * right).sum(axis=1) / np.maximum(lengths, 1e-12)
    return float(cosines[lengths > 0].min(initial=1.0))


def _row_maker(rows: Sequence[TokenRow]) -> Callable[[Sequence[int]], list[TokenRow]]:
    """Return a maker of rows of wanted lengths from the tokens of real rows, different in every call."""
    tokens = [token for row in rows for token in row.ids]
    position = 0

    def make(lengths: Sequence[int]) -> list[TokenRow]:
        nonlocal position
        made = []
        for length in lengths:
            made.append(TokenRow([tokens[(position + offset) % len(tokens)] for offset in range(length)]))
            position += length
        return made

    return make
