"""The page: facts in, `report.html` and `report.md` out. Both show the same blocks."""

from dataclasses import replace
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dialekt.evaluation.records import EvaluationFacts, facts_from_json
from dialekt.measures.metrics import NDCG
from dialekt.report import formats, markdown
from dialekt.report.blocks import Page, Section, Tile
from dialekt.report.facts import Facts
from dialekt.report.next_steps import advise
from dialekt.report.records import ReportFacts, ReportInputs
from dialekt.report.sections.adaptation import adaptation_section
from dialekt.report.sections.changes import changes_section
from dialekt.report.sections.depth import thresholds_section, unjudged_section
from dialekt.report.sections.dimensions import dimension_section
from dialekt.report.sections.logs import logs_section
from dialekt.report.sections.material import funnel_section, negatives_section
from dialekt.report.sections.next import next_section
from dialekt.report.sections.price import price_section
from dialekt.report.sections.recipes import search_section
from dialekt.report.sections.record import limits_section, reproduce_section, time_section
from dialekt.report.sections.results import comparison_section, results_section
from dialekt.report.sections.side import side_section
from dialekt.report.sections.similarity import similarity_section
from dialekt.report.sections.slices import slices_section
from dialekt.report.sections.synthesis import synthesis_section
from dialekt.report.sections.teacher import teacher_section
from dialekt.report.sections.training import derived_section, training_section
from dialekt.report.verdict import judge, ndcg, reference_system
from dialekt.store.atomic import write_atomic

HTML_NAME = "report.html"
MARKDOWN_NAME = "report.md"
NOTHING = Facts({})


def write_report(inputs: ReportInputs, out: Path) -> ReportFacts:
    """Write `report.html` and `report.md` into the folder `out`, each whole or not at all.

    The HTML is one file that loads nothing. Equal inputs give equal bytes. Raises `StorageError` when the evaluation
    facts are damaged or the folder cannot be written.
    """
    page = build_page(inputs)
    html, text = out / HTML_NAME, out / MARKDOWN_NAME
    pages = {html: render_html(page), text: render_markdown(page)}
    for path, content in pages.items():
        write_atomic(path, content)
    facts, evaluation = _read(inputs)
    return ReportFacts(str(html), str(text), advise(evaluation, facts, Facts(inputs.diagnosis)))


def build_page(inputs: ReportInputs) -> Page:
    """Return the report as blocks: the verdict, for whom, at what price, what next; then, folded, the details."""
    facts, evaluation = _read(inputs)
    front = [
        slices_section(evaluation) if evaluation else None,
        price_section(evaluation, facts, inputs.seconds),
        next_section(advise(evaluation, facts, Facts(inputs.diagnosis))),
        results_section(evaluation) if evaluation else None,
    ]
    details = [*(_evidence(evaluation, inputs) if evaluation else ()), *_material(inputs, facts)]
    folded = [replace(section, folded=True) for section in details if section]
    sections = [*front, *folded, limits_section(evaluation, facts)]
    return Page(
        project=inputs.project,
        created=formats.moment(inputs.created),
        verdict=judge(evaluation),
        tiles=tuple(_tiles(evaluation, facts, inputs)),
        sections=tuple(section for section in sections if section),
    )


def _read(inputs: ReportInputs) -> tuple[dict[str, Facts], EvaluationFacts | None]:
    facts = {stage: Facts(values) for stage, values in inputs.facts.items() if values}
    return facts, facts_from_json(facts["evaluation"].values) if "evaluation" in facts else None


def _evidence(evaluation: EvaluationFacts, inputs: ReportInputs) -> list[Section | None]:
    return [
        comparison_section(evaluation),
        dimension_section(evaluation),
        unjudged_section(evaluation),
        thresholds_section(evaluation),
        similarity_section(evaluation),
        changes_section(evaluation, inputs.texts),
    ]


def _material(inputs: ReportInputs, facts: dict[str, Facts]) -> list[Section | None]:
    return [
        training_section(facts["training"]) if "training" in facts else None,
        search_section(Facts(inputs.search)),
        side_section(facts.get("training", NOTHING), inputs.full_tuning),
        logs_section(facts.get("logs", NOTHING)),
        synthesis_section(facts.get("synthesis", NOTHING)),
        negatives_section(facts.get("negatives", NOTHING)),
        teacher_section(facts.get("teacher", NOTHING)),
        adaptation_section(facts.get("adaptation", NOTHING)),
        funnel_section(facts),
        derived_section(facts),
        time_section(inputs.seconds, facts),
        reproduce_section(inputs, facts),
    ]


def _tiles(evaluation: EvaluationFacts | None, facts: dict[str, Facts], inputs: ReportInputs) -> list[Tile]:
    tiles = _score_tiles(evaluation) if evaluation else []
    counted = (
        ("Documents", "corpus", "documents"),
        ("Training pairs", "pairs", "pairs"),
    )
    for label, stage, name in counted:
        value = facts.get(stage, NOTHING).number(name)
        if value is not None:
            tiles.append(Tile(label, formats.count(value)))
    if inputs.seconds:
        tiles.append(Tile("Whole journey", formats.duration(sum(inputs.seconds.values()))))
    return tiles


def _score_tiles(evaluation: EvaluationFacts) -> list[Tile]:
    best = evaluation.recommendation
    other = reference_system(evaluation, best)
    own, others = ndcg(evaluation, best), ndcg(evaluation, other)
    tiles = []
    if own is not None:
        gain = f"{own / others - 1:+.0%}".replace("-", formats.MINUS) if others and other != best else ""
        detail = f"{gain} on {formats.system_phrase(other)}" if gain else ""
        tiles.append(Tile(f"{NDCG} of {formats.system_phrase(best)}", formats.score(own), detail))
    return [*tiles, Tile("Test queries", formats.count(evaluation.queries))]


def render_html(page: Page) -> str:
    """Return the page as one HTML document with its style sheet inside."""
    environment = _environment()
    loader = environment.loader
    assert loader is not None
    style = Markup(loader.get_source(environment, "style.css")[0])  # noqa: S704 - our own file
    return environment.get_template("page.html").render(page=page, style=style)


def render_markdown(page: Page) -> str:
    """Return the same blocks as Markdown."""
    return markdown.tidy(_environment().get_template("page.md").render(page=page))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("dialekt.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["md"] = markdown.escape
    environment.filters["fence"] = markdown.fence
    return environment
