"""Diagnoses as a run leaves them: tuning pays, it does not, data is missing, and only documents are there."""

from dataclasses import replace

import numpy as np

from dialekt.diagnosis.records import (
    BaselineFacts,
    Cost,
    CurvePoint,
    DataFacts,
    Decision,
    DiagnosisFacts,
    DisputedTerm,
    ExpectedGain,
    Failure,
    FailureBucket,
    GainFacts,
    LanguageFacts,
    NeededJudgments,
    Remark,
    Remedy,
    SystemScore,
    Term,
)
from dialekt.types import Interval


def _around(value: float, half: float) -> Interval:
    return Interval(value, value - half, value + half)


def _terms(words: str, zipf: float) -> tuple[Term, ...]:
    return tuple(
        Term(word, 900 - 31 * index, 410 - 17 * index, 3 + index % 4, zipf) for index, word in enumerate(words.split())
    )


LANGUAGE = LanguageFacts(
    documents=5_000,
    words=812_330,
    distinct_words=41_207,
    fertility=1.71,
    english_fertility=1.18,
    unknown_share=0.083,
    code_share=0.041,
    agreement=0.31,
    chance_agreement=0.033,
    terms_compared=300,
    fragmented=_terms("lsass kubeconfig powershell mimikatz rundll32 exfiltration wmiprvse certutil schtasks", 2.1),
    unknown=_terms("mimikatz lsass beaconing sideloading kerberoasting shellcode keylogger", 0.0),
    codes=_terms("T1059.001 CVE-2021-44228 DLL LSASS WMI C2 RDP SMB", 0.0),
    disputed=(
        DisputedTerm(
            "token", 612, 0.0, ("coin", "ticket", "badge", "symbol"), ("privilege", "process", "access", "handle")
        ),
        DisputedTerm("beacon", 120, 0.1, ("lighthouse", "signal", "tower"), ("implant", "server", "interval")),
    ),
)
BASELINE = BaselineFacts(
    queries=820,
    documents=10_000,
    systems=(
        SystemScore("bm25", _around(0.471, 0.027), _around(0.741, 0.03)),
        SystemScore("base", _around(0.504, 0.026), _around(0.802, 0.028)),
        SystemScore("hybrid_base", _around(0.536, 0.026), _around(0.841, 0.025)),
    ),
    ceiling=_around(0.802, 0.027),
    failed=251,
    buckets=(
        FailureBucket(Failure.LEXICAL_GAP, 141, 162, 1.97),
        FailureBucket(Failure.RARE_TERMS, 96, 201, 1.08),
        FailureBucket(Failure.NEAR_DUPLICATES, 31, 12, 5.7),
        FailureBucket(Failure.CUT_OFF, 20, 44, 1.0),
        FailureBucket(Failure.HUBS, 0, 3, 0.3),
    ),
    hub_share=0.034,
    truncated_share=0.12,
    duplicate_share=0.021,
)
DATA = DataFacts(
    pairs=5_683,
    train_queries=5_202,
    dev_queries=402,
    test_queries=820,
    documents_with_pairs=4_870,
    suspicious_share=Interval(0.09, 0.04, 0.15),
    unfindable=311,
    teacher_disagreement=None,
    detectable=0.019,
    needed=tuple(NeededJudgments(*pair) for pair in ((0.01, 2_834), (0.02, 709), (0.03, 315), (0.05, 114))),
)


def _gain(full: float, half: float) -> GainFacts:
    generator = np.random.default_rng(4)
    points = [
        CurvePoint("adapter", size, seed, full * share * 0.6 + float(generator.normal(0, 0.006)), 0.008, 2.4)
        for size, share in ((65, 0.2), (130, 0.35), (260, 0.5), (520, 0.62), (1_040, 0.71))
        for seed in range(3)
    ]
    points += [
        CurvePoint("tuned", size, 0, full * share + float(generator.normal(0, 0.004)), 0.007, seconds)
        for size, share, seconds in ((260, 0.42, 31.0), (520, 0.6, 58.0), (1_040, 0.74, 112.0))
    ]
    return GainFacts(
        measured_queries=820,
        share=0.2,
        confidence=0.9,
        points=tuple(points),
        full=ExpectedGain(5_202, _around(full, half), 0.97 if full > half else 0.21),
        double=ExpectedGain(10_404, _around(full * 1.15, half * 1.3), 0.96 if full > half else 0.3),
        cost=Cost(8.9, 2.3, "112 s for 1,040 queries, five times as many"),
    )


def worth_it() -> DiagnosisFacts:
    """Return a diagnosis that says to tune."""
    return DiagnosisFacts(
        decision=Decision.FINE_TUNE,
        verdict="Fine-tune: expect +0.067 (+0.038 to +0.096) NDCG@10",
        reasons=(
            "Trained on 1,040 of the train queries, the model gained +0.051 on 820 queries that it had not seen",
            "820 test queries find a difference of 0.019 or more",
        ),
        advice=(
            Remark(Remedy.HYBRID, "joining BM25 and the base model adds +0.032 NDCG@10 without any training"),
            Remark(Remedy.CHUNKS, "12% of the documents are longer than the model reads"),
        ),
        language=LANGUAGE,
        baseline=BASELINE,
        data=DATA,
        gain=_gain(0.067, 0.029),
        seconds={"language": 31.2, "baseline": 44.0, "data": 12.9, "probes": 402.7},
    )


def not_worth_it() -> DiagnosisFacts:
    """Return a diagnosis that says not to tune."""
    return replace(
        worth_it(),
        decision=Decision.NOT_WORTH,
        verdict="Not worth it: expect -0.004 (-0.029 to +0.021) NDCG@10; add BM25 instead",
        gain=_gain(-0.004, 0.025),
        warnings=("only 412 of the train queries have a document that the corpus holds",),
    )


def no_pairs() -> DiagnosisFacts:
    """Return a diagnosis with test queries and without anything to learn from."""
    return replace(
        worth_it(),
        decision=Decision.GATHER,
        verdict="Gather data first: there are too few training pairs for even the smallest probe",
        data=replace(DATA, pairs=0, train_queries=0, documents_with_pairs=0, suspicious_share=None, unfindable=0),
        gain=None,
    )


def only_documents() -> DiagnosisFacts:
    """Return a diagnosis of nothing but documents, in a language that no list knows."""
    language = replace(
        LANGUAGE, english=False, language="", unknown=(), disputed=(), codes=(), fragmented=(), terms_compared=0
    )
    return DiagnosisFacts(
        decision=Decision.GATHER,
        verdict="Gather data first: there are no queries with known answers to learn from or test on",
        reasons=(),
        advice=(Remark(Remedy.JUDGMENTS, "without judged queries or clicks nothing can be learnt or proven"),),
        language=language,
        baseline=None,
        data=None,
        gain=None,
        seconds={"language": 31.2},
    )


DIAGNOSES = {
    "worth it": worth_it,
    "not worth it": not_worth_it,
    "no pairs": no_pairs,
    "only documents": only_documents,
}
