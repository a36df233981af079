"""What was measured: every system with its intervals, and the systems compared query by query."""

from collections.abc import Sequence

from dialekt.evaluation.records import Comparison, EvaluationFacts, SystemResult
from dialekt.measures.metrics import NDCG
from dialekt.report import formats
from dialekt.report.blocks import Block, Cell, Column, Figure, Panel, Paragraph, Row, Section, Table
from dialekt.report.charts.intervals import IntervalMark, Reference, difference_cell, interval_plot
from dialekt.report.charts.svg import padded
from dialekt.types import Interval

ORDER = ("base", "bm25", "hybrid_base", "tuned", "hybrid_tuned")


def results_section(evaluation: EvaluationFacts) -> Section:
    """Return the result table and its picture."""
    results = main_results(evaluation)
    lead = (
        f"Means over {formats.count(evaluation.queries)} held-out test queries and "
        f"{formats.count(evaluation.documents)} documents, with {formats.percent(evaluation.confidence)} bootstrap "
        "intervals. Higher is better."
    )
    if evaluation.labels:
        lead += f" {formats.count(evaluation.labels)} grades that people gave to top results are counted in."
    blocks: list[Block] = [_result_table(evaluation, results)]
    if any(NDCG in result.metrics for result in results):
        blocks.append(_interval_figure(evaluation, results))
    blocks += _fusion_paragraphs(results)
    return Section("results", "Results", lead, tuple(blocks))


def main_results(evaluation: EvaluationFacts) -> list[SystemResult]:
    """Return the systems at their full dimension, in the order of the table."""
    found = [result for name in ORDER if (result := evaluation.result(name))]
    others = [result for result in evaluation.systems if "@" not in result.system and result.system not in ORDER]
    return found + others


def _result_table(evaluation: EvaluationFacts, results: Sequence[SystemResult]) -> Table:
    best = {metric: _best_text(results, metric) for metric in evaluation.metrics}
    columns = (Column("System"), *(Column(metric, numeric=True) for metric in evaluation.metrics))
    rows = tuple(_result_row(evaluation, result, best) for result in results)
    return Table("Retrieval quality by system", columns, rows, note="The best value of each column is marked.")


def _best_text(results: Sequence[SystemResult], metric: str) -> str:
    """Return the best value as it is shown, so that two systems that read the same are both marked."""
    values = [result.metrics[metric].value for result in results if metric in result.metrics]
    return formats.score(max(values)) if values else ""


def _result_row(evaluation: EvaluationFacts, result: SystemResult, best: dict[str, str]) -> Row:
    chosen = result.system == evaluation.recommendation
    name = Cell(formats.system_label(result.system), result.system, tag="recommended" if chosen else "")
    cells = [_metric_cell(result.metrics.get(metric), best[metric]) for metric in evaluation.metrics]
    return Row((name, *cells), highlighted=chosen)


def _metric_cell(interval: Interval | None, best: str) -> Cell:
    if interval is None:
        return Cell(formats.ABSENT)
    text = formats.score(interval.value)
    return Cell(text, formats.score_range(interval.low, interval.high), best=text == best)


def _interval_figure(evaluation: EvaluationFacts, results: Sequence[SystemResult]) -> Figure:
    marks = [_mark(evaluation, result) for result in results if NDCG in result.metrics]
    base = evaluation.result("base")
    reference = Reference(base.metrics[NDCG].value, "base") if base and NDCG in base.metrics else None
    spoken = "; ".join(f"{mark.label} {mark.tooltip}" for mark in marks)
    title = f"{NDCG} with intervals: {spoken}"
    wide, narrow = (
        interval_plot(marks, title=title, axis_title=NDCG, reference=reference, narrow=is_narrow)
        for is_narrow in (False, True)
    )
    caption = "Dots are means, bars their intervals."
    if evaluation.comparisons:
        caption += (
            " Overlapping bars do not mean that a difference is unproven: the systems answered the same queries, and "
            "the paired comparison below is the sharper test."
        )
    return Figure(f"{NDCG} by system", caption, (Panel(wide, narrow=narrow),))


def _mark(evaluation: EvaluationFacts, result: SystemResult) -> IntervalMark:
    interval = result.metrics[NDCG]
    text = formats.score(interval.value)
    return IntervalMark(
        label=formats.system_label(result.system),
        value=interval.value,
        low=interval.low,
        high=interval.high,
        text=text,
        tooltip=f"{text} ({formats.score_range(interval.low, interval.high)})",
        tone="tuned" if result.system.endswith("tuned") else "base",
        strong=result.system == evaluation.recommendation,
    )


def _fusion_paragraphs(results: Sequence[SystemResult]) -> list[Block]:
    sentences = [text for result in results if (text := _fusion_sentence(result))]
    return [Paragraph(" ".join(sentences))] if sentences else []


def _fusion_sentence(result: SystemResult) -> str:
    fusion = result.fusion
    if fusion is None or result.system.startswith("rrf"):  # plain fusion has nothing to choose
        return ""
    weight = formats.percent(fusion.lexical_weight)
    name = formats.system_label(result.system)
    how = (
        f"reciprocal rank fusion (k = {fusion.rank_constant})" if fusion.method == "rrf" else "a weighted sum of scores"
    )
    chosen = (
        f"chosen on {formats.count(fusion.dev_queries)} dev queries (NDCG@10 {formats.score(fusion.dev_score)})"
        if fusion.dev_score is not None
        else "the default, as there were too few dev queries to choose on"
    )
    return f"{name} joins both lists by {how} with BM25 at {weight}, {chosen}."


def comparison_section(evaluation: EvaluationFacts) -> Section | None:
    """Return the paired comparisons: NDCG@10 first, the other metrics folded away."""
    leading = [one for one in evaluation.comparisons if one.metric == NDCG]
    others = [one for one in evaluation.comparisons if one.metric != NDCG]
    if not evaluation.comparisons:
        return None
    lead = (
        "The same queries, answered by both systems: mean difference with its "
        f"{formats.percent(evaluation.confidence)} bootstrap interval, a two-sided sign-flip permutation test, and how "
        f"many queries got better or worse ({formats.count(evaluation.resamples)} resamples)."
    )
    blocks = [_comparison_table(f"Paired differences in {NDCG}", leading, collapsed=False)] if leading else []
    if others:
        blocks.append(_comparison_table("Paired differences in the other metrics", others, collapsed=bool(leading)))
    return Section("comparison", "Paired comparison", lead, tuple(blocks))


def _comparison_table(caption: str, comparisons: Sequence[Comparison], *, collapsed: bool) -> Table:
    with_metric = len({one.metric for one in comparisons}) > 1
    low, high = padded(min(one.low for one in comparisons), max(one.high for one in comparisons), least=0.002)
    columns = (
        Column("Comparison"),
        *((Column("Metric"),) if with_metric else ()),
        Column("Difference", numeric=True),
        Column("Against zero", graphic=True),
        Column("p", numeric=True),
        Column("Wins", numeric=True),
        Column("Losses", numeric=True),
        Column("Ties", numeric=True),
    )
    rows = tuple(_comparison_row(one, (low, high), with_metric=with_metric) for one in comparisons)
    return Table(caption, columns, rows, collapsed=collapsed)


def _comparison_row(one: Comparison, shown: tuple[float, float], *, with_metric: bool) -> Row:
    interval = formats.signed_range(one.low, one.high)
    name = formats.system_label(one.system)
    other = formats.system_label(one.against)
    tone = "tuned" if one.low > 0 else "loss" if one.high < 0 else "other"
    text = formats.signed(one.difference)
    mark = IntervalMark(f"{name} minus {other}", one.difference, one.low, one.high, text, f"{text} ({interval})", tone)
    graphic = difference_cell(mark, low=shown[0], high=shown[1])
    cells = (
        Cell(name, f"against {other}"),
        *((Cell(one.metric),) if with_metric else ()),
        Cell(text, interval),
        Cell(graphic=graphic),
        Cell(formats.p_value(one.p_value)),
        *(Cell(formats.count(number)) for number in (one.wins, one.losses, one.ties)),
    )
    return Row(cells)
