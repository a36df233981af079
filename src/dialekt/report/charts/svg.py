"""SVG as text: elements with escaped attributes and content, scales and round tick marks."""

import math
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

Attribute = str | float | None


def element(tag: str, *children: Markup | str, **attributes: Attribute) -> Markup:
    """Return an element; `class_` and `stroke_width` become `class` and `stroke-width`, a None is left out."""
    opening = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    content = "".join(escape(child) for child in children)
    return Markup(f"<{tag}{opening}>{content}</{tag}>" if children else f"<{tag}{opening}/>")  # noqa: S704 - escaped above


def _value(value: str | float) -> str:
    return escape(value) if isinstance(value, str) else number(value)


def number(value: float) -> str:
    """Return a coordinate with at most two decimals."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def drawing(width: float, height: float, *children: Markup, label: str) -> Markup:
    """Return a whole drawing that scales with its container; `label` is what a screen reader says instead."""
    return element(
        "svg", *children, viewBox=f"0 0 {number(width)} {number(height)}", class_="chart", role="img", aria_label=label
    )


def group(*children: Markup, class_: str | None = None, title: str | None = None) -> Markup:
    """Return a group; `title` shows when the pointer rests on it."""
    titles = (element("title", title),) if title else ()
    return element("g", *titles, *children, class_=class_)


def label(x: float, y: float, text: str, *, class_: str = "tick", anchor: str = "start") -> Markup:
    """Return a text whose baseline is at y."""
    return element("text", text, x=x, y=y, class_=class_, text_anchor=None if anchor == "start" else anchor)


def line(x1: float, y1: float, x2: float, y2: float, *, class_: str) -> Markup:
    """Return a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def dot(x: float, y: float, *, radius: float, class_: str) -> Markup:
    """Return a point."""
    return element("circle", cx=x, cy=y, r=radius, class_=class_)


def path(points: list[tuple[float, float]], *, class_: str, closed: bool = False) -> Markup:
    """Return straight lines through the points."""
    steps = " ".join(f"{'L' if index else 'M'}{number(x)} {number(y)}" for index, (x, y) in enumerate(points))
    return element("path", d=steps + (" Z" if closed else ""), class_=class_)


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear map from values in [low, high] to pixels in [start, end]; end may lie before start."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the pixel of a value; a range of no width maps to its middle."""
        if self.high == self.low:
            return (self.start + self.end) / 2
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def tick_step(low: float, high: float, target: int) -> float:
    """Return the smallest step of 1, 2 or 5 times a power of ten that makes at most `target` steps."""
    rough = max(high - low, 1e-9) / max(target, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))


def ticks(low: float, high: float, *, target: int = 5) -> list[float]:
    """Return the round values within [low, high]."""
    step = tick_step(low, high, target)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 10) for index in range(first, last + 1)]


def tick_texts(values: list[float]) -> list[str]:
    """Return tick labels, all with the decimals that the step needs."""
    step = min((later - earlier for earlier, later in pairwise(values)), default=1.0)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return [f"{value:,.{decimals}f}".replace("-", "\N{MINUS SIGN}") for value in values]


def padded(low: float, high: float, *, share: float = 0.06, least: float = 0.01) -> tuple[float, float]:
    """Return a range with some room on both sides, never empty."""
    room = max((high - low) * share, least)
    return low - room, high + room
