"""What documents alone can teach: base, each method and all of them, with training on pairs and without.

    python benchmarks/adaptation.py --beir FOLDER [FOLDER ...] --minutes 10

Every method is kept unasked here, so that it is measured whether it helps or not: NDCG@10 on test of the adapted model
as it is, and of the model that training on the pairs makes of it, each minus the same without adaptation, query by
query, with 95% intervals. `--minutes` limits each method's own training; training on pairs takes the steps of its plan,
as many in every row. With `--dev` one more row shows what the rule of the product, which asks dev, would have kept. A
project that is there already goes on.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.config import AdaptationMethod, ModelConfig
from dialekt.flow.journey import run
from dialekt.flow.project import Project, open_project
from dialekt.flow.records import StageName, StageRecord
from dialekt.flow.scores import read_ndcg
from dialekt.measures.metrics import NDCG, judge, score_run
from dialekt.measures.retrieval import dense_run, read_collection
from dialekt.measures.statistics import bootstrap_intervals
from dialekt.models.encoder import Encoder
from dialekt.models.vectors import VectorsInputs, load_vectors
from dialekt.models.vectors import run as make_vectors
from dialekt.store.tables import read_records
from dialekt.types import Qrel, Query, Split

Records = dict[StageName, StageRecord]

WAYS: tuple[tuple[str, tuple[AdaptationMethod, ...]], ...] = (
    *((method.value, (method,)) for method in AdaptationMethod),
    ("all", tuple(AdaptationMethod)),
)
TITLES = ("set", "way", "as it is", "minus base", "after training", "minus no adaptation", "adapting s", "passages/s")


@dataclass(frozen=True)
class Measured:
    """NDCG@10 of each test query (queries,): of the adapted model as it is, and after training."""

    zero_shot: NDArray[np.float64]
    tuned: NDArray[np.float64]


def main() -> None:
    """Adapt, train and measure on every folder, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beir", type=Path, nargs="+", required=True, help="BEIR folders with judgments")
    parser.add_argument("--minutes", type=float, default=10.0, help="of each method's own training; 0: no limit")
    parser.add_argument("--ways", nargs="*", default=[name for name, _ in WAYS], help="which rows; unset: every one")
    parser.add_argument("--folder", type=Path, default=None, help="where to work; unset: a temporary folder")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of every row")
    parser.add_argument("--dev", action="store_true", help="also ask dev what to keep of all methods")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="adaptation-"))
    print(f"| {' | '.join(TITLES)} |\n|{'---|' * len(TITLES)}")
    for beir in arguments.beir:
        home = folder / beir.name
        home.mkdir(parents=True, exist_ok=True)
        (home / "dialekt.toml").write_text(f'[corpus]\npath = "{beir.resolve()}"\n', encoding="utf-8")
        measure_set(home, arguments)


def measure_set(home: Path, arguments: argparse.Namespace) -> None:
    """Measure every way on one set."""
    limit = [f"adaptation.time_limit_minutes={arguments.minutes}"] if arguments.minutes else []
    settings = (*limit, *arguments.set)
    plain = walk(open_project(home, overrides=settings))
    scores = read_ndcg(plain[StageName.EVALUATION].folder)
    base = Measured(scores["base"], scores["tuned"])
    print(f"| {home.name} | base | {base.zero_shot.mean():.4f} | | {base.tuned.mean():.4f} | | | |", flush=True)
    for name, methods in WAYS:
        if name in arguments.ways:
            chosen = f"adaptation.methods={[method.value for method in methods]}"
            unasked = ("adaptation.keep=always", "adaptation.judged_by=zero_shot")
            show(home.name, name, base, walk(open_project(home, overrides=(*settings, chosen, *unasked))))
    if arguments.dev:
        chosen = f"adaptation.methods={[method.value for method in AdaptationMethod]}"
        found = walk(open_project(home, overrides=(*settings, chosen)))
        kept = ", ".join(found[StageName.ADAPTATION].facts["kept"]) or "nothing"
        show(home.name, f"dev kept {kept}", base, found)


def walk(project: Project) -> Records:
    """Walk the journey up to the evaluation; what was done before is skipped."""
    return {record.stage: record for record in run(project, until=StageName.EVALUATION)}


def show(name: str, way: str, base: Measured, found: Records) -> None:
    """Print one row."""
    facts = found[StageName.ADAPTATION].facts
    fitted = [one["fitted"] for one in facts["methods"] if one["fitted"]]
    tuned = read_ndcg(found[StageName.EVALUATION].folder)["tuned"]
    folder = found[StageName.ADAPTATION].folder / "model"
    as_it_is = zero_shot(found, folder) if folder.is_dir() else base.zero_shot
    seconds = sum(one["seconds"] for one in fitted)
    speed = sum(one["passages_per_second"] * one["seconds"] for one in fitted) / seconds if seconds else 0.0
    print(
        f"| {name} | {way} | {as_it_is.mean():.4f} | {difference(as_it_is, base.zero_shot)} | {tuned.mean():.4f} "
        f"| {difference(tuned, base.tuned)} | {seconds:.0f} | {speed:.0f} |",
        flush=True,
    )


def zero_shot(found: Records, model: Path) -> NDArray[np.float64]:
    """Return NDCG@10 of each test query (queries,) with a model that has seen no pair, in the order of their ids."""
    corpus, pairs = found[StageName.CORPUS].folder, found[StageName.PAIRS].folder
    with tempfile.TemporaryDirectory() as folder:
        encoder = Encoder.load(str(model), ModelConfig())
        make_vectors(encoder, VectorsInputs(corpus, pairs, (Split.TEST,)), Path(folder))
        judgments = judge(read_records(pairs / "qrels.parquet", Qrel), minimum_grade=1.0)
        queries = [one for one in read_records(pairs / "queries.parquet", Query) if one.split is Split.TEST]
        answers = dense_run(read_collection(corpus), load_vectors(Path(folder)), queries, depth=10)
    scores = score_run(answers, judgments)[NDCG]
    order = np.argsort(np.array(answers.query_ids))
    return np.asarray(scores[order], dtype=np.float64)


def difference(own: NDArray[np.float64], other: NDArray[np.float64]) -> str:
    """Return `+0.0123 (+0.0100 to +0.0150)`, paired by query."""
    gains = own - other
    low, high = bootstrap_intervals(gains[:, None], confidence=0.95, resamples=10_000, seed=13, bounds=(-1.0, 1.0))[0]
    return f"{gains.mean():+.4f} ({low:+.4f} to {high:+.4f})"


if __name__ == "__main__":
    main()
