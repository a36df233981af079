"""The section on search logs."""

from dataclasses import asdict
from pathlib import Path

from tests.logs.simulated import make_truth, open_log, run
from tests.report.reading import read

from dialekt.logs.records import FunnelStep
from dialekt.logs.simulation import Simulation
from dialekt.report.blocks import Page, Table, Verdict
from dialekt.report.facts import Facts
from dialekt.report.page import render_html
from dialekt.report.sections.logs import logs_section


def facts_of(folder: Path) -> Facts:
    """Return the facts of a small log, as the stage stores them."""
    evidence, _ = run(open_log(make_truth(queries=40), Simulation(sessions=800, seed=1)), folder)
    funnel = (
        FunnelStep("bots_too_fast", 9000, 8000, 900, 800, 40, 40),
        FunnelStep("navigational", 8000, 8000, 800, 800, 40, 40, switched_off=True),
    )
    values = {"intake": {"searches": 900}, "funnel": [asdict(step) for step in funnel], "evidence": asdict(evidence)}
    return Facts({**values, "warnings": ("the log has no dwell times",)})


def test_section_holds_the_facts(tmp_path: Path) -> None:
    """Funnel, curves, prediction and judgments stand in the page as they stand in the facts."""
    facts = facts_of(tmp_path)
    section = logs_section(facts)
    assert section
    tables = {block.caption: block for block in section.blocks if isinstance(block, Table)}
    funnel = tables["What cleaning left of the log"]
    assert [cell.text for cell in funnel.rows[0].cells[:4]] == ["Machines: too fast", "100", "800", "40"]
    assert funnel.rows[1].cells[0].detail == "switched off"
    evidence = facts.part("evidence")
    positives = {row.cells[0].text.lower(): row.cells[2].text for row in tables["Judgments drawn from clicks"].rows}
    assert positives == {split: f"{number:,}" for split, number in evidence.counts("positives").items()}
    marked = [row.cells[0].text for row in tables["How well held-out clicks are foretold"].rows if row.cells[0].best]
    assert len(marked) == 1


def test_section_renders(tmp_path: Path) -> None:
    """The section is well-formed HTML with two drawings that speak."""
    section = logs_section(facts_of(tmp_path))
    assert section
    page = Page("sample", "", Verdict("", "", (), "", "neutral"), (), (section,))
    html = read(render_html(page))
    assert any("How often a rank is looked at" in label for label in html.labels)
    assert any("Query frequency" in label for label in html.labels)
    assert "Examination by rank" in html.tables


def test_no_log_no_section() -> None:
    """A project without logs has no such section, and half of the facts make half a section."""
    assert logs_section(Facts({})) is None
    section = logs_section(Facts({"evidence": {"click_model": "coec", "positives": {"": 3}}}))
    assert section
    assert len(section.blocks) == 1
