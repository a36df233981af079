"""The search that found the recipe: dev score by trial, what each one tried, and how sure the choice is."""

from markupsafe import Markup

from dialekt.report import formats
from dialekt.report.blocks import Block, Cell, Column, Figure, Panel, Row, Section, Table
from dialekt.report.charts.frame import Tick
from dialekt.report.charts.lines import Marker, Point
from dialekt.report.charts.scatter import Scatter, Trace, scatter_plot
from dialekt.report.facts import Facts

DEV = "dev NDCG@10"
MOST_TICKS = 20
WIDTH, HEIGHT = 640.0, 264.0
FULL, DONE = "full", "done"


def search_section(search: Facts) -> Section | None:
    """Return the trials of the search that the model's recipe comes from; nothing where there was none."""
    trials = search.parts("trials")
    if not trials:
        return None
    table = _table(search)
    blocks: tuple[Block, ...] = (table,)
    if len([trial for trial in trials if trial.number("score") is not None]) > 1:
        caption = (
            "Filled: trained at full length. Open: probes of a part of that, and trials given up, at what they "
            "had reached; they are compared among themselves only."
        )
        blocks = (Figure("Dev score by trial", caption, (Panel(_chart(search)),), table),)
    return Section("recipe-search", "Search for the recipe", _lead(search), blocks)


def _lead(search: Facts) -> str:
    decision, trials = search.part("decision"), search.parts("trials")
    spent = formats.duration(search.number("spent_seconds"))
    default, best, gain = (decision.number(name) for name in ("default_ndcg", "best_ndcg", "gain"))
    low, high = decision.number("low"), decision.number("high")
    parts = [f"{len(trials)} trials in {spent}, scored on the dev queries; no trial saw a test query."]
    if decision.integer("best") and default is not None and gain is not None and low is not None and high is not None:
        parts.append(
            f"The best full training reached {formats.score(best)}, the default recipe {formats.score(default)}: "
            f"{formats.signed(gain)} ({formats.signed_range(low, high)}, for all candidates at once)."
        )
    kept = "Another recipe than the default is kept" if decision.integer("winner") else "The default recipe is kept"
    parts.append(f"{kept}, since {decision.text('reason')}.")
    return " ".join(parts)


def _chart(search: Facts) -> Markup:
    winner = search.part("decision").integer("winner")
    found = [(trial, trial.number("number"), trial.number("score")) for trial in search.parts("trials")]
    points = [
        (trial, Point(number, score, f"trial {int(number)}: {formats.score(score)}, {_tried(trial)}"))
        for trial, number, score in found
        if number is not None and score is not None
    ]
    kept = next((point for _, point in points if point.x == winner), None)
    default = next((point.y for _, point in points if point.x == 0), None)
    every = range(int(max(point.x for _, point in points)) + 1)
    stride = -(-len(every) // MOST_TICKS)
    return scatter_plot(
        Scatter(
            title=f"{DEV} by trial: " + ", ".join(point.tooltip for _, point in points),
            traces=tuple(Trace("", (point,), _tone(trial)) for trial, point in points),
            x_title="trial",
            x_ticks=tuple(Tick(float(number), str(number)) for number in every[::stride]),
            reference=(default, f"default {formats.score(default)}") if default is not None else None,
            marker=Marker(kept.x, kept.y, f"kept {formats.score(kept.y)}") if kept else None,
            width=WIDTH,
            height=HEIGHT,
        )
    )


def _tone(trial: Facts) -> str:
    return "tuned" if trial.text("fidelity") == FULL and trial.text("state") == DONE else "base"


def _table(search: Facts) -> Table:
    winner = search.part("decision").integer("winner")
    rows = tuple(
        Row(
            (
                Cell(formats.count(trial.number("number"))),
                Cell(_tried(trial)),
                Cell(trial.text("fidelity")),
                Cell(_outcome(trial), best=trial.integer("number") == winner),
                Cell(formats.duration(trial.number("seconds"))),
            )
        )
        for trial in search.parts("trials")
    )
    columns = (
        Column("Trial", numeric=True),
        Column("Tried", wide=True),
        Column("Length"),
        Column(DEV, numeric=True),
        Column("Time", numeric=True),
    )
    return Table("Trials of the search", columns, rows, collapsed=True)


def _outcome(trial: Facts) -> str:
    state = trial.text("state")
    reached = formats.score(trial.number("score")) if trial.number("score") is not None else ""
    return reached if state == DONE else f"{reached} {state}".strip()


def _tried(trial: Facts) -> str:
    settings = trial.part("settings")
    named = [f"{name} {formats.value_text(value)}" for name, value in settings.values.items()]
    return ", ".join(named) or "the default recipe"
