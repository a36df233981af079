"""One verdict from all evidence, allowed to be no."""

from dataclasses import replace

import pytest

from dialekt.diagnosis.records import (
    BaselineFacts,
    Cost,
    CurvePoint,
    DataFacts,
    Decision,
    ExpectedGain,
    GainFacts,
    LanguageFacts,
    NeededJudgments,
    Remedy,
    SystemScore,
)
from dialekt.diagnosis.verdict import Evidence, Judgement, judge
from dialekt.types import Interval

LANGUAGE = LanguageFacts(
    documents=100, words=1_000, distinct_words=300, fertility=1.3, english_fertility=1.1, unknown_share=0.1,
    code_share=0.05, agreement=0.4, chance_agreement=0.03, terms_compared=200, fragmented=(), unknown=(), codes=(),
    disputed=(),
)  # fmt: skip
DATA = DataFacts(
    pairs=5_000, train_queries=4_000, dev_queries=300, test_queries=800, documents_with_pairs=2_000,
    suspicious_share=Interval(0.05, 0.02, 0.08), unfindable=20, teacher_disagreement=None, detectable=0.02,
    needed=(NeededJudgments(0.01, 5_000), NeededJudgments(0.03, 600)),
)  # fmt: skip
BASELINE = BaselineFacts(
    queries=800, documents=3_000,
    systems=(
        SystemScore("base", Interval(0.6, 0.57, 0.63)),
        SystemScore("bm25", Interval(0.55, 0.52, 0.58)),
        SystemScore("hybrid_base", Interval(0.605, 0.58, 0.64)),
    ),
    ceiling=Interval(0.7, 0.68, 0.72), failed=150, buckets=(), hub_share=0.02, truncated_share=0.0, duplicate_share=0.0,
)  # fmt: skip


def gain(value: float, low: float, high: float, *, double: float | None = None) -> GainFacts:
    """Return the predicted gain with its interval."""
    more = value if double is None else double
    chance = min(1.0, max(0.0, (high - 0.01) / (high - low)))
    return GainFacts(
        measured_queries=400,
        share=0.2,
        confidence=0.9,
        points=(CurvePoint("tuned", 800, 1, value, 0.01, 60.0),),
        full=ExpectedGain(4_000, Interval(value, low, high), chance),
        double=ExpectedGain(8_000, Interval(more, low, more + 0.05), chance),
        cost=Cost(12.0, 2.0, "measured"),
    )


EVIDENCE = Evidence(LANGUAGE, BASELINE, DATA, gain(0.08, 0.04, 0.12), least_gain=0.01, confidence=0.9)


def remedies(found: Judgement) -> set[Remedy]:
    """Return what is advised."""
    return {remark.remedy for remark in found.advice}


def test_a_gain_whose_whole_interval_is_above_zero_says_fine_tune() -> None:
    """The verdict names the expected gain with its interval."""
    found = judge(EVIDENCE)
    assert found.decision is Decision.FINE_TUNE
    assert found.verdict == "Fine-tune: expect +0.080 (+0.040 to +0.120) NDCG@10"


def test_an_uncertain_gain_with_much_data_is_not_worth_it() -> None:
    """With thousands of train queries an interval around zero is an answer."""
    found = judge(replace(EVIDENCE, gain=gain(0.004, -0.015, 0.02)))
    assert found.decision is Decision.NOT_WORTH


def test_an_uncertain_gain_with_little_data_says_gather() -> None:
    """With few train queries the same interval says that nobody can know yet."""
    few = replace(DATA, train_queries=200)
    found = judge(replace(EVIDENCE, data=few, gain=gain(0.02, -0.02, 0.06)))
    assert found.decision is Decision.GATHER
    assert "200 train queries" in found.verdict


def test_a_likely_gain_that_is_not_certain_says_gather() -> None:
    """Where the interval just includes zero, the answer is not that nothing can be gained."""
    found = judge(replace(EVIDENCE, gain=gain(0.039, -0.002, 0.081)))
    assert found.decision is Decision.GATHER
    assert "likely but not certain" in found.verdict


def test_a_gain_below_the_least_that_counts_is_not_worth_it() -> None:
    """A certain gain of half a point is refused where a whole one was asked for."""
    assert judge(replace(EVIDENCE, gain=gain(0.005, 0.001, 0.009))).decision is Decision.NOT_WORTH


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (None, "no queries with known answers"),
        (replace(DATA, test_queries=0), "no queries with known answers"),
        (replace(DATA, made_queries=True), "made from documents"),
    ],
)
def test_without_real_queries_it_says_gather(data: DataFacts | None, told: str) -> None:
    """Nothing is promised where nothing can be proven."""
    found = judge(replace(EVIDENCE, data=data))
    assert found.decision is Decision.GATHER
    assert told in found.verdict


def test_without_probes_it_says_gather() -> None:
    """Too few pairs for a probe are too few for tuning."""
    assert judge(replace(EVIDENCE, gain=None)).decision is Decision.GATHER


def test_the_hybrid_is_advised_where_it_helps() -> None:
    """A clear gain of the hybrid over the base model is named, also in a verdict that says no."""
    systems = (*BASELINE.systems[:2], SystemScore("hybrid_base", Interval(0.68, 0.65, 0.71)))
    found = judge(replace(EVIDENCE, baseline=replace(BASELINE, systems=systems), gain=gain(0.0, -0.02, 0.015)))
    assert Remedy.HYBRID in remedies(found)
    assert found.verdict.endswith("add BM25 instead")


def test_every_other_remedy_needs_its_evidence() -> None:
    """Noise, headroom, cut-off documents, duplicates, few judgments and a rising curve each bring a line."""
    assert remedies(judge(EVIDENCE)) == set()
    found = judge(
        replace(
            EVIDENCE,
            data=replace(DATA, suspicious_share=Interval(0.4, 0.3, 0.5), detectable=0.1, test_queries=90),
            baseline=replace(BASELINE, ceiling=Interval(0.9, 0.88, 0.92), truncated_share=0.4, duplicate_share=0.2),
            gain=gain(0.08, 0.04, 0.12, double=0.12),
        )
    )
    assert remedies(found) >= {
        Remedy.CLEAN_LABELS, Remedy.RERANKER, Remedy.CHUNKS, Remedy.DEDUPLICATE, Remedy.JUDGMENTS, Remedy.PAIRS,
    }  # fmt: skip
