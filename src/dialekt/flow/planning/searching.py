"""How fast this machine fills an index and searches it: indexes of made vectors, searched at several sizes."""

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.config import IndexEngine, Quantization
from dialekt.flow.clock import now
from dialekt.flow.planning.rounds import LABEL, ROUNDS, Effort, Kept, interval, key_of, timed
from dialekt.index.engines.base import VectorEngine, open_engine
from dialekt.index.records import EngineSpec, FirstStage, Rows, SearchSettings
from dialekt.models.engines.lanes import cpu_count
from dialekt.planning.calibration import SearchSpeed, SearchTrial, search_from_json, to_json
from dialekt.planning.records import Layout, Partitions
from dialekt.types import Interval, Progress, ReportProgress, no_progress

OVERSAMPLING = 8.0
RESULTS = 10
_CHUNK_ROWS = 4_096
_CENTRES, _NOISE, _QUERIES = 64, 0.8, 64


def search_speed(
    layouts: Sequence[Layout],
    partitions: Partitions,
    kept: Kept,
    *,
    effort: Effort,
    progress: ReportProgress = no_progress,
) -> SearchSpeed:
    """Return how fast this machine fills and searches an engine that keeps its vectors in files.

    The smallest and the largest codes of each quantisation are measured, in indexes of made vectors. Raises
    `MissingExtraError` where the engine is not installed.
    """
    key = key_of({"layouts": [asdict(one) for one in layouts], "partitions": asdict(partitions), "rows": effort.rows})
    name = f"search-{layouts[0].engine.value}-{key[:16]}.json"
    known = search_from_json(kept.read(name), key)
    if known is not None:
        return known
    found = _Searching(ends(layouts), partitions, effort, progress).measure()
    kept.write(name, to_json(key, found))
    return found


def ends(layouts: Sequence[Layout]) -> list[Layout]:
    """Return the layouts that tell how an engine's time grows: smallest and largest codes of each quantisation."""
    found: list[Layout] = []
    for stage, kind in dict.fromkeys((one.first_stage, one.quantization) for one in layouts):
        same = [one for one in layouts if (one.first_stage, one.quantization) == (stage, kind)]
        found += dict.fromkeys((max(same, key=_size), min(same, key=_size)))
    return found


def _size(layout: Layout) -> int:
    return layout.searched


def spec_of(layout: Layout) -> EngineSpec:
    """Return what an index version of a layout is made of."""
    first = FirstStage(layout.searched, layout.quantization) if layout.first_stage else None
    return EngineSpec(layout.engine, layout.dimension, first)


class _Searching:
    """Indexes of made vectors in a temporary folder, filled step by step and searched at every size."""

    def __init__(self, layouts: Sequence[Layout], partitions: Partitions, effort: Effort, progress: ReportProgress):
        self._layouts, self._partitions, self._effort, self._progress = layouts, partitions, effort, progress
        dimension = layouts[0].dimension
        fitting = [rows for rows in effort.rows if 4 * rows * dimension <= effort.most_bytes]
        self._sizes = fitting or [max(_CHUNK_ROWS, effort.most_bytes // (4 * dimension))]
        self._vectors = made_vectors(max(self._sizes), dimension, seed=1)
        self._asked = made_vectors(_QUERIES, dimension, seed=2)
        self._steps = len(layouts) * len(self._sizes)
        self._done = 0

    def measure(self) -> SearchSpeed:
        """Fill and search every layout at every size."""
        engine = self._layouts[0].engine
        shared = engine is IndexEngine.EXACT  # its codes are made when it is opened: one file serves every layout
        rates: list[float] = []
        trials: list[SearchTrial] = []
        for layouts in [self._layouts] if shared else [[one] for one in self._layouts]:
            with tempfile.TemporaryDirectory(prefix="dialekt-plan-") as folder:
                home = Path(folder) / "version"
                for before, rows in itertools.pairwise([0, *self._sizes]):
                    rates.append(self._fill(layouts[0], home, before, rows))
                    trials += [self._search(one, home, rows) for one in layouts]
        return SearchSpeed(
            measured_at=now(), engine=engine, oversampling=OVERSAMPLING, load=interval(rates), trials=tuple(trials)
        )

    def _fill(self, layout: Layout, home: Path, before: int, rows: int) -> float:
        """Bring an index to a size; return the rows per second, its indexes made anew included."""
        with _opened(layout, home) as engine:
            start = time.perf_counter()
            for first in range(before, rows, _CHUNK_ROWS):
                engine.load(made_rows(self._vectors[first : min(first + _CHUNK_ROWS, rows)], first=first))
            engine.finish()
            return (rows - before) / (time.perf_counter() - start)

    def _search(self, layout: Layout, home: Path, rows: int) -> SearchTrial:
        self._progress(Progress(LABEL, self._done, self._steps, note=f"{layout.name}, {rows:,} rows"))
        self._done += 1
        seconds = self._effort.search_seconds
        with _opened(layout, home) as engine:
            engine.finish()
            settings = SearchSettings(oversampling=OVERSAMPLING)
            turns = itertools.cycle(range(len(self._asked)))

            def ask() -> None:
                place = next(turns)
                engine.search(self._asked[place : place + 1], RESULTS, settings=settings)

            alone, service = interval(timed(ask, seconds)), _busy(ask, seconds)
        is_lance = layout.engine is IndexEngine.LANCEDB
        return SearchTrial(
            first_stage=layout.first_stage,
            dimensions=layout.searched,
            quantization=layout.quantization if layout.first_stage else Quantization.NONE,
            rows=rows,
            read_rows=self._partitions.read_rows(rows) if is_lance else float(rows),
            alone=alone,
            service=service,
        )


@contextmanager
def _opened(layout: Layout, home: Path) -> Iterator[VectorEngine]:
    engine = open_engine(spec_of(layout), name="plan", folder=home, url=None)
    try:
        yield engine
    finally:
        engine.close()


def _busy(ask: Callable[[], None], seconds: float) -> Interval:
    """Return the machine's seconds per search while every core asks."""
    cores = cpu_count()

    def keep_asking(end: float) -> int:
        count = 0
        while time.perf_counter() < end:
            ask()
            count += 1
        return count

    found = []
    with ThreadPoolExecutor(cores) as threads:
        for _ in range(ROUNDS):
            start = time.perf_counter()
            asking = [threads.submit(keep_asking, start + seconds / ROUNDS) for _ in range(cores)]
            count = sum(one.result() for one in asking)
            found.append((time.perf_counter() - start) / max(1, count))
    return interval(found)


def made_vectors(count: int, dimension: int, *, seed: int) -> NDArray[np.float32]:
    """Return unit vectors (count, dimension) around the same centres for every seed."""
    centres = np.random.default_rng(11).standard_normal((_CENTRES, dimension), dtype=np.float32)
    draw = np.random.default_rng(seed)
    vectors = centres[draw.integers(0, _CENTRES, count)]
    for start in range(0, count, _CHUNK_ROWS):
        part = vectors[start : start + _CHUNK_ROWS]
        part += np.float32(_NOISE) * draw.standard_normal(part.shape, dtype=np.float32)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return vectors


def made_rows(vectors: NDArray[np.float32], *, first: int) -> Rows:
    """Return rows of made vectors with numbered ids from `first` on, and without tags."""
    ids = tuple(f"u{number:08d}" for number in range(first, first + len(vectors)))
    return Rows(ids, ids, ids, ((),) * len(ids), ("plan",) * len(ids), vectors)
