"""The queries that tuning changed most, for better and for worse: by id, with texts only when they were asked for."""

from collections.abc import Mapping, Sequence

from dialekt.evaluation.records import EvaluationFacts, QueryChange
from dialekt.report import formats
from dialekt.report.blocks import Block, Cell, Column, Note, Row, Section, Table, TablePair
from dialekt.report.charts.intervals import change_cell
from dialekt.report.records import ChangeTexts

MAX_TEXT_CHARACTERS = 400
_EARLIEST_CUT = 0.8


def changes_section(evaluation: EvaluationFacts, texts: Mapping[str, ChangeTexts]) -> Section | None:
    """Return the largest wins and losses; None when no query changed."""
    tables = [
        _changes_table(f"Largest {name}", changes, texts)
        for name, changes in (("wins", evaluation.wins), ("losses", evaluation.losses))
        if changes
    ]
    if not tables:
        return None
    lead = "The queries that tuning changed most: NDCG@10 with the base model (open) and with the tuned one (filled)."
    if not texts:
        lead += " Texts stay out of this page unless report.texts is set."
    blocks: tuple[Block, ...] = tuple(tables) if texts or len(tables) < 2 else (TablePair(tuple(tables)),)
    return Section("changes", "Wins and losses", lead, blocks)


def _changes_table(caption: str, changes: Sequence[QueryChange], texts: Mapping[str, ChangeTexts]) -> Table:
    columns = (
        Column("Query"),
        Column("Base", numeric=True),
        Column("Tuned", numeric=True),
        Column("Difference", numeric=True),
        Column("0 to 1", graphic=True),
    )
    return Table(caption, columns, tuple(_change_row(change, texts.get(change.query_id)) for change in changes))


def _change_row(change: QueryChange, texts: ChangeTexts | None) -> Row:
    before, after = formats.score(change.base), formats.score(change.tuned)
    graphic = change_cell(change.base, change.tuned, title=f"from {before} to {after}")
    cells = (
        Cell(change.query_id, code=True),
        Cell(before),
        Cell(after),
        Cell(formats.signed(change.difference)),
        Cell(graphic=graphic),
    )
    return Row(cells, notes=_notes(texts) if texts else ())


def _notes(texts: ChangeTexts) -> tuple[Note, ...]:
    named = (("Query", texts.query), ("Base finds", texts.base_document), ("Tuned finds", texts.tuned_document))
    return tuple(Note(name, _shortened(text)) for name, text in named if text)


def _shortened(text: str) -> str:
    """Return the text in one line, cut at a blank, or in the middle of a text that has none near its end."""
    words = " ".join(text.split())
    if len(words) <= MAX_TEXT_CHARACTERS:
        return words
    head = words[:MAX_TEXT_CHARACTERS]
    at_blank = head.rsplit(" ", 1)[0]
    return (at_blank if len(at_blank) > _EARLIEST_CUT * len(head) else head) + " \N{HORIZONTAL ELLIPSIS}"
