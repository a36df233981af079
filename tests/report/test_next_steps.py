"""What the report advises, each rule from the evidence that speaks for it."""

from dataclasses import replace
from typing import Any

import pytest
from tests.report.depth import general, slices, unjudged
from tests.report.sample import BAD, GOOD, evaluation_facts

from dialekt.diagnosis.records import Remedy
from dialekt.evaluation.records import EvaluationFacts
from dialekt.measures.metrics import NDCG
from dialekt.measures.statistics import minimum_detectable_effect
from dialekt.report.facts import Facts
from dialekt.report.formats import MINUS
from dialekt.report.next_steps import MOST, NextStep, advise
from dialekt.types import Interval

FLAT = {"base": 0.8, "tuned": 0.82}


def evaluation(means: dict[str, float] = FLAT, *, recommendation: str = "tuned", **changes: Any) -> EvaluationFacts:
    """Return an evaluation that gives no reason for any step, apart from the changes."""
    return replace(evaluation_facts(means, recommendation=recommendation, reason=""), **changes)


def steps(
    found: EvaluationFacts, facts: dict[str, dict[str, Any]] | None = None, diagnosis: dict[str, Any] | None = None
) -> list[NextStep]:
    """Return what is advised."""
    stages = {name: Facts(values) for name, values in (facts or {}).items()}
    return list(advise(found, stages, Facts(diagnosis or {})))


def only(found: list[NextStep]) -> NextStep:
    """Return the only step."""
    (step,) = found
    return step


def test_without_evaluation_there_is_nothing_to_advise() -> None:
    """A project in which nothing was measured gets no advice."""
    assert advise(None, {}) == ()


def test_without_a_reason_there_is_no_step() -> None:
    """A proven gain, with nothing else to be seen, asks for nothing."""
    assert steps(evaluation()) == []


def test_a_test_that_is_too_small_says_how_many_queries_it_lacks() -> None:
    """With the queries that it names, the measured difference would be the smallest that is found."""
    small = evaluation({"base": 0.8, "tuned": 0.815}, minimum_detectable_effect=0.0245)
    gain = small.comparison("tuned", "base")
    assert gain is not None
    unproven = replace(small, comparisons=(replace(gain, low=-0.002),), queries=472, standard_deviation=0.19)
    step = only(steps(unproven))
    assert step.remedy is Remedy.JUDGMENTS
    assert step.action == "Judge 788 more test queries"
    assert minimum_detectable_effect(0.19, 472 + 788) == pytest.approx(0.015, abs=0.0001)


def test_a_difference_too_small_to_matter_asks_for_no_more_than_a_hundredth() -> None:
    """Where tuning changes nothing, the judgments that are asked for would find a hundredth."""
    flat = evaluation({"base": 0.8, "tuned": 0.8}, minimum_detectable_effect=0.02, queries=500)
    assert only(steps(flat)).action == "Judge 1,500 more test queries"


def test_forgetting_asks_for_gentler_tuning() -> None:
    """The change and the limit are named; a loss within the limit asks for nothing."""
    step = only(steps(evaluation(general=general(-0.05))))
    assert step.remedy is Remedy.GENTLER
    assert f"{MINUS}0.050" in step.why
    assert "0.030 may be lost" in step.why
    assert steps(evaluation(general=general(-0.01))) == []


def test_unjudged_results_are_to_be_judged_only_where_they_matter() -> None:
    """Where non-answers are judged too, or a tuned model finds more unjudged ones without a proven gain."""
    step = only(steps(evaluation(unjudged=unjudged(FLAT, None, meaningful=True))))
    assert (step.remedy, step.command) == (Remedy.JUDGMENTS, "dialekt judge disputed")
    assert "first ten 55% are judged, of the base model's 62%" in step.why
    assert steps(evaluation(unjudged=unjudged(FLAT, None, meaningful=False))) == []
    hidden = evaluation({"base": 0.84, "tuned": 0.8}, unjudged=unjudged(FLAT, None, meaningful=False))
    assert "dialekt judge disputed" in {one.command for one in steps(hidden)}


def test_a_hybrid_that_is_proven_better_is_to_be_deployed() -> None:
    """The hybrid of the recommended model, with BM25's weight and what it adds."""
    step = steps(evaluation(GOOD, recommendation="hybrid_tuned"))[0]
    assert step.remedy is Remedy.HYBRID
    assert step.action == "Search with BM25 beside the tuned model, with BM25 at 35%"
    assert "+0.017 (+0.004 to +0.030)" in step.why
    assert Remedy.HYBRID not in {one.remedy for one in steps(evaluation(FLAT | {"hybrid_tuned": 0.82}))}


def test_the_worst_losing_slice_is_named() -> None:
    """More queries of that kind are asked for; slices that lose by chance are not named."""
    step = only(steps(evaluation(slices=slices(0.05, losing="tail"))))
    assert step.remedy is Remedy.PAIRS
    assert "query frequency: tail" in step.action
    assert steps(evaluation(slices=slices(0.05))) == []


def test_answers_found_but_low_ask_for_a_reranker() -> None:
    """High Recall@100 with low NDCG@10; the ceiling of the diagnosis is named where it is known."""
    low = evaluation({"base": 0.5, "tuned": 0.6}, recommendation="tuned")
    (tuned,) = (one for one in low.systems if one.system == "tuned")
    assert tuned.metrics[NDCG].value == 0.6
    step = only(steps(low, diagnosis={"baseline": {"ceiling": {"value": 0.83}}}))
    assert step.remedy is Remedy.RERANKER
    assert "would reach 0.830" in step.why


def test_answers_that_are_not_found_ask_for_a_larger_model() -> None:
    """Low Recall@100 is nothing that a reranker can mend."""
    step = only(steps(evaluation({"base": 0.2, "tuned": 0.3})))
    assert step.remedy is Remedy.LARGER_MODEL
    assert "leaves 55% of the answers" in step.why


@pytest.mark.parametrize(
    ("scores", "is_rising"), [((0.5, 0.55, 0.58), True), ((0.5, 0.58, 0.57), False), ((0.5,), False)]
)
def test_a_score_that_still_rises_asks_for_more(scores: tuple[float, ...], is_rising: bool) -> None:
    """The last dev evaluation must be the best and clearly above the one before."""
    training = {"curve": [{"dev_ndcg": score} for score in scores], "epochs": 1.0}
    assert [one.remedy for one in steps(evaluation(), {"training": training})] == [Remedy.PAIRS] * is_rising


@pytest.mark.parametrize(
    ("facts", "diagnosis", "remedy"),
    [
        ({"corpus": {"median_tokens": 300}, "training": {"max_document_tokens": 128}}, {}, Remedy.CHUNKS),
        ({}, {"baseline": {"truncated_share": 0.3}}, Remedy.CHUNKS),
        ({}, {"data": {"suspicious_share": {"value": 0.3, "low": 0.2, "high": 0.4}}}, Remedy.CLEAN_LABELS),
        ({}, {"gain": {"full": {"gain": {"value": 0.05}}, "double": {"gain": {"value": 0.07}}}}, Remedy.PAIRS),
        ({"pairs": {"by_source": {"synthetic": 900, "qrels": 100}}}, {}, Remedy.PAIRS),
        ({"corpus": {"chunks": 100, "near_duplicates": 9, "exact_duplicates": 0}}, {}, Remedy.DEDUPLICATE),
        ({"corpus": {"median_tokens": 90}, "training": {"max_document_tokens": 128}}, {}, None),
        ({"corpus": {"chunks": 100, "near_duplicates": 1}, "pairs": {"by_source": {"qrels": 9}}}, {}, None),
    ],
)
def test_stages_and_diagnosis_speak_too(
    facts: dict[str, dict[str, Any]], diagnosis: dict[str, Any], remedy: Remedy | None
) -> None:
    """Facts of other stages, and of a diagnosis where there is one, each give the step that they are evidence for."""
    found = steps(evaluation(), facts, diagnosis)
    assert [one.remedy for one in found] == ([remedy] if remedy else [])


def test_at_most_five_steps_and_doubts_first() -> None:
    """Made test queries come before everything that improves the model."""
    busy = evaluation(
        BAD | {"tuned": 0.3, "base": 0.4},
        recommendation="hybrid_base",
        made_queries=True,
        general=general(-0.05),
        slices=slices(-0.1, losing="tail"),
        unjudged=unjudged(BAD, None, meaningful=True),
    )
    corpus = {"chunks": 100, "near_duplicates": 50, "median_tokens": 900}
    found = steps(busy, {"corpus": corpus, "training": {"max_document_tokens": 128}})
    assert len(found) == MOST
    assert found[0].action == "Test on queries that people asked"


def test_recall_that_was_not_measured_says_nothing() -> None:
    """A metric that is missing is no evidence."""
    bare = evaluation()
    systems = tuple(replace(one, metrics={NDCG: Interval(0.2, 0.1, 0.3)}) for one in bare.systems)
    assert steps(replace(bare, systems=systems)) == []
