"""What it costs to tune the query side alone: base, query-only and full tuning, side by side.

    python benchmarks/query_only.py --beir FOLDER [FOLDER ...] --minutes 8

For each BEIR folder one project trains twice on the same pairs, negatives and split, with the same time limit: both
sides, then the query side alone against the base model's frozen document vectors. Printed are NDCG@10 on test with
paired intervals, the share of full tuning's gain that the query side keeps, the seconds of training, and how many
documents each way embeds again. A project that is there already goes on.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dialekt.config import TunedSide
from dialekt.evaluation.comparison import Settings
from dialekt.evaluation.paired import compare_tuned
from dialekt.evaluation.records import Comparison, EvaluationFacts, facts_from_json
from dialekt.flow.journey import run
from dialekt.flow.project import open_project
from dialekt.flow.records import StageName
from dialekt.measures.metrics import NDCG


@dataclass(frozen=True)
class Trained:
    """One way of training: what was measured, where, and how long training and encoding took."""

    facts: EvaluationFacts
    evaluation: Path
    training_seconds: float
    steps: int
    encoding_seconds: float

    @property
    def gain(self) -> Comparison:
        """Tuned minus base."""
        found = self.facts.comparison("tuned", "base", NDCG)
        assert found is not None
        return found


def main() -> None:
    """Train both ways on every folder and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--beir", type=Path, nargs="+", required=True, help="BEIR folders with train and test judgments"
    )
    parser.add_argument("--minutes", type=float, default=8.0, help="training time of each way; 0: no limit")
    parser.add_argument("--folder", type=Path, default=None, help="where to work; unset: a temporary folder")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of both ways")
    parser.add_argument("--set-query", action="append", default=[], metavar="KEY=VALUE", help="of the query side alone")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="query-only-"))
    titles = (
        "set",
        "way",
        NDCG,
        "gain over base",
        "of full gain",
        "training s",
        "steps",
        "embedded again",
        "encoding s",
    )
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
    for beir in arguments.beir:
        home = folder / beir.name
        full = train(home, beir, TunedSide.BOTH, arguments, arguments.set)
        query = train(home, beir, TunedSide.QUERY, arguments, [*arguments.set, *arguments.set_query])
        report(beir.name, full, query)


def train(home: Path, beir: Path, side: TunedSide, arguments: argparse.Namespace, settings: list[str]) -> Trained:
    """Train one way; the stages before training are shared."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "dialekt.toml").write_text(f'[corpus]\npath = "{beir.resolve()}"\n', encoding="utf-8")
    limit = [f"training.time_limit_minutes={arguments.minutes}"] if arguments.minutes else []
    project = open_project(home, overrides=(f"training.side={side}", *limit, *settings))
    records = {record.stage: record for record in run(project, until=StageName.EVALUATION)}
    training, vectors, evaluation = (
        records[name] for name in (StageName.TRAINING, StageName.TUNED_VECTORS, StageName.EVALUATION)
    )
    return Trained(
        facts=facts_from_json(evaluation.facts),
        evaluation=evaluation.folder,
        training_seconds=float(training.facts["seconds"]),
        steps=int(training.facts["steps"]),
        encoding_seconds=float(vectors.facts["seconds"]),
    )


def report(name: str, full: Trained, query: Trained) -> None:
    """Print the rows of one set."""
    base = full.facts.result("base")
    assert base is not None
    print(f"| {name} | base | {base.metrics[NDCG].value:.4f} | | | | | | |")
    for way, trained, again in (("both sides", full, full.facts.documents), ("query side", query, 0)):
        tuned = trained.facts.result("tuned")
        assert tuned is not None
        share = trained.gain.difference / full.gain.difference if full.gain.difference else float("nan")
        print(
            f"| {name} | {way} | {tuned.metrics[NDCG].value:.4f} | {interval(trained.gain)} | {share:.0%} "
            f"| {trained.training_seconds:.0f} | {trained.steps} | {again:,} | {trained.encoding_seconds:.0f} |"
        )
    cost = compare_tuned(query.evaluation, full.evaluation, Settings(0.95, 10_000, 13))
    assert cost is not None
    print(f"| {name} | query side minus both | | {interval(cost)}, p = {cost.p_value:.4f} | | | | | |", flush=True)


def interval(found: Comparison) -> str:
    """Return `+0.0123 (+0.0100 to +0.0150)`."""
    return f"{found.difference:+.4f} ({found.low:+.4f} to {found.high:+.4f})"


if __name__ == "__main__":
    main()
