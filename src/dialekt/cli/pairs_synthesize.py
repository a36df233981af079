"""`dialekt pairs synthesize`: the journey up to the made queries, with what every gate let pass."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from dialekt.cli.options import JsonOption, ProjectOption, QuietOption, SetOption
from dialekt.cli.screen import Screen, open_screen

TEXT_CHARACTERS = 160


def synthesize(
    project: ProjectOption = None,
    settings: SetOption = None,
    examples: Annotated[
        int, typer.Option("--examples", min=0, help="Show the texts of this many rejected queries per gate.")
    ] = 0,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before an LLM is paid.")] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make queries from the documents and print what every gate rejected. An LLM's cost is asked about first."""
    from dialekt.cli.journeying import walk
    from dialekt.flow.records import StageName
    from dialekt.store.rows import read_json
    from dialekt.synthesis.records import REPORT_NAME

    screen = open_screen("pairs-synthesize", as_json=as_json, quiet=quiet)
    wanted = [*(settings or [])]
    wanted += [f"synthesis.examples={examples}"] if examples else []
    wanted += ["synthesis.confirm=false"] if yes else []
    finished = walk(screen, project, wanted, until=StageName.SYNTHESIS)
    folder: Path = finished.record(StageName.SYNTHESIS).folder
    report = read_json(folder / REPORT_NAME)
    show_gates(screen, report)
    if examples:
        show_rejected(screen, report)
    screen.results.print("\nNext: dialekt pairs")
    screen.finish(finished.answer() | {"rejected": report["rejected"], "queries_file": str(folder / "queries.parquet")})


def show_gates(screen: Screen, report: Mapping[str, Any]) -> None:
    """Print what became of the made queries, and what an LLM took."""
    from rich.table import Table

    made = sum(report["made"].values())
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("made queries")
    for title in ("count", "share"):
        table.add_column(title, justify="right", no_wrap=True)
    rows = [("kept", report["queries"]), *((row["meaning"], row["count"]) for row in report["rejected"])]
    for label, count in rows:
        style = "bold" if label == "kept" else "" if count else "dim"
        table.add_row(label, f"{count:,}", f"{count / made:.1%}" if made else "", style=style)
    screen.results.print()
    screen.results.print(table)
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in report["kinds"].items())
    screen.results.print(f"\nkept by kind: {kinds}", markup=False)
    if report["realism"]:
        screen.results.print(_realism(report["realism"]), markup=False)
    if report["llm"]["calls"] or report["llm"]["reused"]:
        screen.results.print(_llm(report["llm"]), markup=False)


def show_rejected(screen: Screen, report: Mapping[str, Any]) -> None:
    """Print rejected queries with their texts, for a user who asked for them."""
    for row in report["rejected"]:
        for example in row["examples"]:
            flat = " ".join(example["query"].split())
            shown = flat if len(flat) <= TEXT_CHARACTERS else flat[: TEXT_CHARACTERS - 1] + "…"
            screen.results.print(f"{row['gate']}: {shown}", markup=False)


def _realism(found: Mapping[str, float]) -> str:
    return (
        f"beside {found['real_queries']:,} real queries: {found['made_words']:.1f} words to {found['real_words']:.1f}, "
        f"{found['made_questions']:.0%} questions to {found['real_questions']:.0%}, "
        f"{found['shared_words']:.0%} of the made words are typed by people too"
    )


def _llm(found: Mapping[str, float]) -> str:
    return (
        f"LLM: {found['calls']:,} calls, {found['reused']:,} answers used again, "
        f"{found['input_tokens']:,} tokens in, {found['output_tokens']:,} out, cost {found['cost']:,.2f}"
    )
