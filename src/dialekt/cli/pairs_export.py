"""`dialekt pairs export`: the training pairs as files for services that tune, and for other trainers."""

from pathlib import Path
from typing import Annotated

import typer

from dialekt.cli.options import JsonOption, ProjectOption, QuietOption, SetOption
from dialekt.cli.screen import open_screen
from dialekt.pairs.exports.names import ExportLayout


def export(
    out: Annotated[Path, typer.Argument(help="The new folder for the files.")],
    *,
    layout: Annotated[ExportLayout, typer.Option("--for", help="Who is to train with them.")],
    queries: Annotated[
        int | None, typer.Option("--queries", min=1, help="Draw so many train queries; unset: all of them.")
    ] = None,
    project: ProjectOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write the training pairs and mined negatives in the layout that another trainer takes.

    Only train queries are trained on; dev and test queries go into files of their own where the layout has them. The
    files hold texts of queries and documents: treat them like your logs.

    dialekt pairs export ./for-vertex --for vertex
    """
    from dialekt.flow.exporting import export_pairs
    from dialekt.flow.facts import plain
    from dialekt.flow.project import open_project
    from dialekt.pairs.exports.table import LAYOUTS

    screen = open_screen("pairs-export", as_json=as_json, quiet=quiet)
    opened = open_project(project, overrides=settings or ())
    found = export_pairs(opened, layout, out, queries=queries)
    written = found.written
    screen.results.print(
        f"{written.pairs:,} training pairs and {written.negatives:,} hard negatives → {found.folder} "
        f"({found.size_bytes / 1e6:,.1f} MB)",
        markup=False,
        soft_wrap=True,
    )
    for name, rows in written.rows.items():
        screen.results.print(f"  {name:<20} {rows:,} rows", markup=False)
    for line in written.left_out:
        screen.results.print(f"Note: {line}.", markup=False, soft_wrap=True)
    screen.results.print(
        "These files hold texts of your queries and documents; whoever you send them to can read them.", soft_wrap=True
    )
    screen.results.print(LAYOUTS[layout].usage, markup=False, soft_wrap=True)
    screen.finish({"layout": layout.value, **plain(found), "usage": LAYOUTS[layout].usage, "holds_texts": True})
