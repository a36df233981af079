"""`dialekt index advise`: which first stage this corpus wants."""

from typing import TYPE_CHECKING, Annotated

import typer

from dialekt.cli.options import JsonOption, ProjectOption, QuietOption, SetOption
from dialekt.cli.screen import Screen, open_screen

if TYPE_CHECKING:
    from dialekt.index.advising import Advice


def advise_index(
    release: Annotated[str, typer.Argument(help="A release such as r2, or 'live'.")] = "live",
    *,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    project: ProjectOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure quality, memory and latency of searching short vectors first, and recommend a setting.

    Quality is the share of full search's NDCG@10 on held-out judged queries, or of its results where there are none.
    """
    from functools import partial

    from dialekt.cli.stopping import HeedingObserver
    from dialekt.cli.watching import watch
    from dialekt.flow.clock import now
    from dialekt.flow.facts import plain
    from dialekt.flow.index_advice import advise_release
    from dialekt.flow.indexing import open_works
    from dialekt.flow.project import open_project
    from dialekt.report.advice import write_advice

    screen = open_screen("index.advise", as_json=as_json, quiet=quiet)
    opened = open_project(project, overrides=settings or ())
    with watch(screen) as plain_observer:
        progress = partial(HeedingObserver(plain_observer).progressed, "index")
        with open_works(opened, progress=progress) as works:
            advice = advise_release(works, works.catalogue.release(release))
    pages = write_advice(advice, opened.report, project=opened.config.project.name, created=now())
    _show(screen, advice, pages.html)
    screen.finish(plain(advice) | {"html": pages.html, "markdown": pages.markdown})
    if open_page:
        typer.launch(pages.html)


def _show(screen: Screen, advice: "Advice", page: str) -> None:
    from rich.table import Table

    from dialekt.index.advising import one_per_stage

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for title in ("first stage", "candidates", "memory", "quality", "95% interval", "ms"):
        table.add_column(title, no_wrap=True, justify="left" if title == "first stage" else "right")
    table.add_row("full vectors", "", "100%", "100%", "", f"{advice.full_milliseconds:.1f}")
    for point in one_per_stage(advice.points, advice.target):
        stage, found = point.first_stage, point.confirmed
        interval = f"{found.low:.1%} to {found.high:.1%}"
        cells = (f"×{point.oversampling:g}", f"{point.memory_share:.1%}", f"{found.value:.1%}", interval)
        style = "bold green" if point == advice.recommended else ""
        table.add_row(f"{stage.dimensions} {stage.quantization}", *cells, f"{point.milliseconds:.1f}", style=style)
    screen.results.print(table)
    screen.results.print(advice.reason, soft_wrap=True, markup=False)
    if (best := advice.recommended) is not None:
        stage = best.first_stage
        screen.results.print(
            f"In dialekt.toml, then dialekt index migrate:\n[index]\nfirst_stage_dimensions = {stage.dimensions}\n"
            f'first_stage_quantization = "{stage.quantization.value}"\noversampling = {best.oversampling:g}',
            markup=False,
        )
    screen.results.print(f"page: {page}", soft_wrap=True, markup=False)
