"""What a search for a recipe is worth: the default recipe and the one that a budget finds, on the held-out test.

    python benchmarks/recipe_search.py --beir FOLDER [FOLDER ...] --budget 30m

For each BEIR folder one project trains its default recipe and then searches under the budget; where another recipe is
kept, both are evaluated on the same test queries. With --anyway the best full trial is evaluated too where the default
was kept: that says what the caution costs. Printed are dev and test NDCG@10, test differences with paired intervals and
the trials. A project that is there already goes on.
"""

import argparse
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from dialekt.evaluation.comparison import Settings
from dialekt.evaluation.paired import compare_tuned
from dialekt.evaluation.records import facts_from_json
from dialekt.flow.journey import run
from dialekt.flow.project import Project, open_project
from dialekt.flow.recipes.budget import parse_duration
from dialekt.flow.recipes.records import Pending, Trial
from dialekt.flow.recipes.search import Found, search_recipes
from dialekt.flow.recipes.trials import config_of
from dialekt.flow.records import SilentObserver, StageName
from dialekt.measures.metrics import NDCG


@dataclass(frozen=True)
class Evaluated:
    """A recipe on the test queries."""

    ndcg: float
    base_ndcg: float
    folder: Path


class Printer(SilentObserver):
    """Prints a line per trial."""

    def trial_started(self, pending: Pending) -> None:
        """Say nothing yet."""

    def budget_used(self, seconds: float, total_seconds: float, note: str) -> None:
        """Say nothing."""

    def trial_ended(self, trial: Trial) -> None:
        """Print how a trial ended."""
        score = "" if trial.score is None else f"{trial.score:.4f}"
        settings = dict(trial.settings)
        print(f"  {trial.number} {trial.fidelity} {trial.state} {score} {trial.seconds:.0f} s {settings}", flush=True)


def main() -> None:
    """Search on every folder and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--beir", type=Path, nargs="+", required=True, help="BEIR folders with train and test judgments"
    )
    parser.add_argument("--budget", default="30m", help="of each search")
    parser.add_argument("--folder", type=Path, default=None, help="where to work; unset: a temporary folder")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of every recipe")
    parser.add_argument("--anyway", action="store_true", help="evaluate the best full trial also where it is not kept")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="recipe-search-"))
    titles = (
        "set",
        "trials",
        "dev default",
        "dev best",
        "kept",
        "test base",
        "test default",
        "test found",
        "difference",
    )
    rows = [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    for beir in arguments.beir:
        rows.append(report(folder / beir.name, beir, arguments))
        print("\n".join(rows), flush=True)


def report(home: Path, beir: Path, arguments: argparse.Namespace) -> str:
    """Search on one folder, evaluate, and return its row."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "dialekt.toml").write_text(f'[corpus]\npath = "{beir.resolve()}"\n', encoding="utf-8")
    project = open_project(home, overrides=arguments.set)
    found = search_recipes(
        project, budget_seconds=parse_duration(arguments.budget), observer=Printer(), keep_models=arguments.anyway
    )
    default = evaluate(with_trial(project, found, 0))
    decision = found.decision
    shown = decision.best if arguments.anyway else decision.winner
    cells = [beir.name, len(found.study.trials), f"{decision.default_ndcg:.4f}", f"{decision.best_ndcg:.4f}"]
    cells += [f"trial {decision.winner}" if decision.changed else "default", f"{default.base_ndcg:.4f}"]
    cells += [f"{default.ndcg:.4f}"]
    if shown == 0:
        return f"| {' | '.join(map(str, [*cells, '', '']))} |"
    other = evaluate(with_trial(project, found, shown))
    difference = compare_tuned(other.folder, default.folder, Settings(0.95, 10_000, 13))
    assert difference is not None
    interval = f"{difference.difference:+.4f} ({difference.low:+.4f} to {difference.high:+.4f})"
    return f"| {' | '.join(map(str, [*cells, f'{other.ndcg:.4f}', interval]))} |"


def with_trial(project: Project, found: Found, number: int) -> Project:
    """Return the project with the recipe of a trial."""
    return replace(project, config=config_of(project.config, found.study.trial(number).settings))


def evaluate(project: Project) -> Evaluated:
    """Evaluate a recipe whose training is done, on the test queries."""
    record = run(project, until=StageName.EVALUATION)[-1]
    facts = facts_from_json(record.facts)
    tuned, base = facts.result("tuned"), facts.result("base")
    assert tuned is not None
    assert base is not None
    return Evaluated(tuned.metrics[NDCG].value, base.metrics[NDCG].value, record.folder)


if __name__ == "__main__":
    main()
