"""`dialekt evaluate`: the journey up to the result table, what each source of pairs contributed, and other seeds."""

from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from dialekt.cli.options import JsonOption, ProjectOption, QuietOption, SetOption
from dialekt.cli.screen import Screen, open_screen

if TYPE_CHECKING:
    from rich.table import Table

    from dialekt.evaluation.seeds import SeedFacts
    from dialekt.flow.ablation import Ablation
    from dialekt.flow.project import Project


class Ablated(StrEnum):
    """What can be left out, one after the other."""

    SOURCES = "sources"


def evaluate(
    project: ProjectOption = None,
    settings: SetOption = None,
    ablate: Annotated[
        Ablated | None,
        typer.Option("--ablate", help="Train again without each source of pairs, and say what each one contributed."),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", min=2, help="Train with this many seeds, and say how much of the gain is luck."),
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Run the journey up to the evaluation and print the result table."""
    from dialekt.cli.journeying import walk
    from dialekt.cli.results import show_results
    from dialekt.flow.records import StageName

    screen = open_screen("evaluate", as_json=as_json, quiet=quiet)
    finished = walk(screen, project, settings, until=StageName.EVALUATION)
    show_results(screen, finished)
    answer = finished.answer()
    if ablate is Ablated.SOURCES:
        from dialekt.cli.stopping import HeedingObserver
        from dialekt.cli.watching import watch
        from dialekt.flow.ablation import ablate_sources

        with watch(screen) as observer:
            found = ablate_sources(finished.project, observer=HeedingObserver(observer))
        show_ablation(screen, found)
        answer |= {"ablation": asdict(found)}
    if seeds is not None:
        answer |= {"seeds": asdict(_repeat(screen, finished.project, seeds))}
    screen.finish(answer)


def _repeat(screen: Screen, project: "Project", seeds: int) -> "SeedFacts":
    from dialekt.cli.stopping import HeedingObserver
    from dialekt.cli.watching import watch
    from dialekt.flow.seeding import repeat_training

    with watch(screen) as observer:
        found = repeat_training(project, seeds=seeds, observer=HeedingObserver(observer))
    show_seeds(screen, found)
    return found


def show_seeds(screen: Screen, found: "SeedFacts") -> None:
    """Print the gain of every seed, their mean, and whether one seed would have decided otherwise."""
    screen.results.print()
    screen.results.print(_table_of_seeds(found))
    screen.results.print(
        f"\nMean gain {found.gain.value:+.3f} ({found.gain.low:+.3f} to {found.gain.high:+.3f}), NDCG@10 on "
        f"{found.queries:,} held-out queries: the {found.confidence:.0%} interval is over queries and seeds, those in "
        f"the table over queries alone. Standard deviation between seeds: {found.deviation:.3f}."
    )
    if not found.unanimous:
        screen.results.print(
            "[bold]Not every seed alone would have proven the gain: the decision is partly luck.[/bold]"
        )


def _table_of_seeds(found: "SeedFacts") -> "Table":
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for title in ("seed", "NDCG@10", "gain", "interval"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_row("base", f"{found.base_ndcg:.3f}", "", "")
    for run in found.runs:
        interval = f"{run.low:+.3f} to {run.high:+.3f}"
        style = "bold" if run.proven else ""
        table.add_row(str(run.seed), f"{run.ndcg:.3f}", f"{run.gain:+.3f}", interval, style=style)
    return table


def show_ablation(screen: Screen, found: "Ablation") -> None:
    """Print what each source contributed, and what that means."""
    screen.results.print()
    screen.results.print(_table(found))
    screen.results.print(
        f"\n{found.queries:,} held-out queries. Contribution = all sources minus all but this one, NDCG@10, with the "
        f"{found.confidence:.0%} interval; where it includes zero, the source is not proven to help."
    )


def _table(found: "Ablation") -> "Table":
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("trained on")
    for title in ("pairs", "NDCG@10", "contribution", "interval"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_row("nothing (base)", "", f"{found.base_ndcg:.3f}", "", "")
    table.add_row("all sources", f"{found.pairs:,}", f"{found.ndcg:.3f}", "", "")
    for item in found.contributions:
        proven = item.low > 0 or item.high < 0
        table.add_row(
            f"all but {item.source} ({item.count:,})",
            "",
            f"{item.ndcg_without:.3f}",
            f"{item.difference:+.3f}",
            f"{item.low:+.3f} to {item.high:+.3f}",
            style="bold" if proven else "",
        )
    return table
