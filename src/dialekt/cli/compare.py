"""`dialekt compare`: anything that ranks documents, side by side on the held-out queries."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dialekt.cli.options import JsonOption, ProjectOption, QuietOption, SetOption
from dialekt.cli.screen import Screen, open_screen
from dialekt.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from dialekt.evaluation.contest import Standing
    from dialekt.flow.comparing import Compared, Errand
    from dialekt.flow.operands import Operand
    from dialekt.types import Interval


def compare(
    operands: Annotated[
        list[str],
        typer.Argument(
            metavar="A B ...",
            help="Two or more; the others are compared with the first. name=source gives one a name.",
            show_default=False,
        ),
    ],
    *,
    project: ProjectOption = None,
    settings: SetOption = None,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="FOLDER", help="Write the rankings as TREC run files.")
    ] = None,
    api_key_variables: Annotated[
        list[str] | None,
        typer.Option(
            "--api-key-variable",
            metavar="[NAME=]VARIABLE",
            help="Environment variable with the key of an endpoint; NAME says which where there are several.",
        ),
    ] = None,
    query_prompt: Annotated[str, typer.Option("--query-prompt", help="Goes before queries sent to endpoints.")] = "",
    document_prompt: Annotated[
        str, typer.Option("--document-prompt", help="Goes before documents sent to endpoints.")
    ] = "",
    max_characters: Annotated[
        int | None, typer.Option("--max-characters", min=1, help="Cut texts sent to endpoints to this length.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before texts go to another machine.")] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Rank the corpus for the held-out test queries with each operand, and compare all with the first.

    An operand is a system of the evaluation (base, tuned, bm25, hybrid_tuned, tuned@128), a registered version (v1,
    champion), a TREC run file, a model's folder or Hugging Face name, or an endpoint: openai:http://host/v1#model,
    tei:http://host.

    Examples: dialekt compare base tuned hybrid_tuned

    dialekt compare champion openai:https://api.openai.com/v1#text-embedding-3-small --api-key-variable OPENAI_API_KEY
    """
    from functools import partial

    from dialekt.cli.journeying import walk_project
    from dialekt.cli.stopping import HeedingObserver
    from dialekt.cli.watching import watch
    from dialekt.flow.comparing import Remote, check_operands, compare_operands, needed_stage
    from dialekt.flow.facts import plain
    from dialekt.flow.operands import parse_operands
    from dialekt.flow.project import open_project

    screen = open_screen("compare", as_json=as_json, quiet=quiet)
    parsed = parse_operands(operands, Path.cwd())
    remote = Remote(
        confirm=partial(_confirm, screen, yes=yes),
        key_variables=_key_variables(api_key_variables or [], parsed),
        query_prompt=query_prompt,
        document_prompt=document_prompt,
        max_characters=max_characters,
    )
    opened = open_project(project, overrides=settings or ())
    check_operands(opened, parsed, remote)
    finished = walk_project(screen, opened, until=needed_stage(parsed))
    with watch(screen) as observer:
        progress = partial(HeedingObserver(observer).progressed, "compare")
        found = compare_operands(opened, finished.records, parsed, remote=remote, save=save, progress=progress)
    show_compared(screen, found)
    if save is not None:
        screen.results.print(f"Runs: {save}", soft_wrap=True, markup=False)
    screen.finish({"project": str(opened.folder), **plain(found)})


def show_compared(screen: Screen, found: "Compared") -> None:
    """Print metrics with intervals, the comparison with the first, what is judged, and warnings."""
    contest = found.contest
    screen.results.print(
        f"\n{contest.queries:,} held-out queries, {found.documents:,} documents, {contest.confidence:.0%} intervals\n"
    )
    screen.results.print(_metrics_table(contest.standings))
    screen.results.print()
    screen.results.print(_difference_table(contest.standings))
    if len(contest.standings) > 2:
        others = len(contest.standings) - 1
        screen.results.print(f"\nIntervals and p-values hold for all {others} comparisons at once.")
    screen.results.print(f"\nJudged of the first ten: {_judged(contest.standings)}", markup=False)
    if contest.condensed_meaningful:
        screen.results.print(f"NDCG@10 without unjudged results: {_condensed(contest.standings)}", markup=False)
    for warning in found.warnings:
        screen.results.print(f"Note: {warning}", markup=False, soft_wrap=True)


def _metrics_table(standings: "tuple[Standing, ...]") -> "Table":
    from rich.markup import escape

    table = _table()
    table.add_column("")
    for metric in standings[0].metrics:
        table.add_column(metric, no_wrap=True)
    for one in standings:
        table.add_row(escape(one.name), *(_cell(interval) for interval in one.metrics.values()))
    return table


def _judged(standings: "tuple[Standing, ...]") -> str:
    return ", ".join(f"{one.name} {one.judged.judged.value:.0%}" for one in standings)


def _condensed(standings: "tuple[Standing, ...]") -> str:
    found = ((one.name, one.judged.condensed) for one in standings)
    return ", ".join(f"{name} {_short(cell.value)} ({_short(cell.low)}–{_short(cell.high)})" for name, cell in found)


def _difference_table(standings: "tuple[Standing, ...]") -> "Table":
    from rich.markup import escape

    table = _table()
    table.add_column(f"NDCG@10 minus {escape(standings[0].name)}")
    for title in ("difference", "interval", "p", "better", "worse", "equal"):
        table.add_column(title, justify="right", no_wrap=True)
    for one in standings[1:]:
        found = one.comparison
        assert found is not None
        proven = found.low > 0 or found.high < 0
        table.add_row(
            escape(one.name),
            f"{found.difference:+.3f}",
            f"{found.low:+.3f} to {found.high:+.3f}",
            "< .001" if found.p_value < 0.001 else f"{found.p_value:.3f}".removeprefix("0"),
            *(f"{count:,}" for count in (found.wins, found.losses, found.ties)),
            style="bold" if proven else "",
        )
    return table


def _table() -> "Table":
    from rich.table import Table

    return Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)


def _cell(interval: "Interval") -> str:
    return f"{_short(interval.value)} [dim]{_short(interval.low)}–{_short(interval.high)}[/]"


def _short(value: float) -> str:
    """Write a share with three decimals and no leading zero, as the result table does."""
    return f"{value:.3f}".removeprefix("0") if value < 0.9995 else "1.00"


def _key_variables(given: list[str], operands: "tuple[Operand, ...]") -> dict[str, str]:
    """Return the variable of each endpoint's key; one without a name is that of the only endpoint."""
    from dialekt.flow.operands import OperandKind

    endpoints = [operand.name for operand in operands if operand.kind is OperandKind.ENDPOINT]
    found = {}
    for text in given:
        name, _, variable = text.rpartition("=")
        if not name and len(endpoints) != 1:
            raise UsageError(
                f"whose key is in {variable}? there are {len(endpoints)} endpoints",
                hint=f"--api-key-variable NAME={variable}, where NAME is that of an endpoint",
            )
        found[name or endpoints[0]] = variable
    return found


def _confirm(screen: Screen, errand: "Errand", *, yes: bool) -> None:
    """Say what leaves this machine, and ask."""
    said = f"{errand.texts:,} texts, about {errand.tokens:,} tokens, go to {errand.host} for {errand.name}"
    if yes:
        screen.messages.print(said, markup=False, soft_wrap=True)
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{said}; nobody is there to confirm it", hint="add --yes")
    if not typer.confirm(f"{said}; no price is known. Go on?", err=True):
        raise UsageError("not confirmed: nothing was sent")
