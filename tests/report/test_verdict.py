"""The verdict in each case that evidence can make."""

from dataclasses import replace

from tests.report.sample import BAD, GOOD, evaluation_facts

from dialekt.evaluation.records import Comparison, EvaluationFacts
from dialekt.report.formats import FIXED, MINUS
from dialekt.report.verdict import judge, paired


def good() -> EvaluationFacts:
    """Return an evaluation in which the tuned hybrid wins."""
    return evaluation_facts(GOOD, recommendation="hybrid_tuned", reason="")


def plain(text: str) -> str:
    """Return a text with ordinary spaces and minus signs."""
    return text.replace(FIXED, " ").replace(MINUS, "-")


def test_proven_gain_says_deploy() -> None:
    """A proven gain names the system, both scores, the difference, its interval and p."""
    verdict = judge(good())
    assert plain(verdict.headline) == "Deploy the tuned hybrid: NDCG@10 0.588 against 0.504 for the base model"
    assert plain(verdict.evidence) == "+0.084, 95% interval +0.071 to +0.097, p < 0.001"
    assert (verdict.label, verdict.tone) == ("Proven gain", "good")
    assert "Against the base hybrid, the strongest system without tuning, the gain is proven" in verdict.reasons[0]


def test_gain_over_base_alone_is_called_that() -> None:
    """A gain that holds against the base model but not against the strongest baseline is not called proven."""
    means = GOOD | {"hybrid_base": 0.585}
    verdict = judge(evaluation_facts(means, recommendation="hybrid_tuned", reason=""))
    assert verdict.label == "Proven against the base model, not against the base hybrid"
    assert verdict.tone == "caution"


def test_tuned_within_chance_is_not_proven() -> None:
    """A recommended tuned model whose interval includes zero is called not proven."""
    means = {"base": 0.50, "tuned": 0.505}
    verdict = judge(evaluation_facts(means, recommendation="tuned", reason=""))
    assert verdict.headline.startswith("Not proven: the tuned model has")
    assert verdict.tone == "caution"


def test_tuning_that_does_not_help_stays_with_the_baseline() -> None:
    """When no tuned system is better, the headline says what to stay with, and how the tuned one did."""
    verdict = judge(evaluation_facts(BAD, recommendation="hybrid_base", reason="because of -0.003 for hybrid_base"))
    assert plain(verdict.headline) == (
        "Stay with the base hybrid: the tuned hybrid is not proven better, with NDCG@10 0.678 against 0.681"
    )
    assert verdict.reasons == (f"Because of {MINUS}0.003 for the base hybrid.",)


def test_tuning_that_hurts_says_so() -> None:
    """A tuned model that is significantly worse is called worse, though stored the other way round."""
    facts = evaluation_facts({"base": 0.6, "tuned": 0.5}, recommendation="base", reason="")
    mirrored = Comparison("base", "tuned", "NDCG@10", 0.1, 0.08, 0.12, 0.0001, 300, 100, 412)
    verdict = judge(replace(facts, comparisons=(mirrored,)))
    assert "the tuned model is worse" in verdict.headline
    assert plain(verdict.evidence) == "-0.100, 95% interval -0.120 to -0.080, p < 0.001"
    assert verdict.label == "Tuning hurts here"


def test_comparison_is_found_in_either_direction() -> None:
    """A comparison stored as other minus system is turned round with its wins and losses."""
    mirrored = Comparison("base", "tuned", "NDCG@10", 0.1, 0.08, 0.12, 0.5, 3, 1, 4)
    found = paired(replace(good(), comparisons=(mirrored,)), "tuned", "base")
    assert found == Comparison("tuned", "base", "NDCG@10", -0.1, -0.12, -0.08, 0.5, 1, 3, 4)


def test_no_tuned_model_claims_nothing() -> None:
    """Without a tuned model, the best system is named, and called unproven when it is."""
    facts = evaluation_facts({"base": 0.41, "bm25": 0.52}, recommendation="bm25", reason="", queries=9)
    verdict = judge(facts)
    assert verdict.headline.startswith("No tuned model was measured; best so far, though not proven, is BM25:")
    assert verdict.tone == "neutral"


def test_no_evaluation_proves_nothing() -> None:
    """Before any evaluation, nothing is claimed."""
    assert judge(None).headline == "Nothing is proven yet: no evaluation has run"
