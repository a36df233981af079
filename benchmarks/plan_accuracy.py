"""A capacity plan against the index that it speaks of: bytes, time to fill it, time of a search.

    python -m benchmarks.plan_accuracy
    python -m benchmarks.plan_accuracy --engines lancedb --rows 100000 400000 --dimension 768

The engines are measured as `dialekt plan` does, on small indexes of made vectors, and asked what larger ones will take.
Then those are really built, and searched one query at a time and with every core at once. Printed is planned by built:
1.00 is a plan that came true. Run it on a quiet machine: the ratio of times is one of this run.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from dialekt.config import IndexEngine
from dialekt.flow.planning.plan import PARTITIONS
from dialekt.flow.planning.rounds import Effort, Kept, timed
from dialekt.flow.planning.searching import OVERSAMPLING, RESULTS, made_rows, made_vectors, search_speed, spec_of
from dialekt.index.engines.base import open_engine
from dialekt.index.records import SearchSettings
from dialekt.models.contract import default_matryoshka_dimensions
from dialekt.planning.calibration import SearchSpeed
from dialekt.planning.choices import layouts_of
from dialekt.planning.records import Layout, RowShape
from dialekt.planning.storage import stored

CHUNK_ROWS = 4_096
ID_BYTES = 9.0  # of the made rows
SECONDS = 2.0


def main() -> None:
    """Print a row per engine, layout and size."""
    asked = arguments()
    print(f"{'engine':<9}{'searched first':<16}{'rows':>10}{'disk':>8}{'first':>8}{'fill':>8}{'search':>8}")
    for name in asked.engines:
        layouts = layouts_of(IndexEngine(name), default_matryoshka_dimensions(asked.dimension))
        with tempfile.TemporaryDirectory() as folder:
            speed = search_speed(layouts, PARTITIONS, Kept(Path(folder)), effort=Effort())
        chosen = [layouts[0], *(one for one in layouts if one.name in asked.layouts)]
        for layout in chosen:
            for rows in asked.rows:
                ratios = compare(layout, speed, rows)
                cells = "".join(f"{ratio:>8.2f}" for ratio in ratios)
                print(f"{name:<9}{layout.name:<16}{rows:>10,}{cells}", flush=True)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", nargs="+", default=["exact", "lancedb"], choices=["exact", "lancedb"])
    parser.add_argument("--rows", nargs="+", type=int, default=[100_000, 300_000])
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--layouts", nargs="*", default=["128 int8", "384 binary"])
    return parser.parse_args()


def compare(layout: Layout, speed: SearchSpeed, rows: int) -> Sequence[float]:
    """Return planned by built: bytes on disk, bytes that a search reads, seconds to fill, seconds of a search."""
    expected = stored(layout, RowShape(ID_BYTES, ID_BYTES), rows=rows, partitions=PARTITIONS)
    is_lance = layout.engine is IndexEngine.LANCEDB
    read = PARTITIONS.read_rows(rows) if is_lance else float(rows)
    vectors, queries = made_vectors(rows, layout.dimension, seed=3), made_vectors(64, layout.dimension, seed=4)
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(spec_of(layout), name="plan", folder=Path(folder) / "v", url=None)
        try:
            start = time.perf_counter()
            for first in range(0, rows, CHUNK_ROWS):
                engine.load(made_rows(vectors[first : first + CHUNK_ROWS], first=first))
            engine.finish()
            filled = time.perf_counter() - start
            turns = iter(range(10**9))

            def ask() -> None:
                place = next(turns) % len(queries)
                settings = SearchSettings(oversampling=OVERSAMPLING)
                engine.search(queries[place : place + 1], RESULTS, settings=settings)

            searched = sorted(timed(ask, SECONDS))[2]
            size = engine.size()
        finally:
            engine.close()
    codes = expected.memory if is_lance else size.first_stage_bytes / rows  # memory of exact search is objects, too
    return (
        rows * (expected.disk + expected.building) / size.disk_bytes,
        rows * codes / size.first_stage_bytes,
        rows / speed.load.value / filled,
        speed.alone(layout).seconds(read, layout.searched).value / searched,
    )


if __name__ == "__main__":
    main()
