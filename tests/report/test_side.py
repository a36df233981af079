"""The section on which side was tuned: there only where it was one, with its cost where that was measured."""

from dataclasses import replace

import pytest
from tests.report.sample import good

from dialekt.evaluation.records import Comparison
from dialekt.measures.metrics import NDCG
from dialekt.report import formats
from dialekt.report.blocks import Paragraph
from dialekt.report.facts import Facts
from dialekt.report.page import build_page, render_html, render_markdown
from dialekt.report.records import FullTuning
from dialekt.report.sections.side import side_section

QUERY = Facts({"side": "query"})


def full_tuning(difference: float, low: float, high: float) -> FullTuning:
    """What a fully tuned version is measured as."""
    return FullTuning("v3", Comparison("own", "other", NDCG, difference, low, high, 0.004, 10, 40, 50))


@pytest.mark.parametrize("facts", [Facts({"side": "both"}), Facts({})])
def test_both_sides_need_no_words(facts: Facts) -> None:
    """A usual training, also one that was recorded before there was a choice, has no such section."""
    assert side_section(facts, None) is None


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (full_tuning(-0.031, -0.05, -0.01), "−0.031 (−0.050 to −0.010, p = 0.004): that is proven."),
        (full_tuning(0.002, -0.01, 0.014), "+0.002 (−0.010 to +0.014, p = 0.004): that is not proven."),
        (None, "What that costs here was not measured"),
    ],
)
def test_the_cost_is_said_with_its_interval(found: FullTuning | None, expected: str) -> None:
    """Beside a fully tuned version the paired difference, without one how to measure it."""
    section = side_section(QUERY, found)
    assert section is not None
    (cost,) = section.blocks
    assert isinstance(cost, Paragraph)
    assert expected in cost.text.replace(formats.FIXED, " ")
    assert ("v3" in cost.text) == (found is not None)


def test_both_pages_say_it() -> None:
    """HTML and Markdown explain that documents keep their vectors."""
    inputs = good()
    training = {**inputs.facts["training"], "side": "query"}
    page = build_page(replace(inputs, facts={**inputs.facts, "training": training}))
    for text in (render_html(page), render_markdown(page)):
        assert "Only the query side was tuned" in text
        assert "an index of the base model stays valid" in text
