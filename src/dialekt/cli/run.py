"""`dialekt run`: the whole journey."""

from typing import Annotated

import typer

from dialekt.cli.options import JsonOption, ProjectOption, QuietOption, SetOption
from dialekt.cli.screen import Screen, open_screen
from dialekt.flow.records import PlannedStage, StageName


def run(
    project: ProjectOption = None,
    settings: SetOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would run and why; change nothing.")] = False,
    until: Annotated[StageName, typer.Option("--until", help="Stop after this stage.")] = StageName.REPORT,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """The journey: split, pairs, negatives, training, evaluation, registry, report. What is done is skipped."""
    from dialekt.cli.journeying import walk
    from dialekt.cli.results import show_results

    screen = open_screen("run", as_json=as_json, quiet=quiet)
    if dry_run:
        from dialekt.flow.journey import plan
        from dialekt.flow.project import open_project

        show_plan(screen, plan(open_project(project, overrides=settings or ()), until=until))
        return
    finished = walk(screen, project, settings, until=until)
    show_results(screen, finished)
    screen.finish(finished.answer())


def show_plan(screen: Screen, planned: tuple[PlannedStage, ...]) -> None:
    """Print what a run would do with each stage."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("stage", "would", "because"):
        table.add_column(title)
    for stage in planned:
        style = "green" if stage.action == "skip" else "bold"
        table.add_row(stage.stage.value, f"[{style}]{stage.action.value}[/]", escape(stage.reason))
    screen.results.print(table)
    stages = [{"stage": item.stage, "action": item.action, "reason": item.reason, "key": item.key} for item in planned]
    screen.finish({"dry_run": True, "stages": stages})
