"""`dialekt plan`: time, memory, storage and machines, before anything is built."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dialekt.cli.options import JsonOption, ProjectOption, QuietOption, SetOption
from dialekt.cli.screen import open_screen

if TYPE_CHECKING:
    from dialekt.config import Config
    from dialekt.flow.project import Project

EXAMPLES = """\b
Examples:
  dialekt plan                                           # this project's documents, on machines like this one
  dialekt plan --documents 1e9 --queries-per-second 500
  dialekt plan --documents 10M --tokens-per-document 300 --latency-ms 100 --price-per-machine-hour 0.4
  dialekt plan --documents 10M --set index.engine=pgvector --json
"""


def plan(
    *,
    documents: Annotated[
        str | None, typer.Option("--documents", metavar="N", help="How many, such as 1e9 or 10M; unset: the project's.")
    ] = None,
    queries_per_second: Annotated[
        str, typer.Option("--queries-per-second", metavar="N", help="Searches that come, on average.")
    ] = "10",
    latency: Annotated[
        str, typer.Option("--latency-ms", metavar="N", help="Of 100 answers, 95 take less than this.")
    ] = "200",
    changed: Annotated[
        str, typer.Option("--changed-per-day", metavar="N", help="Documents that are new or changed every day.")
    ] = "0",
    tokens: Annotated[
        str | None,
        typer.Option("--tokens-per-document", metavar="N", help="Unset: the project's own, else 128 is assumed."),
    ] = None,
    machines: Annotated[
        str, typer.Option("--machines", metavar="N", help="Machines like this one that embed at once.")
    ] = "1",
    memory: Annotated[
        str | None,
        typer.Option("--memory-per-machine", metavar="GB", help="What the index may take; unset: 80% of this one's."),
    ] = None,
    loss: Annotated[
        float | None,
        typer.Option("--allowed-loss", help="Share of full search's quality that may go; unset: 1 - index.target."),
    ] = None,
    price: Annotated[
        str | None, typer.Option("--price-per-machine-hour", metavar="PRICE", help="Then every row says what it costs.")
    ] = None,
    searched: Annotated[
        float | None,
        typer.Option("--searched-share", help="Of LanceDB's partitions; unset: as the live release, else 0.75."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="A version, a folder or a name; unset: the champion, else the base.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--measure-again", help="Measure this machine anew, as after an upgrade.")
    ] = False,
    project: ProjectOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Say what a corpus will take, for each choice of dimensions and quantisation: time, memory, disk, machines, money.

    The first plan measures this machine for about a minute; that is kept, and the next is there at once. Every figure
    says whether it was measured here, counted in bytes, or assumed. Works outside a project too.
    """
    from functools import partial

    from dialekt.cli.plan_results import answer, show_plan
    from dialekt.cli.stopping import HeedingObserver
    from dialekt.cli.watching import watch
    from dialekt.flow.planning.plan import Asked, Measuring, plan_capacity
    from dialekt.flow.planning.rounds import Kept, default_folder
    from dialekt.planning.numbers import parse_amount, parse_count

    screen = open_screen("plan", as_json=as_json, quiet=quiet)
    asked = Asked(
        documents=None if documents is None else parse_count(documents, name="--documents"),
        queries_per_second=parse_amount(queries_per_second, name="--queries-per-second"),
        latency_seconds=parse_amount(latency, name="--latency-ms") / 1_000,
        changed_per_day=parse_count(changed, name="--changed-per-day"),
        tokens_per_document=None if tokens is None else parse_amount(tokens, name="--tokens-per-document"),
        machines=parse_count(machines, name="--machines"),
        memory_bytes=None if memory is None else int(parse_amount(memory, name="--memory-per-machine") * 1e9),
        allowed_loss=loss,
        price=None if price is None else parse_amount(price, name="--price-per-machine-hour"),
        searched_share=searched,
        model=model,
    )
    opened, config = _opened(project, settings or ())
    measuring = Measuring(Kept(default_folder(), again=again))
    with watch(screen) as observer:
        progress = partial(HeedingObserver(observer).progressed, "plan")
        found = plan_capacity(asked, config, opened, measuring=measuring, progress=progress)
    show_plan(screen, found)
    screen.finish(answer(found))


def _opened(folder: Path | None, settings: "list[str] | tuple[()]") -> "tuple[Project | None, Config]":
    """Return the project and its settings; outside of one, the settings alone."""
    from dialekt.config import load_config
    from dialekt.errors import NotFoundError
    from dialekt.flow.project import find_project, open_project

    try:
        home = folder or find_project(Path.cwd())
    except NotFoundError:
        return None, load_config(None, overrides=settings)
    opened = open_project(home, overrides=settings)
    return opened, opened.config
