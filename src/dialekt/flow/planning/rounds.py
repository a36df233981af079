"""What measurements for a plan have in common: how long they may take, rounds, and where they are kept."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from dialekt.errors import StorageError
from dialekt.models.engines.cache import default_root, machine_key
from dialekt.store.atomic import write_atomic
from dialekt.store.hashing import hash_json
from dialekt.types import Interval

LABEL = "measure"
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Effort:
    """How long measuring may take: seconds for documents, for queries, and for each search that is tried.

    `rows` are the sizes of the indexes; those whose vectors would take more than `most_bytes` are left out.
    """

    document_seconds: float = 8.0
    query_seconds: float = 4.0
    search_seconds: float = 0.2
    rows: tuple[int, ...] = (8_000, 20_000, 50_000)
    most_bytes: int = 400_000_000


@dataclass(frozen=True, slots=True)
class Kept:
    """Where measurements are kept; `again` measures although one is there."""

    folder: Path
    again: bool = False

    def read(self, name: str) -> str:
        """Return what is kept under a name; empty where nothing is, or where it is to be measured again."""
        try:
            return "" if self.again else (self.folder / name).read_text(encoding="utf-8")
        except OSError:
            return ""

    def write(self, name: str, text: str) -> None:
        """Keep a measurement; where nothing can be written, the next plan measures again."""
        with suppress(StorageError):
            write_atomic(self.folder / name, text)


def default_folder() -> Path:
    """Return $XDG_CACHE_HOME/dialekt/planning, or the same in ~/.cache."""
    return default_root().parent / "planning"


def key_of(what: dict[str, object]) -> str:
    """Return the key of a measurement: what was measured, on which machine, with which libraries and threads."""
    return hash_json({**what, "machine": machine_key(), "threads": os.environ.get("OMP_NUM_THREADS", "")})


def timed(work: Callable[[], object], seconds: float) -> list[float]:
    """Return the median seconds of a piece of work in each of some rounds."""
    work()
    medians = []
    for _ in range(ROUNDS):
        end = time.perf_counter() + seconds / ROUNDS
        taken: list[float] = []
        while not taken or time.perf_counter() < end:
            start = time.perf_counter()
            work()
            taken.append(time.perf_counter() - start)
        medians.append(median(taken))
    return medians


def interval(values: Sequence[float]) -> Interval:
    """Return the median of several rounds and their range."""
    return Interval(median(values), min(values), max(values))
