"""Points with intervals: one row per system, and the small one that stands in a table cell."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from dialekt.report.charts.frame import Frame, round_ticks, x_axis, x_grid
from dialekt.report.charts.svg import Scale, dot, drawing, group, label, line, padded

LEFT, RIGHT = "\N{LEFTWARDS ARROW}", "\N{RIGHTWARDS ARROW}"


@dataclass(frozen=True, slots=True)
class IntervalMark:
    """One row: a value with its interval; rows of one `group` stand together below its name.

    `tone` is base, tuned, loss or other; `strong` marks the recommended one.
    """

    label: str
    value: float
    low: float
    high: float
    text: str
    tooltip: str
    tone: str = "other"
    strong: bool = False
    group: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """A dashed line through all rows, with its name above; `sides` say what lies left and right of it."""

    value: float
    name: str
    sides: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class IntervalLayout:
    """Where things stand, in pixels; on a narrow screen the name stands above its interval."""

    width: float
    left: float
    right: float
    row_height: float
    label_above: bool


WIDE = IntervalLayout(width=800, left=172, right=736, row_height=38, label_above=False)
NARROW = IntervalLayout(width=358, left=8, right=294, row_height=50, label_above=True)
TOP = 22
GROUP_HEIGHT = 34.0
CHARACTER_WIDTH = 6.9  # of a name at 13 px
WIDEST_NAME, LONGEST_NAME = 290.0, 42
SIDE_ROOM = 88.0  # pixels beside the reference in which its side can be named
CELL_WIDTH, CELL_HEIGHT = 132.0, 22.0


def interval_plot(
    marks: Sequence[IntervalMark],
    *,
    title: str,
    axis_title: str,
    reference: Reference | None = None,
    narrow: bool = False,
) -> Markup:
    """Return one row per mark over a common axis; `reference` draws a dashed line through all rows."""
    layout = NARROW if narrow else _wide_enough(marks)
    tops = _tops(marks, layout)
    bottom = tops[-1] + layout.row_height
    frame = Frame(layout.width, bottom + 40, layout.left, TOP, layout.right, bottom)
    shown = [reference.value] if reference else []
    low, high = padded(min(*shown, *(mark.low for mark in marks)), max(*shown, *(mark.high for mark in marks)))
    scale = frame.x_scale(low, high)
    values = round_ticks(low, high, target=5 if narrow else 10)
    parts = [x_grid(frame, scale, values), x_axis(frame, scale, values, title=axis_title)]
    if reference is not None:
        parts += _reference(frame, scale, reference)
    parts += _group_names(marks, tops)
    parts += [_row(mark, scale, layout, top) for mark, top in zip(marks, tops, strict=True)]
    return drawing(frame.width, frame.height, *parts, label=title)


def _wide_enough(marks: Sequence[IntervalMark]) -> IntervalLayout:
    """Return the wide layout with room for the longest name."""
    longest = max(len(_short(mark.label)) for mark in marks) * CHARACTER_WIDTH + 14
    return replace(WIDE, left=max(WIDE.left, min(longest, WIDEST_NAME)))


def _tops(marks: Sequence[IntervalMark], layout: IntervalLayout) -> list[float]:
    """Return where each row begins: a new group needs room for its name."""
    tops, top, before = [], float(TOP), ""
    for mark in marks:
        top += GROUP_HEIGHT if mark.group != before else 0.0
        tops.append(top)
        top, before = top + layout.row_height, mark.group
    return tops


def _group_names(marks: Sequence[IntervalMark], tops: Sequence[float]) -> list[Markup]:
    found: dict[str, float] = {}
    for mark, top in zip(marks, tops, strict=True):
        found.setdefault(mark.group, top)
    return [label(0, top - 5, name, class_="name strong halo") for name, top in found.items() if name]


def _reference(frame: Frame, scale: Scale, reference: Reference) -> list[Markup]:
    x = scale(reference.value)
    parts = [line(x, frame.top - 4, x, frame.bottom, class_="reference")]
    left, right = reference.sides
    if left and x - frame.left > SIDE_ROOM:
        parts.append(label(x - 9, frame.top - 9, f"{LEFT} {left}", anchor="end", class_="tick quiet"))
    if right and frame.right - x > SIDE_ROOM:
        parts.append(label(x + 9, frame.top - 9, f"{right} {RIGHT}", class_="tick quiet"))
    if reference.name:
        parts.append(label(x, frame.top - 9, reference.name, anchor="middle", class_="tick quiet"))
    return parts


def _row(mark: IntervalMark, scale: Scale, layout: IntervalLayout, top: float) -> Markup:
    y = top + (layout.row_height - 16 if layout.label_above else layout.row_height / 2)
    name_class = "name strong" if mark.strong else "name"
    if layout.label_above:
        name = label(0, top + 17, _short(mark.label), class_=f"{name_class} halo")
    else:
        name = label(0, y + 4.5, _short(mark.label), class_=name_class)
    return group(
        name,
        *_whisker(mark, scale, y),
        label(layout.right + 14, y + 4.5, mark.text, class_="value strong" if mark.strong else "value"),
        class_=mark.tone,
        title=mark.tooltip,
    )


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "\N{HORIZONTAL ELLIPSIS}"


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
