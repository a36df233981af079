"""The result table: systems by metrics with intervals, the paired comparison, what to deploy, what to type next."""

from pathlib import Path
from typing import TYPE_CHECKING

from dialekt.cli.screen import Screen

if TYPE_CHECKING:
    from rich.table import Table

    from dialekt.cli.journeying import Walk
    from dialekt.evaluation.records import Comparison, EvaluationFacts
    from dialekt.types import Interval

NAMES = {
    "base": "base",
    "bm25": "BM25",
    "hybrid_base": "hybrid",
    "tuned": "tuned",
    "hybrid_tuned": "tuned hybrid",
}


def show_results(screen: Screen, walk: "Walk") -> None:
    """Print what the walk found out: nothing before the evaluation, the whole answer after it."""
    from dialekt.evaluation.records import facts_from_json
    from dialekt.flow.records import StageName

    by_stage = {record.stage: record for record in walk.records}
    if StageName.EVALUATION not in by_stage:
        return
    facts = facts_from_json(by_stage[StageName.EVALUATION].facts)
    show_table(screen, facts)
    registered = by_stage.get(StageName.REGISTRY)
    version = str(registered.facts["version"]) if registered else ""
    if report := by_stage.get(StageName.REPORT):
        screen.results.print(
            f"Report: {_from_here(walk.project.folder / report.facts['html'])}", soft_wrap=True, markup=False
        )
    screen.results.print(
        f"Next: {next_command(facts, version)}{_named(walk.project.folder)}", soft_wrap=True, markup=False
    )


def show_table(screen: Screen, facts: "EvaluationFacts") -> None:
    """Print the table of systems, the rows of smaller dimensions, the comparison and the recommendation."""
    from rich.markup import escape

    screen.results.print()
    kind = "held-out queries made from documents" if facts.made_queries else "held-out queries"
    labels = f", {facts.labels:,} grades by dialekt judge" if facts.labels else ""
    screen.results.print(f"{facts.queries:,} {kind}, {facts.documents:,} documents{labels}, 95% intervals\n")
    screen.results.print(_systems_table(facts))
    dimensions = _dimensions_table(facts)
    if dimensions.row_count:
        screen.results.print()
        screen.results.print(dimensions)
    screen.results.print()
    if gain := facts.comparison("tuned", "base"):
        screen.results.print(comparison_sentence(gain))
    deploy = NAMES.get(facts.recommendation, facts.recommendation)
    advice = "[yellow]Nothing is proven for people's queries[/]" if facts.made_queries else f"Deploy [bold]{deploy}[/]"
    screen.results.print(f"{advice}: {escape(facts.recommendation_reason)}")


def comparison_sentence(gain: "Comparison") -> str:
    """Say in one sentence what tuning changed, and whether that is proven."""
    verdict = "a gain" if gain.low > 0 else "a loss" if gain.high < 0 else "no proven difference"
    p_value = "p < .001" if gain.p_value < 0.001 else f"p = {_short(gain.p_value)}"
    return (
        f"Tuned minus base: [bold]{gain.difference:+.3f}[/] {gain.metric} "
        f"(95% interval {gain.low:+.3f} to {gain.high:+.3f}, {p_value}): {verdict}. "
        f"{gain.wins:,} queries better, {gain.losses:,} worse, {gain.ties:,} equal."
    )


def next_command(facts: "EvaluationFacts", version: str) -> str:
    """Return what to type next."""
    gain = facts.comparison("tuned", "base")
    if gain and gain.low > 0 and version and not facts.made_queries:
        return f"dialekt models promote {version}"
    if not version:
        return "dialekt run"
    return f"dialekt models show {version}"


def _from_here(path: Path) -> str:
    """Write a path as one would type it in the working directory."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _named(project: Path) -> str:
    """Return the option that names the project, where the working directory does not lie in it."""
    return "" if Path.cwd().is_relative_to(project) else f" --project {_from_here(project)}"


def _systems_table(facts: "EvaluationFacts") -> "Table":
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("", no_wrap=True)
    for metric in facts.metrics:
        table.add_column(metric, no_wrap=True)
    best = {metric: _best(facts, metric) for metric in facts.metrics}
    for system, name in NAMES.items():
        if result := facts.result(system):
            cells = [_cell(result.metrics[metric], best=best[metric]) for metric in facts.metrics]
            table.add_row(f"[bold]{name}[/]" if system == facts.recommendation else name, *cells)
    return table


def _best(facts: "EvaluationFacts", metric: str) -> float:
    results = (facts.result(system) for system in NAMES)
    return max(result.metrics[metric].value for result in results if result)


def _cell(interval: "Interval", *, best: float) -> str:
    value = _short(interval.value)
    shown = f"[bold green]{value}[/]" if interval.value >= best else value
    return f"{shown} [dim]{_short(interval.low)}–{_short(interval.high)}[/]"


def _dimensions_table(facts: "EvaluationFacts") -> "Table":
    """Return NDCG@10 by number of dimensions kept, for the base and the tuned model."""
    from rich.table import Table

    found: dict[str, dict[int, str]] = {"base": {}, "tuned": {}}
    for result in facts.systems:
        system = result.system.partition("@")[0]
        if system in found and result.dimension is not None:
            found[system][result.dimension] = _short(result.metrics["NDCG@10"].value)
    dimensions = sorted({size for row in found.values() for size in row}, reverse=True)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("dimensions kept", no_wrap=True)
    for size in dimensions:
        table.add_column(str(size), no_wrap=True)
    if len(dimensions) > 1:
        for system, row in found.items():
            table.add_row(f"{system}, NDCG@10", *(row.get(size, "") for size in dimensions))
    return table


def _short(value: float) -> str:
    """Write a share with three decimals and no leading zero, as the field does: .751"""
    return f"{value:.3f}".removeprefix("0") if value < 0.9995 else "1.00"
