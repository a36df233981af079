"""`dialekt train`: the journey up to the tuned model."""

from dialekt.cli.options import JsonOption, OnOption, ProjectOption, QuietOption, SetOption, with_place
from dialekt.cli.screen import open_screen


def train(
    on: OnOption = None,
    project: ProjectOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Run the journey up to the tuned model; with torchrun or accelerate several processes share the training."""
    from dialekt.cli.journeying import walk
    from dialekt.flow.launching import one_of_many
    from dialekt.flow.records import StageName

    with one_of_many() as is_first:
        if not is_first:
            return
        screen = open_screen("train", as_json=as_json, quiet=quiet)
        finished = walk(screen, project, with_place(settings, on), until=StageName.TRAINING)
    record = finished.record(StageName.TRAINING)
    screen.results.print(str(record.folder / "model"), soft_wrap=True, markup=False)
    screen.results.print("next: dialekt evaluate")
    screen.finish(finished.answer() | {"model": str(record.folder / "model")})
