"""The teacher: is it better than the student, what was it trained on, what did it correct."""

from dialekt.report import formats
from dialekt.report.blocks import Block, Bullets, Cell, Column, Figure, KeyValues, Panel, Row, Section, Table
from dialekt.report.charts.histograms import Distribution, HistogramRange, histogram
from dialekt.report.charts.intervals import change_cell
from dialekt.report.facts import Facts

RETRIEVER_LABELS = {"bm25": "BM25", "dense": "Dense search with the base model", "skipped": "Passed over in the log"}


def teacher_section(teacher: Facts) -> Section | None:
    """Return the comparison on dev and what followed from it; None for a project without a teacher."""
    if not teacher:
        return None
    parts = [_comparison(teacher), _warnings(teacher), _corrections(teacher), _margins(teacher), _training(teacher)]
    blocks: list[Block] = [part for part in parts if part is not None]
    return Section("teacher", "Teacher", _lead(teacher), tuple(blocks))


def _lead(teacher: Facts) -> str:
    origin = "made here from the pairs" if teacher.part("trained") else "named in the configuration"
    verdict = "It was used" if teacher.flag("used") else "It was not used"
    return f"A cross-encoder, {origin}, reads query and document together. {verdict}: {teacher.text('why')}."


def _comparison(teacher: Facts) -> Table | None:
    student, score = teacher.number("student_ndcg"), teacher.number("teacher_ndcg")
    low, high = teacher.number("low"), teacher.number("high")
    if not teacher.number("queries") or student is None or score is None or low is None or high is None:
        return None
    used = teacher.flag("used")
    rows = (
        Row((Cell("Student", "the base model's own ranking"), Cell(formats.score(student)), Cell(), Cell())),
        Row(
            (
                Cell("Teacher", f"the same first {formats.count(teacher.number('depth'))} in its order"),
                Cell(formats.score(score), best=used),
                Cell(formats.signed(teacher.number("gain")), formats.signed_range(low, high)),
                Cell(graphic=change_cell(student, score, title=f"{student:.3f} to {score:.3f}")),
            ),
            highlighted=used,
        ),
    )
    columns = (
        Column("Ranking"),
        Column("dev NDCG@10", numeric=True),
        Column("Gain", numeric=True),
        Column("Before and after", graphic=True),
    )
    return Table(
        f"{formats.count(teacher.number('queries'))} dev queries, ranked by student and teacher", columns, rows
    )


def _warnings(teacher: Facts) -> Bullets | None:
    warnings = teacher.texts("warnings")
    return Bullets(warnings, warning=True) if warnings else None


def _corrections(teacher: Facts) -> Table | None:
    relabelled, dropped = teacher.counts("relabelled"), teacher.counts("removed")
    if not sum(relabelled.values()) + sum(dropped.values()):
        return None
    rows = tuple(
        Row(
            (
                Cell(RETRIEVER_LABELS.get(name, formats.humanise(name))),
                Cell(formats.count(count)),
                Cell(formats.count(dropped.get(name))),
            )
        )
        for name, count in relabelled.items()
        if count or dropped.get(name)
    )
    columns = (Column("Found by"), Column("Made a positive", numeric=True), Column("Dropped", numeric=True))
    fixed = teacher.number("fixed")
    note = f"{formats.count(fixed)} negatives that a person or an instruction named were left alone." if fixed else ""
    return Table("Hard negatives that the teacher rates above a positive", columns, rows, note=note)


def _margins(teacher: Facts) -> Figure | None:
    edges, counts = teacher.part("margins").numbers("edges"), teacher.part("margins").numbers("counts")
    total = sum(counts)
    if not total or len(edges) != len(counts) + 1:
        return None
    shares = tuple(count / total for count in counts)
    center = sum(share * (low + high) / 2 for share, low, high in zip(shares, edges, edges[1:], strict=False))
    drawn = histogram(
        (Distribution("mean", edges[0], edges[-1], shares, center, "base"),),
        common=HistogramRange(edges[0], edges[-1], max(shares)),
        title="Logits of hard negatives minus that of the lowest positive of their query",
        x_title="logit, negative minus lowest positive",
    )
    rows = tuple(
        Row((Cell(f"{formats.compact(low)} to {formats.compact(high)}"), Cell(formats.count(count))))
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
        if count
    )
    columns = (Column("Margin"), Column("Hard negatives", numeric=True))
    return Figure(
        "How the teacher rates the hard negatives",
        "Right of zero the teacher prefers the negative to a known positive. What lies outside is in the outer bins.",
        (Panel(drawn),),
        Table("Hard negatives by margin", columns, rows, collapsed=True),
    )


def _training(teacher: Facts) -> KeyValues:
    trained = teacher.part("trained")
    counts = [("Pairs scored", teacher.number("scored")), ("Pairs trained on", trained.number("pairs"))]
    counts.append(("Training steps", trained.number("steps")))
    pairs = [("Model", teacher.text("model")), ("Used to", ", ".join(teacher.texts("uses")))]
    pairs += [(name, formats.count(value)) for name, value in counts if value]
    pairs += [("Training time", formats.duration(trained.number("seconds")))] if trained else []
    speed = teacher.number("pairs_per_second")
    pairs += [("Pairs scored per second", formats.count(speed))] if speed else []
    return KeyValues("The teacher", tuple((name, text) for name, text in pairs if text))
