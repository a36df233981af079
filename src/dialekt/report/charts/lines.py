"""Line charts: a score over dimensions, steps or shares, with bands, references and one marked point."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from dialekt.report.charts.frame import Frame, Tick, round_ticks, x_axis, y_axis
from dialekt.report.charts.svg import Scale, dot, drawing, group, label, line, padded, path


@dataclass(frozen=True, slots=True)
class Point:
    """A value at x, with its interval where there is one."""

    x: float
    y: float
    tooltip: str = ""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """A line through points; `tone` (base, tuned, other) gives its colour and its dashes. `dots` marks each point."""

    label: str
    points: tuple[Point, ...]
    tone: str
    dots: bool = True


@dataclass(frozen=True, slots=True)
class Marker:
    """A point that the text speaks of, with its label."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class LineChart:
    """What a line chart shows. `reference` is a horizontal line with a name: (value, name)."""

    title: str
    series: tuple[Series, ...]
    x_title: str
    x_ticks: tuple[Tick, ...] = ()
    reference: tuple[float, str] | None = None
    marker: Marker | None = None
    width: float = 380
    height: float = 264


def line_chart(chart: LineChart) -> Markup:
    """Draw the chart. Names stand at the ends of their lines, so no legend is needed."""
    named = any(series.label for series in chart.series)
    frame = Frame(chart.width, chart.height, 46, 22, chart.width - (58 if named else 16), chart.height - 50)
    x_low, x_high = _x_range(chart)
    y_low, y_high = _y_range(chart)
    x, y = frame.x_scale(x_low, x_high), frame.y_scale(y_low, y_high)
    marks = chart.x_ticks or tuple(round_ticks(x_low, x_high, target=6))
    parts = [y_axis(frame, y, round_ticks(y_low, y_high, target=6)), x_axis(frame, x, marks, title=chart.x_title)]
    parts += [_band(series, x, y) for series in chart.series]
    parts += [_series(series, x, y) for series in chart.series]
    parts += _reference(frame, y, chart.reference) if chart.reference else []
    parts += _names(chart.series, x, y, frame) if named else []
    if chart.marker:
        parts.append(_marker(chart.marker, x, y, frame))
    return drawing(frame.width, frame.height, *parts, label=chart.title)


def _x_range(chart: LineChart) -> tuple[float, float]:
    values = [point.x for series in chart.series for point in series.points]
    low, high = min(values), max(values)
    return (low - 0.5, high + 0.5) if low == high else (low, high)


def _y_range(chart: LineChart) -> tuple[float, float]:
    points = [point for series in chart.series for point in series.points]
    values = [point.y for point in points]
    values += [bound for point in points for bound in (point.low, point.high) if bound is not None]
    values += [chart.reference[0]] if chart.reference else []
    return padded(min(values), max(values), share=0.08, least=0.005)


def _reference(frame: Frame, y: Scale, reference: tuple[float, str]) -> list[Markup]:
    value, name = reference
    return [
        line(frame.left, y(value), frame.right, y(value), class_="reference"),
        label(frame.right, y(value) - 6, name, anchor="end", class_="tick quiet halo"),
    ]


def _band(series: Series, x: Scale, y: Scale) -> Markup:
    upper = [(x(point.x), y(point.high)) for point in series.points if point.high is not None]
    lower = [(x(point.x), y(point.low)) for point in series.points if point.low is not None]
    if len(upper) < 2:
        return Markup("")
    return group(path(upper + lower[::-1], class_="band", closed=True), class_=series.tone)


def _series(series: Series, x: Scale, y: Scale) -> Markup:
    coordinates = [(x(point.x), y(point.y)) for point in series.points]
    parts = [path(coordinates, class_="line")] if len(coordinates) > 1 else []
    if series.dots or len(coordinates) == 1:
        parts += [
            group(dot(x(point.x), y(point.y), radius=4, class_="point"), title=point.tooltip or None)
            for point in series.points
        ]
    return group(*parts, class_=series.tone)


def _names(series: Sequence[Series], x: Scale, y: Scale, frame: Frame) -> list[Markup]:
    """Write each line's name at its last point, pushed apart where two would touch."""
    ends = sorted(((y(one.points[-1].y), one) for one in series), key=lambda end: end[0])
    placed: list[Markup] = []
    lowest = frame.top - 16.0
    for position, one in ends:
        lowest = max(position, lowest + 16)
        at = x(one.points[-1].x) + 9
        placed.append(group(label(at, lowest + 4, one.label, class_="series-name"), class_=one.tone))
    return placed


def _marker(marker: Marker, x: Scale, y: Scale, frame: Frame) -> Markup:
    at, height = x(marker.x), y(marker.y)
    anchor = "end" if at > frame.right - 60 else "start" if at < frame.left + 60 else "middle"
    above = height - 13 > 10
    return group(
        dot(at, height, radius=8, class_="ring"),
        label(at, height - 13 if above else height + 24, marker.text, anchor=anchor, class_="tick strong halo"),
        class_="tuned",
    )
