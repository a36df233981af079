"""`dialekt pairs`: the journey up to the training pairs."""

from dialekt.cli.options import JsonOption, ProjectOption, QuietOption, SetOption
from dialekt.cli.screen import open_screen


def pairs(
    project: ProjectOption = None, settings: SetOption = None, as_json: JsonOption = False, quiet: QuietOption = False
) -> None:
    """Read documents and judgments, split, and make the training pairs."""
    from dialekt.cli.journeying import walk
    from dialekt.flow.records import StageName

    screen = open_screen("pairs", as_json=as_json, quiet=quiet)
    finished = walk(screen, project, settings, until=StageName.PAIRS)
    facts = finished.record(StageName.PAIRS).facts
    screen.results.print(f"{facts['pairs']:,} training pairs  (next: dialekt mine)")
    screen.finish(finished.answer())
