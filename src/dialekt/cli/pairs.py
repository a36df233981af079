"""`dialekt pairs`: the journey up to the training pairs; its subcommands make pairs from logs and from documents."""

import typer

from dialekt.cli import pairs_export, pairs_logs, pairs_synthesize
from dialekt.cli.options import JsonOption, ProjectOption, QuietOption, SetOption
from dialekt.cli.screen import open_screen

app = typer.Typer(invoke_without_command=True, no_args_is_help=False)
app.command("logs", short_help="Search logs → graded answers, with a data report.")(pairs_logs.logs)
app.command("synthesize", short_help="Documents → made queries that passed every gate.")(pairs_synthesize.synthesize)
app.command("export", short_help="Training pairs → files for AutoTrain, Vertex AI and others.")(pairs_export.export)


@app.callback()
def pairs(
    context: typer.Context,
    project: ProjectOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Read all sources, split, and make the training pairs."""
    if context.invoked_subcommand is not None:
        return
    from dialekt.cli.journeying import walk
    from dialekt.flow.records import StageName

    screen = open_screen("pairs", as_json=as_json, quiet=quiet)
    finished = walk(screen, project, settings, until=StageName.PAIRS)
    facts = finished.record(StageName.PAIRS).facts
    sources = ", ".join(f"{count:,} from {source}" for source, count in facts["by_source"].items())
    screen.results.print(f"{facts['pairs']:,} training pairs: {sources}  (next: dialekt mine)")
    screen.finish(finished.answer())
