"""The data report of a search log on a terminal: what each rule left, and what the clicks gave."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

BAR_WIDTH = 24
RANKS_SHOWN = 12


def show_log_report(results: "Console", facts: Mapping[str, Any], report: Mapping[str, Any]) -> None:
    """Print intake, funnel, judgments and curves; texts only when the report holds examples."""
    _show_intake(results, facts)
    _show_funnel(results, facts["funnel"])
    _show_judgments(results, facts["evidence"])
    _show_examination(results, report["examination"])
    shares = report["query_shares"]
    if shares:
        named = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
        results.print(f"\nSearches by frequency of their query: {named} (head: 1% of the queries, torso: the next 10%)")
    _show_examples(results, report["examples"])
    for warning in facts["warnings"]:
        results.print(f"warning: {warning}", markup=False, style="yellow", soft_wrap=True)


def _show_intake(results: "Console", facts: Mapping[str, Any]) -> None:
    intake = facts["intake"]
    results.print(
        f"\n{intake['lines']:,} lines in {intake['files']:,} file(s) ({intake['format']}): {intake['searches']:,} "
        f"searches, {intake['shown']:,} documents shown, {intake['actions']:,} acted on",
        soft_wrap=True,
    )
    odd = {
        "damaged lines": intake["damaged_lines"],
        "repeated events": intake["repeated_events"],
        "events without a query": intake["events_without_query"],
        "documents that the corpus does not have": facts["documents_unknown"],
    }
    masked = {f"queries with {kind} masked": count for kind, count in facts["masked_queries"].items()}
    counted = [f"{count:,} {name}" for name, count in (odd | masked).items() if count]
    if counted:
        results.print(", ".join(counted), style="dim", soft_wrap=True)


def _show_funnel(results: "Console", funnel: Sequence[Mapping[str, Any]]) -> None:
    from rich.table import Table

    from dialekt.logs.records import RULE_MEANINGS

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("rule", no_wrap=True)
    for title in ("− rows", "− searches", "− queries", "searches", "queries"):
        table.add_column(title, justify="right", no_wrap=True)
    for step in funnel:
        label = RULE_MEANINGS[step["rule"]]
        if step["switched_off"]:
            table.add_row(label, *["off"] * 3, "", "", style="dim")
            continue
        lost = [step[f"{name}_in"] - step[f"{name}_out"] for name in ("rows", "searches", "queries")]
        left = [step["searches_out"], step["queries_out"]]
        table.add_row(label, *(f"{count:,}" for count in (*lost, *left)), style="" if any(lost) else "dim")
    results.print()
    results.print(table)


def _show_judgments(results: "Console", evidence: Mapping[str, Any]) -> None:
    named = ", ".join(
        f"{count:,} {name} ({evidence['queries'].get(name, 0):,} queries)".replace("  ", " ")
        for name, count in evidence["positives"].items()
    )
    results.print(f"\nAnswers: {named or 'none'}", soft_wrap=True)
    results.print(
        f"Judged no answer: {evidence['judged_non_matches']:,}; passed over (weak negatives): "
        f"{evidence['weak_negatives']:,}; click model: {evidence['click_model'].replace('_', ' ')}",
        soft_wrap=True,
    )


def _show_examination(results: "Console", curve: Sequence[Mapping[str, Any]]) -> None:
    if not curve:
        return
    results.print("\nLooked at, by rank (the click model's estimate; clicks per impression beside)")
    for point in curve[:RANKS_SHOWN]:
        bar = "█" * max(round(point["estimate"] * BAR_WIDTH), 0)
        results.print(
            f"  {point['rank']:>4} {bar:<{BAR_WIDTH}} {point['estimate']:6.1%}  {point['click_rate']:6.2%} of "
            f"{point['impressions']:,}",
            highlight=False,
        )


def _show_examples(results: "Console", examples: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    for rule, rows in examples.items():
        results.print(f"\n[bold]{rule.replace('_', ' ')}[/]")
        for row in rows:
            results.print(
                f"  {row['query']} → {row['document_id']} ({row['clicks']:,} of {row['impressions']:,}, relevance "
                f"{row['relevance']}, at least {row['lower_bound']})",
                markup=False,
                soft_wrap=True,
            )
