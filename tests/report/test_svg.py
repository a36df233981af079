"""The building stones of the charts."""

import xml.etree.ElementTree as ET

import pytest

from dialekt.report.charts import svg
from dialekt.report.charts.bars import Part, divided_bar
from dialekt.report.charts.histograms import Distribution, HistogramRange, histogram
from dialekt.report.charts.intervals import IntervalMark, Reference, interval_plot
from dialekt.report.charts.lines import LineChart, Point, Series, line_chart


def test_element_escapes_content_and_attributes() -> None:
    """Neither text nor attribute can leave its place."""
    drawn = svg.element("text", "<b>&", class_='x" onload="y')
    assert drawn == '<text class="x&#34; onload=&#34;y">&lt;b&gt;&amp;</text>'


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]), (0.43, 0.61, [0.45, 0.5, 0.55, 0.6]), (0.0, 178.0, [0, 50, 100, 150])],
)
def test_ticks_are_round_and_few(low: float, high: float, expected: list[float]) -> None:
    """Ticks lie within the range, at multiples of 1, 2 or 5 times a power of ten."""
    assert svg.ticks(low, high, target=5) == pytest.approx(expected)


def test_tick_texts_have_the_decimals_of_their_step() -> None:
    """All labels of an axis have as many decimals as the step needs."""
    assert svg.tick_texts([0.45, 0.5, 0.55]) == ["0.45", "0.50", "0.55"]
    assert svg.tick_texts([0.0, 50.0]) == ["0", "50"]


def test_scale_maps_ends_and_middle() -> None:
    """A scale maps its ends onto its ends; a range of no width onto the middle."""
    scale = svg.Scale(0.0, 10.0, 100.0, 200.0)
    assert (scale(0), scale(5), scale(10)) == (100, 150, 200)
    assert svg.Scale(3.0, 3.0, 0.0, 50.0)(3.0) == 25


@pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])
def test_interval_plot_places_values_in_order(narrow: bool) -> None:
    """The larger value lies further right, and every interval covers its point."""
    marks = [
        IntervalMark("a", 0.4, 0.3, 0.5, "0.400", "a"),
        IntervalMark("b", 0.6, 0.6, 0.6, "0.600", "b", tone="tuned", strong=True),
    ]
    root = ET.fromstring(
        interval_plot(marks, title="t", axis_title="x", reference=Reference(0.4, "base"), narrow=narrow)
    )
    first, second = (float(circle.attrib["cx"]) for circle in root.iter("circle"))
    assert first < second
    whiskers = [line for line in root.iter("line") if line.attrib["class"] == "whisker"]
    assert float(whiskers[0].attrib["x1"]) < first < float(whiskers[0].attrib["x2"])


def test_line_chart_of_one_point_is_drawn() -> None:
    """A single point, without a range to scale to, still shows."""
    chart = LineChart("one", (Series("", (Point(3.0, 0.5),), "tuned"),), "step")
    root = ET.fromstring(line_chart(chart))
    assert len(list(root.iter("circle"))) == 1


def test_names_of_equal_lines_do_not_touch() -> None:
    """Two lines that end in the same point have their names on two rows."""
    lines = tuple(Series(name, (Point(0, 0.1), Point(1, 0.5)), name) for name in ("base", "tuned"))
    root = ET.fromstring(line_chart(LineChart("t", lines, "x")))
    rows = [float(text.attrib["y"]) for text in root.iter("text") if text.attrib["class"] == "series-name"]
    assert abs(rows[0] - rows[1]) >= 16


def test_histogram_areas_are_comparable() -> None:
    """The largest share reaches the top of the plot, half of it half as high."""
    one = Distribution("a", 0.0, 1.0, (0.5, 0.5), 0.5, "tuned")
    two = Distribution("b", 0.0, 1.0, (1.0, 0.0), 0.25, "loss")
    root = ET.fromstring(histogram([one, two], common=HistogramRange(0, 1, 1.0), title="t", x_title="x"))
    heights = []
    for path in (path for path in root.iter("path") if path.attrib["class"] == "area"):
        numbers = [float(part) for part in path.attrib["d"].replace("M", "").replace("L", "").replace("Z", "").split()]
        heights.append(max(numbers[1::2]) - min(numbers[1::2]))
    assert heights[0] == pytest.approx(heights[1] / 2)


@pytest.mark.parametrize("shares", [(0.94, 0.06, 0.0), (0.0, 0.0, 1.0), (0.3, 0.5, 0.2)])
@pytest.mark.parametrize("width", [800.0, 358.0])
def test_texts_of_a_divided_bar_do_not_touch(shares: tuple[float, ...], width: float) -> None:
    """However small a part is, its text stands within the drawing and clear of the next one."""
    parts = [Part(share, f"{share:.0%} {name}", "other") for share, name in zip(shares, "abc", strict=True)]
    root = ET.fromstring(divided_bar(parts, title="t", width=width))
    texts = [(float(text.attrib["x"]), len(text.text or "") * 7.2) for text in root.iter("text")]
    ends = [left + size for left, size in texts]
    assert all(end < left for end, (left, _) in zip(ends, texts[1:], strict=False))
    assert texts[0][0] >= 0
    assert ends[-1] <= width + 0.01


def test_groups_have_room_for_their_names() -> None:
    """Rows of one group stand below its name, and a reference in the plot is inside its range."""
    marks = [IntervalMark(name, 0.2, 0.1, 0.3, "", name, group=group) for name, group in ("aG", "bG", "cH")]
    root = ET.fromstring(
        interval_plot(marks, title="t", axis_title="x", reference=Reference(0.0, "", ("less", "more")))
    )
    heights = [float(circle.attrib["cy"]) for circle in root.iter("circle")]
    assert heights[2] - heights[1] > heights[1] - heights[0]
    assert {"G", "H"} <= {text.text for text in root.iter("text")}
    (zero,) = (line for line in root.iter("line") if line.attrib["class"] == "reference")
    assert float(zero.attrib["x1"]) < min(float(circle.attrib["cx"]) for circle in root.iter("circle"))
