"""Two distributions over one axis, drawn as steps; panels share their scales so that they can be compared."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from dialekt.report.charts.frame import Frame, round_ticks, x_axis
from dialekt.report.charts.svg import Scale, drawing, group, label, line, path

LABEL_WIDTH = 116.0  # pixels that the longest name takes at 13 px
NAME = "series-name halo"


@dataclass(frozen=True, slots=True)
class Distribution:
    """Shares (they sum to 1) in bins of equal width between low and high; `center` is marked by a line."""

    label: str
    low: float
    high: float
    shares: tuple[float, ...]
    center: float
    tone: str


@dataclass(frozen=True, slots=True)
class HistogramRange:
    """The common range of a row of panels: x from low to high, y from 0 to the largest share."""

    low: float
    high: float
    top_share: float


def histogram(distributions: Sequence[Distribution], *, common: HistogramRange, title: str, x_title: str) -> Markup:
    """Draw the distributions over each other; each is named at its center."""
    width, height = 380.0, 206.0
    frame = Frame(width, height, 16, 44, width - 16, height - 46)
    x = frame.x_scale(common.low, common.high)
    y = frame.y_scale(0, common.top_share)
    parts = [x_axis(frame, x, round_ticks(common.low, common.high, target=9), title=x_title)]
    parts += [_area(one, x, y) for one in distributions]
    parts += _names(distributions, x, frame)
    return drawing(width, height, *parts, label=title)


def _area(one: Distribution, x: Scale, y: Scale) -> Markup:
    width = (one.high - one.low) / len(one.shares)
    corners: list[tuple[float, float]] = []
    for index, share in enumerate(one.shares):
        left = one.low + index * width
        corners += [(x(left), y(share)), (x(left + width), y(share))]
    visible = [(min(max(px, x.start), x.end), py) for px, py in corners]
    closed = [(visible[0][0], y(0)), *visible, (visible[-1][0], y(0))]
    return group(path(closed, class_="area"), class_=one.tone)


def _names(distributions: Sequence[Distribution], x: Scale, frame: Frame) -> list[Markup]:
    """Mark each center and name it above, the left one to the left, so that two near centers stay readable."""
    ordered = sorted(distributions, key=lambda one: one.center)
    lines, names = [], []
    for index, one in enumerate(ordered):
        at = x(one.center)
        is_last = index == len(ordered) - 1
        row = 14.0 if is_last else 30.0
        to_the_right = at < LABEL_WIDTH or (is_last and at < frame.width - LABEL_WIDTH)
        lines.append(group(line(at, row - 9, at, frame.bottom, class_="center"), class_=one.tone))
        name = (
            label(at + 5, row, one.label, class_=NAME)
            if to_the_right
            else label(at - 5, row, one.label, class_=NAME, anchor="end")
        )
        names.append(group(name, class_=one.tone))
    return lines + names
