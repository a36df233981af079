"""The queries that were made from documents: what the gates let pass, how real they look, what an LLM cost."""

from dialekt.report import formats
from dialekt.report.blocks import Block, Cell, Column, KeyValues, Row, Section, Table
from dialekt.report.charts.bars import bar_cell
from dialekt.report.facts import Facts
from dialekt.synthesis.records import GATE_MEANINGS

GENERATORS = {"local": "Local, without a network", "llm": "LLM", "doc2query": "Seq2seq model"}


def synthesis_section(synthesis: Facts) -> Section | None:
    """Return what was made and rejected; `None` when no queries were made."""
    made = sum(synthesis.counts("made").values())
    if not made:
        return None
    blocks: list[Block] = [_gate_table(synthesis, made), _generator_table(synthesis)]
    blocks += [block for block in (_kinds(synthesis), _realism(synthesis), _llm(synthesis)) if block]
    return Section("made-queries", "Made queries", _lead(synthesis, made), tuple(blocks))


def _lead(synthesis: Facts, made: int) -> str:
    parts = [
        f"{formats.count(synthesis.number('queries'))} of {formats.count(made)} queries made from "
        f"{formats.count(synthesis.number('documents_asked'))} documents passed every gate."
    ]
    if without := synthesis.integer("documents_without"):
        parts.append(f"{formats.count(without)} documents were left without any.")
    if negatives := synthesis.integer("instruction_negatives"):
        parts.append(f"{formats.count(negatives)} carry an instruction, each with a passage that breaks it.")
    return " ".join(parts)


def _gate_table(synthesis: Facts, made: int) -> Table:
    dropped = synthesis.counts("dropped")
    meanings = {str(gate): meaning for gate, meaning in GATE_MEANINGS.items()}
    rows = [_share_row("kept", synthesis.integer("queries") or 0, made, best=True)]
    rows += [_share_row(meanings.get(gate, formats.humanise(gate)), number, made) for gate, number in dropped.items()]
    columns = (Column("A made query", wide=True), Column("Count", numeric=True), Column("Of all made", graphic=True))
    note = "Each rejected query is counted at the first gate that bars it."
    return Table("What the gates let pass", columns, tuple(rows), note=note)


def _share_row(label: str, number: int, made: int, *, best: bool = False) -> Row:
    share = number / made
    bar = bar_cell(share, title=f"{formats.percent(share)} of made queries")
    return Row((Cell(label, best=best), Cell(formats.count(number)), Cell(graphic=bar)))


def _generator_table(synthesis: Facts) -> Table:
    kept, asked = synthesis.counts("kept"), synthesis.counts("queries_per_document")
    rows = tuple(
        Row(
            (
                Cell(GENERATORS.get(name, formats.humanise(name))),
                Cell(formats.count(asked.get(name))),
                Cell(formats.count(number)),
                Cell(formats.count(kept.get(name, 0))),
            )
        )
        for name, number in synthesis.counts("made").items()
    )
    titles = ("Asked per document", "Made", "Kept")
    return Table("By generator", (Column("Generator"), *(Column(title, numeric=True) for title in titles)), rows)


def _kinds(synthesis: Facts) -> KeyValues | None:
    pairs = tuple((formats.humanise(kind), formats.count(number)) for kind, number in synthesis.counts("kinds").items())
    return KeyValues("Kept queries by kind", pairs) if pairs else None


def _realism(synthesis: Facts) -> Table | None:
    found = synthesis.part("realism")
    if not found:
        return None
    rows = tuple(
        Row((Cell(label), Cell(write(found.number(f"real_{name}"))), Cell(write(found.number(f"made_{name}")))))
        for label, name, write in (
            ("Words per query", "words", formats.compact),
            ("Questions among them", "questions", formats.percent),
        )
    )
    note = (
        f"{formats.percent(found.number('shared_words'))} of the made queries' words occur in real ones. Their lengths "
        f"are {formats.score(found.number('length_distance'))} apart, from 0, alike, to 1, without overlap."
    )
    columns = (Column(""), Column("Real queries", numeric=True), Column("Made queries", numeric=True))
    return Table("Beside the queries that people typed", columns, rows, note=note)


def _llm(synthesis: Facts) -> KeyValues | None:
    found = synthesis.part("llm")
    names = ("calls", "reused", "failed", "malformed", "input_tokens", "output_tokens", "left_by_budget")
    pairs = [(formats.humanise(name), formats.count(value)) for name in names if (value := found.integer(name))]
    if cost := found.number("cost"):
        pairs.append(("Cost", f"{cost:,.2f}"))
    return KeyValues("What the LLM took", tuple(pairs)) if pairs else None
