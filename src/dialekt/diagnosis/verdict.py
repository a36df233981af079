"""One verdict from all evidence: fine-tune, gather data first, or not worth it; and what else would help."""

from collections.abc import Iterator
from dataclasses import dataclass

from dialekt.diagnosis.records import BaselineFacts, DataFacts, Decision, GainFacts, LanguageFacts, Remark, Remedy
from dialekt.types import Interval

FEW_TRAIN_QUERIES = 1_000
FEW_TEST_QUERIES = 100
LIKELY = 0.75
MUCH_NOISE = 0.25
MUCH_TRUNCATED = 0.1
MANY_DUPLICATES = 0.05
MUCH_HEADROOM = 0.15
WORTH_MORE_DATA = 0.02
LARGEST_EFFECT_TO_FIND = 0.03


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the parts of the diagnosis found; a part that could not be made is None."""

    language: LanguageFacts
    baseline: BaselineFacts | None
    data: DataFacts | None
    gain: GainFacts | None
    least_gain: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """The decision, one sentence that says it, the reasons for it, and what else to do, most important first."""

    decision: Decision
    verdict: str
    reasons: tuple[str, ...]
    advice: tuple[Remark, ...]


def judge(evidence: Evidence) -> Judgement:
    """Decide. "Fine-tune" needs the whole predicted interval above zero and the expected gain above the least."""
    decision, verdict = _decide(evidence)
    return Judgement(decision, verdict, tuple(_reasons(evidence)), tuple(_advice(evidence)))


def _decide(evidence: Evidence) -> tuple[Decision, str]:
    data, gain = evidence.data, evidence.gain
    if data is None or not data.test_queries:
        return Decision.GATHER, "Gather data first: there are no queries with known answers to learn from or test on"
    if data.made_queries:
        return (
            Decision.GATHER,
            "Gather data first: all test queries were made from documents, so nothing can be said of people's queries",
        )
    if gain is None:
        return Decision.GATHER, "Gather data first: there are too few training pairs for even the smallest probe"
    expected = gain.full.gain
    if expected.low > 0 and expected.value >= evidence.least_gain:
        return Decision.FINE_TUNE, f"Fine-tune: expect {_signed(expected)} NDCG@10"
    return _declined(evidence, data, gain)


def _declined(evidence: Evidence, data: DataFacts, gain: GainFacts) -> tuple[Decision, str]:
    """Say whether more data could change the answer, or whether effort is better spent elsewhere."""
    expected, chance = gain.full.gain, gain.full.chance
    if chance >= LIKELY:
        return (
            Decision.GATHER,
            f"Gather data first: a gain is likely but not certain ({_signed(expected)} NDCG@10); more judged queries "
            "would tell, more train queries raise it",
        )
    few = data.train_queries < FEW_TRAIN_QUERIES or data.test_queries < FEW_TEST_QUERIES
    hopeful = expected.high >= 2 * evidence.least_gain
    if few and hopeful:
        return (
            Decision.GATHER,
            f"Gather data first: with {data.train_queries:,} train queries a gain is not certain ({_signed(expected)} "
            "NDCG@10)",
        )
    instead = _instead(evidence)
    return Decision.NOT_WORTH, f"Not worth it: expect {_signed(expected)} NDCG@10{instead}"


def _instead(evidence: Evidence) -> str:
    remedies = {remark.remedy for remark in _advice(evidence)}
    for remedy in (Remedy.CLEAN_LABELS, Remedy.HYBRID, Remedy.RERANKER):
        if remedy in remedies:
            return f"; {remedy.value} instead"
    return ""


def _reasons(evidence: Evidence) -> Iterator[str]:
    gain, data, baseline = evidence.gain, evidence.data, evidence.baseline
    if gain is not None:
        largest = max((point for point in gain.points if point.recipe == "tuned"), key=lambda point: point.queries)
        yield (
            f"Trained on {largest.queries:,} of the train queries, the model gained {largest.gain:+.3f} on "
            f"{gain.measured_queries:,} queries that it had not seen; all train queries are {gain.full.queries:,}."
        )
        chance = spoken_chance(gain.full.chance)
        yield (
            f"The chance of more than {evidence.least_gain:+.3f} is {chance}; with twice the data expect "
            f"{_signed(gain.double.gain)}."
        )
    if baseline is not None and baseline.systems:
        best = max(baseline.systems, key=lambda system: system.ndcg.value)
        yield (
            f"Without tuning the best is {_NAMES.get(best.system, best.system)} with {best.ndcg.value:.3f} NDCG@10; a "
            f"perfect reranker of the base model's first hundred would reach {baseline.ceiling.value:.3f}."
        )
        if baseline.reranker is not None:
            found = baseline.reranker
            yield (
                f"The named cross-encoder makes {found.teacher_ndcg:.3f} of {found.student_ndcg:.3f} on "
                f"{found.queries:,} dev queries ({found.low:+.3f} to {found.high:+.3f})."
            )
    if data is not None:
        yield f"{data.test_queries:,} test queries find a difference of {data.detectable:.3f} or more."


_NAMES = {"bm25": "BM25", "base": "the base model", "hybrid_base": "the hybrid of both", "reranked": "the reranker"}


def _advice(evidence: Evidence) -> Iterator[Remark]:
    yield from _about_data(evidence)
    yield from _about_systems(evidence)
    yield from _about_documents(evidence)


def _about_data(evidence: Evidence) -> Iterator[Remark]:
    data, gain = evidence.data, evidence.gain
    if data is None or not data.test_queries:
        yield Remark(Remedy.JUDGMENTS, "without judged queries or clicks nothing can be learnt or proven")
        return
    if data.suspicious_share is not None and data.suspicious_share.low > MUCH_NOISE:
        yield Remark(
            Remedy.CLEAN_LABELS,
            f"about {data.suspicious_share.value:.0%} of the training pairs look like chance: query and document have "
            "no more in common than random ones",
        )
    effect = max(LARGEST_EFFECT_TO_FIND, gain.full.gain.value if gain else 0.0)
    if data.made_queries or data.detectable > effect:
        findable = [one for one in data.needed if one.effect <= effect]
        needed = max(findable, key=lambda one: one.effect, default=None)
        wanted = f"; {needed.queries:,} would find {needed.effect:.2f}" if needed else ""
        yield Remark(
            Remedy.JUDGMENTS, f"{data.test_queries:,} test queries miss gains below {data.detectable:.3f}{wanted}"
        )
    if gain is not None and gain.double.gain.value - gain.full.gain.value > WORTH_MORE_DATA:
        more = gain.double.gain.value - gain.full.gain.value
        yield Remark(
            Remedy.PAIRS, f"the learning curve still rises: twice the train queries would add about {more:+.3f}"
        )


def _about_systems(evidence: Evidence) -> Iterator[Remark]:
    baseline = evidence.baseline
    if baseline is None:
        return
    scores = {system.system: system for system in baseline.systems}
    base, hybrid = scores.get("base"), scores.get("hybrid_base")
    if base and hybrid and hybrid.ndcg.value - base.ndcg.value > evidence.least_gain:
        gained = hybrid.ndcg.value - base.ndcg.value
        yield Remark(Remedy.HYBRID, f"joining BM25 and the base model adds {gained:+.3f} NDCG@10 without any training")
    if base and baseline.ceiling.value - max(one.ndcg.value for one in baseline.systems) > MUCH_HEADROOM:
        yield Remark(
            Remedy.RERANKER,
            f"the answers are mostly among the first hundred: perfect order would give {baseline.ceiling.value:.3f} "
            f"instead of {base.ndcg.value:.3f}",
        )
    gain = evidence.gain
    if (
        gain is not None
        and gain.full.gain.high < MUCH_HEADROOM / 2
        and base
        and base.ndcg.value < 1 - 2 * MUCH_HEADROOM
    ):
        yield Remark(
            Remedy.LARGER_MODEL, f"the base model reaches {base.ndcg.value:.3f}, and tuning it adds little to that"
        )


def _about_documents(evidence: Evidence) -> Iterator[Remark]:
    baseline = evidence.baseline
    if baseline is None:
        return
    if baseline.truncated_share > MUCH_TRUNCATED:
        yield Remark(Remedy.CHUNKS, f"{baseline.truncated_share:.0%} of the documents are longer than the model reads")
    if baseline.duplicate_share > MANY_DUPLICATES:
        yield Remark(Remedy.DEDUPLICATE, f"{baseline.duplicate_share:.0%} of the documents nearly repeat another one")


def spoken_chance(chance: float) -> str:
    """Return a chance as whole percents, never as certain."""
    return "over 99%" if chance > 0.99 else "under 1%" if chance < 0.01 else f"{chance:.0%}"


def _signed(interval: Interval) -> str:
    """Return `+0.050 (+0.020 to +0.080)`."""
    return f"{interval.value:+.3f} ({interval.low:+.3f} to {interval.high:+.3f})"
