"""The search logs: what cleaning left, what the rank does to clicks, and which judgments were drawn."""

from math import log10

from dialekt.logs.records import RULE_MEANINGS
from dialekt.report import formats
from dialekt.report.blocks import Block, Bullets, Cell, Column, Figure, Panel, Row, Section, Table
from dialekt.report.charts.bars import bar_cell
from dialekt.report.charts.frame import Tick
from dialekt.report.charts.lines import LineChart, Point, Series, line_chart
from dialekt.report.facts import Facts

MODELS = {
    "position_based": "Position-based model",
    "user_browsing": "User browsing model",
    "coec": "Clicks over expected clicks",
    "inverse_propensity": "Given propensities",
    "popularity": "Click rate of query and document",
    "rank_only": "Click rate of the rank",
}
SPLITS = {"": "No split in the log", "train": "Train", "dev": "Dev", "test": "Test"}
DROPPED = {
    "too_few_clicks": "Fewer clicks than asked for",
    "too_few_impressions": "Shown less often than asked for",
    "uncertain_relevance": "Lower bound below the threshold",
    "unknown_document": "Document is not in the corpus",
    "beyond_limit": "Beyond the positives of a query",
    "past_of_held_out_queries": "Earlier evidence of a held-out query",
    "future_of_other_queries": "Later evidence of any other query",
}


def logs_section(logs: Facts) -> Section | None:
    """Return the journey from lines to judgments; `None` when no log was read."""
    evidence = logs.part("evidence")
    if not evidence:
        return None
    blocks: list[Block] = [
        block
        for block in (
            _funnel_table(logs),
            _curves(evidence),
            _prediction_table(evidence),
            _judgment_table(evidence),
            _dropped_table(evidence),
        )
        if block
    ]
    if warnings := logs.texts("warnings"):
        blocks.append(Bullets(warnings, title="What this log cannot tell", warning=True))
    return Section("logs", "Search logs", _lead(logs, evidence), tuple(blocks))


def _lead(logs: Facts, evidence: Facts) -> str:
    positives = sum(evidence.counts("positives").values())
    text = (
        f"{formats.count(logs.part('intake').number('searches'))} searches gave {formats.count(positives)} positives. "
        f"A pair is a positive when its relevance, with the bias of the rank taken out, is surely above "
        f"{formats.score(evidence.number('threshold'))}; a document shown is at "
        f"{formats.score(evidence.number('base_relevance'))} on average."
    )
    if credited := evidence.integer("credited"):
        text += f" {formats.count(credited)} searches that failed were credited with what a later try found."
    return text


def _funnel_table(logs: Facts) -> Table | None:
    steps = logs.parts("funnel")
    most = max((step.number("searches_in") or 0 for step in steps), default=0)
    if not most:
        return None
    rows = []
    for step in steps:
        left, before = step.number("searches_out") or 0, step.number("searches_in") or 0
        bar = bar_cell(left / most, title=f"{formats.percent(left / most, digits=1)} of all searches left")
        rule = step.text("rule")
        name = formats.humanise(RULE_MEANINGS.get(rule, rule))
        cells = (
            Cell(name, "switched off" if step.flag("switched_off") else ""),
            Cell(formats.count(before - left)),
            Cell(formats.count(left)),
            Cell(formats.count(step.number("queries_out"))),
            Cell(graphic=bar),
        )
        rows.append(Row(cells))
    titles = ("Searches dropped", "Searches left", "Queries left")
    columns = (Column("Rule", wide=True), *(Column(title, numeric=True) for title in titles))
    return Table("What cleaning left of the log", (*columns, Column("Left", graphic=True)), tuple(rows))


def _curves(evidence: Facts) -> Figure | None:
    panels = [panel for panel in (_examination_panel(evidence), _frequency_panel(evidence)) if panel]
    if not panels:
        return None
    caption = "Left to itself, a click rate mixes how good a document is with how often its rank is looked at."
    return Figure("Ranks and queries", caption, tuple(panels), _examination_table(evidence))


def _examination_panel(evidence: Facts) -> Panel | None:
    points = evidence.parts("examination")
    if len(points) < 2:
        return None
    series = tuple(
        Series(label, tuple(_point(point, name, label) for point in points), tone)
        for name, label, tone in (("estimate", "looked at", "tuned"), ("click_rate", "clicked", "base"))
    )
    spoken = "How often a rank is looked at: " + ", ".join(point.tooltip for point in series[0].points)
    return Panel(line_chart(LineChart(spoken, series, "rank")), title="Examination by rank")


def _point(point: Facts, name: str, label: str) -> Point:
    rank, value = point.number("rank") or 0.0, point.number(name) or 0.0
    return Point(rank, value, f"rank {formats.count(rank)}: {formats.percent(value, digits=1)} {label}")


def _frequency_panel(evidence: Facts) -> Panel | None:
    """Return the frequency curve with both axes in powers of ten."""
    points = [
        Point(log10(rank), log10(searches), f"query {formats.count(rank)}: {formats.count(searches)} searches")
        for point in evidence.parts("frequency")
        if (rank := point.number("rank")) and (searches := point.number("searches"))
    ]
    if len(points) < 2:
        return None
    ticks = tuple(Tick(float(power), f"{10**power:,}") for power in range(int(points[-1].x) + 1))
    spoken = f"Query frequency, from {points[0].tooltip} to {points[-1].tooltip}"
    chart = LineChart(spoken, (Series("", tuple(points), "tuned", dots=False),), "query, most frequent first", ticks)
    return Panel(line_chart(chart), title="Searches of a query, as a power of ten")


def _examination_table(evidence: Facts) -> Table | None:
    rows = tuple(
        Row(
            (
                Cell(formats.count(point.number("rank"))),
                Cell(formats.percent(point.number("estimate"), digits=1)),
                Cell(formats.percent(point.number("click_rate"), digits=1)),
                Cell(formats.count(point.number("impressions"))),
            )
        )
        for point in evidence.parts("examination")
    )
    titles = ("Rank", "Looked at", "Clicked", "Impressions")
    columns = tuple(Column(title, numeric=True) for title in titles)
    return Table("Examination by rank", columns, rows, collapsed=True) if rows else None


def _prediction_table(evidence: Facts) -> Table | None:
    chosen = evidence.text("click_model")
    found = evidence.part("perplexity")
    rows = tuple(
        Row((Cell(MODELS.get(name, formats.humanise(name)), best=name == chosen), Cell(f"{value:.4f}")))
        for name in found.values
        if (value := found.number(name)) is not None
    )
    note = "Of a tenth of the searches, kept from the fit: 1 is perfect foresight, 2 a coin. The marked one is used."
    columns = (Column("Foretold by"), Column("Perplexity of clicks", numeric=True))
    return Table("How well held-out clicks are foretold", columns, rows, note=note) if rows else None


def _judgment_table(evidence: Facts) -> Table | None:
    positives, queries = evidence.counts("positives"), evidence.counts("queries")
    rows = [
        Row((Cell(SPLITS.get(split, split)), Cell(formats.count(queries.get(split))), Cell(formats.count(number))))
        for split, number in positives.items()
    ]
    grades = evidence.counts("grades")
    shown = ", ".join(f"grade {grade}: {formats.count(number)}" for grade, number in sorted(grades.items()))
    columns = (Column("Split"), Column("Queries", numeric=True), Column("Positives", numeric=True))
    weak = formats.count(evidence.number("weak_negatives"))
    note = f"By grade, {shown}. Passed over above a click, with their own small weight: {weak}."
    return Table("Judgments drawn from clicks", columns, tuple(rows), note=note) if rows else None


def _dropped_table(evidence: Facts) -> Table | None:
    rows = tuple(
        Row((Cell(DROPPED.get(rule, formats.humanise(rule))), Cell(formats.count(number))))
        for rule, number in evidence.counts("dropped").items()
        if number
    )
    columns = (Column("Rule", wide=True), Column("Clicked pairs", numeric=True))
    return Table("Clicked pairs that are no judgment", columns, rows) if rows else None
