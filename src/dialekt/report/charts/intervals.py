"""Points with intervals: one row per system, and the small one that stands in a table cell."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from dialekt.report.charts.frame import Frame, round_ticks, x_axis, x_grid
from dialekt.report.charts.svg import Scale, dot, drawing, group, label, line, padded


@dataclass(frozen=True, slots=True)
class IntervalMark:
    """One row: a value with its interval. `tone` is base, tuned or other; `strong` marks the recommended one."""

    label: str
    value: float
    low: float
    high: float
    text: str
    tooltip: str
    tone: str = "other"
    strong: bool = False


@dataclass(frozen=True, slots=True)
class IntervalLayout:
    """Where things stand, in pixels; on a narrow screen the name stands above its interval."""

    width: float
    left: float
    right: float
    row_height: float
    label_above: bool


WIDE = IntervalLayout(width=800, left=172, right=742, row_height=38, label_above=False)
NARROW = IntervalLayout(width=358, left=8, right=300, row_height=50, label_above=True)
TOP = 22
CELL_WIDTH, CELL_HEIGHT = 132.0, 22.0


def interval_plot(
    marks: Sequence[IntervalMark], *, title: str, axis_title: str, reference: float | None = None, narrow: bool = False
) -> Markup:
    """Return one row per mark over a common axis; `reference` draws a dashed line through all rows."""
    layout = NARROW if narrow else WIDE
    bottom = TOP + layout.row_height * len(marks)
    frame = Frame(layout.width, bottom + 40, layout.left, TOP, layout.right, bottom)
    low, high = padded(min(mark.low for mark in marks), max(mark.high for mark in marks))
    scale = frame.x_scale(low, high)
    values = round_ticks(low, high, target=5 if narrow else 10)
    parts = [x_grid(frame, scale, values), x_axis(frame, scale, values, title=axis_title)]
    if reference is not None:
        parts += _reference(frame, scale, reference)
    parts += [_row(mark, scale, layout, index) for index, mark in enumerate(marks)]
    return drawing(frame.width, frame.height, *parts, label=title)


def _reference(frame: Frame, scale: Scale, value: float) -> list[Markup]:
    x = scale(value)
    return [
        line(x, frame.top - 4, x, frame.bottom, class_="reference"),
        label(x, frame.top - 9, "base", anchor="middle", class_="tick quiet"),
    ]


def _row(mark: IntervalMark, scale: Scale, layout: IntervalLayout, index: int) -> Markup:
    top = TOP + layout.row_height * index
    y = top + (layout.row_height - 16 if layout.label_above else layout.row_height / 2)
    name_class = "name strong" if mark.strong else "name"
    if layout.label_above:
        name = label(0, top + 17, mark.label, class_=f"{name_class} halo")
    else:
        name = label(0, y + 4.5, mark.label, class_=name_class)
    return group(
        name,
        *_whisker(mark, scale, y),
        label(layout.right + 14, y + 4.5, mark.text, class_="value strong" if mark.strong else "value"),
        class_=mark.tone,
        title=mark.tooltip,
    )


def _whisker(mark: IntervalMark, scale: Scale, y: float) -> list[Markup]:
    low, high = scale(mark.low), scale(mark.high)
    return [
        line(low, y, high, y, class_="whisker"),
        line(low, y - 4, low, y + 4, class_="whisker"),
        line(high, y - 4, high, y + 4, class_="whisker"),
        dot(scale(mark.value), y, radius=6.5 if mark.strong else 5, class_="point"),
    ]


def difference_cell(mark: IntervalMark, *, low: float, high: float) -> Markup:
    """Return a small interval against a zero line, for a table cell that shows the range from low to high."""
    width, height = CELL_WIDTH, CELL_HEIGHT
    scale = Scale(min(low, 0.0), max(high, 0.0), 7, width - 7)
    parts = [
        line(scale(0), 1, scale(0), height - 1, class_="zero"),
        line(scale(mark.low), height / 2, scale(mark.high), height / 2, class_="whisker"),
        dot(scale(mark.value), height / 2, radius=4, class_="point"),
    ]
    return drawing(width, height, group(*parts, class_=mark.tone), label=f"{mark.label}: {mark.tooltip}")


def change_cell(before: float, after: float, *, title: str) -> Markup:
    """Return a score before (open) and after (filled) on a line from 0 to 1, for a table cell."""
    width, height = CELL_WIDTH, CELL_HEIGHT
    scale = Scale(0, 1, 7, width - 7)
    y = height / 2
    parts = [
        line(scale(0), y, scale(1), y, class_="grid"),
        line(scale(before), y, scale(after), y, class_="whisker"),
        dot(scale(before), y, radius=4, class_="point open"),
        dot(scale(after), y, radius=4.5, class_="point"),
    ]
    return drawing(width, height, group(*parts, class_="tuned" if after >= before else "loss"), label=title)
