"""`dialekt logs`: search logs whose truth is known, to measure how much of it the extraction recovers."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dialekt.cli.options import JsonOption, QuietOption
from dialekt.cli.screen import Screen, open_screen

if TYPE_CHECKING:
    from dialekt.logs.simulation import SimulatedModel
    from dialekt.logs.simulation_files import SimulationFacts

app = typer.Typer(help="Work with search logs.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def root() -> None:
    """Work with search logs: simulate one whose truth is known."""


@app.command("simulate", short_help="Draw a search log from known judgments.")
def simulate(
    *,
    beir: Annotated[Path, typer.Option("--beir", help="BEIR folder: corpus.jsonl, queries.jsonl, qrels/.")],
    out: Annotated[
        Path,
        typer.Option("--out", help="The log: .ndjson writes UBI; .tsv, .csv, .parquet one row per impression; or .gz."),
    ],
    split: Annotated[str, typer.Option("--split", help="Whose judgments are the truth.")] = "train",
    model: Annotated[
        str, typer.Option("--model", help="How people read a page: position-based, cascade or dbn.")
    ] = "position-based",
    sessions: Annotated[int, typer.Option("--sessions", min=1, help="Sessions of people.")] = 20_000,
    noise: Annotated[
        float, typer.Option("--noise", help="Click probability of a document that was looked at and is no answer.")
    ] = 0.1,
    bots: Annotated[float, typer.Option("--bots", help="Share of all searches that machines make.")] = 0.0,
    position_bias: Annotated[
        float, typer.Option("--position-bias", min=0.0, help="Rank r is looked at with r^-bias; 0: all are.")
    ] = 1.0,
    queries: Annotated[int | None, typer.Option("--queries", min=1, help="Use this many queries only.")] = None,
    days: Annotated[float, typer.Option("--days", min=0.1, help="How long the log is.")] = 28.0,
    dwell: Annotated[bool, typer.Option("--dwell/--no-dwell", help="Log the seconds spent on a document.")] = True,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Equal seeds give equal logs.")] = 0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Draw a search log from known judgments: ranked by BM25 with some shuffling, clicked by a click model.

    Examples:

      dialekt logs simulate --beir my-set --out clicks.ndjson.gz

      dialekt logs simulate --beir my-set --out clicks.tsv --model cascade --noise 0.2 --bots 0.2

    Then see what the extraction makes of it: dialekt pairs logs --log clicks.tsv --out extracted
    """
    from dialekt.cli.watching import watch
    from dialekt.logs.known_truth import read_truth
    from dialekt.logs.simulation import Simulation
    from dialekt.logs.simulation_files import check_name, write_log

    screen = open_screen("logs.simulate", as_json=as_json, quiet=quiet)
    check_name(out)
    settings = Simulation(
        model=_model(model),
        sessions=sessions,
        noise=noise,
        bots=bots,
        position_bias=position_bias,
        days=days,
        seed=seed,
    )
    with watch(screen) as observer:
        report = partial(observer.progressed, "simulation")
        truth = read_truth(beir, split=split, most_queries=queries, seed=seed, progress=report)
        facts = write_log(truth, settings, out, dwell=dwell, progress=report)
    _show(screen, facts, out)
    screen.finish({"log": str(out), **asdict(facts)})


def _model(name: str) -> "SimulatedModel":
    from dialekt.errors import UsageError
    from dialekt.logs.simulation import SimulatedModel

    try:
        return SimulatedModel(name)
    except ValueError:
        raise UsageError(
            f"--model {name!r} is no click model", hint=f"choose one of {', '.join(SimulatedModel)}"
        ) from None


def _show(screen: Screen, facts: "SimulationFacts", out: Path) -> None:
    share = facts.clicks_on_positives / max(facts.clicks, 1)
    screen.results.print(f"wrote {out}", soft_wrap=True, markup=False)
    screen.results.print(
        f"{facts.searches:,} searches of {facts.queries:,} queries, {facts.impressions:,} impressions, "
        f"{facts.clicks:,} clicks ({share:.0%} on a true answer), {facts.bot_searches:,} searches by machines"
    )
    screen.results.print(f"\nNext: dialekt pairs logs --log {out} --out extracted", soft_wrap=True, markup=False)
