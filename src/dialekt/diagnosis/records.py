"""What a diagnosis found: plain values, so that `dataclasses.asdict` is JSON and JSON can be read back.

Single words of documents may appear here, never a text of a document or anything of a query.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from dialekt.types import DevComparison, Interval

STAGE_VERSION = 1  # here and not beside the work, so that skipping a finished diagnosis does not load torch


class Decision(StrEnum):
    """What to do about the embedding model."""

    FINE_TUNE = "fine-tune"
    GATHER = "gather data first"
    NOT_WORTH = "not worth it"


class Remedy(StrEnum):
    """What may help besides, or instead of, tuning: the advice of diagnosis and report."""

    HYBRID = "add BM25"
    RERANKER = "add a reranker"
    CHUNKS = "cut documents into chunks"
    LARGER_MODEL = "try a larger base model"
    JUDGMENTS = "judge more queries"
    PAIRS = "gather more training pairs"
    CLEAN_LABELS = "clean the labels"
    DEDUPLICATE = "join near-duplicate documents"
    GENTLER = "tune more gently"


@dataclass(frozen=True, slots=True)
class Term:
    """A word of the corpus in its commonest spelling: how often, in how many documents, in how many tokens.

    `zipf` is its frequency in the general language of the corpus, log10 per billion words (0: unknown there).
    """

    term: str
    count: int
    documents: int
    pieces: int
    zipf: float


@dataclass(frozen=True, slots=True)
class DisputedTerm:
    """A word whose neighbours in the base model are not those of the corpus.

    `agreement` in [0, 1] is the overlap of both neighbour lists; the lists hold words of the corpus, nearest first.
    """

    term: str
    documents: int
    agreement: float
    model_neighbors: tuple[str, ...]
    corpus_neighbors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LanguageFacts:
    """How far the corpus is from general English.

    `fertility` is tokens per word of the running text and `english_fertility` that of general English with the same
    tokenizer; `unknown_share` is the share of running words that a general list does not know, `code_share` of
    acronyms and codes. `agreement` is the mean overlap of neighbours over the terms that were looked at; of chance
    alone it would be `chance_agreement`. `language` is the code of the list that fits the corpus best, "" where none
    does (then nothing counts as unknown); `english` says whether it is English.
    """

    documents: int
    words: int
    distinct_words: int
    fertility: float
    english_fertility: float
    unknown_share: float
    code_share: float
    agreement: float
    chance_agreement: float
    terms_compared: int
    fragmented: tuple[Term, ...]
    unknown: tuple[Term, ...]
    codes: tuple[Term, ...]
    disputed: tuple[DisputedTerm, ...]
    english: bool = True
    language: str = "en"


class Failure(StrEnum):
    """Why a query may have failed: not exclusive, one query can have several."""

    LEXICAL_GAP = "lexical gap"
    RARE_TERMS = "rare terms"
    NEAR_DUPLICATES = "near-duplicate documents"
    CUT_OFF = "long documents cut off"
    HUBS = "hubs"


@dataclass(frozen=True, slots=True)
class FailureBucket:
    """A kind of failure: `failed` of the failed queries show it, and `succeeded` of the others.

    `ratio` = its share among failed over its share among others: 1 means that it explains nothing.
    """

    failure: Failure
    failed: int
    succeeded: int
    ratio: float


@dataclass(frozen=True, slots=True)
class SystemScore:
    """NDCG@10 of a system on the held-out queries. `recall` is Recall@100 where it was measured."""

    system: str
    ndcg: Interval
    recall: Interval | None = None


@dataclass(frozen=True, slots=True)
class BaselineFacts:
    """How well search is without tuning, and where it fails.

    `ceiling` is NDCG@10 if the best 100 of the base model were reranked perfectly: no reranker can bring more.
    `failed` counts queries whose best answer is not among the first ten of the base model. `reranker` is what the
    cross-encoder that the configuration names makes of the base model's first hits on dev queries, None without one.
    """

    queries: int
    documents: int
    systems: tuple[SystemScore, ...]
    ceiling: Interval
    failed: int
    buckets: tuple[FailureBucket, ...]
    hub_share: float
    truncated_share: float
    duplicate_share: float
    reranker: DevComparison | None = None


@dataclass(frozen=True, slots=True)
class NeededJudgments:
    """How many judged test queries find a true difference of `effect` NDCG@10 with 80% power."""

    effect: float
    queries: int


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What there is to learn from and to test on.

    `suspicious_share` is the estimated share of pairs whose document does not answer the query, by round trip (and by
    a teacher where there is one), with its interval; `unfindable` counts pairs whose document the base model and BM25
    both leave out of their first hundred. `detectable` is the smallest true difference that the test queries find.
    """

    pairs: int
    train_queries: int
    dev_queries: int
    test_queries: int
    documents_with_pairs: int
    suspicious_share: Interval | None
    unfindable: int
    teacher_disagreement: float | None
    detectable: float
    needed: tuple[NeededJudgments, ...]
    made_queries: bool = False


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One probe: trained on the pairs of `queries` train queries, its gain in NDCG@10 on the measured queries.

    `error` is the standard error of the gain over the measured queries.
    """

    recipe: str
    queries: int
    seed: int
    gain: float
    error: float
    seconds: float


@dataclass(frozen=True, slots=True)
class ExpectedGain:
    """NDCG@10 that full tuning is expected to add to the base model, with an interval of prediction.

    `chance` is the predicted probability that the gain is above the least that counts.
    """

    queries: int
    gain: Interval
    chance: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What full tuning would take on this machine, in minutes, and from what that was reckoned."""

    training: float
    encoding: float
    why: str


@dataclass(frozen=True, slots=True)
class GainFacts:
    """The probes, and what they let expect of all training queries and of twice as many.

    `share` of the train queries is the most that a probe learnt from; `confidence` that of the predicted intervals.
    """

    measured_queries: int
    share: float
    confidence: float
    points: tuple[CurvePoint, ...]
    full: ExpectedGain
    double: ExpectedGain
    cost: Cost


@dataclass(frozen=True, slots=True)
class Remark:
    """One line of advice, the most important first: what, and the evidence for it in words."""

    remedy: Remedy
    why: str


@dataclass(frozen=True, slots=True)
class DiagnosisFacts:
    """The whole diagnosis. Parts that could not be made (no queries, no pairs) are None, and `verdict` says why."""

    decision: Decision
    verdict: str
    reasons: tuple[str, ...]
    advice: tuple[Remark, ...]
    language: LanguageFacts
    baseline: BaselineFacts | None
    data: DataFacts | None
    gain: GainFacts | None
    seconds: Mapping[str, float]
    warnings: tuple[str, ...] = ()
