"""The page of `dialekt bench serve --html`: latencies and throughput drawn, the numbers beside them."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.cli.bench_results import Load, Measurement, Server, describe, ratio_text, remarks, rows
from dialekt.load.records import OK
from dialekt.load.statistics import latencies_ms
from dialekt.report.blocks import (
    Block,
    Bullets,
    Cell,
    Column,
    Figure,
    Page,
    Panel,
    Row,
    Section,
    Table,
    Tile,
    Verdict,
)
from dialekt.report.charts.frame import Tick
from dialekt.report.charts.histograms import Distribution, HistogramRange, histogram
from dialekt.report.charts.lines import LineChart, Point, Series, line_chart
from dialekt.report.page import render_html
from dialekt.store.atomic import write_atomic

TONES = ("tuned", "base")
BINS = 60
SHOWN_PERCENTILE = 99.5
SHARES = (50, 75, 90, 95, 98, 99, 99.5, 99.9)
Floats = NDArray[np.float64]


def write_page(path: Path, load: Load, measured: Measurement) -> None:
    """Write one HTML file that loads nothing."""
    write_atomic(path, render_html(build_page(load, measured)))


def build_page(load: Load, measured: Measurement) -> Page:
    """Return the page as blocks."""
    blocks: list[Block] = [_numbers(measured)]
    notes = tuple(remarks(measured))
    if notes:
        blocks.append(Bullets(notes, title="To be known beside the numbers", warning=True))
    sections = [Section("numbers", "Numbers", describe(load) + ".", tuple(blocks))]
    drawn = [server for server in measured.servers if latencies_ms(server.tally).size]
    if drawn:
        lead = "Counted from the moment at which a request was to be sent."
        sections.append(Section("latency", "Latency", lead, (_histogram(drawn), _tail(drawn))))
        sections.append(Section("time", "Over time", "Texts answered in each second.", (_over_time(drawn),)))
    return Page(
        project="Load test",
        created=datetime.now(UTC).isoformat(timespec="minutes").replace("T", " ").replace("+00:00", " UTC"),
        verdict=_verdict(measured),
        tiles=tuple(Tile(server.name, f"{server.summary.texts_per_second:,.0f} texts/s") for server in drawn),
        sections=tuple(sections),
    )


def _verdict(measured: Measurement) -> Verdict:
    first = measured.servers[0]
    failed = sum(sum(server.summary.failures.values()) for server in measured.servers)
    tone, label = ("good", "No errors") if failed == 0 else ("caution", f"{failed:,} errors")
    speed = f"{first.name} answers {first.summary.texts_per_second:,.0f} texts a second"
    ratios = "; ".join(f"{ratio.name} {ratio_text(ratio)}" for ratio in measured.ratios)
    reasons = (f"First over second server, with 95% intervals: {ratios}.",) if ratios else ()
    latency = first.summary.latency_ms
    evidence = "" if latency is None else f"half of them within {latency.p50:,.1f} ms, 99% within {latency.p99:,.1f} ms"
    return Verdict(speed, evidence, reasons, label, tone)


def _numbers(measured: Measurement) -> Table:
    columns = [rows(server) for server in measured.servers]
    ratios = {ratio.name: ratio_text(ratio) for ratio in measured.ratios}
    titles = [Column(server.name, numeric=True) for server in measured.servers]
    extra = [Column("first / second", numeric=True)] if ratios else []
    lines = [
        Row((Cell(name), *(Cell(one[name]) for one in columns), *([Cell(ratios.get(name, ""))] if ratios else ())))
        for name in columns[0]
    ]
    return Table("What was measured", (Column(""), *titles, *extra), tuple(lines))


def _histogram(servers: list[Server]) -> Figure:
    values = [latencies_ms(server.tally) for server in servers]
    high = max(float(np.percentile(one, SHOWN_PERCENTILE)) for one in values) or 1.0
    shapes = [
        Distribution(server.name, 0.0, high, _shares(one, high), float(np.median(one)), tone)
        for server, one, tone in zip(servers, values, TONES, strict=False)
    ]
    top = max(max(shape.shares) for shape in shapes)
    common = HistogramRange(0.0, high, top)
    drawing = histogram(shapes, common=common, title="Latencies in milliseconds", x_title="latency in ms")
    caption = f"Share of requests by latency, up to the slowest {100 - SHOWN_PERCENTILE:g}%; lines mark the medians."
    return Figure("Latencies", caption, (Panel(drawing),))


def _shares(values: Floats, high: float) -> tuple[float, ...]:
    counts, _ = np.histogram(values, bins=BINS, range=(0.0, high))
    return tuple(float(count) / values.size for count in counts)


def _tail(servers: list[Server]) -> Figure:
    percentiles = [np.percentile(latencies_ms(server.tally), SHARES) for server in servers]
    titles = [Column("share of requests"), *(Column(server.name, numeric=True) for server in servers)]
    lines = [
        Row((Cell(f"{share:g}%"), *(Cell(f"{float(one[place]):,.1f} ms") for one in percentiles)))
        for place, share in enumerate(SHARES)
    ]
    series = [
        Series(server.name, tuple(Point(place, float(value)) for place, value in enumerate(one)), tone)
        for server, one, tone in zip(servers, percentiles, TONES, strict=False)
    ]
    marks = tuple(Tick(place, f"{share:g}%") for place, share in enumerate(SHARES))
    chart = LineChart("Latency by share", tuple(series), "share of requests", x_ticks=marks, width=560)
    return Figure(
        "The slow ones",
        "Milliseconds within which so many of the requests were answered.",
        (Panel(line_chart(chart)),),
        Table("Percentiles", tuple(titles), tuple(lines), collapsed=True),
    )


def _over_time(servers: list[Server]) -> Figure:
    series = []
    for server, tone in zip(servers, TONES, strict=False):
        rates = _per_second(server)
        points = tuple(Point(second + 0.5, rate) for second, rate in enumerate(rates))
        series.append(Series(server.name, points, tone, dots=len(points) < 3))
    chart = LineChart("Texts a second over time", tuple(series), "seconds of measurement", width=560)
    return Figure(
        "Throughput", "Rounds follow each other without the pauses between them.", (Panel(line_chart(chart)),)
    )


def _per_second(server: Server) -> list[float]:
    """Return the texts answered in each whole second."""
    tally = server.tally
    whole = max(int(tally.seconds), 1)
    finished = tally.finished[(tally.status == OK) & (tally.finished >= 0)]
    counts, _ = np.histogram(finished, bins=whole, range=(0.0, float(whole)))
    return [float(count) * server.plan.texts_per_request for count in counts]
