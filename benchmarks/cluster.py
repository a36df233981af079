"""A Ray cluster of this machine against one process: what comes out is the same, although workers are killed.

    python -m benchmarks.cluster --beir FOLDER
    python -m benchmarks.cluster --beir FOLDER --workers 4 --folder out --set training.epochs=1

One project walks to its evaluation in this process, a second one, on the same settings, with the workers of a local Ray
cluster; there one worker is killed while texts are encoded and one while the model is trained. Printed are the largest
difference of any vector's component, whether the files of negatives and their audit are the same bytes, the largest
difference of any weight, NDCG@10 on dev and test both ways, and the seconds of each stage. Processes that share two
cores are no faster than one: run it on a machine with more to see what dividing brings.
"""

import argparse
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from safetensors.numpy import load_file

from dialekt.cluster.connection import import_ray
from dialekt.evaluation.records import facts_from_json
from dialekt.flow.journey import run
from dialekt.flow.project import open_project
from dialekt.flow.records import SilentObserver, StageName, StageRecord
from dialekt.measures.metrics import NDCG
from dialekt.models import vectors
from dialekt.types import Progress

ENCODER = "ray::MapWorker"
TRAINER = "ray::RayTrainWorker"
SHOWN = (StageName.BASE_VECTORS, StageName.NEGATIVES, StageName.TRAINING, StageName.TUNED_VECTORS)


class Killer(SilentObserver):
    """Kills a worker once the first vectors are there, and another in the midst of the training."""

    def __init__(self) -> None:
        self.killed: dict[str, int] = {}

    def progressed(self, stage: str, progress: Progress) -> None:
        """Kill once per stage."""
        if stage == StageName.BASE_VECTORS and progress.done:
            self._kill(stage, ENCODER)
        if stage == StageName.TRAINING and progress.label == "training" and progress.done > (progress.total or 0) / 2:
            self._kill(stage, TRAINER)

    def _kill(self, stage: str, title: str) -> None:
        if stage not in self.killed and (process := next(workers(title), None)) is not None:
            process.kill()
            self.killed[stage] = process.pid


def workers(title: str) -> Iterator[psutil.Process]:
    """Yield the worker processes of a kind that belong to the cluster that this process has started."""
    session = Path(import_ray()._private.worker._global_node.get_session_dir_path()).name
    for process in psutil.process_iter(["cmdline"]):
        if " ".join(process.info["cmdline"] or []).startswith(title):
            family = [part for parent in process.parents() for part in parent.cmdline()]
            if any(session in part for part in family):
                yield process


@dataclass(frozen=True)
class Walked:
    """A project that is evaluated."""

    records: tuple[StageRecord, ...]

    def record(self, stage: StageName) -> StageRecord:
        """Return the record of a stage."""
        return next(record for record in self.records if record.stage is stage)

    @property
    def test_ndcg(self) -> tuple[float, float, float]:
        """NDCG@10 of the tuned model on the test queries, with its interval."""
        evaluated = facts_from_json(self.record(StageName.EVALUATION).facts)
        result = evaluated.result("tuned")
        assert result is not None
        found = result.metrics[NDCG]
        return found.value, found.low, found.high

    @property
    def dev_ndcg(self) -> float:
        """NDCG@10 of the tuned model on the dev queries."""
        return float(self.record(StageName.TRAINING).facts["best_dev_ndcg"])


def main() -> None:
    """Walk both ways and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beir", type=Path, required=True, help="a BEIR folder with train and test judgments")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--part-texts", type=int, default=vectors.PART_TEXTS, help="texts that a worker encodes at once"
    )
    parser.add_argument("--folder", type=Path, default=None, help="where to work; unset: a temporary folder")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of both ways")
    arguments = parser.parse_args()
    vectors.PART_TEXTS = arguments.part_texts
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="cluster-"))
    settings = [f'corpus.path="{arguments.beir.resolve()}"', "training.precision=fp32", *arguments.set]
    alone = walk(folder / "alone", settings, SilentObserver())
    killer = Killer()
    if not (folder / "divided").exists():
        copy_beginning(folder / "alone", folder / "divided")
    divided = walk(folder / "divided", [*settings, "cluster.on=ray", f"cluster.workers={arguments.workers}"], killer)
    report(alone, divided, killer, workers_wanted=arguments.workers)


def walk(home: Path, settings: Sequence[str], observer: SilentObserver) -> Walked:
    """Walk a project to its evaluation, or take up one that was walked before."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "dialekt.toml").touch()
    return Walked(run(open_project(home, overrides=settings), observer=observer, until=StageName.EVALUATION))


def copy_beginning(source: Path, target: Path) -> None:
    """Copy a project without what a cluster is to do."""
    shutil.copytree(source, target)
    for stage in (*SHOWN, StageName.EVALUATION):
        shutil.rmtree(target / ".dialekt" / stage)


def report(alone: Walked, divided: Walked, killer: Killer, *, workers_wanted: int) -> None:
    """Print what is equal, and what it took."""
    print(f"one process against a Ray cluster of this machine with {workers_wanted} workers")
    print(f"killed while encoding: {killer.killed.get(StageName.BASE_VECTORS, 'nobody')}, ", end="")
    print(f"while training: {killer.killed.get(StageName.TRAINING, 'nobody')}\n")
    print(f"largest difference of a base vector   {vector_difference(alone, divided):.1e}")
    for name in ("negatives.parquet", "audit.json", "bm25_rows.npy"):
        print(f"{name:<37} {same_file(alone, divided, name)}")
    print(f"largest difference of a weight        {weight_difference(alone, divided):.1e}\n")
    print(f"{'NDCG@10':<12}{'dev':>8}{'test':>8}   95% interval")
    for name, walked in (("alone", alone), ("divided", divided)):
        value, low, high = walked.test_ndcg
        print(f"{name:<12}{walked.dev_ndcg:>8.3f}{value:>8.3f}   {low:.3f} to {high:.3f}")
    print(f"\n{'seconds':<15}{'alone':>9}{'divided':>9}")
    for stage in SHOWN:
        print(f"{stage:<15}{alone.record(stage).seconds:>9.1f}{divided.record(stage).seconds:>9.1f}")


def vector_difference(alone: Walked, divided: Walked) -> float:
    """Return the largest difference of any component of the base model's vectors."""
    folders = [walked.record(StageName.BASE_VECTORS).folder for walked in (alone, divided)]
    pairs = ([np.load(folder / name, mmap_mode="r") for folder in folders] for name in ("documents.npy", "queries.npy"))
    return max(float(np.abs(one - other).max(initial=0.0)) for one, other in pairs)


def same_file(alone: Walked, divided: Walked, name: str) -> str:
    """Say whether a file of the negatives is the same both ways."""
    paths = [walked.record(StageName.NEGATIVES).folder / name for walked in (alone, divided)]
    return "the same bytes" if paths[0].read_bytes() == paths[1].read_bytes() else "DIFFERS"


def weight_difference(alone: Walked, divided: Walked) -> float:
    """Return the largest difference of any weight of the tuned models."""
    folders = [walked.record(StageName.TRAINING).folder for walked in (alone, divided)]
    one, other = (load_file(next(folder.rglob("model.safetensors"))) for folder in folders)
    return max(float(np.abs(weight - other[name]).max(initial=0.0)) for name, weight in one.items())


if __name__ == "__main__":
    main()
