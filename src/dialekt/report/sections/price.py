"""At what price: what is forgotten of the general world, and what training, encoding and memory take."""

from collections.abc import Mapping

from dialekt.config import TunedSide
from dialekt.evaluation.records import EvaluationFacts, GeneralFacts
from dialekt.measures.metrics import NDCG
from dialekt.report import formats
from dialekt.report.blocks import Block, Cell, Column, Figure, Row, Section, Table
from dialekt.report.facts import Facts
from dialekt.report.sections.gain import difference_mark, difference_panel

NOTHING = Facts({})
MILLION = 1_000_000


def price_section(
    evaluation: EvaluationFacts | None, facts: Mapping[str, Facts], seconds: Mapping[str, float]
) -> Section | None:
    """Return what tuning costs; None where nothing was tuned."""
    general = evaluation.general if evaluation else None
    training = facts.get("training", NOTHING)
    if not (training or general):
        return None
    rows = [row for row in (_training_row(training, seconds), *_vector_rows(facts)) if row]
    blocks: list[Block] = [_general_figure(general)] if general else []
    if rows:
        columns = (Column("Price"), Column("How much", numeric=True), Column("Of what", wide=True))
        blocks.append(Table("Time and memory", columns, tuple(rows)))
    return Section("price", "At what price", _lead(general), tuple(blocks)) if blocks else None


def _lead(general: GeneralFacts | None) -> str:
    if general is None:
        return "Whether general language was forgotten was not measured: evaluation.general is off."
    one = general.comparison
    change = f"{formats.signed(one.difference)} ({formats.signed_range(one.low, one.high)})"
    limit = formats.score(general.limit)
    if not general.passed:
        return f"On general queries the tuned model changes by {change}: more than may be lost, {limit}."
    if one.high < 0:
        return f"On general queries the tuned model surely loses something, {change}; up to {limit} is allowed."
    return f"On general queries no loss is proven: {change}; up to {limit} is allowed."


def _general_figure(general: GeneralFacts) -> Figure:
    name = f"{general.name} ({formats.count(general.queries)})"
    title = "Forgetting: tuned minus base on general queries"
    panel = difference_panel(
        [difference_mark(name, general.comparison)], title=title, axis_title=f"difference in {NDCG}"
    )
    caption = (
        "What tuning did to queries that have nothing to do with your domain: where the interval lies left of zero, "
        "something was forgotten."
    )
    columns = (
        Column("General queries"),
        *(Column(title, numeric=True) for title in ("Queries", "Documents", "Before", "After", "Allowed loss")),
        Column("Within"),
    )
    cells = (
        Cell(general.name),
        Cell(formats.count(general.queries)),
        Cell(formats.count(general.documents)),
        *(
            Cell(formats.score(one.value), formats.score_range(one.low, one.high))
            for one in (general.base, general.tuned)
        ),
        Cell(formats.score(general.limit)),
        Cell("yes" if general.passed else "no"),
    )
    return Figure(title, caption, (panel,), Table("General queries in numbers", columns, (Row(cells),), collapsed=True))


def _training_row(training: Facts, seconds: Mapping[str, float]) -> Row | None:
    taken = seconds.get("training", training.number("seconds"))
    if taken is None:
        return None
    pairs, device = training.number("pairs"), training.text("device")
    what = [f"{formats.count(pairs)} pairs"] if pairs is not None else []
    what += [f"on {device}"] if device else []
    return Row((Cell("Training"), Cell(formats.duration(taken)), Cell(" ".join(what))))


def _vector_rows(facts: Mapping[str, Facts]) -> list[Row]:
    if facts.get("training", NOTHING).text("side") == TunedSide.QUERY:
        why = "the query side alone was tuned: an index of the base model stays valid"
        return [Row((Cell("Encoding the documents anew"), Cell("none"), Cell(why)))]
    vectors = facts.get("tuned_vectors", NOTHING) or facts.get("base_vectors", NOTHING)
    rows = []
    tokens, speed = facts.get("corpus", NOTHING).number("median_tokens"), vectors.number("tokens_per_second")
    if tokens and speed:
        why = f"reckoned from {formats.count(speed)} tokens/s here and {formats.count(tokens)} tokens a document"
        taken = formats.duration(tokens * MILLION / speed)
        rows.append(Row((Cell("Encoding a million documents anew"), Cell(taken), Cell(why))))
    if dimension := vectors.integer("dimension"):
        why = f"float32 vectors of {dimension} dimensions: as many as the base model's"
        rows.append(Row((Cell("Memory of a million documents"), Cell(formats.storage(dimension)), Cell(why))))
    return rows
