"""How much the judgments can be trusted, and from which score on a result is an answer."""

from dialekt.evaluation.records import EvaluationFacts, JudgedShare, Threshold, UnjudgedFacts
from dialekt.measures.metrics import NDCG
from dialekt.report import formats
from dialekt.report.blocks import Block, Cell, Column, Paragraph, Row, Section, Table
from dialekt.types import Interval


def unjudged_section(evaluation: EvaluationFacts) -> Section | None:
    """Return what unjudged documents may hide; None when that was not looked at."""
    found = evaluation.unjudged
    if found is None or not found.systems:
        return None
    columns = (
        Column("System"),
        Column("Judged of the first ten", numeric=True),
        Column(NDCG, numeric=True),
        Column(f"Condensed {NDCG}", numeric=True),
    )
    note = f"Condensed lists leave unjudged documents out before {NDCG} is taken (Sakai 2007)."
    rows = tuple(_judged_row(evaluation, one) for one in found.systems)
    blocks: list[Block] = [Table("Judged documents by system", columns, rows, note=note)]
    if sentence := _condensed_sentence(evaluation, found):
        blocks.append(Paragraph(sentence))
    return Section("unjudged", "Unjudged documents", _unjudged_lead(found), tuple(blocks))


def _judged_row(evaluation: EvaluationFacts, one: JudgedShare) -> Row:
    result = evaluation.result(one.system)
    plain = result.metrics.get(NDCG) if result else None
    judged = Cell(
        formats.percent(one.judged.value),
        f"{formats.percent(one.judged.low)}{formats.DASH}{formats.percent(one.judged.high)}",
    )
    return Row((Cell(formats.system_label(one.system)), judged, _score_cell(plain), _score_cell(one.condensed)))


def _score_cell(interval: Interval | None) -> Cell:
    if interval is None:
        return Cell(formats.ABSENT)
    return Cell(formats.score(interval.value), formats.score_range(interval.low, interval.high))


def _unjudged_lead(found: UnjudgedFacts) -> str:
    if found.meaningful:
        return "A document that nobody judged counts as wrong, though it may be good: here is how much that can hide."
    return (
        "Hardly any document was judged to be no answer, so condensed lists would be right whatever a system finds: "
        "read the share that is judged, not the condensed scores."
    )


def _condensed_sentence(evaluation: EvaluationFacts, found: UnjudgedFacts) -> str:
    one = found.comparison
    if one is None or not found.meaningful:
        return ""
    plain = evaluation.comparison(one.system, one.against)
    text = (
        f"On condensed lists {formats.system_phrase(one.system)} minus {formats.system_phrase(one.against)} is "
        f"{formats.signed(one.difference)} ({formats.signed_range(one.low, one.high)}, {formats.p_phrase(one.p_value)})"
    )
    return f"{text}; on full lists it is {formats.signed(plain.difference)}." if plain else f"{text}."


def thresholds_section(evaluation: EvaluationFacts) -> Section | None:
    """Return the calibrated thresholds; None when there are none."""
    if not evaluation.thresholds:
        return None
    lead = (
        "The cosine from which a result is an answer, with the wanted precision: chosen on dev queries, tried on test "
        "queries. Tuning moves cosines, so a threshold of the base model does not fit the tuned one."
    )
    columns = (
        Column("System"),
        *(Column(title, numeric=True) for title in ("Wanted", "Cosine from", "Precision", "Recall", "No result left")),
    )
    rows = tuple(_threshold_row(one) for one in evaluation.thresholds)
    note = (
        "Precision: results above the threshold that are answers. Recall: answers within reach that lie above it. Both "
        "count unjudged documents as wrong."
    )
    return Section("thresholds", "Score thresholds", lead, (Table("Thresholds by system", columns, rows, note=note),))


def _threshold_row(one: Threshold) -> Row:
    name = Cell(formats.system_label(one.system), f"{formats.count(one.queries)} test queries")
    if one.cosine is None:
        absent = (Cell("none reaches it on dev"), *(Cell(formats.ABSENT) for _ in range(3)))
        return Row((name, Cell(formats.percent(one.target)), *absent))
    cells = (
        Cell(formats.percent(one.target)),
        Cell(formats.score(one.cosine)),
        _share_cell(one.precision),
        _share_cell(one.recall),
        Cell(formats.percent(one.empty)),
    )
    return Row((name, *cells))


def _share_cell(interval: Interval | None) -> Cell:
    if interval is None:
        return Cell(formats.ABSENT)
    low, high = formats.percent(interval.low), formats.percent(interval.high)
    return Cell(formats.percent(interval.value), f"{low}{formats.DASH}{high}")
