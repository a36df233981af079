"""A process that loads rows into an engine until it is killed, and prints the number of every batch that is stored.

python load_until_killed.py ENGINE NAME FOLDER DIMENSION load|upsert [URL]
"""

import sys
from pathlib import Path

from dialekt.config import IndexEngine
from dialekt.index.engines.base import open_engine
from dialekt.index.records import EngineSpec

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.index.engines import clustered, rows_of

BATCH = 50


def main() -> None:
    """Load batches for ever."""
    engine_name, name, folder, dimension, way, *url = sys.argv[1:]
    spec = EngineSpec(IndexEngine(engine_name), int(dimension))
    engine = open_engine(spec, name=name, folder=Path(folder), url=url[0] if url else None)
    store = engine.load if way == "load" else engine.upsert
    batch = 0
    while True:
        store(rows_of(clustered(BATCH, int(dimension), seed=batch), first=batch * BATCH))
        print(batch, flush=True)  # noqa: T201 - the parent reads it
        batch += 1


if __name__ == "__main__":
    main()
