"""The options that commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

ProjectOption = Annotated[
    Path | None,
    typer.Option("--project", "-p", help="Project folder; unset: the nearest dialekt.toml from here upwards."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Set a configuration value; may be given many times."),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the facts as one JSON object on stdout, and nothing else there.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print the result only, no progress.")]


class On(StrEnum):
    """Where the heavy work runs, as the command line says it: the settings' own choice is read only when needed."""

    LOCAL = "local"
    RAY = "ray"


OnOption = Annotated[
    On | None,
    typer.Option(
        "--on",
        help="Where texts are encoded, negatives mined and the model trained: in this process, or by the workers of a "
        "Ray cluster; unset: cluster.on.",
    ),
]


def with_place(settings: list[str] | None, on: On | None) -> list[str]:
    """Return the settings of a call with the place that it names."""
    return [*(settings or []), *([f"cluster.on={on.value}"] if on else [])]
