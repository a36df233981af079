"""Shorter vectors: what each Matryoshka dimension keeps of the quality, and what it saves."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from dialekt.evaluation.records import EvaluationFacts, SystemResult
from dialekt.measures.metrics import NDCG
from dialekt.report import formats
from dialekt.report.blocks import Cell, Column, Figure, Panel, Row, Section, Table
from dialekt.report.charts.frame import Tick
from dialekt.report.charts.lines import LineChart, Point, Series, line_chart
from dialekt.types import Interval

RECALL = "Recall@100"
NAMES = {"base": "Base", "tuned": "Tuned"}
CLOSE_TICKS = 0.45  # powers of two: nearer dimensions share no room for two lines of text


def dimension_section(evaluation: EvaluationFacts) -> Section | None:
    """Return quality by dimension for base and tuned; None when nothing was measured at two dimensions."""
    families = {name: _family(evaluation, name) for name in NAMES}
    dimensions = sorted({result.dimension or 0 for family in families.values() for result in family})
    if len(dimensions) < 2:
        return None
    table = _dimension_table(families, dimensions)
    panels = tuple(
        Panel(_chart(families, dimensions, metric), title=metric)
        for metric in (NDCG, RECALL)
        if any(metric in result.metrics for family in families.values() for result in family)
    )
    caption = f"Bands are {formats.percent(evaluation.confidence)} intervals of each mean."
    figure = Figure("Quality by vector dimension", caption, panels, table)
    return Section("dimensions", "Shorter vectors", _lead(families), (figure,))


def _family(evaluation: EvaluationFacts, name: str) -> list[SystemResult]:
    found = [one for one in evaluation.systems if one.system.partition("@")[0] == name and one.dimension]
    return sorted(found, key=lambda one: one.dimension or 0)


def _lead(families: dict[str, list[SystemResult]]) -> str:
    family = families["tuned"] or families["base"]
    shortest, full = family[0], family[-1]
    if shortest is full or NDCG not in shortest.metrics or NDCG not in full.metrics or not full.metrics[NDCG].value:
        return "Vectors may be cut to a shorter dimension; storage shrinks in proportion."
    kept = shortest.metrics[NDCG].value / full.metrics[NDCG].value
    name = formats.system_label(full.system)
    short, whole = shortest.dimension or 0, full.dimension or 0
    return (
        f"{name}: cut from {whole} to {short} dimensions, it keeps {formats.percent(kept)} of its {NDCG}, and a "
        f"million documents take {formats.storage(short)} instead of {formats.storage(whole)}."
    )


def _chart(families: dict[str, list[SystemResult]], dimensions: Sequence[int], metric: str) -> Markup:
    series = tuple(
        Series(NAMES[name], points, name)
        for name, family in families.items()
        if (points := tuple(_point(one, metric) for one in family if metric in one.metrics))
    )
    spoken = "; ".join(f"{one.label} {', '.join(point.tooltip for point in one.points)}" for one in series)
    chart = LineChart(
        title=f"{metric} by vector dimension: {spoken}",
        series=series,
        x_title="dimension, storage per million documents",
        x_ticks=tuple(_ticks(dimensions)),
    )
    return line_chart(chart)


def _point(result: SystemResult, metric: str) -> Point:
    interval = result.metrics[metric]
    text = f"{result.dimension}: {_interval_text(interval)}"
    return Point(math.log2(result.dimension or 1), interval.value, text, interval.low, interval.high)


def _ticks(dimensions: Sequence[int]) -> list[Tick]:
    """Label the largest dimension first and leave out the ones too near to a labelled one."""
    marks: list[Tick] = []
    for dimension in sorted(dimensions, reverse=True):
        position = math.log2(dimension)
        if not marks or marks[-1].value - position >= CLOSE_TICKS:
            marks.append(Tick(position, str(dimension), formats.storage(dimension)))
    return marks


def _interval_text(interval: Interval) -> str:
    return f"{formats.score(interval.value)} ({formats.score_range(interval.low, interval.high)})"


def _dimension_table(families: dict[str, list[SystemResult]], dimensions: Sequence[int]) -> Table:
    shown = [name for name in NAMES if families[name]]
    columns = (
        Column("Dimension", numeric=True),
        Column("Storage per million documents", numeric=True),
        *(Column(f"{NAMES[name]} {metric}", numeric=True) for name in shown for metric in (NDCG, RECALL)),
    )
    rows = tuple(_dimension_row(dimension, [families[name] for name in shown]) for dimension in reversed(dimensions))
    return Table(
        "Quality and storage by dimension", columns, rows, note="Storage counts float32 vectors only.", collapsed=True
    )


def _dimension_row(dimension: int, families: Sequence[list[SystemResult]]) -> Row:
    cells = [Cell(str(dimension)), Cell(formats.storage(dimension))]
    for family in families:
        result = next((one for one in family if one.dimension == dimension), None)
        for metric in (NDCG, RECALL):
            interval = result.metrics.get(metric) if result else None
            cells.append(
                Cell(formats.score(interval.value), formats.score_range(interval.low, interval.high))
                if interval
                else Cell(formats.ABSENT)
            )
    return Row(tuple(cells))
