"""The pages as a reader gets them."""

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from tests.report import sample
from tests.report.reading import drawings, read, unescaped

from dialekt.errors import StorageError
from dialekt.evaluation.records import EvaluationFacts, QueryChange, facts_from_json
from dialekt.measures.metrics import METRICS, NDCG
from dialekt.report import formats
from dialekt.report.facts import Facts
from dialekt.report.page import build_page, render_html, render_markdown, write_report
from dialekt.report.records import ChangeTexts, ReportInputs
from dialekt.report.sections.training import training_section

HOSTILE = "<script>alert('|`*')</script>"

every_sample = pytest.mark.parametrize("make", sample.SAMPLES.values(), ids=sample.SAMPLES.keys())


def html_of(inputs: ReportInputs) -> str:
    """Return the HTML page of these inputs."""
    return render_html(build_page(inputs))


def markdown_of(inputs: ReportInputs) -> str:
    """Return the Markdown page of these inputs."""
    return render_markdown(build_page(inputs))


def evaluation_of(inputs: ReportInputs) -> EvaluationFacts:
    """Return the evaluation facts that a sample holds."""
    return facts_from_json(inputs.facts["evaluation"])


def with_evaluation(inputs: ReportInputs, **changes: Any) -> ReportInputs:
    """Return inputs whose evaluation facts differ in some fields."""
    return replace(inputs, facts={**inputs.facts, "evaluation": asdict(replace(evaluation_of(inputs), **changes))})


@every_sample
def test_html_is_well_formed(make: Callable[[], ReportInputs]) -> None:
    """Every tag is closed in order, every id is given once, every link within the page has its target."""
    page = read(html_of(make()))
    assert {link.removeprefix("#") for link in page.links} <= page.anchors
    assert {"h1", "h2", "main", "nav"} <= page.tags


@every_sample
def test_drawings_are_xml_and_speak(make: Callable[[], ReportInputs]) -> None:
    """Every drawing parses as XML, has no coordinate that is not a number, and says in words what it shows."""
    html = html_of(make())
    for drawing in drawings(html):
        ET.fromstring(drawing)
        assert "nan" not in re.sub(r'aria-label="[^"]*"', "", drawing)
    assert all(read(html).labels)


@every_sample
def test_page_loads_nothing(make: Callable[[], ReportInputs]) -> None:
    """The page has no script, no image, no frame, no address outside itself, and forbids the browser to load any."""
    html = html_of(make())
    page = read(html)
    assert not page.loads
    assert all(link.startswith("#") for link in page.links)
    assert not page.tags & {"script", "link", "img", "iframe", "object", "embed", "base", "image", "use"}
    assert not re.search(r"@import|url\(", html)
    assert "default-src 'none'" in html


@every_sample
def test_equal_inputs_give_equal_bytes(make: Callable[[], ReportInputs]) -> None:
    """Nothing in the pages depends on the clock, on a hash seed or on whether the facts went through JSON."""
    inputs = make()
    through_json = replace(inputs, facts=json.loads(json.dumps(dict(inputs.facts))))
    assert html_of(inputs) == html_of(through_json)
    assert markdown_of(inputs) == markdown_of(through_json)


@every_sample
def test_markdown_holds_every_cell_of_the_html(make: Callable[[], ReportInputs]) -> None:
    """What stands in a table of the HTML page stands in the Markdown page too."""
    inputs = make()
    markdown = " ".join(unescaped(markdown_of(inputs)).split())
    for table in read(html_of(inputs)).tables.values():
        for cell in (cell for row in table[1:] for cell in row):
            for part in cell.replace(" (best)", "").split(" "):
                assert part in markdown


@pytest.mark.parametrize("make", [sample.good, sample.bad], ids=["good", "bad"])
def test_result_table_equals_the_facts(make: Callable[[], ReportInputs]) -> None:
    """Every metric of every system is shown with its interval, to three decimals."""
    inputs = make()
    rows = {row[0].split()[-1]: row[1:] for row in read(html_of(inputs)).tables["Retrieval quality by system"][1:]}
    for result in (result for result in evaluation_of(inputs).systems if "@" not in result.system):
        for metric, cell in zip(METRICS, rows[result.system], strict=True):
            found = [float(number) for number in re.findall(r"\d\.\d{3}", cell)]
            interval = result.metrics[metric]
            expected = [interval.value, interval.low, interval.high]
            assert found == pytest.approx(expected, abs=0.0005001)


@pytest.mark.parametrize("make", [sample.good, sample.bad], ids=["good", "bad"])
def test_comparison_table_equals_the_facts(make: Callable[[], ReportInputs]) -> None:
    """Every comparison is shown in the order stored: difference, interval, p, wins, losses, ties."""
    inputs = make()
    tables = read(html_of(inputs)).tables
    rows = tables["Paired differences in NDCG@10"][1:]
    stored = [one for one in evaluation_of(inputs).comparisons if one.metric == NDCG]
    for row, one in zip(rows, stored, strict=True):
        numbers = [float(number) for number in re.findall(r"[+-]?\d\.\d{3}", row[1].replace(formats.MINUS, "-"))]
        assert numbers == pytest.approx([one.difference, one.low, one.high], abs=0.0005001)
        assert row[4:] == [str(one.wins), str(one.losses), str(one.ties)]
    others = tables["Paired differences in the other metrics"][1:]
    assert len(rows) + len(others) == len(evaluation_of(inputs).comparisons)


def test_stage_tables_equal_the_facts() -> None:
    """Dimensions, dev scores, changes, audit, drops and times are those of the facts."""
    inputs = sample.good()
    tables = read(html_of(inputs)).tables
    training, negatives = inputs.facts["training"], inputs.facts["negatives"]
    dev = [point["dev_ndcg"] for point in training["curve"] if point["dev_ndcg"] is not None]
    shown = [row[3].removesuffix(" (best)") for row in tables["Dev evaluations during training"][1:]]
    assert shown == [formats.score(value) for value in dev]
    wins = [
        [change["query_id"], *(f"{change[name]:.3f}" for name in ("base", "tuned"))]
        for change in inputs.facts["evaluation"]["wins"]
    ]
    assert [row[:3] for row in tables["Largest wins"][1:]] == wins
    audit = {int(row[2].replace(",", "")) for row in tables["Every candidate, by what became of it"][1:]}
    assert audit == {*negatives["dropped"].values(), *negatives["kept_by_retriever"].values()} - {0}
    assert {row[2] for row in tables["Dropped, by stage and rule"][1:]} == {"12", "6", "111"}
    assert [row[0] for row in tables["Quality and storage by dimension"][1:]] == ["384", "192", "96"]
    assert [row[1] for row in tables["Quality and storage by dimension"][1:]] == ["1.54 GB", "768 MB", "384 MB"]
    assert [row[1] for row in tables["Time by stage"][1:]] == [
        formats.duration(taken) for taken in sample.SECONDS.values()
    ]


def test_similarity_shares_stored_means() -> None:
    """The number of pairs in each distribution is the sum of its histogram."""
    inputs = sample.good()
    stored = evaluation_of(inputs).similarity
    before, after = read(html_of(inputs)).tables["Similarity in numbers"][1:]
    assert before[2] == f"{sum(stored['base_positives'].counts):,}"
    assert after[4] == f"{sum(stored['tuned_negatives'].counts):,}"


def test_best_and_recommended_are_marked() -> None:
    """The best value of a column carries a mark in words, the recommended system its tag."""
    rows = read(html_of(sample.good())).tables["Retrieval quality by system"]
    marked = [(row[0], cell) for row in rows for cell in row if "(best)" in cell]
    assert len(marked) == len(METRICS)
    assert {name for name, _ in marked} == {"Hybrid (BM25 + tuned) recommended hybrid_tuned"}


def test_hostile_text_stays_text() -> None:
    """An id, a name, a warning, a command or a text that looks like markup reaches neither page as markup."""
    inputs = sample.good()
    inputs = with_evaluation(
        inputs, wins=(QueryChange(HOSTILE, 0.0, 1.0, 1.0),), warnings=(HOSTILE,), recommendation_reason=HOSTILE
    )
    inputs = replace(
        inputs,
        project=HOSTILE,
        commands=(f"dialekt run {HOSTILE}", "```"),
        config={"project": {"name": HOSTILE}},
        texts={HOSTILE: ChangeTexts(HOSTILE, HOSTILE, HOSTILE)},
    )
    html, markdown = html_of(inputs), markdown_of(inputs)
    assert "script" not in read(html).tags
    assert read(html).tables["Largest wins"][1][0] == HOSTILE
    outside_fence = re.sub(r"````sh\n.*?\n````", "", markdown, flags=re.DOTALL)
    assert not re.search(r"(?<!\\)<", outside_fence)
    assert f"dialekt run {HOSTILE}\n```\n````" in markdown


def test_texts_are_shown_only_when_given() -> None:
    """Texts of wins and losses stand on both pages when they were asked for, and on neither when they were not."""
    inputs = sample.good_with_texts()
    (texts,) = inputs.texts.values()
    asked, silent = (inputs, replace(inputs, texts={}))
    for render in (html_of, markdown_of):
        assert texts.query in render(asked)
        assert "DataFrame.nlargest: return" in render(asked)
        assert texts.query not in render(silent)
        assert "nlargest" not in render(silent)


def test_missing_stages_are_named() -> None:
    """A page without training says so among its limits instead of showing empty chapters."""
    html = html_of(sample.sparse())
    page = read(html)
    assert not page.anchors & {"training", "similarity", "changes", "negatives", "comparison"}
    assert "Not part of this run, and so not in this report: judgments, corpus, pairs" in html


@pytest.mark.parametrize("stage", sample.good().facts)
def test_any_stage_may_be_missing(stage: str) -> None:
    """The page is whole whichever single stage has left no facts, or facts without any of the known fields."""
    inputs = sample.good()
    without = {name: facts for name, facts in inputs.facts.items() if name != stage}
    read(html_of(replace(inputs, facts=without)))
    if stage != "evaluation":
        read(html_of(replace(inputs, facts={**without, stage: {"unknown": 1}})))


def test_long_curve_is_thinned() -> None:
    """A curve of thousands of points draws a bounded number of them, so the page stays small."""
    inputs = sample.good()
    curve = [{"step": step, "epoch": 0.1, "seconds": 1.0, "loss": 1.0 / (1 + step)} for step in range(20_000)]
    facts = {**inputs.facts, "training": {**inputs.facts["training"], "curve": curve}}
    assert len(html_of(replace(inputs, facts=facts))) < 200_000


def test_write_report_writes_both_pages(tmp_path: Path) -> None:
    """Both files appear whole in a folder that need not exist, and the facts say where."""
    facts = write_report(sample.good(), tmp_path / "new")
    assert Path(facts.html).read_text(encoding="utf-8").startswith("<!doctype html>")
    assert Path(facts.markdown).read_text(encoding="utf-8").startswith("# python-docs: Dialekt report\n")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["report.html", "report.md"]


def test_damaged_evaluation_writes_nothing(tmp_path: Path) -> None:
    """Facts that do not fit are an error that says what to do, and no page is written."""
    inputs = replace(sample.good(), facts={"evaluation": {"queries": 3}})
    with pytest.raises(StorageError, match="evaluation facts are damaged"):
        write_report(inputs, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_limited_mixture_is_explained() -> None:
    """Where made dev queries limited the mixture, the page says so, or the curve would seem to be misread."""
    facts = Facts({"interpolation": 0.5, "derived": {"max_tuned_share": {"value": 0.5, "why": "made"}}})
    section = training_section(facts)
    assert section is not None
    assert "At most 50% tuned was allowed" in section.lead


def test_the_number_of_the_page_stands_below_the_verdict() -> None:
    """Difference, interval, and how many queries are answered better: in HTML once, in Markdown as lines."""
    html, markdown = html_of(sample.good()), unescaped(markdown_of(sample.good()))
    assert "<b>+0.084</b>" in html
    assert html.index("<b>+0.084</b>") < html.index('id="slices"') < html.index('id="price"') < html.index('id="next"')
    assert "**+0.084** NDCG@10 of the tuned hybrid minus the base model, 95% interval +0.071 to +0.097" in markdown
    assert "- 287 test queries are answered better, 151 worse, 374 as before." in markdown


def test_details_are_folded_and_can_still_be_linked() -> None:
    """What a first reader does not need is closed; its anchor lies inside, so that a link to it opens it."""
    html = html_of(sample.good())
    for anchor in ("comparison", "training", "thresholds", "time"):
        assert re.search(rf'<details>\s*<summary><h2>[^<]+</h2></summary>\s*<div id="{anchor}"', html)
    for anchor in ("slices", "price", "next", "results", "limits"):
        assert f'<section id="{anchor}">' in html


def test_slices_equal_the_facts() -> None:
    """Every slice is shown with its simultaneous interval, those of a dimension together, and losses are named."""
    inputs = sample.bad()
    rows = read(html_of(inputs)).tables["Slices in numbers"][1:]
    stored = evaluation_of(inputs).slices
    for row, one in zip(rows, stored, strict=True):
        assert row[:2] == [f"{one.value} {one.dimension}", f"{one.queries:,}"]
        assert row[4].startswith(formats.signed(one.difference))
    assert "proven worse on 2: query length: 1-2 words" in html_of(inputs)


def test_the_price_is_told() -> None:
    """Forgetting within and beyond the limit, time and memory; a model that forgets too much is no plain success."""
    assert "On general queries no loss is proven" in html_of(sample.good())
    rows = read(html_of(sample.forgetful())).tables["General queries in numbers"]
    assert rows[1][-1] == "no"
    verdict = build_page(sample.forgetful()).verdict
    assert (verdict.label, verdict.tone) == ("Proven gain, at a price", "caution")
    assert "loses more than is allowed" in verdict.reasons[0]
    assert read(html_of(sample.good())).tables["Time and memory"][2][:2] == [
        "Encoding a million documents anew",
        "46 min 55 s",
    ]


def test_a_tuned_query_side_costs_no_new_vectors() -> None:
    """Where the query side alone was tuned, nothing is encoded anew."""
    inputs = sample.good()
    training = {**inputs.facts["training"], "side": "query"}
    rows = read(html_of(replace(inputs, facts={**inputs.facts, "training": training}))).tables["Time and memory"]
    assert rows[2][:2] == ["Encoding the documents anew", "none"]


def test_judged_shares_and_thresholds_equal_the_facts() -> None:
    """Condensed scores stand beside plain ones; a threshold that no dev query allows is said to be missing."""
    tables = read(html_of(sample.bad())).tables
    judged = tables["Judged documents by system"]
    assert judged[1][:2] == ["Base model", f"62% 60%{formats.DASH}64%"]
    base, tuned = tables["Thresholds by system"][1:]
    assert base[2] == "none reaches it on dev"
    assert tuned[2:] == ["0.634", f"79% 76%{formats.DASH}82%", f"41% 38%{formats.DASH}44%", "22%"]
    assert "On condensed lists the tuned model minus the base model is" in html_of(sample.bad())
    assert "On condensed lists" not in html_of(sample.good())


def test_next_steps_are_on_the_page_and_in_the_facts(tmp_path: Path) -> None:
    """The steps that the page shows are those that the terminal prints."""
    facts = write_report(sample.bad(), tmp_path)
    assert facts.next_steps
    assert all(step.action in html_of(sample.bad()) for step in facts.next_steps)
    assert write_report(sample.nothing(), tmp_path).next_steps == ()


def test_texts_of_every_script_are_shown_in_their_direction_and_cut() -> None:
    """A text takes its direction from its letters; one without blanks is cut where it is too long, not at its title."""
    inputs = sample.good()
    change = evaluation_of(inputs).wins[0]
    long = "标题 " + "水泵漏水必须更换" * 100
    texts = {change.query_id: ChangeTexts("كيف أغير كلمة المرور", long, "العنوان")}
    page = html_of(replace(inputs, texts=texts))
    assert '<dd dir="auto">كيف أغير كلمة المرور</dd>' in page
    shown = re.search(r'<dd dir="auto">(标题[^<]*)</dd>', page)
    assert shown is not None
    assert 390 < len(shown[1]) < 410
