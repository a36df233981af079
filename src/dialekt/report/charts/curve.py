"""A learning curve: what was measured at growing amounts of data, and what is expected further right."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from dialekt.report.charts.frame import Frame, Tick, round_ticks, x_axis, y_axis
from dialekt.report.charts.svg import Scale, dot, drawing, group, label, line, padded, path

TICK_ROOM = 46.0  # pixels that the label of a tick takes
CHARACTER_WIDTH = 7.6  # of a bold name at 13 px


@dataclass(frozen=True, slots=True)
class Measured:
    """One way of learning: every run as (amount, value), and its tone. The line goes through the means of an amount."""

    name: str
    runs: tuple[tuple[float, float], ...]
    tone: str


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected at an amount that was not tried, with its interval; `text` is written beside it."""

    amount: float
    value: float
    low: float
    high: float
    text: str


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """What the chart shows; amounts are on a logarithmic axis, and zero is a dashed line."""

    title: str
    measured: tuple[Measured, ...]
    expected: tuple[Expected, ...]
    x_title: str
    width: float = 800
    height: float = 340


def learning_curve(chart: LearningCurve) -> Markup:
    """Draw the curve: dots are runs, whiskers what is expected."""
    frame = Frame(chart.width, chart.height, 52, 30, chart.width - 62, chart.height - 48)
    x = frame.x_scale(*padded(*_ends([math.log2(amount) for amount in _amounts(chart)]), share=0.04, least=0.1))
    y_low, y_high = padded(*_ends(_heights(chart)), share=0.08, least=0.005)
    y = frame.y_scale(y_low, y_high)
    parts = [y_axis(frame, y, round_ticks(y_low, y_high, target=6))]
    parts.append(x_axis(frame, x, _ticks(chart, x), title=chart.x_title))
    parts.append(line(frame.left, y(0), frame.right, y(0), class_="reference"))
    parts += _names(chart, frame)
    parts += _bridge(chart, x, y)
    parts += [_measured(one, x, y) for one in chart.measured]
    parts += [_expected(one, x, y, is_last=one is chart.expected[-1]) for one in chart.expected]
    return drawing(frame.width, frame.height, *parts, label=chart.title)


def _amounts(chart: LearningCurve) -> list[float]:
    found = [amount for one in chart.measured for amount, _ in one.runs] + [one.amount for one in chart.expected]
    return sorted(set(found), reverse=True)


def _heights(chart: LearningCurve) -> list[float]:
    runs = [value for one in chart.measured for _, value in one.runs]
    return [0.0, *runs, *(bound for one in chart.expected for bound in (one.low, one.high))]


def _ends(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)


def _ticks(chart: LearningCurve, x: Scale) -> list[Tick]:
    """Label the largest amount first and leave out those too near to a labelled one."""
    marks: list[Tick] = []
    for amount in _amounts(chart):
        at = math.log2(amount)
        if not marks or x(marks[-1].value) - x(at) >= TICK_ROOM:
            marks.append(Tick(at, f"{amount:,.0f}"))
    return marks


def _means(one: Measured) -> list[tuple[float, float]]:
    amounts = sorted({amount for amount, _ in one.runs})
    values = [[value for at, value in one.runs if at == amount] for amount in amounts]
    return [(amount, sum(found) / len(found)) for amount, found in zip(amounts, values, strict=True)]


def _measured(one: Measured, x: Scale, y: Scale) -> Markup:
    means = [(x(math.log2(amount)), y(value)) for amount, value in _means(one)]
    parts = [path(means, class_="line")] if len(means) > 1 else []
    parts += [dot(x(math.log2(amount)), y(value), radius=3.5, class_="point") for amount, value in one.runs]
    return group(*parts, class_=one.tone)


def _names(chart: LearningCurve, frame: Frame) -> list[Markup]:
    """Name the ways of learning in a row above the plot, where they cover no run."""
    parts, left = [], frame.left
    for one in chart.measured:
        mark = dot(left + 4, 9, radius=3.5, class_="point")
        parts.append(group(mark, label(left + 13, 13, one.name, class_="series-name"), class_=one.tone))
        left += 13 + len(one.name) * CHARACTER_WIDTH + 20
    return parts


def _bridge(chart: LearningCurve, x: Scale, y: Scale) -> list[Markup]:
    """Lead from the last mean of the first way of learning through what is expected."""
    if not chart.measured or not chart.expected:
        return []
    amount, value = _means(chart.measured[0])[-1]
    points = [(amount, value), *((one.amount, one.value) for one in chart.expected)]
    at = [(x(math.log2(amount)), y(value)) for amount, value in points]
    return [group(path(at, class_="line expected"), class_=chart.measured[0].tone)]


def _expected(one: Expected, x: Scale, y: Scale, *, is_last: bool) -> Markup:
    at, low, high = x(math.log2(one.amount)), y(one.low), y(one.high)
    anchor = "start" if is_last else "end"
    return group(
        line(at, low, at, high, class_="whisker"),
        line(at - 4, low, at + 4, low, class_="whisker"),
        line(at - 4, high, at + 4, high, class_="whisker"),
        dot(at, y(one.value), radius=6, class_="point"),
        label(at + (10 if is_last else -10), y(one.value) - 9, one.text, class_="value strong halo", anchor=anchor),
        class_="tuned",
    )
