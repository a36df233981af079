"""The promotion gate: what speaks against a version, in words."""

from dataclasses import dataclass

from dialekt.registry.records import GAIN_METRIC, TUNED, ChampionComparison, Evidence, Forgetting, Version
from dialekt.registry.versions import verify


@dataclass(frozen=True, slots=True)
class Verdict:
    """What speaks against promoting a version (nothing: it may go), and how it stands beside the champion."""

    reasons: tuple[str, ...]
    comparison: ChampionComparison | None

    @property
    def promotable(self) -> bool:
        """Whether the gate lets the version through."""
        return not self.reasons


def judge(version: Version, *, champion: Version | None, minimum_gain: float) -> Verdict:
    """Weigh a version's evidence and guards, and compare it with the champion of the same split."""
    comparison = None if champion is None or champion.name == version.name else compare(version, champion)
    reasons = [
        *gain_faults(version.evidence, minimum_gain=minimum_gain),
        *guard_faults(version.evidence),
        *(f"its files are damaged: {fault}" for fault in verify(version)[:3]),
        *champion_faults(comparison),
    ]
    return Verdict(tuple(reasons), comparison)


def gain_faults(evidence: Evidence, *, minimum_gain: float) -> list[str]:
    """Return why the gain is not proven: the whole interval must lie above the minimum."""
    gain = evidence.gain
    if gain is None or not evidence.queries:
        return ["there is no evidence: the model was never compared with its base on held-out queries"]
    if evidence.made_queries:
        return ["the held-out queries were made from documents: the gain says nothing about people's queries"]
    if gain.low > minimum_gain:
        return []
    interval = f"{gain.confidence:.0%} interval {gain.low:+.3f} to {gain.high:+.3f}"
    verb = "lies below" if gain.high < minimum_gain else "includes" if gain.high > minimum_gain else "ends at"
    return [
        f"the gain over the base model is not proven: {gain.metric} {gain.difference:+.3f} on "
        f"{evidence.queries} held-out queries, and its {interval} {verb} {minimum_gain:g}"
    ]


def guard_faults(evidence: Evidence) -> list[str]:
    """Return which guards did not pass."""
    faults = []
    if not evidence.leak_check_passed:
        faults.append("the leak check did not pass: held-out queries or documents may be in the training set")
    parity = evidence.parity
    if parity is None:
        faults.append("the exported model was never compared with the trained one")
    elif not parity.passed:
        why = parity.fault or f"the lowest cosine between their vectors is {parity.min_cosine:.6f}"
        faults.append(f"the exported model does not agree with the trained one: {why}")
    if evidence.forgetting is not None and not evidence.forgetting.passed:
        faults.append(_forgetting_fault(evidence.forgetting))
    return faults


def _forgetting_fault(found: Forgetting) -> str:
    change = found.change
    known = "the loss is proven" if change.high < 0 else "the loss is not proven, but the mean of so many counts"
    return (
        f"it forgets the general world: {GAIN_METRIC} {change.value:+.3f} on {found.queries} general queries "
        f"({change.low:+.3f} to {change.high:+.3f}: {known}), more than evaluation.max_general_loss = {found.limit:g}"
    )


def compare(version: Version, champion: Version) -> ChampionComparison:
    """Set a version's NDCG@10 beside the champion's."""
    before, after = champion.evidence.value_of(TUNED), version.evidence.value_of(TUNED)
    return ChampionComparison(
        champion=champion.name,
        same_split=version.evidence.split == champion.evidence.split,
        champion_value=before.value if before else None,
        value=after.value if after else None,
    )


def champion_faults(comparison: ChampionComparison | None) -> list[str]:
    """Return whether the champion was better on the same held-out queries."""
    if comparison is None or not comparison.same_split:
        return []
    if comparison.value is None or comparison.champion_value is None:
        return []
    if comparison.value >= comparison.champion_value:
        return []
    return [
        f"the champion {comparison.champion} is better on the same queries: {GAIN_METRIC} "
        f"{comparison.champion_value:.3f} against {comparison.value:.3f}"
    ]
