"""How well search is without tuning, where it fails, and what there is to learn from."""

from dialekt.diagnosis.records import BaselineFacts, DataFacts, FailureBucket
from dialekt.measures.metrics import NDCG
from dialekt.report import formats
from dialekt.report.blocks import Block, Cell, Column, Figure, KeyValues, Panel, Row, Section, Table
from dialekt.report.charts.bars import bar_cell
from dialekt.report.charts.intervals import IntervalMark, Reference, interval_plot
from dialekt.types import Interval

CEILING = "Perfect reranking"
TELLING_RATIO = 1.2  # a kind of failure that is this much commoner where search fails explains something


def untuned_section(baseline: BaselineFacts | None) -> Section | None:
    """Return the systems without tuning and their ceiling; None without queries."""
    if baseline is None or not baseline.systems:
        return None
    lead = (
        f"{formats.count(baseline.queries)} held-out queries, {formats.count(baseline.documents)} documents. Reranking "
        f"the base model's first hundred can bring {NDCG} to {formats.score(baseline.ceiling.value)} at most."
    )
    if baseline.reranker is not None:
        found = baseline.reranker
        scores = f"{formats.score(found.teacher_ndcg)} of {formats.score(found.student_ndcg)}"
        lead += f" The named cross-encoder makes {scores} on {formats.count(found.queries)} dev queries."
    return Section("baseline", "Search without tuning", lead, (_systems_figure(baseline),))


def _systems_figure(baseline: BaselineFacts) -> Figure:
    best = max(one.ndcg.value for one in baseline.systems)
    marks = [
        _mark(formats.system_label(one.system), one.ndcg, tone="base", strong=one.ndcg.value == best)
        for one in baseline.systems
    ]
    marks.append(_mark(CEILING, baseline.ceiling, tone="other"))
    base = next((one.ndcg.value for one in baseline.systems if one.system == "base"), None)
    spoken = f"{NDCG} without tuning: " + "; ".join(f"{mark.label} {mark.tooltip}" for mark in marks)
    reference = None if base is None else Reference(base, "base")
    wide, narrow = (
        interval_plot(marks, title=spoken, axis_title=NDCG, reference=reference, narrow=is_narrow)
        for is_narrow in (False, True)
    )
    caption = (
        "Dots are means, bars their 95% intervals. Perfect reranking puts every answer among the base model's first "
        "hundred on top: no reranker can do better."
    )
    columns = (Column("System"), Column(NDCG, numeric=True), Column("Recall@100", numeric=True))
    rows = [
        Row((Cell(formats.system_label(one.system)), _score_cell(one.ndcg), _score_cell(one.recall)))
        for one in baseline.systems
    ]
    rows.append(Row((Cell(CEILING), _score_cell(baseline.ceiling), Cell(formats.ABSENT))))
    table = Table("Systems without tuning", columns, tuple(rows), collapsed=True)
    return Figure(f"{NDCG} by system", caption, (Panel(wide, narrow=narrow),), table)


def _mark(name: str, interval: Interval, *, tone: str, strong: bool = False) -> IntervalMark:
    text = formats.score(interval.value)
    tooltip = f"{text} ({formats.score_range(interval.low, interval.high)})"
    return IntervalMark(name, interval.value, interval.low, interval.high, text, tooltip, tone, strong=strong)


def _score_cell(interval: Interval | None) -> Cell:
    if interval is None:
        return Cell(formats.ABSENT)
    return Cell(formats.score(interval.value), formats.score_range(interval.low, interval.high))


def failures_section(baseline: BaselineFacts | None) -> Section | None:
    """Return where the base model fails; None without queries."""
    if baseline is None:
        return None
    share = baseline.failed / baseline.queries if baseline.queries else 0.0
    lead = (
        f"For {formats.count(baseline.failed)} of {formats.count(baseline.queries)} queries ({formats.percent(share)}) "
        "the base model has no answer among its first ten. One query can fail for several reasons."
    )
    blocks: list[Block] = [_bucket_table(baseline)] if baseline.buckets else []
    shares = (
        ("Documents longer than the model reads", formats.percent(baseline.truncated_share, digits=1)),
        ("Near-duplicate documents", formats.percent(baseline.duplicate_share, digits=1)),
        ("Places among the first ten taken by hubs", formats.percent(baseline.hub_share, digits=1)),
    )
    note = "A hub is a document that comes up for very many queries, whatever they ask."
    blocks.append(KeyValues("The corpus", shares, note=note))
    return Section("failures", "Where it fails", lead, tuple(blocks))


def _bucket_table(baseline: BaselineFacts) -> Table:
    columns = (
        Column("Reason"),
        Column("Of the failed", numeric=True),
        Column("", graphic=True),
        Column("Of the others", numeric=True),
        Column("Ratio", numeric=True),
    )
    rows = tuple(
        _bucket_row(one, baseline) for one in sorted(baseline.buckets, key=lambda bucket: bucket.ratio, reverse=True)
    )
    note = "Ratio: how much commoner the reason is where search fails than where it does not; about 1 explains nothing."
    return Table("Reasons, the most telling first", columns, rows, note=note)


def _bucket_row(one: FailureBucket, baseline: BaselineFacts) -> Row:
    others = baseline.queries - baseline.failed
    failed, succeeded = (
        one.failed / max(baseline.failed, 1),
        one.succeeded / max(others, 1),
    )
    tone = "bar kept" if one.ratio >= TELLING_RATIO else "bar"
    return Row(
        (
            Cell(formats.capitalised(one.failure.value)),
            Cell(formats.percent(failed), f"{formats.count(one.failed)} queries"),
            Cell(graphic=bar_cell(failed, title=f"{formats.percent(failed)} of the failed", tone=tone)),
            Cell(formats.percent(succeeded), f"{formats.count(one.succeeded)} queries"),
            Cell(f"{one.ratio:.1f}"),
        )
    )


def data_section(data: DataFacts | None) -> Section | None:
    """Return what there is to learn from and to test on; None without queries."""
    if data is None:
        return None
    lead = (
        f"The {formats.count(data.test_queries)} test queries find a true difference of "
        f"{formats.score(data.detectable)} {NDCG} four times out of five; smaller ones are missed more often."
    )
    if data.made_queries:
        lead += " They were made from documents, and say little of what people ask."
    counts = (
        ("Training pairs", data.pairs),
        ("Train queries", data.train_queries),
        ("Dev queries", data.dev_queries),
        ("Test queries", data.test_queries),
        ("Documents with pairs", data.documents_with_pairs),
        ("Pairs that base and BM25 both do not find", data.unfindable),
    )
    values = [(name, formats.count(count)) for name, count in counts]
    if (share := data.suspicious_share) is not None:
        text = f"{formats.percent(share.value)} ({formats.percent(share.low)} to {formats.percent(share.high)})"
        values.append(("Pairs that may be wrong", text))
    if data.teacher_disagreement is not None:
        values.append(("Pairs that the teacher doubts", formats.percent(data.teacher_disagreement)))
    note = "Pairs that may be wrong: estimated from how far the base model tells them from chance; rather too many."
    blocks: list[Block] = [KeyValues("What there is", tuple(values), note=note)]
    if data.needed:
        columns = (Column(f"True difference in {NDCG}", numeric=True), Column("Test queries needed", numeric=True))
        rows = tuple(Row((Cell(formats.signed(one.effect)), Cell(formats.count(one.queries)))) for one in data.needed)
        blocks.append(Table("How many judged queries find what", columns, rows, note="With a power of 80%."))
    return Section("data", "Data", lead, tuple(blocks))
