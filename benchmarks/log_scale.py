"""The log room at scale: rows per second and peak memory over a made log of many impressions.

    python benchmarks/log_scale.py                              # 50 million rows, Parquet
    python benchmarks/log_scale.py --rows 2000000 --format csv
    python benchmarks/log_scale.py --memory-limit 2GB --folder /big/disk

The log is made first, in pieces, and is not timed: pages of ten documents, queries and documents of Zipf-like
frequency, clicks that fall with the rank, clients and times over eight weeks. The stage (reading, cleaning, evidence)
runs in a process of its own, so that its peak memory is its own, libraries included.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from dialekt.config import CleaningConfig, LogsConfig
from dialekt.logs.records import LogsInputs
from dialekt.logs.stage import run
from dialekt.types import Progress

PAGE = 10
ROWS_PER_PIECE = 5_000_000
QUERIES = 300_000
DOCUMENTS_PER_QUERY = 30
SEARCHES_PER_CLIENT = 8
START = 1_700_000_000
SECONDS = 56 * 24 * 3600
KIBIBYTES_PER_MEBIBYTE = 1024


@dataclass
class Clock:
    """The seconds of each step, as its progress reports tell them."""

    seconds: dict[str, float] = field(default_factory=dict)
    _last: float = field(default_factory=time.perf_counter)
    _label: str = ""

    def __call__(self, progress: Progress) -> None:
        """Note when one step gives way to the next."""
        if progress.label != self._label:
            self.stop()
            self._label = progress.label

    def stop(self) -> None:
        """End the running step."""
        now = time.perf_counter()
        if self._label:
            self.seconds[self._label] = self.seconds.get(self._label, 0.0) + now - self._last
        self._last = now


def main() -> None:
    """Make the log, run the stage on it, print what it took; or be the process that runs the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000_000)
    parser.add_argument("--format", choices=("parquet", "csv"), default="parquet")
    parser.add_argument("--memory-limit", default="")
    parser.add_argument("--folder", type=Path, help="where log and scratch files go; default: a temporary folder")
    parser.add_argument("--part", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        print(json.dumps(measure(arguments.part, arguments.memory_limit)))
        return
    if arguments.folder:
        arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        size = make_log(Path(folder) / "log", arguments.rows, arguments.format)
        print(f"log: {arguments.rows:,} rows, {size / 2**20:,.0f} MiB of {arguments.format}")
        command = [sys.executable, __file__, "--part", folder, "--memory-limit", arguments.memory_limit]
        answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    for label, seconds in answer["steps"].items():
        print(f"  {seconds:7.1f} s  {label}")
    print(f"{answer['lines'] / answer['seconds']:,.0f} rows/s ({answer['seconds']:,.1f} s in all)")
    print(f"peak memory {answer['peak_mebibytes']:,.0f} MiB")
    print(f"{answer['queries']:,} queries, positives {answer['positives']}")


def measure(folder: Path, memory_limit: str) -> dict[str, object]:
    """Run the stage and return its seconds and its peak memory."""
    clock = Clock()
    config = LogsConfig(path=(str(folder / "log"),), memory_limit=memory_limit)
    inputs = LogsInputs(CleaningConfig(), corpus=None, dev_share=0.1, test_share=0.1, seed=1)
    start = time.perf_counter()
    facts = run(config, inputs, folder / "out", progress=clock)
    seconds = time.perf_counter() - start
    clock.stop()
    return {
        "seconds": seconds,
        "steps": clock.seconds,
        "lines": facts.intake.lines,
        "queries": facts.queries,
        "positives": dict(facts.evidence.positives),
        "peak_mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIBIBYTES_PER_MEBIBYTE,
    }


def make_log(folder: Path, rows: int, kind: str) -> int:
    """Write the log in pieces and return its size in bytes."""
    folder.mkdir()
    generator = np.random.default_rng(7)
    searches = rows // PAGE
    clients = max(searches // SEARCHES_PER_CLIENT, 1)
    for first in range(0, searches, ROWS_PER_PIECE // PAGE):
        count = min(ROWS_PER_PIECE // PAGE, searches - first)
        table = make_piece(generator, first, count, clients=clients)
        path = folder / f"piece-{first:012d}.{kind}"
        if kind == "parquet":
            pq.write_table(table, path, compression="zstd")
        else:
            pyarrow.csv.write_csv(table, path)
    return sum(file.stat().st_size for file in folder.iterdir())


def make_piece(generator: np.random.Generator, first: int, count: int, *, clients: int) -> pa.Table:
    """Return the rows of some searches: each shows ten of its query's documents, the better ones nearer the top."""
    query = np.minimum(generator.zipf(1.2, count) - 1, QUERIES - 1)
    order = generator.random((count, DOCUMENTS_PER_QUERY)) + np.arange(DOCUMENTS_PER_QUERY) / DOCUMENTS_PER_QUERY
    shown = np.argsort(order, axis=1)[:, :PAGE]  # (searches, page)
    examined = generator.random((count, PAGE)) < 1 / np.arange(1, PAGE + 1)
    clicked = examined & (generator.random((count, PAGE)) < np.where(shown < 3, 0.5, 0.08))
    moment = np.sort(generator.integers(0, SECONDS, count)) + START
    return pa.table(
        {
            "search_id": np.repeat(np.arange(first, first + count), PAGE),
            "client_id": np.repeat(generator.integers(0, clients, count), PAGE),
            "query": pa.array(np.char.add("query number ", query.astype(str))).take(
                pa.array(np.repeat(np.arange(count), PAGE))
            ),
            "doc_id": (query[:, None] * DOCUMENTS_PER_QUERY + shown).ravel(),
            "rank": np.tile(np.arange(1, PAGE + 1, dtype=np.int32), count),
            "clicked": clicked.ravel(),
            "timestamp": np.repeat(moment, PAGE),
        }
    )


if __name__ == "__main__":
    main()
