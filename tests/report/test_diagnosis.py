"""The page of a diagnosis as a reader gets it."""

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from tests.report.diagnoses import DIAGNOSES, no_pairs, not_worth_it, only_documents, worth_it
from tests.report.reading import drawings, read, unescaped

from dialekt.diagnosis.records import DiagnosisFacts
from dialekt.diagnosis.reviving import facts_from_json
from dialekt.errors import StorageError
from dialekt.report.diagnosis import diagnosis_page, write_diagnosis
from dialekt.report.page import render_html, render_markdown

every_diagnosis = pytest.mark.parametrize("make", DIAGNOSES.values(), ids=DIAGNOSES.keys())


def html_of(facts: DiagnosisFacts) -> str:
    """Return the HTML page of this diagnosis."""
    return render_html(diagnosis_page(facts, project="shop", created="2026-01-02T03:04:05+00:00"))


def markdown_of(facts: DiagnosisFacts) -> str:
    """Return the Markdown page of this diagnosis."""
    return render_markdown(diagnosis_page(facts, project="shop", created=""))


@every_diagnosis
def test_the_page_is_whole_and_loads_nothing(make: Callable[[], DiagnosisFacts]) -> None:
    """Every tag is closed, every link has its target, nothing is fetched, every drawing is XML with numbers."""
    html = html_of(make())
    page = read(html)
    assert {link.removeprefix("#") for link in page.links} <= page.anchors
    assert not page.loads
    for drawing in drawings(html):
        ET.fromstring(drawing)
        assert "nan" not in re.sub(r'aria-label="[^"]*"', "", drawing)
    assert all(page.labels)
    assert "<title>shop: Dialekt diagnosis</title>" in html


@every_diagnosis
def test_a_turn_through_json_changes_nothing(make: Callable[[], DiagnosisFacts]) -> None:
    """A diagnosis that was stored and read back gives the same bytes."""
    facts = make()
    assert html_of(facts_from_json(json.loads(json.dumps(asdict(facts))))) == html_of(facts)


@every_diagnosis
def test_markdown_holds_every_cell_of_the_html(make: Callable[[], DiagnosisFacts]) -> None:
    """What stands in a table of the HTML page stands in the Markdown page too."""
    facts = make()
    markdown = " ".join(unescaped(markdown_of(facts)).split())
    for table in read(html_of(facts)).tables.values():
        for cell in (cell for row in table[1:] for cell in row):
            assert all(part in markdown for part in cell.split(" "))


@pytest.mark.parametrize(
    ("make", "tone", "label"),
    [
        (worth_it, "good", "Fine-tune"),
        (no_pairs, "caution", "Gather data first"),
        (not_worth_it, "neutral", "Not worth it"),
    ],
)
def test_the_decision_gives_the_mark(make: Callable[[], DiagnosisFacts], tone: str, label: str) -> None:
    """Tuning is blue, missing data is orange, not worth it is grey; the label says it in words."""
    html = html_of(make())
    assert f'<section id="verdict" class="verdict {tone}">' in html
    assert f'<p class="stamp">{label}</p>' in html


def test_the_expected_gain_is_the_number_of_the_page() -> None:
    """Gain, interval and curve stand below the verdict; without probes there is no number."""
    html = html_of(worth_it())
    assert "<b>+0.067</b>" in html
    assert "90% interval of prediction +0.038 to +0.096" in html
    assert "figure-number" not in re.sub(r"<style>.*?</style>", "", html_of(no_pairs()), flags=re.DOTALL)


def test_every_probe_is_in_the_table_and_in_the_curve() -> None:
    """The curve draws a dot for each run, for each of both predictions, and for the names of both recipes."""
    html = html_of(worth_it())
    gain = worth_it().gain
    assert gain is not None
    assert len(read(html).tables["Every probe"]) == 1 + len(gain.points)
    curve = next(drawing for drawing in drawings(html) if 'aria-label="Learning curve' in drawing)
    assert curve.count("<circle") == len(gain.points) + 2 + 2


def test_reasons_that_tell_most_stand_first() -> None:
    """Kinds of failure are ordered by how much commoner they are where search fails."""
    rows = read(html_of(worth_it())).tables["Reasons, the most telling first"][1:]
    assert [row[0] for row in rows][:2] == ["Near-duplicate documents", "Lexical gap"]


def test_parts_that_could_not_be_made_are_named() -> None:
    """Without queries the page shows the language and says what is missing."""
    html = html_of(only_documents())
    assert not read(html).anchors & {"expected", "baseline", "failures", "data"}
    assert "Not part of this diagnosis: baseline, data, gain." in html
    assert "No general word list fits the language" in html


def test_a_probe_of_one_size_is_drawn() -> None:
    """One run and its predictions are a curve too."""
    facts = worth_it()
    assert facts.gain is not None
    html = html_of(replace(facts, gain=replace(facts.gain, points=facts.gain.points[-1:])))
    assert "probe: trained" in html


def test_both_pages_are_written(tmp_path: Path) -> None:
    """HTML and Markdown lie in the folder; a file in its place is an error that names it."""
    facts = write_diagnosis(worth_it(), tmp_path / "new", project="shop", created="")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["diagnosis.html", "diagnosis.md"]
    assert Path(facts.markdown).read_text(encoding="utf-8").startswith("# shop: Dialekt diagnosis\n")
    (tmp_path / "taken").write_text("")
    with pytest.raises(StorageError, match="taken"):
        write_diagnosis(worth_it(), tmp_path / "taken", project="shop", created="")
