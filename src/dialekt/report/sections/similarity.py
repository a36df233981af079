"""How far apart positives and negatives stand, before and after tuning."""

from markupsafe import Markup

from dialekt.evaluation.records import EvaluationFacts, Histogram
from dialekt.report import formats
from dialekt.report.blocks import Cell, Column, Figure, Panel, Row, Section, Table
from dialekt.report.charts.histograms import Distribution, HistogramRange, histogram

MOMENTS = {"base": "Before tuning", "tuned": "After tuning"}
SIDES = {"positives": ("Positives", "tuned"), "negatives": ("Negatives", "loss")}
QUIET_SHARE = 0.002  # bins with less than this share at both ends are not drawn


def similarity_section(evaluation: EvaluationFacts) -> Section | None:
    """Return the distributions side by side; None when no similarity was stored."""
    panels = {moment: _distributions(evaluation, moment) for moment in MOMENTS}
    shown = {moment: found for moment, found in panels.items() if found}
    if not shown:
        return None
    common = _common_range([one for found in shown.values() for one in found])
    drawings = tuple(
        Panel(_drawing(found, common, MOMENTS[moment]), title=_panel_title(evaluation, moment))
        for moment, found in shown.items()
    )
    caption = (
        "Cosine similarity of test queries with their positives and with their best-ranked other documents; areas are "
        "equal, both panels share their scales, and the vertical lines mark the means of the binned values."
    )
    figure = Figure("Similarity of positives and negatives", caption, drawings, _table(evaluation, shown))
    return Section("similarity", "Similarity", _lead(evaluation), (figure,))


def _lead(evaluation: EvaluationFacts) -> str:
    before, after = evaluation.separation.get("base"), evaluation.separation.get("tuned")
    if before is None or after is None:
        return "Good retrieval needs positives to stand clear of the negatives that come nearest."
    return (
        "The chance that a positive is more similar to its query than a hard negative "
        f"{_went(before, after)} {formats.percent(before, digits=1)} to {formats.percent(after, digits=1)}."
    )


def _went(before: float, after: float) -> str:
    shown = [formats.percent(value, digits=1) for value in (before, after)]
    if shown[0] == shown[1]:
        return "did not move: from"
    return "rose from" if after > before else "fell from"


def _panel_title(evaluation: EvaluationFacts, moment: str) -> str:
    separation = evaluation.separation.get(moment)
    return MOMENTS[moment] + (f": {formats.percent(separation, digits=1)} separated" if separation is not None else "")


def _distributions(evaluation: EvaluationFacts, moment: str) -> list[Distribution]:
    found = []
    for side, (label, tone) in SIDES.items():
        stored = evaluation.similarity.get(f"{moment}_{side}")
        if stored and sum(stored.counts):
            total = sum(stored.counts)
            shares = tuple(count / total for count in stored.counts)
            center = mean_of(stored)
            text = f"{label} {formats.score(center)}"
            found.append(Distribution(text, stored.low, stored.high, shares, center, tone))
    return found


def mean_of(histogram: Histogram) -> float:
    """Return the mean of binned values, each taken at the middle of its bin."""
    width = (histogram.high - histogram.low) / len(histogram.counts)
    middles = [histogram.low + (index + 0.5) * width for index in range(len(histogram.counts))]
    weighted = sum(middle * count for middle, count in zip(middles, histogram.counts, strict=True))
    return weighted / sum(histogram.counts)


def _common_range(distributions: list[Distribution]) -> HistogramRange:
    """Return the x range in which something is to be seen, and the largest share."""
    edges: list[float] = []
    for one in distributions:
        width = (one.high - one.low) / len(one.shares)
        busy = [index for index, share in enumerate(one.shares) if share >= QUIET_SHARE]
        edges += [one.low + busy[0] * width, one.low + (busy[-1] + 1) * width]
    return HistogramRange(min(edges), max(edges), max(max(one.shares) for one in distributions))


def _drawing(found: list[Distribution], common: HistogramRange, moment: str) -> Markup:
    spoken = ", ".join(one.label for one in found)
    return histogram(found, common=common, title=f"{moment}, mean cosine: {spoken}", x_title="cosine similarity")


def _table(evaluation: EvaluationFacts, shown: dict[str, list[Distribution]]) -> Table:
    columns = (
        Column("Model"),
        Column("Separation", numeric=True),
        *(Column(f"{label}: {what}", numeric=True) for label, _ in SIDES.values() for what in ("pairs", "mean")),
    )
    rows = tuple(_table_row(evaluation, moment) for moment in shown)
    note = (
        "Separation is the probability that a positive's cosine exceeds a hard negative's (area under the ROC curve)."
    )
    return Table("Similarity in numbers", columns, rows, note=note, collapsed=True)


def _table_row(evaluation: EvaluationFacts, moment: str) -> Row:
    cells = [Cell(MOMENTS[moment]), Cell(formats.score(evaluation.separation.get(moment)))]
    for side in SIDES:
        stored = evaluation.similarity.get(f"{moment}_{side}")
        total = sum(stored.counts) if stored else 0
        cells += [
            Cell(formats.count(total)),
            Cell(formats.score(mean_of(stored)) if stored and total else formats.ABSENT),
        ]
    return Row(tuple(cells))
