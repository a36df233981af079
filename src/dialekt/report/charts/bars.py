"""A bar for a table cell: a share of the whole at a glance."""

from markupsafe import Markup

from dialekt.report.charts.intervals import CELL_HEIGHT, CELL_WIDTH
from dialekt.report.charts.svg import drawing, element


def bar_cell(share: float, *, title: str, tone: str = "bar") -> Markup:
    """Return a horizontal bar that fills this share, in [0, 1], of its cell."""
    width, height = CELL_WIDTH, CELL_HEIGHT
    filled = max(min(share, 1.0), 0.0) * width
    track = element("rect", x=0.0, y=8.0, width=width, height=6.0, rx=3.0, class_="track")
    fill = element("rect", x=0.0, y=8.0, width=max(filled, 1.5), height=6.0, rx=min(3.0, filled / 2), class_=tone)
    return drawing(width, height, track, fill, label=title)
