"""The one number that the page is about: what the recommended system gains, how sure that is, and for how many."""

from collections.abc import Sequence

from dialekt.evaluation.records import Comparison
from dialekt.measures.metrics import NDCG
from dialekt.report import formats
from dialekt.report.blocks import Hero, Panel
from dialekt.report.charts.bars import Part, divided_bar
from dialekt.report.charts.intervals import IntervalMark, Reference, interval_plot

SIDES = ("worse", "better")
NARROW_WIDTH = 358.0


def gain_hero(comparisons: Sequence[Comparison], *, confidence: float) -> Hero | None:
    """Return the first comparison as the number of the page, all of them as rows; None when there are none."""
    if not comparisons:
        return None
    leading = comparisons[0]
    interval = formats.signed_range(leading.low, leading.high)
    caption = (
        f"{leading.metric} of {formats.system_phrase(leading.system)} minus {formats.system_phrase(leading.against)}, "
        f"{formats.percent(confidence)} interval {interval}, {formats.p_phrase(leading.p_value)}"
    )
    return Hero(
        formats.signed(leading.difference),
        caption,
        (_interval_panel(comparisons), _outcome_panel(leading)),
        (*(_sentence(one) for one in comparisons[1:]), _outcome_sentence(leading)),
    )


def difference_mark(name: str, one: Comparison, *, strong: bool = False) -> IntervalMark:
    """Return a difference as a row: blue where it is surely above zero, orange where it is surely below."""
    text = formats.signed(one.difference)
    tone = "tuned" if one.low > 0 else "loss" if one.high < 0 else "other"
    tooltip = f"{text} ({formats.signed_range(one.low, one.high)})"
    return IntervalMark(name, one.difference, one.low, one.high, text, tooltip, tone, strong=strong)


def difference_panel(marks: Sequence[IntervalMark], *, title: str, axis_title: str) -> Panel:
    """Return differences around zero, for a wide and for a narrow screen."""
    spoken = f"{title}: " + "; ".join(f"{mark.label} {mark.tooltip}" for mark in marks)
    wide, narrow = (
        interval_plot(marks, title=spoken, axis_title=axis_title, reference=Reference(0.0, "", SIDES), narrow=is_narrow)
        for is_narrow in (False, True)
    )
    return Panel(wide, narrow=narrow)


def _interval_panel(comparisons: Sequence[Comparison]) -> Panel:
    marks = [
        difference_mark(f"Against {formats.system_phrase(one.against)}", one, strong=index == 0)
        for index, one in enumerate(comparisons)
    ]
    name = formats.system_label(comparisons[0].system)
    return difference_panel(marks, title=f"What changes with {name}", axis_title=f"difference in {NDCG}")


def _outcome_panel(one: Comparison) -> Panel:
    counts = ((one.wins, "better", "tuned"), (one.ties, "the same", "other"), (one.losses, "worse", "loss"))
    total = max(sum(count for count, _, _ in counts), 1)
    parts = [Part(count / total, f"{formats.percent(count / total)} {name}", tone) for count, name, tone in counts]
    spoken = _outcome_sentence(one)
    title = "Of all test queries"
    return Panel(
        divided_bar(parts, title=spoken), title=title, narrow=divided_bar(parts, title=spoken, width=NARROW_WIDTH)
    )


def _sentence(one: Comparison) -> str:
    difference, interval = formats.signed(one.difference), formats.signed_range(one.low, one.high)
    return f"Against {formats.system_phrase(one.against)} the difference is {difference} ({interval})."


def _outcome_sentence(one: Comparison) -> str:
    return (
        f"{formats.count(one.wins)} test queries are answered better, {formats.count(one.losses)} worse, "
        f"{formats.count(one.ties)} as before."
    )
