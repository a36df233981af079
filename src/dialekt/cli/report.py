"""`dialekt report`: the page that shows what the journey found."""

from typing import Annotated

import typer

from dialekt.cli.options import JsonOption, ProjectOption, QuietOption, SetOption
from dialekt.cli.screen import open_screen


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
    """Write the report as one HTML page and as Markdown, running what is missing before it."""
    from dialekt.cli.journeying import walk
    from dialekt.flow.records import StageName

    screen = open_screen("report", as_json=as_json, quiet=quiet)
    chosen = [*(settings or []), *(["report.texts=true"] if texts else [])]
    finished = walk(screen, project, chosen, until=StageName.REPORT)
    facts = finished.record(StageName.REPORT).facts
    page = finished.project.folder / facts["html"]
    screen.results.print(str(page), soft_wrap=True, markup=False)
    if show:
        typer.launch(str(page))
    screen.finish(finished.answer() | {"html": str(page), "markdown": str(finished.project.folder / facts["markdown"])})
