"""`dialekt adapt`: what the documents alone teach the base model, and what dev says of it."""

from collections.abc import Mapping
from typing import Any

from dialekt.cli.options import JsonOption, ProjectOption, QuietOption, SetOption
from dialekt.cli.screen import Screen, open_screen


def adapt(
    project: ProjectOption = None, settings: SetOption = None, as_json: JsonOption = False, quiet: QuietOption = False
) -> None:
    """Adapt the base model to the documents alone, and keep what dev says is worth keeping.

    Needs adaptation.methods: 'vocabulary', 'mlm', 'tsdae' or several. A project without queries has no dev: there
    nothing is kept unless adaptation.keep is 'always', and the model that is left is a base model to start from.

    Example: dialekt adapt --set 'adaptation.methods=["mlm"]'
    """
    from dialekt.cli.journeying import stage_answer
    from dialekt.cli.spending import confirm_spending
    from dialekt.cli.stopping import HeedingObserver
    from dialekt.cli.watching import watch
    from dialekt.flow.adaptation_alone import adapt as adapt_project
    from dialekt.flow.diagnosing import has_queries
    from dialekt.flow.project import open_project
    from dialekt.flow.records import StageName

    screen = open_screen("adapt", as_json=as_json, quiet=quiet)
    opened = open_project(project, overrides=settings or ())
    asked = has_queries(opened)
    if asked:
        confirm_spending(screen, opened, until=StageName.ADAPTATION)
    with watch(screen) as observer:
        record = adapt_project(opened, observer=HeedingObserver(observer))
    show_methods(screen, record.facts)
    model = record.folder / "model"
    kept = str(model) if record.facts["kept"] else None
    if kept:
        screen.results.print(kept, soft_wrap=True, markup=False)
    screen.results.print("next: dialekt train" if asked else _next_alone(kept))
    screen.finish(stage_answer(record) | {"kept": record.facts["kept"], "model": kept})


def _next_alone(kept: str | None) -> str:
    """Say what can be done without a query."""
    if kept is None:
        return "next: dialekt pairs synthesize, or judge some results: without queries nothing can be compared"
    return "next: set model.base to that folder"


def show_methods(screen: Screen, facts: Mapping[str, Any]) -> None:
    """Print what every method did on dev, and why it was kept or not."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column(f"{facts['queries']:,} dev queries")
    for title in ("before", "after", "gain", "interval", ""):
        table.add_column(title, justify="right", no_wrap=True)
    for one in facts["methods"]:
        verdict = one["verdict"]
        word = "kept" if verdict["kept"] else "not kept"
        scores = ["", "", "", ""] if verdict["gain"] is None else _cells(verdict)
        table.add_row(one["method"], *scores, word, style="bold" if verdict["kept"] else "")
    screen.results.print()
    screen.results.print(table)
    for one in facts["methods"]:
        screen.results.print(f"{one['method']}: {escape(one['verdict']['why'])}", soft_wrap=True)


def _cells(verdict: Mapping[str, Any]) -> list[str]:
    values = [f"{verdict['before']:.3f}", f"{verdict['after']:.3f}", f"{verdict['gain']:+.3f}"]
    return [*values, f"{verdict['low']:+.3f} to {verdict['high']:+.3f}"]
