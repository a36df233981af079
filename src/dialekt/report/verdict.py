"""The verdict: one sentence that says what to deploy, or that nothing is proven; then why."""

from dialekt.evaluation.records import NDCG, Comparison, EvaluationFacts
from dialekt.report import formats
from dialekt.report.blocks import Verdict

TUNED_SYSTEMS = ("tuned", "hybrid_tuned")


def judge(evaluation: EvaluationFacts | None) -> Verdict:
    """Read the verdict off the evaluation; `None` means that it has not run."""
    if evaluation is None or not evaluation.systems:
        return Verdict("Nothing is proven yet: no evaluation has run.", (), "No evidence", "neutral")
    challenger = _best_tuned(evaluation)
    if challenger is None:
        return _untuned(evaluation)
    if evaluation.recommendation.partition("@")[0] in TUNED_SYSTEMS:
        return _tuned(evaluation)
    return _kept(evaluation, challenger)


def _best_tuned(evaluation: EvaluationFacts) -> str | None:
    found = [name for name in TUNED_SYSTEMS if ndcg(evaluation, name) is not None]
    return max(found, key=lambda name: ndcg(evaluation, name) or 0.0, default=None)


def ndcg(evaluation: EvaluationFacts, system: str) -> float | None:
    """Return a system's NDCG@10, None when it was not measured."""
    result = evaluation.result(system)
    return result.metrics[NDCG].value if result and NDCG in result.metrics else None


def reference_system(evaluation: EvaluationFacts, system: str) -> str:
    """Return what a system is held against in the headline: the base model, or else the strongest baseline."""
    if system != "base" and evaluation.result("base"):
        return "base"
    return evaluation.strongest_baseline


def difference_text(evaluation: EvaluationFacts, comparison: Comparison | None) -> str:
    """Spell a comparison out: ` (+0.084, 95% interval +0.071 to +0.097, p < 0.001)`."""
    if comparison is None:
        return ""
    return (
        f" ({formats.signed(comparison.difference)}, {formats.percent(evaluation.confidence)} interval "
        f"{formats.signed_range(comparison.low, comparison.high)}, {formats.p_phrase(comparison.p_value)})"
    )


def _against(evaluation: EvaluationFacts, system: str, other: str) -> str:
    """Return `NDCG@10 0.588 against 0.504 for the base model (+0.084, ...)`."""
    own, others = ndcg(evaluation, system), ndcg(evaluation, other)
    text = f"{NDCG} {formats.score(own)}"
    if other == system or others is None:
        return text
    found = difference_text(evaluation, evaluation.comparison(system, other))
    return f"{text} against {formats.score(others)} for {formats.system_phrase(other)}{found}"


def _is_proven(evaluation: EvaluationFacts, system: str, other: str) -> bool:
    comparison = evaluation.comparison(system, other)
    return comparison is not None and comparison.low > 0


def _tuned(evaluation: EvaluationFacts) -> Verdict:
    best = evaluation.recommendation
    other = reference_system(evaluation, best)
    evidence = _against(evaluation, best, other)
    if not _is_proven(evaluation, best, other):
        headline = f"Not proven: {formats.system_phrase(best)} leads, but chance could explain it: {evidence}."
        return Verdict(headline, _reasons(evaluation, best), "Not proven", "caution")
    strongest = evaluation.strongest_baseline
    everywhere = strongest in {other, ""} or _is_proven(evaluation, best, strongest)
    headline = f"Deploy {formats.system_phrase(best)}: {evidence}."
    label = "Proven gain" if everywhere else f"Proven against {formats.system_phrase(other)} only"
    return Verdict(headline, _reasons(evaluation, best), label, "good" if everywhere else "caution")


def _kept(evaluation: EvaluationFacts, challenger: str) -> Verdict:
    best = evaluation.recommendation
    found = evaluation.comparison(challenger, best)
    other = best if found else reference_system(evaluation, challenger)
    comparison = found or evaluation.comparison(challenger, other)
    worse = comparison is not None and comparison.high < 0
    label = "Tuning hurts here" if worse else "Not proven"
    start = "Do not deploy the tuned model" if worse else "Tuning is not proven to help"
    evidence = _against(evaluation, challenger, other)
    headline = f"{start}; stay with {formats.system_phrase(best)}: {formats.system_phrase(challenger)} has {evidence}."
    return Verdict(headline, _reasons(evaluation, best), label, "caution")


def _untuned(evaluation: EvaluationFacts) -> Verdict:
    best = evaluation.recommendation
    evidence = _against(evaluation, best, reference_system(evaluation, best))
    headline = f"No tuned model was measured; best so far is {formats.system_phrase(best)}: {evidence}."
    return Verdict(headline, _reasons(evaluation, best), "No tuned model", "neutral")


def _reasons(evaluation: EvaluationFacts, best: str) -> tuple[str, ...]:
    reasons = [_sentence(evaluation.recommendation_reason)] if evaluation.recommendation_reason else []
    strongest = evaluation.strongest_baseline
    comparison = evaluation.comparison(best, strongest)
    if comparison and strongest not in {"base", best}:
        outcome = "proven" if comparison.low > 0 else "not proven"
        reasons.append(
            f"Against {formats.system_phrase(strongest)}, the strongest system without tuning, the gain is {outcome}"
            f"{difference_text(evaluation, comparison)}."
        )
    return tuple(reasons)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
