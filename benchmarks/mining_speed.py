"""Hard-negative mining against `sentence_transformers.util.mine_hard_negatives`, side by side in one run.

    python benchmarks/mining_speed.py                                  # 5,000 documents, 2,000 queries
    python benchmarks/mining_speed.py --documents 18000 --queries 12000
    python benchmarks/mining_speed.py --beir FOLDER                    # the train qrels of a BEIR folder

Both sides use the real all-MiniLM-L6-v2, the same texts, the same depth, the same number of negatives and the same 95%
margin. Each part runs in a process of its own, so that its peak memory is its own. Embedding takes most of the time on
a CPU, so there are two comparisons: with embedding, and mining alone from vectors on disk (the peer's from its cache
folder). Ours is measured twice: with vectors only, as the peer does, and with BM25 candidates too, the default.
Our times include reading the artefacts and writing negatives and audit; loading libraries and model is left out on both
sides.
"""

import argparse
import importlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from dialekt.config import ModelConfig, NegativesConfig
from dialekt.corpus.docstrings import write_docstring_project
from dialekt.models.base import resolve_model
from dialekt.negatives.stage import NegativesInputs, run
from dialekt.negatives.tables import HeldOutDocument, KnownNegative
from dialekt.store.rows import read_rows
from dialekt.store.tables import read_records, write_records
from dialekt.types import Document, HardNegative, Pair, Qrel, Query, Retriever, Split

MODEL = "all-MiniLM-L6-v2"
ARTEFACTS = ("corpus", "pairs", "vectors")
BYTES_PER_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Settings:
    """What both sides are asked for."""

    folder: Path
    negatives: int
    depth: int
    margin: float

    @property
    def inputs(self) -> NegativesInputs:
        """The artefacts that our stage reads."""
        corpus, pairs, vectors = (self.folder / name for name in ARTEFACTS)
        return NegativesInputs(corpus, pairs, vectors, seed=1)


@dataclass(frozen=True)
class Measured:
    """One part: its seconds, the peak memory of its process, imports and model included, and what it found."""

    seconds: float
    peak_mebibytes: float
    negatives: int


def main() -> None:
    """Measure and print, or run one part for the process that measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=5000)
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--beir", type=Path, help="a BEIR folder; default: docstrings of installed libraries")
    parser.add_argument("--negatives", type=int, default=4)
    parser.add_argument("--depth", type=int, default=100)
    parser.add_argument("--part", choices=sorted(PARTS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        settings = Settings(arguments.folder, arguments.negatives, arguments.depth, 0.95)
        print(json.dumps(asdict(PARTS[arguments.part](settings))))
        return
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(Path(folder), arguments.negatives, arguments.depth, 0.95)
        write_artefacts(settings, arguments.beir, documents=arguments.documents, queries=arguments.queries)
        report(settings)


def write_artefacts(settings: Settings, beir: Path | None, *, documents: int, queries: int) -> None:
    """Write the artefacts that mining reads; the documents that answer the queries come first."""
    if beir is None:
        beir = settings.folder / "beir"
        beir.mkdir()
        write_docstring_project(beir, limit=documents)
    texts, contents, qrels = _read_beir(beir, documents=documents, queries=queries)
    for name in ARTEFACTS:
        (settings.folder / name).mkdir()
    inputs = settings.inputs
    corpus = [Document(name, text, parent_id=name, duplicate_of=name) for name, text in contents.items()]
    write_records(inputs.corpus / "documents.parquet", corpus, Document)
    searches = [Query(name, text, split=Split.TRAIN) for name, text in texts.items()]
    write_records(inputs.pairs / "queries.parquet", searches, Query)
    write_records(inputs.pairs / "qrels.parquet", qrels, Qrel)
    write_records(inputs.pairs / "held_out_documents.parquet", [], HeldOutDocument)
    write_records(inputs.pairs / "pairs.parquet", [Pair(qrel.query_id, qrel.document_id) for qrel in qrels], Pair)
    write_records(inputs.pairs / "known_negatives.parquet", [], KnownNegative)
    print(
        f"{len(texts)} queries, {len(contents)} documents, {len(qrels)} positives, {settings.negatives} negatives each"
    )


def _read_beir(beir: Path, *, documents: int, queries: int) -> tuple[dict[str, str], dict[str, str], list[Qrel]]:
    """Return query texts, document texts and positives of the train split, by id, texts that repeat left out."""
    found = {name: next(beir.glob(f"{name}.jsonl*")) for name in ("corpus", "queries")}
    everything: dict[str, str] = {}
    for row in read_rows(found["corpus"]):
        everything.setdefault(f"{row.values.get('title') or ''} {row.values['text']}".strip(), row.values["_id"])
    known = {name: text for text, name in everything.items()}
    texts = {row.values["_id"]: row.values["text"] for row in read_rows(found["queries"])}
    rows = [row.values for row in read_rows(beir / "qrels" / "train.tsv")]
    links = [(row["query-id"], row["corpus-id"]) for row in rows if float(row["score"]) > 0]
    wanted = list(dict.fromkeys(query for query, document in links if document in known))[:queries]
    qrels = [Qrel(query, document) for query, document in links if query in set(wanted) and document in known]
    order = dict.fromkeys([qrel.document_id for qrel in qrels] + list(known))
    return {name: texts[name] for name in wanted}, {name: known[name] for name in list(order)[:documents]}, qrels


def report(settings: Settings) -> None:
    """Run every part in its own process and print the ratios."""
    parts = {name: measure(name, settings) for name in PARTS}
    cold, cached, embedding = parts["peer"], parts["peer_cached"], parts["embedding"]
    print(f"{'':34s}{'peer':>10s}{'dialekt':>10s}{'ratio':>8s}")
    for label, ours in (("vectors only", parts["dense"]), ("BM25 and vectors", parts["default"])):
        print_row(f"seconds, {label}", cold.seconds, embedding.seconds + ours.seconds)
        print_row("  of which mining", cached.seconds, ours.seconds)
        print_row("peak MiB of the whole", cold.peak_mebibytes, max(embedding.peak_mebibytes, ours.peak_mebibytes))
        print_row("peak MiB of mining alone", cached.peak_mebibytes, ours.peak_mebibytes)
        print_row("negatives found", cached.negatives, ours.negatives)


def print_row(label: str, peer: float, ours: float) -> None:
    """Print what both sides took and how many times as much the peer took."""
    print(f"{label:34s}{peer:10.1f}{ours:10.1f}{peer / max(ours, 1e-9):8.2f}", flush=True)


def measure(part: str, settings: Settings) -> Measured:
    """Run one part in a process of its own."""
    arguments = {"part": part, "folder": settings.folder, "negatives": settings.negatives, "depth": settings.depth}
    options = [word for name, value in arguments.items() for word in (f"--{name}", str(value))]
    done = subprocess.run([sys.executable, __file__, *options], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{part} failed:\n{done.stderr[-2000:]}")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def mine_with_peer(settings: Settings) -> Measured:
    """Mine with sentence-transformers; vectors come from its cache folder when they are there."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.util import mine_hard_negatives

    inputs = settings.inputs
    contents = {item.id: item.content for item in read_records(inputs.corpus / "documents.parquet", Document)}
    texts = {item.id: item.text for item in read_records(inputs.pairs / "queries.parquet", Query)}
    pairs = read_records(inputs.pairs / "pairs.parquet", Pair)
    dataset = Dataset.from_dict(
        {
            "query": [texts[pair.query_id] for pair in pairs],
            "positive": [contents[pair.document_id] for pair in pairs],
        }
    )
    model = SentenceTransformer(str(resolve_model(MODEL)), device="cpu")
    began = time.perf_counter()
    mined = mine_hard_negatives(
        dataset,
        model,
        corpus=list(contents.values()),
        range_max=settings.depth,
        relative_margin=1 - settings.margin,
        num_negatives=settings.negatives,
        output_format="triplet",
        verbose=False,
        cache_folder=str(settings.folder / "peer"),
    )
    seconds = time.perf_counter() - began
    negatives = len(set(zip(mined["query"], mined["negative"], strict=True)))
    return Measured(seconds, peak_mebibytes(), negatives)


def embed(settings: Settings) -> Measured:
    """Write the vectors artefact with our encoder."""
    from dialekt.models import vectors
    from dialekt.models.encoder import Encoder

    encoder = Encoder.load(MODEL, ModelConfig(device="cpu"))
    inputs = vectors.VectorsInputs(settings.inputs.corpus, settings.inputs.pairs, (Split.TRAIN,))
    began = time.perf_counter()
    vectors.run(encoder, inputs, settings.inputs.vectors)
    return Measured(time.perf_counter() - began, peak_mebibytes(), 0)


def mine_with_dialekt(settings: Settings, *retrievers: Retriever) -> Measured:
    """Run our stage on the artefacts; the libraries that it loads on first use are loaded before."""
    for library in ("bm25s", "Stemmer", "dialekt.models.vectors"):
        importlib.import_module(library)
    config = NegativesConfig(
        per_query=settings.negatives, depth=settings.depth, margin=settings.margin, retrievers=retrievers
    )
    out = settings.folder / f"negatives-{'-'.join(retrievers)}"
    out.mkdir()
    began = time.perf_counter()
    run(config, settings.inputs, out)
    seconds, peak = time.perf_counter() - began, peak_mebibytes()
    return Measured(seconds, peak, len(read_records(out / "negatives.parquet", HardNegative)))


def peak_mebibytes() -> float:
    """Return the largest resident memory of this process so far.

    Linux keeps it per program in /proc; getrusage would carry over what the parent process held when it forked.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / BYTES_PER_MEBIBYTE  # macOS counts in bytes
    kibibytes = next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(kibibytes) / 1024


PARTS: dict[str, Callable[[Settings], Measured]] = {
    "peer": mine_with_peer,
    "peer_cached": mine_with_peer,
    "embedding": embed,
    "dense": lambda settings: mine_with_dialekt(settings, Retriever.DENSE),
    "default": lambda settings: mine_with_dialekt(settings, Retriever.BM25, Retriever.DENSE),
}


if __name__ == "__main__":
    main()
