"""Does the diagnosis tell the truth? Predicted and true gains over many domains, and how often the intervals hold.

    python benchmarks/diagnosis.py --projects FOLDER [FOLDER ...]    # finished: only diagnosed
    python benchmarks/diagnosis.py --beir FOLDER [FOLDER ...] --work DIR  # diagnosed, then run

Of each project: the diagnosis from a fifth of the train queries (its verdict, predicted gain and interval) beside what
full tuning brought on the test queries. Then, over all projects: the rank correlation of both, the share of intervals
that hold the truth, the mean error, and every "fine-tune" where full tuning brought nothing.
"""

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scipy import stats

from dialekt.diagnosis.records import Decision
from dialekt.diagnosis.reviving import facts_from_json
from dialekt.flow.artefacts import ArtefactStore
from dialekt.flow.diagnosing import diagnose
from dialekt.flow.journey import run
from dialekt.flow.project import Project, open_project
from dialekt.flow.records import StageName
from dialekt.measures.metrics import NDCG
from dialekt.types import Interval


@dataclass(frozen=True)
class Outcome:
    """One domain: what was said before, and what came."""

    name: str
    train_queries: int
    base: float
    decision: Decision
    predicted: Interval
    true: Interval
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether the predicted interval holds the true gain."""
        return self.predicted.low <= self.true.value <= self.predicted.high


def main() -> None:
    """Diagnose, compare with the truth, print the table and the summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--projects", type=Path, nargs="*", default=[], help="finished projects")
    parser.add_argument("--beir", type=Path, nargs="*", default=[], help="BEIR folders with train and test judgments")
    parser.add_argument("--work", type=Path, default=Path("diagnosis-work"), help="where projects of --beir are made")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of every project")
    parser.add_argument("--out", type=Path, default=None, help="write the outcomes as JSON lines, as they come")
    arguments = parser.parse_args()
    outcomes = []
    print(
        "| domain | train queries | base | verdict | predicted | true | held | s |\n|---|---|---|---|---|---|---|---|"
    )
    for project in projects(arguments):
        outcome = measure(project)
        if outcome is None:
            continue
        outcomes.append(outcome)
        show(outcome)
        if arguments.out:
            with arguments.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(outcome)) + "\n")
    summarize(outcomes)


def projects(arguments: argparse.Namespace) -> Iterator[Project]:
    """Yield finished projects as they are, then one per BEIR folder."""
    for folder in arguments.projects:
        yield open_project(folder, overrides=arguments.set)
    for beir in arguments.beir:
        home = arguments.work / beir.name
        home.mkdir(parents=True, exist_ok=True)
        (home / "dialekt.toml").write_text(
            f'[project]\nname = "{beir.name}"\n[corpus]\npath = "{beir.resolve()}"\n', encoding="utf-8"
        )
        yield open_project(home, overrides=arguments.set)


def measure(project: Project) -> Outcome | None:
    """Diagnose first; the truth is the last evaluation, which is run where there is none."""
    began = time.monotonic()
    facts = facts_from_json(diagnose(project).facts)
    seconds = time.monotonic() - began
    evaluation = ArtefactStore(project.artefacts).latest(StageName.EVALUATION)
    if evaluation is None:
        run(project, until=StageName.EVALUATION)
        evaluation = ArtefactStore(project.artefacts).latest(StageName.EVALUATION)
    assert evaluation is not None
    true, base = truth(evaluation.facts)
    if facts.gain is None or facts.data is None:
        print(f"| {project.config.project.name} | | {base:.3f} | {facts.decision} | no probe |")
        return None
    return Outcome(
        name=project.config.project.name,
        train_queries=facts.gain.full.queries,
        base=base,
        decision=facts.decision,
        predicted=facts.gain.full.gain,
        true=true,
        seconds=seconds,
    )


def truth(evaluation: Mapping[str, Any]) -> tuple[Interval, float]:
    """Return the gain that was measured and the base model's score, from facts of whatever version."""
    wanted = ("tuned", "base", NDCG)
    gain = next(one for one in evaluation["comparisons"] if (one["system"], one["against"], one["metric"]) == wanted)
    base = next(one for one in evaluation["systems"] if one["system"] == "base")
    return Interval(gain["difference"], gain["low"], gain["high"]), float(base["metrics"][NDCG]["value"])


def show(outcome: Outcome) -> None:
    """Print one row."""
    predicted, true = outcome.predicted, outcome.true
    print(
        f"| {outcome.name} | {outcome.train_queries:,} | {outcome.base:.3f} | {outcome.decision} "
        f"| {predicted.value:+.3f} ({predicted.low:+.3f} to {predicted.high:+.3f}) "
        f"| {true.value:+.3f} ({true.low:+.3f} to {true.high:+.3f}) "
        f"| {'yes' if outcome.holds else 'no'} | {outcome.seconds:.0f} |",
        flush=True,
    )


def summarize(outcomes: list[Outcome]) -> None:
    """Print how good the predictions are over all domains."""
    if len(outcomes) < 3:
        return
    predicted, true = [one.predicted.value for one in outcomes], [one.true.value for one in outcomes]
    errors = [abs(before - after) for before, after in zip(predicted, true, strict=True)]
    wrong = [one.name for one in outcomes if one.decision is Decision.FINE_TUNE and one.true.low <= 0]
    print(
        f"\nrank correlation (Spearman) {stats.spearmanr(predicted, true).statistic:.2f} over {len(outcomes)} domains"
    )
    print(f"intervals that hold the truth: {sum(one.holds for one in outcomes)} of {len(outcomes)}")
    print(f"mean absolute error {sum(errors) / len(errors):.3f} NDCG@10")
    print(f'"fine-tune" where full tuning brought nothing: {", ".join(wrong) or "never"}')


if __name__ == "__main__":
    main()
