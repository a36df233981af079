"""The frame of a chart: its plot area, its grid and its axes."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from dialekt.report.charts.svg import Scale, label, line, tick_texts, ticks


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis; `detail` is a second, quieter line of text."""

    value: float
    text: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """A plot area in pixels inside a drawing of width × height."""

    width: float
    height: float
    left: float
    top: float
    right: float
    bottom: float

    def x_scale(self, low: float, high: float) -> Scale:
        """Return the scale along the width."""
        return Scale(low, high, self.left, self.right)

    def y_scale(self, low: float, high: float) -> Scale:
        """Return the scale along the height, growing upward."""
        return Scale(low, high, self.bottom, self.top)


def round_ticks(low: float, high: float, *, target: int = 5) -> list[Tick]:
    """Return ticks at round values."""
    values = ticks(low, high, target=target)
    return [Tick(value, text) for value, text in zip(values, tick_texts(values), strict=True)]


def y_axis(frame: Frame, scale: Scale, marks: Sequence[Tick]) -> Markup:
    """Return horizontal grid lines with their values at the left."""
    lines = [line(frame.left, scale(mark.value), frame.right, scale(mark.value), class_="grid") for mark in marks]
    texts = [label(frame.left - 8, scale(mark.value) + 4, mark.text, anchor="end") for mark in marks]
    return Markup("").join(lines + texts)


def x_axis(frame: Frame, scale: Scale, marks: Sequence[Tick], *, title: str = "") -> Markup:
    """Return the base line, its marks and texts, and the axis title below them."""
    parts = [line(frame.left, frame.bottom, frame.right, frame.bottom, class_="axis")]
    for mark in marks:
        x = scale(mark.value)
        parts.append(line(x, frame.bottom, x, frame.bottom + 4, class_="axis"))
        parts.append(label(x, frame.bottom + 17, mark.text, anchor="middle"))
        if mark.detail:
            parts.append(label(x, frame.bottom + 31, mark.detail, anchor="middle", class_="tick quiet"))
    if title:
        lowest = 45 if any(mark.detail for mark in marks) else 33
        parts.append(label(frame.right, frame.bottom + lowest, title, anchor="end", class_="tick quiet"))
    return Markup("").join(parts)


def x_grid(frame: Frame, scale: Scale, marks: Sequence[Tick]) -> Markup:
    """Return vertical grid lines."""
    return Markup("").join(
        line(scale(mark.value), frame.top, scale(mark.value), frame.bottom, class_="grid") for mark in marks
    )
