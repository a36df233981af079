"""`dialekt mine`: the journey up to the hard negatives, with the audit of every rule."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dialekt.cli.options import JsonOption, OnOption, ProjectOption, QuietOption, SetOption, with_place
from dialekt.cli.screen import Screen, open_screen

if TYPE_CHECKING:
    from dialekt.negatives.audit import Audit, Example

TEXT_CHARACTERS = 160


def mine(
    project: ProjectOption = None,
    settings: SetOption = None,
    examples: Annotated[
        int, typer.Option("--examples", min=0, help="Show the texts of this many decisions per rule.")
    ] = 0,
    on: OnOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Mine hard negatives and print what was kept and dropped by which rule."""
    from dialekt.cli.journeying import walk
    from dialekt.flow.records import StageName
    from dialekt.negatives.audit import audit_table, read_audit

    screen = open_screen("mine", as_json=as_json, quiet=quiet)
    wanted = [f"negatives.examples={examples}"] if examples else []
    finished = walk(screen, project, [*with_place(settings, on), *wanted], until=StageName.NEGATIVES)
    folder: Path = finished.record(StageName.NEGATIVES).folder
    audit = read_audit(folder)
    show_audit(screen, audit)
    if examples:
        show_examples(screen, audit)
    screen.results.print("\nNext: dialekt train")
    screen.finish(
        finished.answer()
        | {"audit": [asdict(row) for row in audit_table(audit)], "audit_file": str(folder / "audit.json")}
    )


def show_audit(screen: Screen, audit: "Audit") -> None:
    """Print the audit: what became of every candidate, and which retriever had proposed it."""
    from rich.table import Table

    from dialekt.negatives.audit import audit_table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("candidates")
    for title in ("count", "share", "dense", "bm25", "given"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in audit_table(audit):
        counts = [f"{count:,}" for count in (row.dense, row.bm25, row.given)]
        style = "bold" if row.name == "kept" else "" if row.count else "dim"
        table.add_row(row.label, f"{row.count:,}", f"{row.share:.1%}", *counts, style=style)
    screen.results.print()
    screen.results.print(table)


def show_examples(screen: Screen, audit: "Audit") -> None:
    """Print decisions with their texts, for a user who asked for them."""
    for name, examples in audit.examples.items():
        for example in examples:
            screen.results.print(f"\n[bold]{name}[/] rank {example.rank}, {_cosines(example)}")
            screen.results.print(f"  query:    {_shown(example.query)}", markup=False)
            screen.results.print(f"  document: {_shown(example.document)}", markup=False)


def _cosines(example: "Example") -> str:
    return f"cosine {example.score:.3f}, its positive {example.positive_score:.3f}"


def _shown(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= TEXT_CHARACTERS else flat[: TEXT_CHARACTERS - 1] + "…"
