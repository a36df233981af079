"""Two stages against full search: the advice on a first stage, and what it keeps on queries that had no say in it.

    python benchmarks/index_two_stage.py --beir FOLDER FOLDER --cache vectors
    python benchmarks/index_two_stage.py --project FOLDER --vectors tuned_vectors --target 0.99

A BEIR folder is encoded with --model, once with --cache; its train and dev queries are advised on. A finished project's
vectors are taken as they are; only its dev queries are advised on, since the model has seen the others. Then the
recommended first stage is built in every engine of --engines, and at most 1,000 test queries are searched: with the
oversampling that was advised, and with settings tuned to recall@10 as every build does by itself. Printed are the share
of full search's NDCG@10 with its paired interval, the first stage's memory against float32, and the median latency of
single queries beside exact search over full vectors in the same engine.
"""

import argparse
import hashlib
import os
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
from numpy.typing import NDArray

from dialekt.config import IndexEngine, ModelConfig
from dialekt.flow.artefacts import ArtefactStore
from dialekt.flow.project import open_project
from dialekt.flow.records import StageName
from dialekt.index.advising import Advice, advise, name_of
from dialekt.index.engines.base import VectorEngine, open_engine
from dialekt.index.records import EngineSpec, FirstStage, Rows, SearchSettings
from dialekt.index.tuning import tune
from dialekt.measures.metrics import CUTOFF, GainTable, judge, ndcg, tabulate
from dialekt.measures.shares import share_intervals
from dialekt.models.contract import default_matryoshka_dimensions
from dialekt.models.vectors import load_vectors
from dialekt.report.advice import write_advice
from dialekt.store.rows import read_rows
from dialekt.store.tables import read_records
from dialekt.types import Document, Qrel, Query, Role, Split

CHUNK_ROWS = 4_096
MOST_QUERIES = 1_000


@dataclass(frozen=True, eq=False)
class Searches:
    """Judged queries of one side: their vectors and NDCG@10 for a ranking of units."""

    vectors: NDArray[np.float32]
    table: GainTable
    places: dict[str, int]

    def score(self, rows: Sequence[int], rankings: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Return NDCG@10 of the rankings; chunks of one document count as that document, once."""
        ranked = np.full((len(self.vectors), CUTOFF), -1, dtype=np.int64)
        for row, ranking in zip(rows, rankings, strict=True):
            documents = list(dict.fromkeys(self.places[unit] for unit in ranking))[:CUTOFF]
            ranked[row, : len(documents)] = documents
        return ndcg(ranked, self.table)[list(rows)]


@dataclass(frozen=True, eq=False)
class Material:
    """A corpus as vectors of its units, the queries to advise on, and the queries to measure with."""

    name: str
    unit_ids: tuple[str, ...]
    unit_vectors: NDArray[np.float32]
    advised: Searches
    test: Searches


@dataclass(frozen=True)
class Run:
    """One way to search the test queries: scores per query and the median milliseconds of one."""

    scores: NDArray[np.float64]
    milliseconds: float


def read_beir(folder: Path, *, model: str, cache: Path | None) -> Material:
    """Encode a BEIR folder, or take its vectors from the cache."""
    corpus = {
        str(row.values["_id"]): f"{row.values.get('title') or ''} {row.values['text']}".strip()
        for row in read_rows(_file(folder, "corpus.jsonl"))
    }
    texts = {str(row.values["_id"]): str(row.values["text"]) for row in read_rows(_file(folder, "queries.jsonl"))}
    qrels = {
        path.stem: [
            Qrel(str(row.values["query-id"]), str(row.values["corpus-id"]), float(row.values["score"]))
            for row in read_rows(path)
        ]
        for path in sorted((folder / "qrels").glob("*.tsv"))
    }
    encoded = encode(model, {Role.DOCUMENT: list(corpus.values()), Role.QUERY: list(texts.values())}, cache)
    queries = dict(zip(texts, encoded[Role.QUERY], strict=True))
    parents = {name: name for name in corpus}
    sides = (qrels.get("train", []) + qrels.get("dev", []), qrels["test"])
    advised, test = (searches(queries, side, parents) for side in sides)
    return Material(folder.name, tuple(corpus), encoded[Role.DOCUMENT], advised, test)


def read_project(folder: Path, stage: StageName) -> Material:
    """Take the vectors, the corpus and the split of a finished project."""
    store = ArtefactStore(open_project(folder).artefacts)
    folders = [store.latest_folder(name) for name in (stage, StageName.CORPUS, StageName.SPLIT)]
    vectors_folder, corpus, split = (one or folder for one in folders)
    vectors = load_vectors(vectors_folder)
    parents = {item.id: item.parent_id or item.id for item in read_records(corpus / "documents.parquet", Document)}
    sides = {query.id: query.split for query in read_records(split / "queries.parquet", Query)}
    qrels = read_records(split / "qrels.parquet", Qrel)
    queries = dict(zip(vectors.query_ids, vectors.query_vectors, strict=True))
    advised, test = (
        searches(queries, [qrel for qrel in qrels if sides.get(qrel.query_id) == side], parents)
        for side in (Split.DEV, Split.TEST)
    )
    return Material(folder.name, tuple(vectors.document_ids), vectors.document_vectors, advised, test)


def searches(queries: dict[str, NDArray[np.float32]], qrels: Sequence[Qrel], parents: dict[str, str]) -> Searches:
    """Lay out the judged queries of one side, or as many as are measured, in random order."""
    judgments = judge(qrels, minimum_grade=1)
    query_ids = sorted(name for name in judgments.grades if name in queries)
    random.Random(1).shuffle(query_ids)
    del query_ids[MOST_QUERIES:]
    documents = {name: place for place, name in enumerate(dict.fromkeys(parents.values()))}
    table = tabulate(judgments, query_ids=query_ids, document_ids=list(documents))
    places = {unit: documents[parent] for unit, parent in parents.items()}
    return Searches(np.stack([queries[name] for name in query_ids]), table, places)


def encode(model: str, texts: dict[Role, list[str]], cache: Path | None) -> dict[Role, NDArray[np.float32]]:
    """Return the vectors of both sides, from the cache where these texts were encoded before."""
    digest = hashlib.blake2b(model.encode(), digest_size=8)
    for text in (text for side in texts.values() for text in side):
        digest.update(text.encode())
    path = cache / f"{digest.hexdigest()}.npz" if cache else None
    if path and path.is_file():
        with np.load(path) as held:
            return {role: held[role.value] for role in texts}
    from dialekt.models.encoder import Encoder

    encoder = Encoder.load(model, ModelConfig())
    vectors = {role: encoder.encode(side, role) for role, side in texts.items()}
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, document=vectors[Role.DOCUMENT], query=vectors[Role.QUERY])
    return vectors


def _file(folder: Path, name: str) -> Path:
    return next(path for path in (folder / name, folder / f"{name}.gz") if path.is_file())


def fill(engine: VectorEngine, material: Material) -> None:
    """Store all units."""
    for start in range(0, len(material.unit_ids), CHUNK_ROWS):
        ids = material.unit_ids[start : start + CHUNK_ROWS]
        empty = ("",) * len(ids)
        vectors = np.ascontiguousarray(material.unit_vectors[start : start + CHUNK_ROWS])
        engine.load(Rows(ids, ids, empty, ((),) * len(ids), empty, vectors))
    engine.finish()


def search(engine: VectorEngine, asked: Searches, settings: SearchSettings) -> Run:
    """Search for every query alone."""
    seconds, rankings = [], []
    for query in asked.vectors:
        start = time.perf_counter()
        (found,) = engine.search(query[None], CUTOFF, settings=settings)
        seconds.append(time.perf_counter() - start)
        rankings.append(found.ids)
    return Run(asked.score(range(len(rankings)), rankings), statistics.median(seconds) * 1_000)


def compare(material: Material, advice: Advice, kinds: Sequence[IndexEngine], target: float) -> None:
    """Print what the recommended first stage keeps in every engine."""
    assert advice.recommended is not None
    stage, wanted = advice.recommended.first_stage, advice.recommended.oversampling
    columns = ("engine and oversampling", "recall@10", "share of NDCG@10", "95% interval", "ms", "full ms")
    print(f"  {columns[0]:34}{columns[1]:>10}{columns[2]:>18}{columns[3]:>18}{columns[4]:>8}{columns[5]:>9}")
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder:
            full, short = (build(kind, material, one, Path(folder) / name) for one, name in ((None, "a"), (stage, "b")))
            spec = EngineSpec(kind, advice.dimension, stage)
            reference = search(full, material.test, SearchSettings(exact=True))
            for label, oversampling in (("advised", wanted), ("tuned", None)):
                tuned = tune(short, spec, material.advised.vectors[:500], target=target, oversampling=oversampling)
                run = search(short, material.test, tuned.settings)
                (share,) = share_intervals(run.scores[:, None], reference.scores, seed=1)
                name = f"{kind.value}, {label} {tuned.settings.oversampling:g}"
                between = f"{share.low:.4f} to {share.high:.4f}"
                print(
                    f"  {name:34}{tuned.recall:10.4f}{share.value:18.4f}{between:>18}{run.milliseconds:8.2f}"
                    f"{reference.milliseconds:9.2f}",
                    flush=True,
                )
            full.close()
            short.close()


def build(kind: IndexEngine, material: Material, stage: FirstStage | None, folder: Path) -> VectorEngine:
    """Return an engine that holds the material."""
    spec = EngineSpec(kind, material.unit_vectors.shape[1], stage)
    engine = open_engine(spec, name="benchmark", folder=folder, url=None)
    fill(engine, material)
    return engine


def report(material: Material, options: argparse.Namespace) -> None:
    """Advise, print, and measure on the test queries."""
    start = time.perf_counter()
    advice = advise(
        material.unit_vectors,
        material.advised.vectors,
        ids=material.unit_ids,
        dimensions=default_matryoshka_dimensions(material.unit_vectors.shape[1]),
        score=material.advised.score,
        target=options.target,
    )
    seconds = time.perf_counter() - start
    print(f"{material.name}: {advice.documents:,} units, {advice.choosing} + {advice.confirming} queries to advise on,")
    print(f"  {len(material.test.vectors)} test queries, {seconds:.0f} s of measuring; {advice.reason}")
    if options.page:
        folder = options.page / material.name
        folder.mkdir(parents=True, exist_ok=True)
        write_advice(advice, folder, project=material.name, created="")
    if (best := advice.recommended) is None:
        return
    kept = best.confirmed
    print(
        f"  {name_of(best)}: 1/{1 / best.memory_share:.3g} of float32 memory, {kept.value:.4f} of full search's "
        f"{advice.metric} ({kept.low:.4f} to {kept.high:.4f}) on the half that did not choose"
    )
    compare(material, advice, [IndexEngine(name) for name in options.engines], options.target)


def main() -> None:
    """Measure and print, one set after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beir", type=Path, nargs="*", default=[], help="folders with corpus, queries and qrels")
    parser.add_argument("--project", type=Path, nargs="*", default=[], help="folders of finished projects")
    parser.add_argument("--vectors", default="tuned_vectors", choices=("base_vectors", "tuned_vectors"))
    parser.add_argument("--model", default="all-MiniLM-L6-v2")
    parser.add_argument("--cache", type=Path, help="folder for the vectors of BEIR folders")
    parser.add_argument("--engines", nargs="*", default=["exact", "lancedb"])
    parser.add_argument("--target", type=float, default=0.99)
    parser.add_argument("--page", type=Path, help="write advice.html per set into this folder")
    options = parser.parse_args()
    for folder in options.beir:
        report(read_beir(folder, model=options.model, cache=options.cache), options)
    for folder in options.project:
        report(read_project(folder, StageName(options.vectors)), options)


if __name__ == "__main__":
    main()
