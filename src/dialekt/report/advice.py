"""The page of `dialekt index advise`: which first stage to search, and the curve of quality, memory and latency."""

from collections.abc import Callable, Sequence
from math import floor, log2, log10
from pathlib import Path

from markupsafe import Markup

from dialekt.config import Quantization
from dialekt.index.advising import Advice, AdvicePoint, name_of, one_per_stage
from dialekt.index.records import FirstStage
from dialekt.report import formats
from dialekt.report.blocks import (
    Bullets,
    Cell,
    Column,
    Figure,
    KeyValues,
    Page,
    Panel,
    Row,
    Section,
    Table,
    Tile,
    Verdict,
)
from dialekt.report.charts.frame import Tick
from dialekt.report.charts.lines import Marker, Point
from dialekt.report.charts.scatter import Scatter, Trace, scatter_plot
from dialekt.report.page import render_html, render_markdown
from dialekt.report.records import ReportFacts
from dialekt.store.atomic import write_atomic
from dialekt.types import Interval

HTML_NAME = "advice.html"
MARKDOWN_NAME = "advice.md"
TONES = {Quantization.NONE: "base", Quantization.INT8: "loss", Quantization.BINARY: "tuned"}
KINDS = {Quantization.NONE: "float32", Quantization.INT8: "int8", Quantization.BINARY: "binary"}
NARROW_WIDTH = 380.0
SMALL_BYTES = 256_000_000  # full vectors of 167,000 units of 384 dimensions: any machine has room for them
LOWEST_SHOWN = 0.9  # share of full search from which on a point is drawn, so that one can tell those near the target


def write_advice(advice: Advice, out: Path, *, project: str, created: str) -> ReportFacts:
    """Write `advice.html`, one file that loads nothing, and `advice.md` into the folder `out`.

    Raises `StorageError` when the folder cannot be written.
    """
    page = advice_page(advice, project=project, created=created)
    html, text = out / HTML_NAME, out / MARKDOWN_NAME
    write_atomic(html, render_html(page))
    write_atomic(text, render_markdown(page))
    return ReportFacts(html=str(html), markdown=str(text))


def advice_page(advice: Advice, *, project: str, created: str) -> Page:
    """Return the advice as blocks: what to take, what else there is, the two curves, how it was measured."""
    sections = (_choices(advice), _curves(advice), _settings(advice), _method(advice))
    return Page(
        project=project,
        created=formats.moment(created),
        verdict=_verdict(advice),
        tiles=tuple(_tiles(advice)),
        sections=tuple(section for section in sections if section),
    )


def _verdict(advice: Advice) -> Verdict:
    reasons = [f"{advice.reason[:1].upper()}{advice.reason[1:]}."]
    point = advice.recommended
    if point is None:
        return Verdict("Search full vectors at once", "", tuple(reasons), "One stage", "neutral")
    if (size := advice.documents * advice.dimension * 4) < SMALL_BYTES:
        reasons.append(
            f"The full vectors take {size / 1e6:,.0f} MB, though: as long as there is memory for them, one stage is "
            "simpler."
        )
    evidence = (
        f"{formats.percent(point.confirmed.value, digits=1)} of full search's {advice.metric} on the "
        f"{formats.count(advice.confirming)} queries that had no say in the choice, in {_share(point)} of the memory"
    )
    tone = "good" if advice.is_confirmed else "caution"
    label = "Two stages" if advice.is_confirmed else "Not confirmed"
    return Verdict(f"Search {name_of(point)}, then rerank by full vectors", evidence, tuple(reasons), label, tone)


def _tiles(advice: Advice) -> list[Tile]:
    tiles = [
        Tile("Units searched", formats.count(advice.documents)),
        Tile("Queries", formats.count(advice.choosing + advice.confirming)),
        Tile(f"{advice.metric} of full search", formats.score(advice.full_score)),
    ]
    if point := advice.recommended:
        size = f"{point.first_stage.bytes_per_vector:,.0f} bytes per vector"
        tiles += [
            Tile("Memory of the first stage", _share(point), size),
            Tile("One search", _milliseconds(point.milliseconds), f"full {_milliseconds(advice.full_milliseconds)}"),
        ]
    return tiles


def _choices(advice: Advice) -> Section:
    lead = (
        f"Of every first stage the least oversampling that surely keeps {formats.percent(advice.target, digits=1)} of "
        "full search, or the most that was tried."
    )
    table = _table("First stages, smallest first", one_per_stage(advice.points, advice.target), advice)
    return Section("choices", "First stages", lead, (table,))


def _table(caption: str, points: Sequence[AdvicePoint], advice: Advice, *, collapsed: bool = False) -> Table:
    titles = ("Oversampling", "Bytes per vector", "Memory", "Chosen on", "Confirmed on", "Milliseconds")
    columns = (Column("First stage"), *(Column(title, numeric=True) for title in titles))
    note = (
        f"Shares of full search's {advice.metric} with 95% intervals, on the half of the queries that chose and on the "
        "other half. Memory is of the first stage, against float32 vectors of all dimensions."
    )
    return Table(caption, columns, tuple(_row(point, advice) for point in points), note=note, collapsed=collapsed)


def _row(point: AdvicePoint, advice: Advice) -> Row:
    is_recommended = point == advice.recommended
    cells = (
        Cell(_stage_name(point.first_stage), tag="recommended" if is_recommended else ""),
        Cell(f"{point.oversampling:g}"),
        Cell(f"{point.first_stage.bytes_per_vector:,.0f}"),
        Cell(_share(point)),
        _interval_cell(point.chosen_on, is_enough=point.chosen_on.low >= advice.target),
        _interval_cell(point.confirmed, is_enough=False),
        Cell(_number(point.milliseconds)),
    )
    return Row(cells, highlighted=is_recommended)


def _interval_cell(interval: Interval, *, is_enough: bool) -> Cell:
    low, high = (formats.percent(value, digits=1) for value in (interval.low, interval.high))
    return Cell(
        formats.percent(interval.value, digits=1), f"{low}{formats.DASH}{high}", tag="enough" if is_enough else ""
    )


def _curves(advice: Advice) -> Section:
    lead = (
        "Every dot is one oversampling, from 1 to 32 candidates per result; the dots of one first stage are joined. "
        "Blue is binary, orange int8, hollow grey float32."
    )
    by_memory = _figure(
        advice,
        "Quality and memory",
        "Bytes per vector of the first stage, each step twice the one before.",
        lambda point: log2(point.first_stage.bytes_per_vector),
        _byte_ticks(advice.points),
    )
    by_time = _figure(
        advice,
        "Quality and latency",
        "Milliseconds of one search, both stages, on the machine that measured, as a power of ten.",
        lambda point: log10(point.milliseconds),
        _time_ticks(advice.points),
    )
    everything = _table("Everything that was measured", advice.points, advice, collapsed=True)
    return Section("curves", "Quality, memory, latency", lead, (by_memory, by_time, everything))


def _figure(
    advice: Advice, title: str, caption: str, place: Callable[[AdvicePoint], float], ticks: tuple[Tick, ...]
) -> Figure:
    highest = max(point.chosen_on.value for point in advice.points)
    lowest = min(LOWEST_SHOWN, advice.target - 0.05, highest - 0.05)
    shown = [point for point in advice.points if point.chosen_on.value >= lowest]
    best = advice.recommended
    marker = Marker(place(best), best.chosen_on.value, _stage_name(best.first_stage)) if best else None

    def drawn(width: float, height: float, *, is_named: bool) -> Markup:
        chart = Scatter(
            title=f"{title}: {advice.reason}",
            traces=_traces(shown, place, is_named=is_named),
            x_title=caption.partition(",")[0].lower(),
            x_ticks=ticks,
            reference=(advice.target, f"target {formats.percent(advice.target, digits=1)}"),
            marker=marker,
            width=width,
            height=height,
        )
        return scatter_plot(chart)

    panel = Panel(drawn(800, 400, is_named=True), narrow=drawn(NARROW_WIDTH, 300, is_named=False))
    text = f"Share of full search's {advice.metric} on the queries that chose, from {formats.percent(lowest)} on."
    return Figure(title, f"{text} {caption}", (panel,))


def _traces(
    points: Sequence[AdvicePoint], place: Callable[[AdvicePoint], float], *, is_named: bool
) -> tuple[Trace, ...]:
    by_stage: dict[FirstStage, list[Point]] = {}
    for point in points:
        share = formats.percent(point.chosen_on.value, digits=1)
        drawn = Point(place(point), point.chosen_on.value, f"{name_of(point)}: {share}")
        by_stage.setdefault(point.first_stage, []).append(drawn)
    return tuple(
        Trace(
            _stage_name(stage) if is_named else "",
            tuple(drawn),
            TONES[stage.quantization],
            label_left=stage.quantization is Quantization.INT8,
        )
        for stage, drawn in by_stage.items()
    )


def _byte_ticks(points: Sequence[AdvicePoint]) -> tuple[Tick, ...]:
    exponents = [log2(point.first_stage.bytes_per_vector) for point in points]
    return tuple(
        Tick(float(power), f"{2**power:,}") for power in range(floor(min(exponents)), floor(max(exponents)) + 1)
    )


def _time_ticks(points: Sequence[AdvicePoint]) -> tuple[Tick, ...]:
    exponents = [log10(point.milliseconds) for point in points]
    steps = [
        (power, factor) for power in range(floor(min(exponents)), floor(max(exponents)) + 2) for factor in (1, 2, 5)
    ]
    values = [factor * 10.0**power for power, factor in steps]
    return tuple(
        Tick(log10(value), f"{value:g}") for value in values if min(exponents) <= log10(value) <= max(exponents)
    )


def _settings(advice: Advice) -> Section | None:
    if (point := advice.recommended) is None:
        return None
    pairs = (
        ("index.first_stage_dimensions", str(point.first_stage.dimensions)),
        ("index.first_stage_quantization", point.first_stage.quantization.value),
        ("index.oversampling", f"{point.oversampling:g}"),
    )
    note = (
        "Leave index.oversampling out and every build measures for itself, with its engine, how much it takes. "
        "PostgreSQL has no int8 vectors."
    )
    lead = "What to write into dialekt.toml; dialekt index migrate then builds it beside the live release."
    return Section("settings", "Settings", lead, (KeyValues("Settings", pairs, code=True, note=note),))


def _method(advice: Advice) -> Section:
    items = (
        f"The first {formats.count(advice.choosing)} of the queries, in random order, chose; the other "
        f"{formats.count(advice.confirming)} only confirmed. Intervals are paired bootstraps over queries.",
        "Chosen is the least memory whose lower end, and that of every larger oversampling, reaches the target.",
        "Codes and full vectors were in memory and every code was compared: an approximate index over the codes is "
        "faster and finds a little less, and full vectors read from a disk take longer.",
        "Latencies are medians of single queries on the machine that measured.",
    )
    return Section("method", "How it was measured", "", (Bullets(items),))


def _stage_name(stage: FirstStage) -> str:
    return f"{stage.dimensions} {KINDS[stage.quantization]}"


def _share(point: AdvicePoint) -> str:
    inverse = 1 / point.memory_share
    return f"1/{inverse:.3g}"


def _milliseconds(value: float) -> str:
    return f"{_number(value)} ms"


def _number(value: float) -> str:
    return f"{value:.2f}" if value < 9.995 else f"{value:,.0f}"
