"""The verdict: one sentence that says what to deploy, or that nothing is proven; then why."""

import re
from dataclasses import replace

from dialekt.evaluation.records import Comparison, EvaluationFacts
from dialekt.measures.metrics import NDCG
from dialekt.report import formats
from dialekt.report.blocks import Verdict
from dialekt.report.sections.gain import gain_hero

TUNED_SYSTEMS = ("tuned", "hybrid_tuned")
_SYSTEM_NAME = re.compile(r"\b(hybrid_tuned|hybrid_base|bm25)\b")


def judge(evaluation: EvaluationFacts | None) -> Verdict:
    """Read the verdict off the evaluation; `None` means that it has not run."""
    if evaluation is None or not evaluation.systems:
        return Verdict("Nothing is proven yet: no evaluation has run", "", (), "No evidence", "neutral")
    verdict = _words(evaluation)
    if evaluation.made_queries:
        return verdict
    return replace(
        _priced(verdict, evaluation), hero=gain_hero(_headline(evaluation), confidence=evaluation.confidence)
    )


def _words(evaluation: EvaluationFacts) -> Verdict:
    if evaluation.made_queries:
        why = evaluation.recommendation_reason
        return Verdict(
            "Nothing is proven for people's queries", f"{why[:1].upper()}{why[1:]}.", (), "Not proven", "caution"
        )
    challenger = _best_tuned(evaluation)
    if challenger is None:
        return _untuned(evaluation)
    if _is_tuned(evaluation.recommendation):
        return _tuned(evaluation)
    return _kept(evaluation, challenger)


def _priced(verdict: Verdict, evaluation: EvaluationFacts) -> Verdict:
    """Return the verdict with a warning where a tuned model is to be deployed that forgot too much."""
    general = evaluation.general
    if general is None or general.passed or not _is_tuned(evaluation.recommendation):
        return verdict
    reason = (
        f"But on general queries it loses more than is allowed: {formats.signed(general.comparison.difference)} "
        f"{NDCG}, with {formats.score(general.limit)} allowed."
    )
    return replace(verdict, label=f"{verdict.label}, at a price", tone="caution", reasons=(reason, *verdict.reasons))


def _headline(evaluation: EvaluationFacts) -> tuple[Comparison, ...]:
    """Return what the page is about: the system in question against the base model and the strongest baseline."""
    best = evaluation.recommendation
    challenger = None if _is_tuned(best) else _best_tuned(evaluation)
    opponents = (best, "base") if challenger else (reference_system(evaluation, best), evaluation.strongest_baseline)
    found = {other: paired(evaluation, challenger or best, other) for other in opponents}
    return tuple(one for one in found.values() if one)


def _is_tuned(system: str) -> bool:
    return system.partition("@")[0] in TUNED_SYSTEMS


def ndcg(evaluation: EvaluationFacts, system: str) -> float | None:
    """Return a system's NDCG@10, None when it was not measured."""
    result = evaluation.result(system)
    return result.metrics[NDCG].value if result and NDCG in result.metrics else None


def reference_system(evaluation: EvaluationFacts, system: str) -> str:
    """Return what a system is held against in the headline: the base model, or else the strongest baseline."""
    if system != "base" and evaluation.result("base"):
        return "base"
    return evaluation.strongest_baseline


def paired(evaluation: EvaluationFacts, system: str, other: str) -> Comparison | None:
    """Return system minus other on NDCG@10, turned round where it was stored as other minus system."""
    found = evaluation.comparison(system, other)
    mirrored = evaluation.comparison(other, system)
    if found or not mirrored:
        return found
    return replace(
        mirrored,
        system=system,
        against=other,
        difference=-mirrored.difference,
        low=-mirrored.high,
        high=-mirrored.low,
        wins=mirrored.losses,
        losses=mirrored.wins,
    )


def _tuned(evaluation: EvaluationFacts) -> Verdict:
    best = evaluation.recommendation
    other = reference_system(evaluation, best)
    measured, evidence, reasons = (
        _measured(evaluation, best, other),
        _evidence(evaluation, best, other),
        _reasons(evaluation, best),
    )
    if not _is_proven(evaluation, best, other):
        return Verdict(
            f"Not proven: {formats.system_phrase(best)} has {measured}", evidence, reasons, "Not proven", "caution"
        )
    headline = f"Deploy {formats.system_phrase(best)}: {measured}"
    strongest = evaluation.strongest_baseline
    if strongest in {other, ""} or _is_proven(evaluation, best, strongest):
        return Verdict(headline, evidence, reasons, "Proven gain", "good")
    label = f"Proven against {formats.system_phrase(other)}, not against {formats.system_phrase(strongest)}"
    return Verdict(headline, evidence, reasons, label, "caution")


def _kept(evaluation: EvaluationFacts, challenger: str) -> Verdict:
    best = evaluation.recommendation
    comparison = paired(evaluation, challenger, best)
    worse = comparison is not None and comparison.high < 0
    outcome = "worse" if worse else "not proven better"
    own, others = ndcg(evaluation, challenger), ndcg(evaluation, best)
    headline = (
        f"Stay with {formats.system_phrase(best)}: {formats.system_phrase(challenger)} is {outcome}, with "
        f"{NDCG}{formats.FIXED}{formats.score(own)} against {formats.score(others)}"
    )
    label = "Tuning hurts here" if worse else "Not proven"
    return Verdict(headline, _evidence(evaluation, challenger, best), _reasons(evaluation, best), label, "caution")


def _untuned(evaluation: EvaluationFacts) -> Verdict:
    best = evaluation.recommendation
    other = reference_system(evaluation, best)
    certainty = "" if best == other or _is_proven(evaluation, best, other) else ", though not proven,"
    headline = (
        f"No tuned model was measured; best so far{certainty} is {formats.system_phrase(best)}: "
        f"{_measured(evaluation, best, other)}"
    )
    return Verdict(
        headline, _evidence(evaluation, best, other), _reasons(evaluation, best), "No tuned model", "neutral"
    )


def _best_tuned(evaluation: EvaluationFacts) -> str | None:
    found = [name for name in TUNED_SYSTEMS if ndcg(evaluation, name) is not None]
    return max(found, key=lambda name: ndcg(evaluation, name) or 0.0, default=None)


def _measured(evaluation: EvaluationFacts, system: str, other: str) -> str:
    """Return `NDCG@10 0.588 against 0.504 for the base model`."""
    own, others = ndcg(evaluation, system), ndcg(evaluation, other)
    text = f"{NDCG}{formats.FIXED}{formats.score(own)}"
    if other == system or others is None:
        return text
    return f"{text} against {formats.score(others)} for {formats.system_phrase(other)}"


def _evidence(evaluation: EvaluationFacts, system: str, other: str) -> str:
    """Return `+0.084, 95% interval +0.071 to +0.097, p < 0.001`, or nothing where the two were not compared."""
    comparison = paired(evaluation, system, other)
    if comparison is None:
        return ""
    return (
        f"{formats.signed(comparison.difference)}, {formats.percent(evaluation.confidence)} interval "
        f"{formats.signed_range(comparison.low, comparison.high)}, {formats.p_phrase(comparison.p_value)}"
    )


def _is_proven(evaluation: EvaluationFacts, system: str, other: str) -> bool:
    comparison = paired(evaluation, system, other)
    return comparison is not None and comparison.low > 0


def _reasons(evaluation: EvaluationFacts, best: str) -> tuple[str, ...]:
    reasons = [_sentence(evaluation.recommendation_reason)] if evaluation.recommendation_reason else []
    strongest = evaluation.strongest_baseline
    evidence = _evidence(evaluation, best, strongest)
    if evidence and strongest not in {"base", best}:
        outcome = "proven" if _is_proven(evaluation, best, strongest) else "not proven"
        reasons.append(
            f"Against {formats.system_phrase(strongest)}, the strongest system without tuning, the gain is {outcome} "
            f"({evidence})."
        )
    return tuple(reasons)


def _sentence(reason: str) -> str:
    """Return the stored reason as a sentence for people: phrases for system names, real minus signs."""
    return formats.sentence(_SYSTEM_NAME.sub(lambda match: formats.system_phrase(match[0]), reason))
