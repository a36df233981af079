"""`dialekt teacher`: the journey up to the teacher, with what it is worth and what it corrected."""

from collections.abc import Mapping
from typing import Any

import typer

from dialekt.cli.options import JsonOption, ProjectOption, QuietOption, SetOption
from dialekt.cli.screen import Screen, open_screen

app = typer.Typer(no_args_is_help=True, help="A cross-encoder that corrects negatives and teaches the model.")


@app.callback()
def teacher() -> None:
    """Keep `train` a command of its own."""


@app.command("train")
def train(
    project: ProjectOption = None, settings: SetOption = None, as_json: JsonOption = False, quiet: QuietOption = False
) -> None:
    """Train or load the teacher, compare it with the student on dev, and use it if it is better.

    Needs teacher.model: 'trained' makes a cross-encoder from your pairs, a name or folder takes one that is there.

    Example: dialekt teacher train --set teacher.model=trained
    """
    from dialekt.cli.journeying import walk
    from dialekt.flow.records import StageName

    screen = open_screen("teacher.train", as_json=as_json, quiet=quiet)
    finished = walk(screen, project, settings, until=StageName.TEACHER)
    record = finished.record(StageName.TEACHER)
    show_comparison(screen, record.facts)
    if record.facts["used"]:
        show_corrections(screen, record.facts)
        screen.results.print(str(record.folder / "model"), soft_wrap=True, markup=False)
    screen.results.print("next: dialekt train")
    model = str(record.folder / "model") if record.facts["used"] else None
    screen.finish(finished.answer() | {"used": record.facts["used"], "model": model})


def show_comparison(screen: Screen, facts: Mapping[str, Any]) -> None:
    """Print how well student and teacher rank the dev queries, and whether that is enough."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column(f"{facts['queries']:,} dev queries")
    for title in ("NDCG@10", "gain", "interval"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_row("student", f"{facts['student_ndcg']:.3f}")
    interval = f"{facts['low']:+.3f} to {facts['high']:+.3f}"
    style = "bold" if facts["used"] else ""
    table.add_row("teacher", f"{facts['teacher_ndcg']:.3f}", f"{facts['gain']:+.3f}", interval, style=style)
    screen.results.print()
    screen.results.print(table)
    word = "used" if facts["used"] else "not used"
    screen.results.print(f"{word}: {escape(facts['why'])}")


def show_corrections(screen: Screen, facts: Mapping[str, Any]) -> None:
    """Print what became of the hard negatives, by the retriever that had found them."""
    from rich.table import Table

    relabelled, dropped = facts["relabelled"], facts["removed"]
    if not relabelled:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("hard negatives")
    for title in ("count", *relabelled):
        table.add_column(title, justify="right", no_wrap=True)
    for name, counts in (("made a positive", relabelled), ("dropped", dropped)):
        cells = [f"{count:,}" for count in (sum(counts.values()), *counts.values())]
        table.add_row(name, *cells, style="" if sum(counts.values()) else "dim")
    table.add_row("kept", f"{facts['negatives']:,}", style="bold")
    screen.results.print()
    screen.results.print(table)
    speed = f", {facts['pairs_per_second']:,.0f} pairs/s" if facts["pairs_per_second"] else ""
    screen.results.print(f"{facts['scored']:,} pairs scored{speed}")
