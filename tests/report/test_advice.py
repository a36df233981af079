"""The page of advice as a reader gets it."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from tests.report.reading import drawings, read

from dialekt.config import Quantization
from dialekt.errors import StorageError
from dialekt.index.advising import Advice, AdvicePoint
from dialekt.index.records import FirstStage
from dialekt.report.advice import advice_page, write_advice
from dialekt.report.page import render_html, render_markdown
from dialekt.types import Interval

STAGES = [FirstStage(size, kind) for size in (384, 128) for kind in Quantization][1:]


def _point(stage: FirstStage, oversampling: float) -> AdvicePoint:
    share = stage.bytes_per_vector / (4 * 384)
    quality = min(1.0, 0.9 + 0.01 * oversampling + 0.02 * share)
    chosen, confirmed = (Interval(quality - shift, quality - shift - 0.01, quality) for shift in (0.0, 0.002))
    return AdvicePoint(stage, oversampling, share, 0.2 + 0.01 * oversampling, chosen, confirmed)


POINTS = tuple(_point(stage, oversampling) for stage in STAGES for oversampling in (1.0, 4.0, 16.0))
BEST = next(
    point for point in POINTS if point.first_stage == FirstStage(128, Quantization.INT8) and point.oversampling == 16
)
TWO_STAGES = Advice(
    documents=100_000,
    dimension=384,
    metric="NDCG@10",
    target=0.98,
    choosing=250,
    confirming=250,
    full_score=0.512,
    full_milliseconds=8.4,
    points=POINTS,
    recommended=BEST,
    is_confirmed=True,
    reason="the least memory of all that surely keep 98.0%",
)
ONE_STAGE = replace(TWO_STAGES, recommended=None, is_confirmed=False, reason="no first stage surely keeps 98.0%")
LOW = tuple(replace(point, chosen_on=Interval(0.2, 0.1, 0.3)) for point in POINTS)
SAMPLES = {
    "two stages": TWO_STAGES,
    "not confirmed": replace(TWO_STAGES, is_confirmed=False),
    "one stage": ONE_STAGE,
    "far from the target": replace(ONE_STAGE, points=LOW),
    "one point": replace(TWO_STAGES, points=(BEST,)),
}

every_sample = pytest.mark.parametrize("advice", SAMPLES.values(), ids=SAMPLES.keys())


def html_of(advice: Advice) -> str:
    """Return the page of this advice."""
    return render_html(advice_page(advice, project="shop", created="2026-01-02T03:04:05+00:00"))


@every_sample
def test_the_page_is_whole_and_loads_nothing(advice: Advice) -> None:
    """Every tag is closed, every link has its target, nothing is fetched, every drawing is XML with numbers."""
    html = html_of(advice)
    page = read(html)
    assert {link.removeprefix("#") for link in page.links} <= page.anchors
    assert not page.loads
    assert "default-src 'none'" in html
    assert len(drawings(html)) == 4  # two figures, each for a wide and for a narrow screen
    for drawing in drawings(html):
        ET.fromstring(drawing)
        assert "nan" not in re.sub(r'aria-label="[^"]*"', "", drawing)
    assert all(page.labels)


@every_sample
def test_every_point_is_in_the_table(advice: Advice) -> None:
    """Whatever the drawings leave out, the table behind them holds all, and the short one every first stage once."""
    tables = read(html_of(advice)).tables
    assert len(tables["Everything that was measured"]) == 1 + len(advice.points)
    assert len(tables["First stages, smallest first"]) == 1 + len({point.first_stage for point in advice.points})


def test_the_verdict_says_what_to_search_and_what_it_keeps() -> None:
    """Stage, oversampling, the share on the queries that confirmed, and the memory are in the first sentence."""
    text = render_markdown(advice_page(TWO_STAGES, project="shop", created=""))
    assert "Search 128 dimensions in int8, 16 candidates per result, then rerank by full vectors" in text
    assert "99.8% of full search's NDCG@10 on the 250 queries that had no say in the choice, in 1/12 of the" in text


def test_a_small_corpus_is_told_that_one_stage_is_simpler() -> None:
    """154 MB of full vectors are no burden; ten times as many are, and the sentence is gone."""
    sentence = "one stage is simpler"
    assert f"take 154 MB, though: as long as there is memory for them, {sentence}" in html_of(TWO_STAGES)
    assert sentence not in html_of(replace(TWO_STAGES, documents=1_000_000))


def test_the_settings_can_be_written_as_they_stand() -> None:
    """The three settings of the index section are given letter by letter; without a first stage there are none."""
    html = html_of(TWO_STAGES)
    for name, value in (("dimensions", "128"), ("quantization", "int8")):
        assert f"index.first_stage_{name}</dt><dd><code>{value}</code>" in html
    assert "index.oversampling</dt><dd><code>16</code>" in html
    assert "index.oversampling</dt>" not in html_of(ONE_STAGE)


def test_what_is_not_confirmed_says_so() -> None:
    """The mark beside the verdict warns, and without a first stage it is neutral."""
    assert 'class="verdict caution"' in html_of(SAMPLES["not confirmed"])
    assert 'class="verdict good"' in html_of(TWO_STAGES)
    assert 'class="verdict neutral"' in html_of(ONE_STAGE)


def test_both_pages_are_written(tmp_path: Path) -> None:
    """HTML and Markdown lie in the folder, the same in every run."""
    facts = write_advice(TWO_STAGES, tmp_path, project="shop", created="")
    first = [Path(name).read_bytes() for name in (facts.html, facts.markdown)]
    assert [Path(facts.html).name, Path(facts.markdown).name] == ["advice.html", "advice.md"]
    write_advice(TWO_STAGES, tmp_path, project="shop", created="")
    assert [Path(name).read_bytes() for name in (facts.html, facts.markdown)] == first


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """A file in the place of the folder is named."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(StorageError, match="taken"):
        write_advice(TWO_STAGES, tmp_path / "taken", project="shop", created="")
