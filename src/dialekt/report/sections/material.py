"""The material: from files and judgments to training examples, and what was dropped on the way by which rule."""

from collections.abc import Mapping

from dialekt.negatives.rules import MEANINGS
from dialekt.report import formats
from dialekt.report.blocks import Block, Cell, Column, Row, Section, Table
from dialekt.report.charts.bars import bar_cell
from dialekt.report.facts import Facts

NOTHING = Facts({})
FUNNEL = (
    ("corpus", "files", "Files read"),
    ("corpus", "documents", "Documents"),
    ("corpus", "chunks", "Retrievable units (documents or chunks)"),
    ("corpus", "exact_duplicates", "of these, same text as an earlier one"),
    ("corpus", "near_duplicates", "of these, nearly the same text"),
    ("corpus", "empty_dropped", "Empty documents dropped"),
    ("corpus", "truncated_documents", "Documents cut at the length limit"),
    ("judgments", "queries", "Queries given"),
    ("judgments", "qrels", "Judgments given"),
    ("judgments", "given_negatives", "Negatives given"),
    ("split", "query_clusters", "Clusters of near-identical queries"),
    ("split", "near_duplicate_queries_removed", "Train queries removed as too close to held-out ones"),
    ("split", "held_out_documents", "Documents that only held-out queries ask for"),
    ("pairs", "pairs", "Training pairs"),
    ("pairs", "queries", "Queries with a training pair"),
    ("pairs", "documents", "Documents in training pairs"),
    ("negatives", "negatives", "Hard negatives"),
    ("negatives", "queries_without", "Training queries without a hard negative"),
)
SPLITS = ("train", "dev", "test")


def funnel_section(facts: Mapping[str, Facts]) -> Section | None:
    """Return what came in, what was made of it, and what was dropped."""
    tables = [_funnel_table(facts), _split_table(facts.get("split", NOTHING)), _dropped_table(facts)]
    blocks: list[Block] = [table for table in tables if table is not None]
    if not blocks:
        return None
    lead = "From files and judgments to training examples. Test queries were set aside before anything else was made."
    return Section("data", "Data", lead, tuple(blocks))


def _funnel_table(facts: Mapping[str, Facts]) -> Table | None:
    rows = tuple(
        Row((Cell(formats.stage_label(stage)), Cell(label), Cell(formats.count(value))))
        for stage, name, label in FUNNEL
        if (value := facts.get(stage, NOTHING).number(name)) is not None
    )
    columns = (Column("Stage"), Column("What"), Column("Count", numeric=True))
    return Table("From files to training examples", columns, rows) if rows else None


def _split_table(split: Facts) -> Table | None:
    queries, positives = split.counts("queries"), split.counts("positives")
    total = sum(queries.values())
    if not total:
        return None
    names = [name for name in SPLITS if name in queries] + [name for name in queries if name not in SPLITS]
    rows = tuple(
        Row(
            (
                Cell(formats.humanise(name)),
                Cell(formats.count(queries[name])),
                Cell(formats.percent(queries[name] / total, digits=1)),
                Cell(graphic=bar_cell(queries[name] / total, title=f"{formats.percent(queries[name] / total)} of queries")),
                Cell(formats.count(positives.get(name))),
            )
        )
        for name in names
    )
    columns = (
        Column("Split"),
        Column("Queries", numeric=True),
        Column("Share", numeric=True),
        Column("Of all queries", graphic=True),
        Column("Positives", numeric=True),
    )
    return Table("Queries by split", columns, rows, note=f"Split method: {split.text('method') or formats.ABSENT}.")


def _dropped_table(facts: Mapping[str, Facts]) -> Table | None:
    rows = tuple(
        Row((Cell(formats.stage_label(stage)), Cell(formats.humanise(rule)), Cell(formats.count(number))))
        for stage, found in facts.items()
        if stage != "negatives"
        for rule, number in found.counts("dropped").items()
        if number
    )
    columns = (Column("Stage"), Column("Rule"), Column("Dropped", numeric=True))
    return Table("Dropped, by stage and rule", columns, rows) if rows else None


def negatives_section(negatives: Facts) -> Section | None:
    """Return the audit of mining: what was kept from which retriever, what was dropped by which rule."""
    kept, dropped = negatives.counts("kept_by_retriever"), negatives.counts("dropped")
    total = sum(kept.values()) + sum(dropped.values())
    if not total:
        return None
    rows = [_audit_row("Kept", formats.system_label(name), "", number, total) for name, number in kept.items()]
    rows += [
        _audit_row("Dropped", formats.humanise(rule), _meaning(rule), number, total) for rule, number in dropped.items() if number
    ]
    columns = (
        Column("Decision"),
        Column("Retriever or rule"),
        Column("Candidates", numeric=True),
        Column("Share", numeric=True),
        Column("Of all candidates", graphic=True),
    )
    table = Table("Every candidate, by what became of it", columns, tuple(rows))
    return Section("negatives", "Hard negatives", _negatives_lead(negatives), (table,))


def _meaning(rule: str) -> str:
    return next((meaning for known, meaning in MEANINGS.items() if known == rule), "")


def _audit_row(decision: str, name: str, meaning: str, number: int, total: int) -> Row:
    share = formats.percent(number / total, digits=1)
    tone = "bar kept" if decision == "Kept" else "bar"
    return Row(
        (
            Cell(decision),
            Cell(name, meaning),
            Cell(formats.count(number)),
            Cell(share),
            Cell(graphic=bar_cell(number / total, title=f"{share} of all candidates", tone=tone)),
        ),
        highlighted=decision == "Kept",
    )


def _negatives_lead(negatives: Facts) -> str:
    count, queries, rank = negatives.number("negatives"), negatives.number("queries"), negatives.number("mean_rank")
    text = f"{formats.count(count)} hard negatives for {formats.count(queries)} training queries"
    if rank is not None:
        text += f", found at rank {rank:.1f} on average"
    return text + ". A candidate counts under the first rule that dropped it."
