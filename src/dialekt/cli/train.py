"""`dialekt train`: the journey up to the tuned model, once or with the recipe that a search finds."""

from typing import Annotated

import typer

from dialekt.cli.options import JsonOption, OnOption, ProjectOption, QuietOption, SetOption, with_place
from dialekt.cli.screen import open_screen

EXAMPLES = """\b
Examples:
  dialekt train                                        # one model, by the recipe of dialekt.toml
  dialekt train --budget 30m                           # try other recipes for half an hour; writes recipe.toml
  dialekt train --budget 2h --write                    # search on, and put the winner into dialekt.toml
"""


def train(
    on: OnOption = None,
    project: ProjectOption = None,
    settings: SetOption = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            metavar="TIME",
            help="Search for a better recipe for so long: 30m, 2h, 90s, 1h30m. The stages before training do not "
            "count; what an earlier search of the same recipe took does.",
        ),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="With --budget: put the recipe that is found into dialekt.toml.")
    ] = False,
    keep_models: Annotated[
        bool, typer.Option("--keep-models", help="With --budget: keep the models of the trials that lost.")
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Run the journey up to the tuned model; with a budget of time, search for a better recipe on the dev queries.

    With torchrun or accelerate several processes share the training.
    """
    from dialekt.cli.journeying import walk
    from dialekt.errors import UsageError
    from dialekt.flow.launching import one_of_many
    from dialekt.flow.records import StageName

    with one_of_many() as is_first:
        if not is_first:
            return
        screen = open_screen("train", as_json=as_json, quiet=quiet)
        placed = with_place(settings, on)
        if budget is not None:
            from dialekt.cli.recipes import search

            if on is not None:
                raise UsageError("--budget searches on this machine", hint="leave out --on, or --budget")
            search(screen, project, placed, budget=budget, write=write, keep_models=keep_models)
            return
        if write or keep_models:
            raise UsageError(
                f"{'--write' if write else '--keep-models'} does nothing without a search", hint="add --budget 30m"
            )
        finished = walk(screen, project, placed, until=StageName.TRAINING)
    record = finished.record(StageName.TRAINING)
    screen.results.print(str(record.folder / "model"), soft_wrap=True, markup=False)
    screen.results.print("next: dialekt evaluate")
    screen.finish(finished.answer() | {"model": str(record.folder / "model")})
