"""The table of commands."""

from typing import Annotated

import typer

from dialekt.cli import (
    adapt,
    bench,
    compare,
    demo,
    diagnose,
    evaluate,
    export,
    index,
    init,
    judge,
    logs,
    mine,
    models,
    pairs,
    plan,
    report,
    run,
    serve,
    teacher,
    train,
)

app = typer.Typer(
    name="dialekt",
    help="Teach an embedding model the dialect of your documents, and prove the gain on held-out queries.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help is 0.15 s faster: loading rich for it would cost more than everything else
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("init")(init.init)
app.command("diagnose", epilog=diagnose.EXAMPLES, short_help="Say whether fine-tuning is worth it, in minutes.")(
    diagnose.diagnose
)
app.command("plan", epilog=plan.EXAMPLES, short_help="Say what a corpus takes: time, memory, disk, machines.")(
    plan.plan
)
app.command("run", short_help="Run the whole journey; what is done is skipped.")(run.run)
app.add_typer(pairs.app, name="pairs", short_help="Make the split and the training pairs.")
app.command("mine", short_help="Mine hard negatives and print the audit.")(mine.mine)
app.add_typer(teacher.app, name="teacher")
app.command("adapt", short_help="Adapt the base model to the documents alone, if dev says so.")(adapt.adapt)
app.command("train", epilog=train.EXAMPLES, short_help="Run up to the tuned model; with --budget search a recipe.")(
    train.train
)
app.command("evaluate", short_help="Run up to the result table.")(evaluate.evaluate)
app.command("compare", short_help="Compare systems, versions, run files, models and endpoints.")(compare.compare)
app.add_typer(judge.app, name="judge")
app.command("report", short_help="Write the report as HTML and Markdown.")(report.report)
app.add_typer(models.app, name="models")
app.command("export", short_help="Copy a registered model, and say how to run it elsewhere.")(export.export_model)
app.add_typer(index.app, name="index", short_help="Build, search, migrate and roll back the vector index.")
app.command("serve", short_help="Serve models to clients of TEI and OpenAI.")(serve.serve)
app.add_typer(logs.app, name="logs")
app.add_typer(bench.app, name="bench")
app.command("demo", short_help="See it work on your Python libraries, offline.")(demo.demo)


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
