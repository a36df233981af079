"""`dialekt train --budget`: a line per trial, a bar for the budget, the table of trials, and what is kept."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dialekt.cli.screen import Screen
from dialekt.types import Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from dialekt.flow.recipes.files import Written
    from dialekt.flow.recipes.records import Pending, Trial
    from dialekt.flow.recipes.search import Found
    from dialekt.flow.records import Observer, StageName, StageRecord

BAR = "budget, seconds"
MEGABYTE = 1_000_000


def search(
    screen: Screen,
    folder: Path | None,
    overrides: Sequence[str] | None,
    *,
    budget: str,
    write: bool,
    keep_models: bool,
) -> None:
    """Search for a better recipe, print what was tried and what is kept, and write it down."""
    from dialekt.cli.spending import confirm_spending
    from dialekt.cli.stopping import HeedingObserver
    from dialekt.cli.watching import watch
    from dialekt.flow.project import open_project
    from dialekt.flow.recipes.budget import parse_duration
    from dialekt.flow.recipes.files import write_recipe
    from dialekt.flow.recipes.optimizer import require_optuna
    from dialekt.flow.recipes.search import search_recipes
    from dialekt.flow.records import StageName

    budget_seconds = parse_duration(budget)
    require_optuna()
    project = open_project(folder, overrides=overrides or ())
    confirm_spending(screen, project, until=StageName.TRAINING)
    with watch(screen) as observer:
        watching = SearchWatcher(screen.messages, HeedingObserver(observer))
        found = search_recipes(project, budget_seconds=budget_seconds, observer=watching, keep_models=keep_models)
    show_found(screen, found)
    written = write_recipe(found, into_config=write)
    _show_written(screen, found, written, write=write)
    screen.finish(answer(found, written))


class SearchWatcher:
    """Prints a line for every trial, and shows in the bar how much of the budget is used."""

    def __init__(self, console: "Console", observer: "Observer") -> None:
        self._console = console
        self._observer = observer

    def stage_started(self, stage: "StageName", reason: str) -> None:
        """A stage begins."""
        self._observer.stage_started(stage, reason)

    def progressed(self, stage: str, progress: Progress) -> None:
        """A stage has come further."""
        self._observer.progressed(stage, progress)

    def stage_ended(self, record: "StageRecord") -> None:
        """A stage has ended."""
        self._observer.stage_ended(record)

    def trial_started(self, pending: "Pending") -> None:
        """A trial begins: say what it tries where nobody sees a bar."""
        if not self._console.is_terminal:
            self._console.print(f"  trial {pending.number}: {tried(pending)}", style="dim", soft_wrap=True)

    def budget_used(self, seconds: float, total_seconds: float, note: str) -> None:
        """So much of the budget is used."""
        self._observer.progressed(BAR, Progress("", int(seconds), int(total_seconds), note))

    def trial_ended(self, trial: "Trial") -> None:
        """Print the trial's line."""
        from rich.markup import escape

        from dialekt.cli.watching import duration

        mark = {"done": "[green]✓[/]", "pruned": "[dim]·[/]", "failed": "[red]✗[/]"}[trial.state]
        line = f"{mark} trial {trial.number}  {escape(outcome(trial))}  [dim]{duration(trial.seconds)}[/]  "
        self._console.print(line + escape(tried(trial)), soft_wrap=True)


def tried(trial: "Trial | Pending") -> str:
    """Say in short what a trial does otherwise than the default."""
    limit = trial.settings.get("time_limit_minutes")
    changed = [
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in _changes(trial)
    ]
    what = ", ".join(changed) or "the default recipe"
    return f"{what}, {limit:g} min" if isinstance(limit, int | float) else what


def _changes(trial: "Trial | Pending") -> list[tuple[str, object]]:
    return [(name, value) for name, value in trial.settings.items() if name != "time_limit_minutes"]


def outcome(trial: "Trial") -> str:
    """Say how a trial ended."""
    probe = " (probe)" if trial.fidelity == "probe" else ""
    match trial.state.value:
        case "done":
            return f"dev {trial.dev_ndcg:.3f}{probe}"
        case "pruned":
            return f"pruned at {trial.score:.3f}{probe}"
        case _:
            return f"failed: {trial.error}{probe}"


def show_found(screen: Screen, found: "Found") -> None:
    """Print the table of trials, and how sure the choice is."""
    from rich.markup import escape

    decision = found.decision
    screen.results.print()
    screen.results.print(_table(found))
    screen.results.print(
        f"\n{len(found.study.trials)} trials; on {decision.queries:,} dev queries NDCG@10 of the default "
        f"{decision.default_ndcg:.3f}, of the best full training {decision.best_ndcg:.3f}: {decision.gain:+.3f}"
        + (
            f" ({decision.confidence:.0%} interval {decision.low:+.3f} to {decision.high:+.3f}, for all "
            f"{decision.candidates} candidates at once)."
            if decision.best
            else "."
        )
    )
    kept = f"Kept: trial {decision.winner}" if decision.changed else "Kept: the default recipe"
    screen.results.print(f"[bold]{kept}[/], since {escape(decision.reason)}.")
    if found.study.unlimited_seconds is not None:
        from dialekt.cli.watching import duration

        screen.results.print(
            f"The default alone was going to take {duration(found.study.unlimited_seconds)}: under this budget every "
            f"full training got {found.study.full_minutes:g} minutes. A larger budget compares whole trainings."
        )
    screen.results.print(
        "Dev chose among these trials, so its best score is too good: the held-out test of dialekt evaluate decides."
    )


def _table(found: "Found") -> "Table":
    from rich.table import Table

    from dialekt.cli.watching import duration

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("trial", justify="right")
    table.add_column("tried")
    table.add_column("length", no_wrap=True)
    table.add_column("dev NDCG@10", justify="right", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    for trial in found.study.trials:
        score = "" if trial.score is None else f"{trial.score:.3f}"
        ended = f"{score} {trial.state.value}".strip() if trial.state.value != "done" else score
        style = "bold" if trial.number == found.decision.winner else "dim" if trial.state.value != "done" else ""
        table.add_row(
            str(trial.number), tried(trial), trial.fidelity.value, ended, duration(trial.seconds), style=style
        )
    return table


def _show_written(screen: Screen, found: "Found", written: "Written", *, write: bool) -> None:
    results = screen.results
    if found.freed_bytes:
        results.print(f"Models of trials that lost are removed: {found.freed_bytes / MEGABYTE:,.0f} MB.")
    results.print(f"Recipe: {written.recipe}", soft_wrap=True, markup=False)
    results.print(f"Model: {found.records[-1].folder / 'model'}", soft_wrap=True, markup=False)
    if written.changed:
        results.print(f"Written into dialekt.toml: {_as_text(written.changed)}", soft_wrap=True, markup=False)
    elif write:
        results.print("dialekt.toml stays as it is.")
    if found.decision.changed and not written.changed and not write:
        results.print("Next: dialekt train again with --write puts it into dialekt.toml; then dialekt run")
    else:
        results.print("Next: dialekt run")


def _as_text(changed: dict[str, object]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in changed.items())


def answer(found: "Found", written: "Written") -> dict[str, Any]:
    """Return what `--json` says: the stages with the recipe that is kept, its model, and the search."""
    from dialekt.cli.journeying import stage_answer

    study = found.study
    return {
        "project": str(found.project.folder),
        "stages": [stage_answer(record) for record in found.records],
        "model": str(found.records[-1].folder / "model"),
        "search": {
            "id": study.id,
            "budget_seconds": found.budget_seconds,
            "spent_seconds": round(study.spent_seconds, 3),
            "full_minutes": study.full_minutes,
            "probe_minutes": study.probe_minutes,
            "decision": asdict(found.decision),
            "settings": dict(found.winner.settings),
            "trials": [_trial_answer(trial) for trial in study.trials],
            "recipe_file": written.recipe,
            "written": written.changed,
            "freed_bytes": found.freed_bytes,
        },
    }


def _trial_answer(trial: "Trial") -> dict[str, Any]:
    values = asdict(trial)
    del values["dev_scores"], values["point"], values["made"]
    return values
