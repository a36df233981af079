"""How the model was tuned: loss, dev scores, the mixture of weights that was chosen, and what was derived."""

from dialekt.report import formats
from dialekt.report.blocks import Block, Cell, Column, Figure, KeyValues, Panel, Row, Section, Table
from dialekt.report.charts.lines import LineChart, Marker, Point, Series, line_chart
from dialekt.report.facts import Facts

DEV = "dev NDCG@10"
MAX_DRAWN_POINTS = 400
WIDTH, HEIGHT = 320.0, 236.0


def training_section(training: Facts) -> Section:
    """Return the curves and the settings of the training stage."""
    panels = [panel for panel in (_loss_panel(training), _dev_panel(training), _mixture_panel(training)) if panel]
    blocks: list[Block] = []
    if panels:
        caption = "The dev queries choose the checkpoint and the mixture of weights; the test queries choose nothing."
        blocks.append(Figure("Training curves", caption, tuple(panels), _curve_table(training)))
    mixtures = _mixture_table(training)
    blocks += [mixtures] if mixtures else []
    blocks.append(_settings(training))
    return Section("training", "Training", _lead(training), tuple(blocks))


def _lead(training: Facts) -> str:
    best, base, step = training.number("best_dev_ndcg"), training.number("base_dev_ndcg"), training.integer("best_step")
    parts = []
    if best is not None and step is not None:
        against = f", {formats.score(base)} for the base model" if base is not None else ""
        steps = training.integer("steps")
        of = f" of {formats.count(steps)}" if steps else ""
        parts.append(f"Best checkpoint: step {formats.count(step)}{of} with {DEV} {formats.score(best)}{against}.")
    share = training.number("interpolation")
    if share is not None:
        parts.append(_mixture_sentence(share))
    limit = training.part("derived").part("max_tuned_share").number("value")
    if limit is not None:
        why = "the dev queries were made like the training queries and cannot see what is forgotten of real ones"
        parts.append(f"At most {formats.percent(limit)} tuned was allowed: {why}.")
    if training.flag("stopped_early"):
        parts.append("Training stopped early, as the dev score no longer rose.")
    if training.flag("resumed"):
        parts.append("It was interrupted and resumed.")
    return " ".join(parts)


def _mixture_sentence(share: float) -> str:
    if share >= 1:
        return "The tuned weights are used as they are."
    if share <= 0:
        return "No mixture did better on the dev queries than the base weights, so those are kept."
    return f"The weights are a mixture: {formats.percent(share)} tuned, {formats.percent(1 - share)} base."


def _thinned(points: list[Point]) -> tuple[Point, ...]:
    """Return at most `MAX_DRAWN_POINTS` points, evenly spaced, the last one among them."""
    stride = -(-len(points) // MAX_DRAWN_POINTS)
    return tuple(points[::-1][::stride][::-1]) if stride > 1 else tuple(points)


def _loss_panel(training: Facts) -> Panel | None:
    points = _curve_points(training, "loss")
    if len(points) < 2:
        return None
    spoken = f"Training loss from {formats.compact(points[0].y)} to {formats.compact(points[-1].y)}"
    chart = LineChart(spoken, (Series("", _thinned(points), "tuned", dots=False),), "step", width=WIDTH, height=HEIGHT)
    return Panel(line_chart(chart), title="Training loss")


def _curve_points(training: Facts, name: str) -> list[Point]:
    points = []
    for fact in training.parts("curve"):
        step, value = fact.number("step"), fact.number(name)
        if step is not None and value is not None:
            points.append(Point(step, value, f"step {formats.count(step)}: {formats.score(value)}"))
    return points


def _dev_panel(training: Facts) -> Panel | None:
    points = _curve_points(training, "dev_ndcg")
    if not points:
        return None
    base, best, step = training.number("base_dev_ndcg"), training.number("best_dev_ndcg"), training.number("best_step")
    marker = None
    if best is not None and step is not None and any(point.x == step for point in points):
        height = next(point.y for point in points if point.x == step)
        marker = Marker(step, height, f"best {formats.score(best)}")
    chart = LineChart(
        title=f"{DEV} over training: " + ", ".join(point.tooltip for point in _thinned(points)),
        series=(Series("", _thinned(points), "tuned"),),
        x_title="step",
        reference=(base, f"base {formats.score(base)}") if base is not None else None,
        marker=marker,
        width=WIDTH,
        height=HEIGHT,
    )
    return Panel(line_chart(chart), title="NDCG@10 on dev queries")


def _mixture_panel(training: Facts) -> Panel | None:
    points = [
        Point(share * 100, value, f"{formats.percent(share)} tuned: {formats.score(value)}")
        for share, value in _mixtures(training)
    ]
    chosen = training.number("interpolation")
    if len(points) < 2:
        return None
    at = next((point for point in points if chosen is not None and abs(point.x - chosen * 100) < 1e-6), None)
    chart = LineChart(
        title=f"{DEV} by share of tuned weights: " + ", ".join(point.tooltip for point in points),
        series=(Series("", tuple(points), "tuned"),),
        x_title="% tuned weights",
        marker=Marker(at.x, at.y, f"chosen {formats.percent(at.x / 100)}") if at else None,
        width=WIDTH,
        height=HEIGHT,
    )
    return Panel(line_chart(chart), title="Mixture of base and tuned weights")


def _mixtures(training: Facts) -> list[tuple[float, float]]:
    found = [(one.number("share"), one.number("dev_ndcg")) for one in training.parts("mixtures")]
    return sorted((share, value) for share, value in found if share is not None and value is not None)


def _curve_table(training: Facts) -> Table | None:
    losses = {point.x: point.y for point in _curve_points(training, "loss")}
    rows = [
        Row(
            (
                Cell(formats.count(fact.number("step"))),
                Cell(formats.compact(fact.number("epoch"))),
                Cell(formats.score(losses.get(fact.number("step") or 0.0))),
                Cell(formats.score(fact.number("dev_ndcg")), best=fact.number("step") == training.number("best_step")),
                Cell(formats.duration(fact.number("seconds"))),
            )
        )
        for fact in training.parts("curve")
        if fact.number("dev_ndcg") is not None
    ]
    titles = ("Step", "Epoch", "Loss", DEV, "Time")
    columns = tuple(Column(title, numeric=True) for title in titles)
    return Table("Dev evaluations during training", columns, tuple(rows), collapsed=True) if rows else None


def _mixture_table(training: Facts) -> Table | None:
    chosen = training.number("interpolation")
    rows = tuple(
        Row((Cell(formats.percent(share)), Cell(formats.score(value), best=share == chosen)))
        for share, value in _mixtures(training)
    )
    columns = (Column("Tuned weights", numeric=True), Column(DEV, numeric=True))
    return Table("Mixtures of base and tuned weights", columns, rows, collapsed=True) if rows else None


def _settings(training: Facts) -> KeyValues:
    counts = ("pairs", "queries", "steps", "batch_size", "hard_negatives", "max_query_tokens", "max_document_tokens")
    pairs = [
        (formats.humanise(name), formats.count(value))
        for name in counts
        if (value := training.number(name)) is not None
    ]
    plain = [(formats.humanise(name), training.text(name)) for name in ("loss", "precision", "device")]
    sizes = [
        (formats.humanise(name), formats.compact(value))
        for name in ("epochs", "learning_rate", "pairs_per_second")
        if (value := training.number(name)) is not None
    ]
    shown = [(name, text) for name, text in pairs + sizes + plain if text]
    return KeyValues("What was trained, and how", tuple(shown))


def derived_section(facts: dict[str, Facts]) -> Section | None:
    """Return every setting that was left open, with what was chosen and why."""
    rows = [row for stage, found in facts.items() for row in _derived_rows(stage, found)]
    if not rows:
        return None
    lead = (
        "Left open, so derived from the material and the machine. Set any of them in dialekt.toml to decide yourself."
    )
    columns = (Column("Setting"), Column("Value"), Column("Why", wide=True))
    table = Table("What was derived, and why", columns, tuple(rows))
    return Section("derived", "Derived settings", lead, (table,))


def _derived_rows(stage: str, found: Facts) -> list[Row]:
    derived = found.part("derived")
    return [
        Row(
            (
                Cell(f"{stage}.{name}", code=True),
                Cell(formats.value_text(derived.part(name).values.get("value"))),
                Cell(derived.part(name).text("why")),
            )
        )
        for name in derived.values
    ]
