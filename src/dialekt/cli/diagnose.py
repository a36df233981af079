"""`dialekt diagnose`: is fine-tuning worth it here?"""

from typing import TYPE_CHECKING, Annotated

import typer

from dialekt.cli.options import JsonOption, ProjectOption, QuietOption, SetOption
from dialekt.cli.screen import Screen, open_screen

if TYPE_CHECKING:
    from rich.table import Table

    from dialekt.diagnosis.records import DiagnosisFacts

EXAMPLES = """\b
Examples:
  dialekt diagnose --open                              # the evidence on a page
  dialekt diagnose --set diagnosis.minutes=3           # quicker probes, wider intervals
  dialekt diagnose --set diagnosis.share=0.5           # let the probes learn from half of the train queries
"""
SYSTEMS = {"base": "base model", "bm25": "BM25", "hybrid_base": "hybrid"}


def diagnose(
    project: ProjectOption = None,
    settings: SetOption = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Say whether fine-tuning is worth it, from a little of the data, in minutes: yes, gather data first, or no.

    Looks at the language of the documents, at search without tuning, at the data, and trains probes on a fifth of the
    train queries. What it encodes and mines, `dialekt run` uses again. Exit code 0 whatever the verdict.
    """
    from dialekt.cli.spending import confirm_spending
    from dialekt.cli.stopping import HeedingObserver
    from dialekt.cli.watching import watch
    from dialekt.diagnosis.reviving import facts_from_json
    from dialekt.flow.clock import now
    from dialekt.flow.diagnosing import diagnose as find_out
    from dialekt.flow.diagnosing import has_queries
    from dialekt.flow.project import open_project
    from dialekt.flow.records import StageName
    from dialekt.report.diagnosis import write_diagnosis

    screen = open_screen("diagnose", as_json=as_json, quiet=quiet)
    opened = open_project(project, overrides=settings or ())
    if has_queries(opened):
        confirm_spending(screen, opened, until=StageName.PAIRS)
    with watch(screen) as observer:
        record = find_out(opened, observer=HeedingObserver(observer))
    facts = facts_from_json(record.facts)
    pages = write_diagnosis(facts, opened.report, project=opened.config.project.name, created=now())
    show_diagnosis(screen, facts)
    screen.results.print(f"page: {pages.html}", soft_wrap=True, markup=False)
    screen.finish({**record.facts, "html": pages.html, "markdown": pages.markdown})
    if show:
        typer.launch(pages.html)


def show_diagnosis(screen: Screen, facts: "DiagnosisFacts") -> None:
    """Print the verdict, why, the systems without tuning, and what else would help."""
    out = screen.results
    out.print()
    out.print(facts.verdict, style="bold", soft_wrap=True, markup=False)
    for reason in facts.reasons:
        out.print(reason, soft_wrap=True, markup=False)
    if facts.baseline is not None:
        out.print()
        out.print(_systems(facts))
    if facts.gain is not None:
        cost = facts.gain.cost
        out.print(f"\nTraining would take about {cost.training:g} minutes here: {cost.why}.", markup=False)
    if facts.advice:
        out.print("\nWhat else the evidence says:", markup=False)
    for remark in facts.advice:
        out.print(f"- {remark.remedy.value}: {remark.why}", soft_wrap=True, markup=False)
    for note in facts.warnings:
        out.print(f"Note: {note}.", soft_wrap=True, markup=False)


def _systems(facts: "DiagnosisFacts") -> "Table":
    from rich.table import Table

    assert facts.baseline is not None
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("without tuning")
    for title in ("NDCG@10", "interval", "Recall@100"):
        table.add_column(title, justify="right", no_wrap=True)
    for system in facts.baseline.systems:
        ndcg = system.ndcg
        recall = f"{system.recall.value:.3f}" if system.recall else ""
        name = SYSTEMS.get(system.system, system.system)
        table.add_row(name, f"{ndcg.value:.3f}", f"{ndcg.low:.3f} to {ndcg.high:.3f}", recall)
    ceiling = facts.baseline.ceiling
    table.add_row(
        "perfect reranker", f"{ceiling.value:.3f}", f"{ceiling.low:.3f} to {ceiling.high:.3f}", "", style="dim"
    )
    return table
