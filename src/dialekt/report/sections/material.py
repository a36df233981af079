"""The material: from files and judgments to training examples, and what was dropped on the way by which rule."""

from collections.abc import Mapping

from dialekt.negatives.rules import MEANINGS
from dialekt.pairs.records import MADE_QUERIES
from dialekt.report import formats
from dialekt.report.blocks import Block, Cell, Column, KeyValues, Row, Section, Table
from dialekt.report.charts.bars import bar_cell
from dialekt.report.facts import Facts

NOTHING = Facts({})
RETRIEVER_LABELS = {
    "bm25": "BM25",
    "dense": "Dense search with the base model",
    "given": "Given, or passed over in a log",
}
SOURCE_LABELS = {
    "qrels": "Judgments",
    "pairs": "Pairs given with their texts",
    "logs": "Search logs",
    "synthetic": "Queries made from documents",
    "teacher": "Negatives that the teacher called answers",
}
COUNTS = (
    ("corpus", "files", "Files read"),
    ("corpus", "documents", "Documents"),
    ("corpus", "chunks", "Retrievable units (documents or chunks)"),
    ("corpus", "exact_duplicates", "Units with the text of an earlier one"),
    ("corpus", "near_duplicates", "Units with nearly the text of an earlier one"),
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
    ("negatives", "queries_short", "Training queries with fewer hard negatives than asked for"),
    ("negatives", "queries_without", "Training queries without a hard negative"),
)
SPLITS = ("train", "dev", "test")


def funnel_section(facts: Mapping[str, Facts]) -> Section | None:
    """Return what came in, what was made of it, and what was dropped."""
    tables = [
        _funnel_table(facts),
        _split_table(facts.get("split", NOTHING)),
        _sources_table(facts),
        _dropped_table(facts),
        _count_table(facts),
    ]
    blocks: list[Block] = [table for table in tables if table is not None]
    if not blocks:
        return None
    lead = "From files and judgments to training examples. Held-out queries were set aside first."
    if facts.get("pairs", NOTHING).text("held_out") == MADE_QUERIES:
        lead = "From files to training examples. There were no judgments and no logs, so held-out queries are made too."
    return Section("data", "Data", lead, tuple(blocks))


def _funnel_table(facts: Mapping[str, Facts]) -> Table | None:
    """Return how many queries reach each step: the same unit all the way down, so that the bars compare."""
    steps = [(label, number) for label, number in _funnel(facts) if number is not None]
    if len(steps) < 2:
        return None
    most = max(number for _, number in steps) or 1
    rows = tuple(
        Row(
            (
                Cell(label),
                Cell(formats.count(number)),
                Cell(graphic=bar_cell(number / most, title=formats.count(number))),
            )
        )
        for label, number in steps
    )
    columns = (Column("Step"), Column("Queries", numeric=True), Column("Of the largest", graphic=True))
    return Table("How many queries reach training", columns, rows)


def _funnel(facts: Mapping[str, Facts]) -> list[tuple[str, float | None]]:
    queries, negatives = facts.get("split", NOTHING).counts("queries"), facts.get("negatives", NOTHING)
    mined, without = negatives.number("queries"), negatives.number("queries_without")
    return [
        ("Given with judgments", facts.get("judgments", NOTHING).number("queries")),
        ("In a split, with at least one positive", sum(queries.values()) if queries else None),
        ("Left for training", queries.get("train")),
        ("With a training pair", facts.get("pairs", NOTHING).number("queries")),
        ("With a hard negative", None if mined is None or without is None else mined - without),
    ]


def _count_table(facts: Mapping[str, Facts]) -> KeyValues | None:
    pairs = tuple(
        (label, formats.count(value))
        for stage, name, label in COUNTS
        if (value := facts.get(stage, NOTHING).number(name)) is not None
    )
    return KeyValues("Counts", pairs) if pairs else None


def _split_table(split: Facts) -> Table | None:
    queries, positives, method = split.counts("queries"), split.counts("positives"), split.text("method")
    total = sum(queries.values())
    if not total:
        return None
    names = [name for name in SPLITS if name in queries] + [name for name in queries if name not in SPLITS]
    rows = tuple(
        Row(
            (
                Cell(formats.humanise(name)),
                Cell(formats.count(queries[name]), formats.percent(queries[name] / total, digits=1)),
                Cell(
                    graphic=bar_cell(
                        queries[name] / total, title=f"{formats.percent(queries[name] / total)} of queries"
                    )
                ),
                Cell(formats.count(positives.get(name))),
            )
        )
        for name in names
    )
    columns = (
        Column("Split"),
        Column("Queries", numeric=True),
        Column("Of all queries", graphic=True),
        Column("Positives", numeric=True),
    )
    return Table("Queries by split", columns, rows, note=f"Split method: {method}." if method else "")


def _sources_table(facts: Mapping[str, Facts]) -> Table | None:
    """Return where the training pairs come from, those that a teacher added among them; nothing for a single source."""
    counts = dict(facts.get("pairs", NOTHING).counts("by_source"))
    if added := facts.get("teacher", NOTHING).number("added"):
        counts["teacher"] = int(added)
    if len(counts) < 2:
        return None
    total = sum(counts.values())
    rows = tuple(
        Row(
            (
                Cell(SOURCE_LABELS.get(name, formats.humanise(name))),
                Cell(formats.count(number)),
                Cell(graphic=bar_cell(number / total, title=f"{formats.percent(number / total)} of the pairs")),
            )
        )
        for name, number in counts.items()
    )
    columns = (Column("Source"), Column("Pairs", numeric=True), Column("Of all pairs", graphic=True))
    note = "What each source contributes to the result: dialekt evaluate --ablate sources."
    return Table("Training pairs by source", columns, rows, note=note)


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
    rows = [
        _audit_row("Kept", RETRIEVER_LABELS.get(name, formats.humanise(name)), "", number, total)
        for name, number in kept.items()
        if number
    ]
    rows += [
        _audit_row("Dropped", formats.humanise(rule), _meaning(rule), number, total)
        for rule, number in dropped.items()
        if number
    ]
    columns = (
        Column("Decision"),
        Column("Retriever or rule", wide=True),
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
        )
    )


def _negatives_lead(negatives: Facts) -> str:
    count, queries, rank = negatives.number("negatives"), negatives.number("queries"), negatives.number("mean_rank")
    text = f"{formats.count(count)} hard negatives for {formats.count(queries)} training queries"
    candidates = negatives.number("candidates")
    if candidates is not None:
        text += f", out of {formats.count(candidates)} candidates"
    if rank is not None:
        text += f", found at rank {rank:.1f} on average"
    return text + ". A candidate counts under the first rule that dropped it."
