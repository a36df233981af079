"""`dialekt evaluate`: the journey up to the result table."""

from dialekt.cli.options import JsonOption, ProjectOption, QuietOption, SetOption
from dialekt.cli.screen import open_screen


def evaluate(
    project: ProjectOption = None, settings: SetOption = None, as_json: JsonOption = False, quiet: QuietOption = False
) -> None:
    """Run the journey up to the evaluation and print the result table."""
    from dialekt.cli.journeying import walk
    from dialekt.cli.results import show_results
    from dialekt.flow.records import StageName

    screen = open_screen("evaluate", as_json=as_json, quiet=quiet)
    finished = walk(screen, project, settings, until=StageName.EVALUATION)
    show_results(screen, finished)
    screen.finish(finished.answer())
