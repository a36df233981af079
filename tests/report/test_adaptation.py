"""The section on unsupervised adaptation: what was tried, what dev said, and nothing that is not there."""

import json
from dataclasses import asdict, replace

from tests.report.reading import read

from dialekt.adaptation.records import AdaptationFacts, Fitting, LossPoint, MethodFacts, Verdict
from dialekt.report.blocks import Page, Section
from dialekt.report.blocks import Verdict as PageVerdict
from dialekt.report.facts import Facts
from dialekt.report.page import render_html, render_markdown
from dialekt.report.sections.adaptation import adaptation_section

FITTED = Fitting(
    passages=4_200,
    terms=0,
    steps=300,
    epochs=2.3,
    batch_size=32,
    max_tokens=128,
    learning_rate=5e-5,
    precision="bf16",
    seconds=420.0,
    passages_per_second=23.0,
    losses=(LossPoint(1, 7.1), LossPoint(150, 5.2), LossPoint(300, 4.6)),
    resumed=False,
    shortened=False,
    derived={},
)
HELPS = Verdict(True, "it helps: +0.021 NDCG@10 on 300 dev queries", 0.511, 0.532, 0.021, 0.004, 0.038)
FAILS = Verdict(False, "it is not proven to help by more than zero: -0.010", 0.532, 0.522, -0.010, -0.03, 0.011)
FACTS = AdaptationFacts(
    documents=1_398,
    judged_by="training",
    queries=300,
    confidence=0.9,
    methods=(
        MethodFacts("vocabulary", replace(FITTED, terms=139), FAILS),
        MethodFacts("mlm", FITTED, HELPS),
        MethodFacts("tsdae", None, Verdict(False, "the documents have nothing that could be learned this way")),
    ),
    kept=("mlm",),
    seconds=1_900.0,
    derived={},
    warnings=("only 9 dev queries",),
)


def page_of(facts: AdaptationFacts) -> Page:
    """Return a page with the section of these facts, after a turn through JSON."""
    section = adaptation_section(Facts(json.loads(json.dumps(asdict(facts)))))
    assert isinstance(section, Section)
    return Page("a project", "now", PageVerdict("", "", (), "", "neutral"), (), (section,))


def test_every_method_has_its_row() -> None:
    """Scores before and after with the interval of the gain; what was never trained has empty cells."""
    rows = read(render_html(page_of(FACTS))).tables[
        "NDCG@10 on 300 dev queries without and with each method, 90% interval"
    ]
    vocabulary, mlm, tsdae = rows[1:]
    assert vocabulary[:5] == ["Vocabulary", "4,200", "139", "0.532", "0.522"]
    assert mlm[3:5] == ["0.511", "0.532 (best)"]
    assert "+0.021" in mlm[5]
    assert [row[6] for row in rows[1:]] == ["no", "yes", "no"]
    assert tsdae[1:6] == ["", "", "", "", ""]


def test_html_and_markdown_say_the_same() -> None:
    """Outcome, the reasons and the warning stand in both."""
    for text in (render_html(page_of(FACTS)), render_markdown(page_of(FACTS))):
        for part in (
            "Training started from what masked words made of it",
            "nothing that could be learned",
            "only 9 dev",
        ):
            assert part in text


def test_nothing_kept_is_said() -> None:
    """A project without dev queries says why nobody asked."""
    alone = replace(FACTS, judged_by="", queries=0, kept=(), methods=FACTS.methods[2:])
    text = render_markdown(page_of(alone))
    assert "Nothing of it was kept. There were no dev queries to judge it." in text
    assert "Training losses" not in text


def test_a_project_without_adaptation_has_no_section() -> None:
    """Nothing is shown of a stage that did not run."""
    assert adaptation_section(Facts({})) is None
