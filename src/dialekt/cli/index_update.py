"""`dialekt index update`: another model, a part of the documents at a time."""

from typing import TYPE_CHECKING, Annotated

import typer

from dialekt.cli.options import JsonOption, ProjectOption, QuietOption, SetOption
from dialekt.cli.screen import Screen, open_screen

if TYPE_CHECKING:
    from dialekt.flow.index_updating import UpdateFacts, UpdateStep


def update_index(
    model: Annotated[
        str | None,
        typer.Option("--model", help="A version such as v3, or champion, latest or base.", show_default="champion"),
    ] = None,
    *,
    sample: Annotated[
        float | None,
        typer.Option("--sample", help="Share of the documents to learn the map from; unset: 2%.", min=0.0, max=1.0),
    ] = None,
    target: Annotated[
        float,
        typer.Option(
            "--until", help="Stop at this share of the new model's NDCG@10, as estimated; 1: embed all.", min=0, max=1
        ),
    ] = 1.0,
    override: Annotated[
        str, typer.Option("--override", metavar="REASON", help="Go live although a check says no; this is recorded.")
    ] = "",
    project: ProjectOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Move a large index to another model in minutes, and embed its documents in the order of need.

    A map from old to new vectors is learnt from a sample; mapped vectors go live after the same checks as a migration,
    servers embed on demand what searches find, and the rest follows, most harmful first. Killed, the same command goes
    on. Refused with exit code 3 where the map does not help: then `dialekt index migrate` embeds everything first.
    """
    from functools import partial

    from dialekt.cli.stopping import HeedingObserver
    from dialekt.cli.watching import watch
    from dialekt.flow.facts import plain
    from dialekt.flow.index_updating import UpdateWishes, update
    from dialekt.flow.indexing import open_works
    from dialekt.flow.project import open_project

    screen = open_screen("index.update", as_json=as_json, quiet=quiet)
    opened = open_project(project, overrides=settings or ())
    with watch(screen) as plain_observer:
        progress = partial(HeedingObserver(plain_observer).progressed, "index")
        with open_works(opened, progress=progress) as works:
            wishes = UpdateWishes(model, sample, target=target, override=override, step=partial(_show_step, screen))
            facts = update(works, wishes)
    _show(screen, facts)
    screen.finish(plain(facts))


def _show_step(screen: Screen, step: "UpdateStep") -> None:
    """Say how far it is: the only lines that come before the end."""
    from dialekt.cli.watching import duration

    found = step.estimated
    judged = f", NDCG@10 {step.ndcg:.3f}" if step.ndcg is not None else ""
    share = step.fresh / max(step.total, 1)
    screen.messages.print(
        f"  {step.fresh:,} of {step.total:,} embedded ({share:.0%}): about {found.value:.0%} of the new model's"
        f" quality ({found.low:.0%} to {found.high:.0%}){judged}; {duration(step.seconds)}",
        soft_wrap=True,
    )


def _show(screen: Screen, facts: "UpdateFacts") -> None:
    from dialekt.cli.index_results import show_checks

    screen.results.print(f"map: {facts.gate.reason}", soft_wrap=True, markup=False)
    show_checks(screen, facts.checks)
    state = "is live" if facts.switch else "was live already"
    last = facts.steps[-1]
    rest = "every document is embedded" if facts.complete else f"{last.total - last.fresh:,} documents are mapped"
    screen.results.print(f"[bold]{facts.release.name}[/] {state}: model {facts.release.model}, {rest}", soft_wrap=True)
    if not facts.complete:
        screen.messages.print(
            f"Servers embed the best {facts.shortlist} of a search on demand. The same command goes on.", style="dim"
        )
