"""Bars: a share of the whole in a table cell, and the whole divided into its parts."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from dialekt.report.charts.intervals import CELL_HEIGHT, CELL_WIDTH
from dialekt.report.charts.svg import drawing, element, group, label

GAP = 2.0
DIVIDED_HEIGHT = 26.0
ROOM_FOR_TEXT = 13.0  # pixels per line of text below a divided bar
CHARACTER_WIDTH = 7.2
TEXT_GAP = 12.0


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the whole: its share in [0, 1], what it is called, and its tone."""

    share: float
    text: str
    tone: str


def bar_cell(share: float, *, title: str, tone: str = "bar") -> Markup:
    """Return a horizontal bar that fills this share, in [0, 1], of its cell."""
    width, height = CELL_WIDTH, CELL_HEIGHT
    filled = max(min(share, 1.0), 0.0) * width
    track = element("rect", x=0.0, y=8.0, width=width, height=6.0, rx=3.0, class_="track")
    fill = element("rect", x=0.0, y=8.0, width=max(filled, 1.5), height=6.0, rx=min(3.0, filled / 2), class_=tone)
    return drawing(width, height, track, fill, label=title)


def divided_bar(parts: Sequence[Part], *, title: str, width: float = 800) -> Markup:
    """Return one bar divided into its parts, each with its text below; the shares sum to 1."""
    drawn: list[Markup] = []
    left = 0.0
    for part, text_left in zip(parts, _text_places(parts, width), strict=True):
        size = max(part.share * width, 0.0)
        bar = element("rect", x=left, y=2.0, width=max(size - GAP, 1.0), height=DIVIDED_HEIGHT, rx=2.0, class_="block")
        text = label(text_left, DIVIDED_HEIGHT + 20, part.text, class_="value")
        drawn.append(group(bar, text, class_=part.tone))
        left += size
    return drawing(width, DIVIDED_HEIGHT + 2 * ROOM_FOR_TEXT, *drawn, label=title)


def _text_places(parts: Sequence[Part], width: float) -> list[float]:
    """Return where each text begins: below its part, pushed aside where two would touch or one would not fit."""
    sizes = [len(part.text) * CHARACTER_WIDTH for part in parts]
    places: list[float] = []
    left, free = 0.0, 0.0
    for part, size in zip(parts, sizes, strict=True):
        places.append(max(left, free))
        left, free = left + part.share * width, places[-1] + size + TEXT_GAP
    edge = width
    for index in reversed(range(len(parts))):
        places[index] = min(places[index], edge - sizes[index])
        edge = places[index] - TEXT_GAP
    return places
