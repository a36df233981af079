"""The teacher's section: the comparison on dev, what it corrected, and nothing that is not there."""

import json
from dataclasses import asdict, replace

from tests.report.reading import read

from dialekt.report.blocks import Page, Section, Verdict
from dialekt.report.facts import Facts
from dialekt.report.page import render_html, render_markdown
from dialekt.report.sections.teacher import teacher_section
from dialekt.teacher.corrections import MARGIN_EDGES
from dialekt.teacher.records import Fitting, Histogram, TeacherFacts

USED = TeacherFacts(
    model="all-MiniLM-L6-v2",
    trained=Fitting(2_000, 63, 120.0, 16.7, "bf16", ((1, 2.3), (63, 0.4)), resumed=False, shortened=False),
    used=True,
    why="it ranks better than the student: +0.050 NDCG@10 on dev, interval +0.020 to +0.080",
    uses=("relabel", "distil"),
    student_ndcg=0.41,
    teacher_ndcg=0.46,
    gain=0.05,
    low=0.02,
    high=0.08,
    queries=150,
    depth=30,
    pairs=2_040,
    negatives=11_000,
    added=40,
    relabelled={"bm25": 10, "dense": 30, "skipped": 0},
    removed={"bm25": 1, "dense": 7, "skipped": 0},
    fixed=3,
    scored=13_040,
    pairs_per_second=310.0,
    margins=Histogram(MARGIN_EDGES, (0,) * 10 + (500, 100) + (0,) * 14),
    warnings=(),
)


def page_of(facts: TeacherFacts) -> Page:
    """Return a page with the section of these facts, after a turn through JSON."""
    section = teacher_section(Facts(json.loads(json.dumps(asdict(facts)))))
    assert isinstance(section, Section)
    return Page("a project", "now", Verdict("", "", (), "", "neutral"), (), (section,))


def test_a_used_teacher_shows_gain_and_corrections() -> None:
    """Both rankings with the interval of the gain, and the corrections by retriever."""
    tables = read(render_html(page_of(USED))).tables
    ranked = tables["150 dev queries, ranked by student and teacher"]
    assert [row[1] for row in ranked] == ["dev NDCG@10", "0.410", "0.460 (best)"]
    assert "+0.050" in ranked[2][2]
    corrected = tables["Hard negatives that the teacher rates above a positive"]
    assert corrected[1:] == [["BM25", "10", "1"], ["Dense search with the base model", "30", "7"]]
    assert len(tables["Hard negatives by margin"]) == 3


def test_html_and_markdown_say_the_same() -> None:
    """Verdict, gain and the negatives that were left alone stand in both."""
    for text in (render_html(page_of(USED)), render_markdown(page_of(USED))):
        for part in ("It was used", "made here from the pairs", "3 negatives that a person", "13,040"):
            assert part in text


def test_a_teacher_that_was_not_used_says_why() -> None:
    """No corrections, no drawing of margins, and the warning."""
    unused = replace(
        USED, trained=None, used=False, why="it is not proven", relabelled={}, removed={}, fixed=0, scored=0,
        margins=None, warnings=("only 9 dev queries",),
    )  # fmt: skip
    text = render_markdown(page_of(unused))
    assert "named in the configuration" in text
    assert "It was not used: it is not proven." in text
    assert "only 9 dev queries" in text
    assert "Made a positive" not in text


def test_a_project_without_a_teacher_has_no_section() -> None:
    """Nothing is shown of a stage that did not run."""
    assert teacher_section(Facts({})) is None
