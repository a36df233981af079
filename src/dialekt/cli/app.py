"""The table of commands."""

from typing import Annotated

import typer

from dialekt.cli import demo, evaluate, init, mine, models, pairs, report, run, train

app = typer.Typer(
    name="dialekt",
    help="Teach an embedding model the dialect of your documents, and prove the gain on held-out queries.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("init")(init.init)
app.command("run")(run.run)
app.command("pairs")(pairs.pairs)
app.command("mine")(mine.mine)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("report")(report.report)
app.add_typer(models.app, name="models")
app.command("demo")(demo.demo)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Print the traceback of an error.")] = False,  # noqa: ARG001 - read in entry.py, declared here for the help
) -> None:
    """Teach an embedding model the dialect of your documents, and prove the gain on held-out queries."""
    if version:
        from dialekt import __version__

        typer.echo(f"dialekt {__version__}")
        raise typer.Exit
