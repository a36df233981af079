"""The page of `dialekt diagnose`: whether to tune, what to expect of it, and the evidence."""

from collections.abc import Iterator
from pathlib import Path

from dialekt.diagnosis.records import Decision, DiagnosisFacts
from dialekt.diagnosis.verdict import spoken_chance
from dialekt.measures.metrics import NDCG
from dialekt.report import formats
from dialekt.report.blocks import Block, Bullets, Cell, Column, Page, Row, Section, Step, Steps, Table, Tile, Verdict
from dialekt.report.page import render_html, render_markdown
from dialekt.report.records import ReportFacts
from dialekt.report.sections.expected import expected_hero, expected_section
from dialekt.report.sections.language import language_section
from dialekt.report.sections.untuned import data_section, failures_section, untuned_section
from dialekt.store.atomic import write_atomic

HTML_NAME = "diagnosis.html"
MARKDOWN_NAME = "diagnosis.md"
TONES = {Decision.FINE_TUNE: "good", Decision.GATHER: "caution", Decision.NOT_WORTH: "neutral"}
LIMITS = (
    "The gain is a prediction from small probes. What tuning really brings, dialekt run measures on the test queries.",
    "Documents without a judgment count as wrong, so true scores may be higher, for every system.",
    "Kinds of failure go together with failing; they need not be its cause.",
    "Neighbours of words compare lists of ten, taken from one corpus: read the words, not the percentages.",
)


def write_diagnosis(facts: DiagnosisFacts, out: Path, *, project: str, created: str) -> ReportFacts:
    """Write `diagnosis.html`, one file that loads nothing, and `diagnosis.md` into the folder `out`.

    Equal facts give equal bytes. Raises `StorageError` when the folder cannot be written.
    """
    page = diagnosis_page(facts, project=project, created=created)
    html, text = out / HTML_NAME, out / MARKDOWN_NAME
    write_atomic(html, render_html(page))
    write_atomic(text, render_markdown(page))
    return ReportFacts(html=str(html), markdown=str(text))


def diagnosis_page(facts: DiagnosisFacts, *, project: str, created: str) -> Page:
    """Return the diagnosis as blocks: the verdict and what is expected, what to do, then the evidence."""
    sections = (
        _advice(facts),
        expected_section(facts.gain),
        untuned_section(facts.baseline),
        failures_section(facts.baseline),
        data_section(facts.data),
        language_section(facts.language),
        _limits(facts),
    )
    return Page(
        project=project,
        created=formats.moment(created),
        verdict=_verdict(facts),
        tiles=tuple(_tiles(facts)),
        sections=tuple(section for section in sections if section),
        kind="diagnosis",
    )


def _verdict(facts: DiagnosisFacts) -> Verdict:
    return Verdict(
        formats.typeset(facts.verdict.rstrip(".")),
        "",
        tuple(formats.sentence(reason) for reason in facts.reasons),
        formats.capitalised(facts.decision.value),
        TONES[facts.decision],
        hero=expected_hero(facts.gain) if facts.gain else None,
    )


def _tiles(facts: DiagnosisFacts) -> Iterator[Tile]:
    if facts.gain:
        yield Tile("Chance that it is worth it", spoken_chance(facts.gain.full.chance))
        yield Tile("Training would take", formats.duration(facts.gain.cost.training * 60))
    if facts.baseline:
        best = max(facts.baseline.systems, key=lambda one: one.ndcg.value, default=None)
        if best:
            yield Tile(f"Best {NDCG} without tuning", formats.score(best.ndcg.value), formats.system_label(best.system))
    if facts.data:
        yield Tile("Training pairs", formats.count(facts.data.pairs))
        yield Tile("Test queries", formats.count(facts.data.test_queries))
    else:
        yield Tile("Documents looked at", formats.count(facts.language.documents))


def _advice(facts: DiagnosisFacts) -> Section | None:
    if not facts.advice:
        return None
    items = tuple(Step(formats.capitalised(one.remedy.value), formats.sentence(one.why)) for one in facts.advice)
    return Section("advice", "What else to do", "Read off the evidence, the most important first.", (Steps(items),))


def _limits(facts: DiagnosisFacts) -> Section:
    blocks: list[Block] = []
    if facts.warnings:
        items = tuple(formats.sentence(one) for one in facts.warnings)
        blocks.append(Bullets(items, title="Warnings of this diagnosis", warning=True))
    blocks.append(Bullets(LIMITS if facts.gain or facts.baseline else LIMITS[-1:], title="About the numbers"))
    if facts.seconds:
        columns = (Column("Part"), Column("Time", numeric=True))
        rows = tuple(
            Row((Cell(formats.humanise(name)), Cell(formats.duration(taken)))) for name, taken in facts.seconds.items()
        )
        blocks.append(Table("Time of this diagnosis", columns, rows, collapsed=True))
    missing = [
        name for name, found in (("baseline", facts.baseline), ("data", facts.data), ("gain", facts.gain)) if not found
    ]
    lead = f"Not part of this diagnosis: {', '.join(missing)}." if missing else ""
    return Section("limits", "Limits", lead, tuple(blocks))
