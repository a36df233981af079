"""Points in a plane, joined where they are steps of one thing: quality against memory, quality against time."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from dialekt.report.charts.frame import Frame, Tick, round_ticks, x_axis, y_axis
from dialekt.report.charts.lines import Marker, Point
from dialekt.report.charts.svg import Scale, dot, drawing, group, label, line, padded, path


@dataclass(frozen=True, slots=True)
class Trace:
    """Points joined in their order; `label` stands beside the lowest of them, at its left where `label_left` is set."""

    label: str
    points: tuple[Point, ...]
    tone: str
    label_left: bool = False


@dataclass(frozen=True, slots=True)
class Scatter:
    """What a scatter plot shows. `reference` is a horizontal line with a name: (value, name)."""

    title: str
    traces: tuple[Trace, ...]
    x_title: str
    x_ticks: tuple[Tick, ...]
    reference: tuple[float, str] | None = None
    marker: Marker | None = None
    width: float = 800
    height: float = 420


def scatter_plot(chart: Scatter) -> Markup:
    """Draw the plot; the marker is drawn last, over everything else."""
    frame = Frame(chart.width, chart.height, 46, 22, chart.width - 60, chart.height - 46)
    points = [point for trace in chart.traces for point in trace.points]
    x = frame.x_scale(*_range([point.x for point in points] + [tick.value for tick in chart.x_ticks]))
    heights = [point.y for point in points] + ([chart.reference[0]] if chart.reference else [])
    y_low, y_high = _range(heights)
    y = frame.y_scale(y_low, y_high)
    parts = [y_axis(frame, y, round_ticks(y_low, y_high, target=6))]
    parts.append(x_axis(frame, x, chart.x_ticks, title=chart.x_title))
    if chart.reference:
        parts += _reference(frame, y, chart.reference)
    parts += [_trace(trace, x, y) for trace in chart.traces]
    parts += _labels(chart.traces, x, y)
    if chart.marker:
        parts.append(_ring(chart.marker, x, y, frame))
    return drawing(frame.width, frame.height, *parts, label=chart.title)


def _range(values: Sequence[float]) -> tuple[float, float]:
    return padded(min(values), max(values), share=0.05, least=0.005)


def _reference(frame: Frame, y: Scale, reference: tuple[float, str]) -> list[Markup]:
    value, name = reference
    return [
        line(frame.left, y(value), frame.right, y(value), class_="reference"),
        label(frame.left + 4, y(value) - 6, name, class_="tick quiet halo"),
    ]


def _trace(trace: Trace, x: Scale, y: Scale) -> Markup:
    at = [(x(point.x), y(point.y)) for point in trace.points]
    dots = [
        group(dot(px, py, radius=3.5, class_="point"), title=point.tooltip or None)
        for (px, py), point in zip(at, trace.points, strict=True)
    ]
    return group(path(at, class_="line thin"), *dots, class_=trace.tone)


def _labels(traces: Sequence[Trace], x: Scale, y: Scale) -> list[Markup]:
    """Name each trace beside its lowest point."""
    named = [(trace, min(trace.points, key=lambda point: point.y)) for trace in traces if trace.label]
    return [
        label(
            x(low.x) + (-8 if trace.label_left else 8),
            y(low.y) + 4,
            trace.label,
            class_="tick halo",
            anchor="end" if trace.label_left else "start",
        )
        for trace, low in named
    ]


def _ring(marker: Marker, x: Scale, y: Scale, frame: Frame) -> Markup:
    at, height = x(marker.x), y(marker.y)
    anchor = "end" if at > frame.right - 100 else "start" if at < frame.left + 100 else "middle"
    return group(
        dot(at, height, radius=8, class_="ring"),
        label(at, height - 13, marker.text, anchor=anchor, class_="tick strong halo"),
        class_="tuned",
    )
