"""Unsupervised adaptation: what was tried on the documents alone, what dev said, and what is in the model."""

from dialekt.report import formats
from dialekt.report.blocks import Block, Bullets, Cell, Column, Figure, Panel, Row, Section, Table
from dialekt.report.charts.lines import LineChart, Point, Series, line_chart
from dialekt.report.facts import Facts

LABELS = {"vocabulary": "Vocabulary", "mlm": "Masked words", "tsdae": "Damaged passages (TSDAE)"}
JUDGED = {
    "training": "Both were trained on the same pairs for the same few steps before dev judged them.",
    "zero_shot": "Dev judged them as they are, without training on pairs.",
}
WIDTH, HEIGHT = 320.0, 236.0


def adaptation_section(adaptation: Facts) -> Section | None:
    """Return what each method brought; None for a project that adapts nothing."""
    if not adaptation:
        return None
    warnings = adaptation.texts("warnings")
    blocks: list[Block] = [_verdicts(adaptation), _reasons(adaptation)]
    blocks += [Bullets(warnings, warning=True)] if warnings else []
    losses = _losses(adaptation)
    blocks += [losses] if losses else []
    return Section("adaptation", "Learning from documents alone", _lead(adaptation), tuple(blocks))


def _lead(adaptation: Facts) -> str:
    kept = [LABELS.get(name, name).lower() for name in adaptation.texts("kept")]
    documents = formats.count(adaptation.number("documents"))
    outcome = f"Training started from what {' and '.join(kept)} made of it" if kept else "Nothing of it was kept"
    how = JUDGED.get(adaptation.text("judged_by"), "There were no dev queries to judge it.")
    return f"Before training the base model read {documents} documents without any query. {outcome}. {how}"


def _verdicts(adaptation: Facts) -> Table:
    columns = (
        Column("Method"),
        Column("Passages", numeric=True),
        Column("New tokens", numeric=True),
        Column("Before", numeric=True),
        Column("After", numeric=True),
        Column("Gain", numeric=True),
        Column("Kept"),
        Column("Time", numeric=True),
    )
    rows = tuple(_row(one) for one in adaptation.parts("methods"))
    queries = formats.count(adaptation.number("queries"))
    confidence = formats.percent(adaptation.number("confidence"))
    return Table(f"NDCG@10 on {queries} dev queries without and with each method, {confidence} interval", columns, rows)


def _row(one: Facts) -> Row:
    verdict, fitted = one.part("verdict"), one.part("fitted")
    kept = verdict.flag("kept")
    low, high, terms = verdict.number("low"), verdict.number("high"), fitted.number("terms")
    interval = "" if low is None or high is None else formats.signed_range(low, high)
    cells = (
        Cell(LABELS.get(one.text("method"), one.text("method"))),
        Cell(formats.count(fitted.number("passages")) if fitted else ""),
        Cell(formats.count(terms) if terms else ""),
        Cell(_score(verdict.number("before"))),
        Cell(_score(verdict.number("after")), best=kept),
        Cell("" if verdict.number("gain") is None else formats.signed(verdict.number("gain")), interval),
        Cell("yes" if kept else "no"),
        Cell(formats.duration(fitted.number("seconds")) if fitted else ""),
    )
    return Row(cells, highlighted=kept)


def _score(value: float | None) -> str:
    return "" if value is None else formats.score(value)


def _reasons(adaptation: Facts) -> Bullets:
    return Bullets(
        tuple(
            f"{LABELS.get(one.text('method'), one.text('method'))}: {one.part('verdict').text('why')}."
            for one in adaptation.parts("methods")
        )
    )


def _losses(adaptation: Facts) -> Figure | None:
    """Return a curve of the loss of each method that was trained."""
    panels = [panel for one in adaptation.parts("methods") if (panel := _panel(one)) is not None]
    if not panels:
        return None
    return Figure("Training losses", "Losses of different methods cannot be compared.", tuple(panels))


def _panel(one: Facts) -> Panel | None:
    found = [(point.number("step"), point.number("loss")) for point in one.part("fitted").parts("losses")]
    points = tuple(
        Point(step, loss, f"step {formats.count(step)}: {formats.score(loss)}")
        for step, loss in found
        if step is not None and loss is not None
    )
    if len(points) < 2:
        return None
    label = LABELS.get(one.text("method"), one.text("method"))
    spoken = f"{label}: loss from {formats.compact(points[0].y)} to {formats.compact(points[-1].y)}"
    chart = LineChart(spoken, (Series("", points, "tuned", dots=False),), "step", width=WIDTH, height=HEIGHT)
    return Panel(line_chart(chart), title=label)
