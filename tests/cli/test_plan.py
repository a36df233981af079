"""`dialekt plan`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dialekt.flow.planning import plan as planning
from dialekt.flow.planning.rounds import Effort

Dialekt = Callable[..., Any]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Measure for a moment only, and keep it where the tests of this file find it."""
    folder = tmp_path_factory.getbasetemp() / "plans"
    folder.mkdir(exist_ok=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    effort = Effort(document_seconds=0.1, query_seconds=0.1, search_seconds=0.02, rows=(500, 1_000))
    monkeypatch.setattr(planning, "USUAL_EFFORT", effort)


def test_a_plan_is_printed(dialekt: Dialekt, finished_project: Path) -> None:
    """Work, choices, what to take, what would change it, and what it rests on; the second time without measuring."""
    words = ("plan", "--project", finished_project, "--queries-per-second", "50", "--price-per-machine-hour", "0.5")
    first = dialekt(*words)
    assert first.code == 0, first.err
    assert "80 documents, 50 queries a second" in first.out
    for part in ("embed all documents", "full vectors", "32 int8", "32 binary", "Take full vectors", "a month"):
        assert part in first.out
    assert "What it rests on:" in first.out
    assert "(measured: " in first.out
    assert "(assumed: 80% of this machine's" in first.out
    assert "…" not in first.out
    assert "loading the model" in first.err
    assert dialekt(*words).err == ""


def test_a_plan_as_json(dialekt: Dialekt, finished_project: Path) -> None:
    """One object with a schema: every figure has a value, a range, a basis and how it was made."""
    facts = dialekt("plan", "--project", finished_project, "--documents", "1e9", "--json").json
    assert facts["schema"] == "dialekt.plan/1"
    assert facts["workload"]["documents"] == 1_000_000_000
    assert facts["recommended"] in {None, *(choice["name"] for choice in facts["choices"])}
    bases = {"measured", "counted", "given", "assumed", "not measured here"}
    figures = [value for choice in facts["choices"] for value in choice.values() if isinstance(value, dict)]
    figures = [figure for figure in figures if "basis" in figure]
    assert len(figures) == 8 * len(facts["choices"])
    assert all(set(figure) == {"value", "low", "high", "basis", "how"} for figure in figures)
    assert {figure["basis"] for figure in figures} <= bases
    assert {one["basis"] for one in facts["inputs"]} <= bases
    assert all(figure["value"] is not None or figure["basis"] == "not measured here" for figure in figures)


def test_the_page_of_json_names_the_keys(dialekt: Dialekt, finished_project: Path) -> None:
    """Every key of the answer, of a choice and of a figure is on the page of JSON output."""
    page = (Path(__file__).parents[2] / "docs" / "json.md").read_text(encoding="utf-8")
    facts = dialekt("plan", "--project", finished_project, "--json").json
    choice = facts["choices"][0]
    keys = {*facts, *choice, *choice["disk"], *choice["layout"], *facts["work"][0], *facts["inputs"][0]}
    keys |= set(facts["workload"])
    assert not [key for key in keys - {"schema"} if f"`{key}`" not in page]


def test_outside_a_project_a_number_is_needed(
    dialekt: Dialekt, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a model and a number it works anywhere; without the number it says what to type."""
    monkeypatch.chdir(tmp_path)
    found = dialekt("plan", "--documents", "5k", "--model", tiny_model)
    assert found.code == 0, found.err
    assert "5,000 documents" in found.out
    none = dialekt("plan", "--model", tiny_model)
    assert (none.code, "--documents 10M" in none.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--documents", "lots"), "--documents = 'lots' is no number"),
        (("--documents", "1.5"), "is no whole number"),
        (("--queries-per-second", "0"), "must be more than 0"),
        (("--allowed-loss", "2"), "is no share"),
        (("--model", "v99"), "v99"),
        (("--set", "index.engine=faiss"), "index.engine"),
    ],
)
def test_bad_input_is_one_line(dialekt: Dialekt, finished_project: Path, words: tuple[str, ...], said: str) -> None:
    """Each says which option, which value, and what to do; with --json too."""
    found = dialekt("plan", "--project", finished_project, *words, "--json")
    assert found.code in {1, 2}
    assert said in found.err
    assert json.loads(found.out)["schema"] == "dialekt.error/1"


def test_help_has_examples(dialekt: Dialekt) -> None:
    """The help shows how it is called."""
    said = dialekt("plan", "--help")
    assert said.code == 0
    assert "dialekt plan --documents 1e9 --queries-per-second 500" in said.out
