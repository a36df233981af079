"""What full tuning is expected to bring: the probes, the learning curve, the cost."""

from collections.abc import Sequence

from dialekt.diagnosis.records import CurvePoint, ExpectedGain, GainFacts
from dialekt.diagnosis.verdict import spoken_chance
from dialekt.measures.metrics import NDCG
from dialekt.report import formats
from dialekt.report.blocks import Cell, Column, Hero, KeyValues, Panel, Row, Section, Table
from dialekt.report.charts.curve import Expected, LearningCurve, Measured, learning_curve
from dialekt.types import Interval

RECIPES = {"tuned": "trained", "adapter": "linear map"}
TONES = ("tuned", "base", "loss", "other")
NARROW_WIDTH, NARROW_HEIGHT = 358.0, 300.0


def expected_hero(gain: GainFacts) -> Hero:
    """Return the expected gain as the number of the page, with the curve that it was read from."""
    full, confidence = gain.full, formats.percent(gain.confidence)
    caption = (
        f"{NDCG} that tuning on all {formats.count(full.queries)} train queries is expected to add to the base model, "
        f"{confidence} interval of prediction {formats.signed_range(full.gain.low, full.gain.high)}"
    )
    lines = (
        f"The chance that the gain is worth it is {spoken_chance(full.chance)}.",
        f"With twice as many train queries: {_gain_text(gain.double)}.",
    )
    return Hero(formats.signed(full.gain.value), caption, (_curve_panel(gain),), lines)


def _curve_panel(gain: GainFacts) -> Panel:
    measured = tuple(
        Measured(f"probe: {RECIPES.get(recipe, recipe)}", tuple((point.queries, point.gain) for point in points), tone)
        for (recipe, points), tone in zip(_by_recipe(gain.points), TONES, strict=False)
    )
    expected = tuple(
        Expected(one.queries, one.gain.value, one.gain.low, one.gain.high, formats.signed(one.gain.value))
        for one in (gain.full, gain.double)
    )
    spoken = f"Learning curve: all train queries {_gain_text(gain.full)}, twice as many {_gain_text(gain.double)}"

    def drawn(width: float, height: float) -> LearningCurve:
        return LearningCurve(spoken, measured, expected, "train queries", width, height)

    wide = learning_curve(drawn(800, 340))
    title = f"Gain over the base model in {NDCG}, by number of train queries: dots were measured, bars are expected"
    return Panel(wide, title=title, narrow=learning_curve(drawn(NARROW_WIDTH, NARROW_HEIGHT)))


def _by_recipe(points: Sequence[CurvePoint]) -> list[tuple[str, list[CurvePoint]]]:
    """Return the runs by recipe, the trained model before the cheaper ones."""
    recipes = sorted({point.recipe for point in points}, key=lambda recipe: (recipe != "tuned", recipe))
    return [(recipe, [point for point in points if point.recipe == recipe]) for recipe in recipes]


def _gain_text(one: ExpectedGain) -> str:
    return f"{formats.signed(one.gain.value)} ({formats.signed_range(one.gain.low, one.gain.high)})"


def expected_section(gain: GainFacts | None) -> Section | None:
    """Return the predictions, the cost and every probe; None without probes."""
    if gain is None:
        return None
    lead = (
        f"Probes learned from at most {formats.percent(gain.share)} of the train queries and were asked "
        f"{formats.count(gain.measured_queries)} queries that they had not seen; the rest is extrapolated."
    )
    cost = gain.cost
    pairs = (
        ("Training on all of it", formats.duration(cost.training * 60)),
        ("Encoding the documents", formats.duration(cost.encoding * 60)),
    )
    costs = KeyValues("What it would take on this machine", pairs, note=formats.sentence(cost.why))
    return Section("expected", "Expected gain", lead, (_prediction_table(gain), costs, _probe_table(gain.points)))


def _prediction_table(gain: GainFacts) -> Table:
    columns = (
        Column("Train queries"),
        Column("Number", numeric=True),
        Column(f"Expected gain in {NDCG}", numeric=True),
        Column("Chance that it is worth it", numeric=True),
    )
    rows = tuple(
        Row((Cell(name), Cell(formats.count(one.queries)), _gain_cell(one.gain), Cell(spoken_chance(one.chance))))
        for name, one in (("All there are", gain.full), ("Twice as many", gain.double))
    )
    return Table(
        "Predictions",
        columns,
        rows,
        note=f"Intervals hold the true gain in {formats.percent(gain.confidence)} of such predictions.",
    )


def _gain_cell(interval: Interval) -> Cell:
    return Cell(formats.signed(interval.value), formats.signed_range(interval.low, interval.high))


def _probe_table(points: Sequence[CurvePoint]) -> Table:
    titles = ("Train queries", "Seed", f"Gain in {NDCG}", "Standard error", "Time")
    columns = (Column("Recipe"), *(Column(title, numeric=True) for title in titles))
    rows = tuple(
        Row(
            (
                Cell(RECIPES.get(point.recipe, point.recipe)),
                Cell(formats.count(point.queries)),
                Cell(str(point.seed)),
                Cell(formats.signed(point.gain)),
                Cell(formats.score(point.error)),
                Cell(formats.duration(point.seconds)),
            )
        )
        for _, found in _by_recipe(points)
        for point in found
    )
    return Table("Every probe", columns, rows, collapsed=True)
