"""For whom it got better: parts of the test queries, with intervals that hold all at once."""

from collections.abc import Sequence

from dialekt.evaluation.records import EvaluationFacts, Slice
from dialekt.measures.metrics import NDCG
from dialekt.report import formats
from dialekt.report.blocks import Cell, Column, Figure, Row, Section, Table
from dialekt.report.charts.intervals import IntervalMark
from dialekt.report.sections.gain import difference_panel

NAMED = 3  # slices that the lead names, at most


def slices_section(evaluation: EvaluationFacts) -> Section | None:
    """Return tuned minus base by slice; None when the queries were not divided."""
    if not evaluation.slices:
        return None
    marks = [_mark(one) for one in _grouped(evaluation.slices)]
    panel = difference_panel(marks, title="Tuned minus base by slice", axis_title=f"difference in {NDCG}, tuned - base")
    caption = (
        f"Dots are the mean difference in {NDCG} of the tuned model to the base model, with the number of queries in "
        f"brackets. All intervals hold at once with {formats.percent(evaluation.confidence)} confidence, so one that "
        "clears zero is proven, however many were looked at."
    )
    figure = Figure("Tuned model against base model", caption, (panel,), _table(evaluation.slices))
    return Section("slices", "For whom", _lead(evaluation.slices), (figure,))


def slice_name(one: Slice) -> str:
    """Name a slice within a sentence: `query length: 3–5 words`."""
    return f"{one.dimension}: {one.value}"


def _grouped(slices: Sequence[Slice]) -> list[Slice]:
    """Return the slices with those of one dimension together, in the order of their first."""
    dimensions = list(dict.fromkeys(one.dimension for one in slices))
    return sorted(slices, key=lambda one: dimensions.index(one.dimension))


def _mark(one: Slice) -> IntervalMark:
    text = formats.signed(one.difference)
    tone = "tuned" if one.low > 0 else "loss" if one.high < 0 else "other"
    tooltip = f"{text} ({formats.signed_range(one.low, one.high)})"
    name = f"{one.value} ({formats.count(one.queries)})"
    return IntervalMark(
        name, one.difference, one.low, one.high, text, tooltip, tone, group=formats.humanise(one.dimension)
    )


def _lead(slices: Sequence[Slice]) -> str:
    better = [one for one in slices if one.low > 0]
    worse = sorted((one for one in slices if one.high < 0), key=lambda one: one.difference)
    total = formats.count(len(slices))
    parts = [f"Proven better on {formats.count(len(better))} of {total} slices of the test queries"]
    if not worse:
        return f"{parts[0]}, proven worse on none."
    named = "; ".join(slice_name(one) for one in worse[:NAMED])
    more = f" and {formats.count(len(worse) - NAMED)} more" if len(worse) > NAMED else ""
    return f"{parts[0]}, proven worse on {formats.count(len(worse))}: {named}{more}."


def _table(slices: Sequence[Slice]) -> Table:
    columns = (
        Column("Slice"),
        Column("Queries", numeric=True),
        Column("Base", numeric=True),
        Column("Tuned", numeric=True),
        Column("Difference", numeric=True),
        Column("Proven"),
    )
    return Table("Slices in numbers", columns, tuple(_row(one) for one in _grouped(slices)), collapsed=True)


def _row(one: Slice) -> Row:
    proven = "better" if one.low > 0 else "worse" if one.high < 0 else "no"
    return Row(
        (
            Cell(one.value, one.dimension),
            Cell(formats.count(one.queries)),
            Cell(formats.score(one.base)),
            Cell(formats.score(one.tuned)),
            Cell(formats.signed(one.difference), formats.signed_range(one.low, one.high)),
            Cell(proven),
        )
    )
