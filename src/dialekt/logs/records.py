"""What the log room takes and gives: the shape of a log, its cleaning funnel, and the tables that it writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dialekt.config import CleaningConfig

STAGE_VERSION = 3

QUERIES_NAME = "queries.parquet"
QRELS_NAME = "qrels.parquet"
WEAK_NEGATIVES_NAME = "weak_negatives.parquet"
REPORT_NAME = "report.json"

# The cleaning rules in the order in which they are asked, as reports name them.
RULE_MEANINGS: Mapping[str, str] = {
    "internal_clients": "internal clients",
    "bots_too_fast": "machines: too fast",
    "bots_evenly_timed": "machines: evenly timed",
    "bots_without_click": "machines: never click",
    "bots_clicking_all": "machines: click everything",
    "malformed": "no word in the query",
    "too_short": "query too short",
    "too_long": "query too long",
    "personal_data": "nothing but personal data",
    "merge_spellings": "spellings merged",
    "navigational": "navigational",
    "too_few_clients": "too few clients",
}


@dataclass(frozen=True, slots=True)
class LogQuery:
    """A query of the log, with personal data masked. `timestamp` is when it was first searched, "" without times.

    `frequency` is head, torso or tail: the most frequent hundredth of the log's queries, the next tenth, the others.
    """

    id: str
    text: str
    timestamp: str = ""
    frequency: str = ""


@dataclass(frozen=True, slots=True)
class LogQrel:
    """A judgment drawn from clicks, with what it rests on.

    `split` is "" when the log has no times. `relevance` is the estimate without the bias of the rank, and
    `lower_bound` its one-sided bound; `weight` in (0, 1] is what the evidence is worth in training.
    """

    query_id: str
    document_id: str
    grade: float
    split: str
    weight: float
    impressions: int
    clicks: int
    relevance: float
    lower_bound: float


@dataclass(frozen=True, slots=True)
class WeakNegative:
    """A document that searchers of a query passed over `count` times, above the one they acted on."""

    query_id: str
    document_id: str
    weight: float
    count: int


@dataclass(frozen=True, slots=True)
class LogShape:
    """What a log knows. Times are unix seconds in UTC, 0 without times."""

    impressions_known: bool
    ranks_known: bool
    times_known: bool
    sessions_known: bool
    clients_known: bool
    dwell_known: bool
    propensities_known: bool
    first_time: float = 0.0
    last_time: float = 0.0


@dataclass(frozen=True, slots=True)
class EvidencePlan:
    """What the evidence rests on besides the tables: the log's shape, and how much of it is held out."""

    shape: LogShape
    dev_share: float
    test_share: float
    seed: int


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """What one cleaning rule left of the log. `switched_off` says that the user's settings skip it."""

    rule: str
    rows_in: int
    rows_out: int
    searches_in: int
    searches_out: int
    queries_in: int
    queries_out: int
    switched_off: bool = False


@dataclass(frozen=True, slots=True)
class IntakeFacts:
    """What was read, and what of it could not be used.

    `shown` counts documents on result pages, `actions` those that somebody acted on. `repeated_events` say again what
    another event of their search and document says. `hits_used` says that result lists stand for impressions, of which
    the log has none.
    """

    files: int
    lines: int
    format: str
    damaged_lines: int
    searches: int
    shown: int
    actions: int
    repeated_events: int
    unknown_actions: Mapping[str, int]
    events_without_query: int
    events_without_document: int
    hits_used: bool
    ranks_from_zero: bool


@dataclass(frozen=True, slots=True)
class LogsInputs:
    """What the stage reads besides the log. `corpus` is the corpus' table, to know which documents still exist."""

    cleaning: CleaningConfig
    corpus: Path | None
    dev_share: float
    test_share: float
    seed: int


@dataclass(frozen=True, slots=True)
class ExaminationPoint:
    """A rank, deep ones pooled under their first: how often it is looked at, beside its raw click rate."""

    rank: int
    estimate: float
    click_rate: float
    impressions: int


@dataclass(frozen=True, slots=True)
class FrequencyPoint:
    """The searches of the query at this place, the most frequent query first."""

    rank: int
    searches: int


@dataclass(frozen=True, slots=True)
class EvidenceFacts:
    """What became of the clean searches: counts of the tables written, and how well the click model predicts.

    `threshold` is the relevance that a positive's lower bound reaches, `base_relevance` that of a shown document on
    average. `perplexity` of held-out clicks (1 is perfect) is by method: each fitted model beside `popularity` (the
    pair's own click rate, smoothed) and `rank_only`. `query_shares` are the shares of all searches by how frequent
    their query is. `dropped` counts pairs by rule, `warnings` say what the log could not tell.
    """

    click_model: str
    fitted_pairs: int
    threshold: float
    base_relevance: float
    examination: tuple[ExaminationPoint, ...]
    frequency: tuple[FrequencyPoint, ...]
    query_shares: Mapping[str, float]
    perplexity: Mapping[str, float]
    queries: Mapping[str, int]
    positives: Mapping[str, int]
    judged_non_matches: int
    weak_negatives: int
    grades: Mapping[str, int]
    chains: int
    credited: int
    dropped: Mapping[str, int]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LogsFacts:
    """The whole way from lines to judgments: what was read, what each rule left, what was drawn from it."""

    intake: IntakeFacts
    shape: LogShape
    funnel: tuple[FunnelStep, ...]
    queries: int
    clients: int
    documents: int
    documents_unknown: int
    masked_queries: Mapping[str, int]
    evidence: EvidenceFacts
    warnings: tuple[str, ...]
