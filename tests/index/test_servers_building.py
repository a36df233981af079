"""An index is built in PostgreSQL while the server is killed: the build goes on, and nothing is lost."""

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tests.index.engines import unit
from tests.index.postgres_server import PostgresServer

from dialekt.config import IndexEngine
from dialekt.index.building import fill
from dialekt.index.checksums import engine_checksum
from dialekt.index.opened import OpenIndex
from dialekt.index.records import EngineSpec
from dialekt.store.hashing import hash_text
from dialekt.types import Document, Progress, Role

DIMENSION = 16


def _embed(texts: Sequence[str], role: Role) -> NDArray[np.float32]:
    """Return a vector that a text alone decides."""
    del role
    seeds = [int(hash_text(text)[:8], 16) for text in texts]
    return unit(np.array([np.random.default_rng(seed).normal(size=DIMENSION) for seed in seeds]))


def test_a_build_goes_on_when_the_server_is_killed_under_it(mortal_postgres: PostgresServer, tmp_path: Path) -> None:
    """Killed with -9 twice in a build and once before the log is applied, the server ends up with every document."""
    opened = OpenIndex.open(tmp_path, url=mortal_postgres.url, create=True)
    opened.documents.write([Document(f"d{n}", f"text {n}", metadata={"lang": "de"}) for n in range(600)])
    version = opened.catalogue.add_version("space", EngineSpec(IndexEngine.PGVECTOR, DIMENSION), created="now").name
    starting: list[threading.Thread] = []

    def kill() -> None:
        for thread in starting:
            thread.join()
        mortal_postgres.kill()
        starting.append(threading.Thread(target=mortal_postgres.start))
        starting[-1].start()

    def kill_twice(progress: Progress) -> None:
        if progress.label == "embed" and progress.done in {200, 500}:
            kill()

    facts = fill(opened, version, _embed, chunk_documents=100, progress=kill_twice)
    assert (facts.embedded, len(starting)) == (600, 2)
    changed = [Document(f"d{n}", f"new {n}") for n in range(50)]
    opened.documents.write(changed, deleted=[f"d{n}" for n in range(100, 150)])
    opened.documents.patch({f"d{n}": {"lang": "en"} for n in range(200, 260)})
    kill()
    opened.apply(version, _embed)
    starting[-1].join()
    assert engine_checksum(opened.engine(version)) == opened.documents.checksum()[0]
    assert opened.engine(version).count() == 550
    opened.close()
