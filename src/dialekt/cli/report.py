"""`dialekt report`: the page that shows what the journey found."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from dialekt.cli.options import JsonOption, ProjectOption, QuietOption, SetOption
from dialekt.cli.screen import Screen, open_screen


def report(
    project: ProjectOption = None,
    settings: SetOption = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    texts: Annotated[
        bool, typer.Option("--texts", help="Show query and document texts of wins and losses in the page.")
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write the report as one HTML page and as Markdown, running what is missing before it; say what to do next."""
    from dialekt.cli.journeying import walk
    from dialekt.flow.records import StageName

    screen = open_screen("report", as_json=as_json, quiet=quiet)
    chosen = [*(settings or []), *(["report.texts=true"] if texts else [])]
    finished = walk(screen, project, chosen, until=StageName.REPORT)
    facts = finished.record(StageName.REPORT).facts
    page = finished.project.folder / facts["html"]
    screen.results.print(str(page), soft_wrap=True, markup=False)
    show_steps(screen, facts["next_steps"])
    if show:
        typer.launch(str(page))
    places = {"html": str(page), "markdown": str(finished.project.folder / facts["markdown"])}
    screen.finish(finished.answer() | places | {"next_steps": facts["next_steps"]})


def show_steps(screen: Screen, steps: Sequence[Mapping[str, str]]) -> None:
    """Print what to do next, each step with its evidence and with what to type."""
    from rich.markup import escape
    from rich.padding import Padding

    if steps:
        screen.results.print("\nWhat to do next")
    for number, step in enumerate(steps, start=1):
        screen.results.print(f"{number}. [bold]{escape(step['action'])}[/]")
        lines = [escape(step["why"]), *([f"[cyan]{escape(step['command'])}[/]"] if step["command"] else [])]
        screen.results.print(Padding("\n".join(lines), (0, 0, 0, 3)))
