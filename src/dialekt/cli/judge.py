"""`dialekt judge`: results for people to grade, and their grades back into the judgments of held-out queries."""

from pathlib import Path
from typing import Annotated

import typer

from dialekt.cli.options import JsonOption, ProjectOption, QuietOption, SetOption
from dialekt.cli.screen import Screen, open_screen

app = typer.Typer(
    help="Let people grade results that nobody has judged; their grades count for held-out queries.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("disputed")
def disputed(
    project: ProjectOption = None,
    settings: SetOption = None,
    systems: Annotated[
        str, typer.Option("--systems", metavar="NAMES", help="Systems of the evaluation whose results are compared.")
    ] = "base,tuned",
    most: Annotated[int, typer.Option("--most", min=1, help="Results to grade, the weightiest first.")] = 50,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the files; unset: judging.")] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write the unjudged results on which systems differ most, as a page to grade them in and as CSV.

    It reads the last evaluation and runs nothing. Both files hold texts of queries and documents. They do not say which
    system found what.
    """
    from dialekt.flow.facts import plain
    from dialekt.flow.judging import write_disputes
    from dialekt.flow.project import open_project

    screen = open_screen("judge.disputed", as_json=as_json, quiet=quiet)
    opened = open_project(project, overrides=settings or ())
    names = [name.strip() for name in systems.split(",") if name.strip()]
    facts = write_disputes(opened, systems=names, most=most, out=out)
    left = f"; {facts.left:,} more for another time" if facts.left else ""
    screen.results.print(f"{facts.results:,} results of {facts.queries:,} queries to grade{left}")
    screen.results.print(f"{facts.html}\n{facts.csv}", soft_wrap=True, markup=False)
    _say_stale(screen, stale=facts.stale)
    screen.results.print("Next: open the page, grade, save; then: dialekt judge read judge.csv")
    screen.finish(plain(facts))


@app.command("read")
def read(
    file: Annotated[Path, typer.Argument(help="A judging file that was filled in: judge.csv.")],
    project: ProjectOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Check the grades of a judging file and put them among the project's labels.

    Of two grades for one result the last one counts. A fault in any row leaves the labels as they were.
    """
    from dialekt.flow.clock import now
    from dialekt.flow.facts import plain
    from dialekt.flow.journey import finished
    from dialekt.flow.judging import read_judged
    from dialekt.flow.project import open_project

    screen = open_screen("judge.read", as_json=as_json, quiet=quiet)
    opened = open_project(project, overrides=settings or ())
    facts = read_judged(opened, finished(opened), file, at=now())
    counts = [f"{facts.added:,} new", f"{facts.repeated:,} known", f"{facts.empty:,} left empty"]
    screen.results.print(f"{', '.join(counts)}; {facts.labels:,} labels in all")
    if facts.changed:
        screen.results.print(f"{facts.changed:,} had another grade before: the new one counts")
    screen.results.print(str(facts.file), soft_wrap=True, markup=False)
    if facts.added or facts.changed:
        screen.results.print("Next: dialekt evaluate")
    screen.finish(plain(facts))


@app.command("status")
def status(
    project: ProjectOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Count the labels, and say how much of each system's first ten results is judged.

    It reads the last evaluation and runs nothing.
    """
    from rich.table import Table

    from dialekt.cli.results import NAMES
    from dialekt.flow.facts import plain
    from dialekt.flow.judging import judging_status
    from dialekt.flow.project import open_project

    screen = open_screen("judge.status", as_json=as_json, quiet=quiet)
    facts = judging_status(open_project(project, overrides=settings or ()))
    screen.results.print(
        f"{facts.labels:,} labels, {facts.test_labels:,} of them for {facts.test_queries:,} test queries "
        f"({facts.answers:,} answers)\n{facts.disputed:,} unjudged results on which base and tuned model differ\n"
    )
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("system")
    table.add_column("judged@10", justify="right")
    for one in facts.systems:
        table.add_row(NAMES.get(one.system, one.system), f"{one.judged:.0%}")
    screen.results.print(table)
    _say_stale(screen, stale=facts.stale)
    if facts.disputed:
        screen.results.print("\nNext: dialekt judge disputed")
    screen.finish(plain(facts))


def _say_stale(screen: Screen, *, stale: bool) -> None:
    if stale:
        screen.results.print("Note: something has changed since the last evaluation; dialekt evaluate takes it in")
