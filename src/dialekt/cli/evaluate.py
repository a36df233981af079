"""`dialekt evaluate`: the journey up to the result table, and what each source of pairs contributed."""

from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from dialekt.cli.options import JsonOption, ProjectOption, QuietOption, SetOption
from dialekt.cli.screen import Screen, open_screen

if TYPE_CHECKING:
    from rich.table import Table

    from dialekt.flow.ablation import Ablation


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
    screen.finish(answer)


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
