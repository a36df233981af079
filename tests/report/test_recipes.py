"""The section on the search for the recipe: there only where there was one."""

from dataclasses import replace
from typing import Any

import pytest
from tests.report.sample import good

from dialekt.report import formats
from dialekt.report.blocks import Figure
from dialekt.report.facts import Facts
from dialekt.report.page import build_page, render_html, render_markdown
from dialekt.report.sections.recipes import search_section


def _trial(number: int, score: float | None, *, fidelity: str = "full", state: str = "done", **settings: Any) -> Any:
    return {
        "number": number,
        "fidelity": fidelity,
        "state": state,
        "settings": settings,
        "score": score,
        "seconds": 360.0,
    }


def _found(winner: int) -> dict[str, Any]:
    """What a search of five trials left behind."""
    return {
        "decision": {
            "winner": winner,
            "best": 4,
            "default_ndcg": 0.512,
            "best_ndcg": 0.541,
            "gain": 0.029,
            "low": 0.011 if winner else -0.002,
            "high": 0.047,
            "reason": "it is better on dev by more than chance among these trials" if winner else "it can be chance",
        },
        "winner_key": "abc",
        "spent_seconds": 1790.0,
        "trials": [
            _trial(0, 0.512),
            _trial(1, 0.47, fidelity="probe"),
            _trial(2, 0.49, fidelity="probe", learning_rate=0.00012),
            _trial(3, 0.41, fidelity="probe", state="pruned", learning_rate=2e-5),
            _trial(4, 0.541, learning_rate=0.00012),
            _trial(5, None, state="failed", batch_size=256),
        ],
    }


@pytest.mark.parametrize(
    ("winner", "kept"), [(4, "Another recipe than the default is kept"), (0, "The default recipe")]
)
def test_the_choice_is_said_with_its_interval(winner: int, kept: str) -> None:
    """The lead names trials, time, both scores, and what is kept why; the drawing marks it."""
    section = search_section(Facts(_found(winner)))
    assert section is not None
    lead = section.lead.replace(formats.FIXED, " ")
    assert "6 trials in" in lead
    assert "0.541, the default recipe 0.512: +0.029" in lead
    assert kept in lead
    (figure,) = section.blocks
    assert isinstance(figure, Figure)
    drawing = str(figure.panels[0].drawing)
    assert drawing.count('class="point"') == 5
    assert f"kept {0.541 if winner else 0.512}" in drawing
    assert figure.table is not None
    assert [row.cells[3].best for row in figure.table.rows].index(True) == winner


def test_a_single_trial_needs_no_drawing() -> None:
    """A search that had time for the default alone is a table."""
    found = _found(0) | {"trials": [_trial(0, 0.512)]}
    section = search_section(Facts(found))
    assert section is not None
    assert not any(isinstance(block, Figure) for block in section.blocks)


def test_no_search_no_section() -> None:
    """A usual training has none."""
    assert search_section(Facts({})) is None


def test_both_pages_show_it() -> None:
    """HTML and Markdown tell of the trials."""
    page = build_page(replace(good(), search=_found(4)))
    for text in (render_html(page), render_markdown(page)):
        assert "Search for the recipe" in text
        assert "the default recipe" in text
