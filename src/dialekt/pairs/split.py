"""Stage 3, split: judgments and corpus → train, dev and test queries, set aside before anything is made from them."""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from dialekt.config import SplitConfig, SplitMethod
from dialekt.errors import ConfigError, InputError
from dialekt.pairs.assignment import (
    Assignment,
    assign_by_time,
    assign_grouped,
    assign_official,
    join_by_document,
    parse_time,
    query_clusters,
    remove_near_duplicates,
)
from dialekt.pairs.held_out import group_documents, held_out_documents
from dialekt.pairs.records import DocumentKeys, GivenQrel, HeldOutDocument, JudgedQuery
from dialekt.pairs.relevance import Judged, given_split, match_with_corpus
from dialekt.store.tables import read_records, write_records
from dialekt.types import Progress, Qrel, Query, ReportProgress, Split, no_progress

__all__ = ["STAGE_VERSION", "SplitFacts", "SplitInputs", "held_out_documents", "minimum_detectable_effect", "run"]

STAGE_VERSION = 2
MINIMUM_QUERIES = 10
COMFORTABLE_TEST_QUERIES = 50
ASSUMED_STANDARD_DEVIATION = 0.3


@dataclass(frozen=True, slots=True)
class SplitInputs:
    """The judgments and corpus artefacts. `source` is the user's path, for error messages only.

    `others_teach` says that training pairs come from elsewhere too, so that judgments which name only test queries
    can all stay test queries.
    """

    judgments: Path
    corpus: Path
    seed: int
    minimum_grade: float
    source: Path | None = None
    others_teach: bool = False


@dataclass(frozen=True, slots=True)
class SplitFacts:
    """How the queries were divided. `positives` counts judgments; `minimum_detectable_effect` is in units of NDCG."""

    method: str
    queries: dict[str, int]
    positives: dict[str, int]
    held_out_documents: int
    near_duplicate_queries_removed: int
    query_clusters: int
    minimum_detectable_effect: float
    assumed_standard_deviation: float
    dropped: dict[str, int]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Divided:
    """The split queries and their qrels, ready to be written."""

    queries: list[Query]
    qrels: list[Qrel]


def run(config: SplitConfig, inputs: SplitInputs, out: Path, *, progress: ReportProgress = no_progress) -> SplitFacts:
    """Divide the judged queries and write them with their qrels and the held-out documents.

    Raises `InputError` when there are too few queries with a positive, when the corpus lacks most of the judged
    documents, or when the method cannot work with these judgments.
    """
    qrels = read_records(inputs.judgments / "qrels.parquet", GivenQrel)
    keys = read_records(inputs.corpus / "documents.parquet", DocumentKeys)
    document_groups = group_documents(keys)
    progress(Progress("dividing queries", 0))
    method, notes = choose_method(config, qrels, inputs)
    judged = match_with_corpus(
        read_records(inputs.judgments / "queries.parquet", JudgedQuery),
        qrels,
        document_groups,
        minimum_grade=inputs.minimum_grade,
        use_given_splits=method is SplitMethod.OFFICIAL,
        source=inputs.source,
    )
    require_enough(judged, inputs.source)
    assignment, more = assign(config, inputs, judged, document_groups, method=method)
    divided = _divide(judged, assignment)
    held_out = held_out_documents(
        divided.queries, divided.qrels, minimum_grade=inputs.minimum_grade, document_groups=document_groups
    )
    write_records(out / "queries.parquet", divided.queries, Query)
    write_records(out / "qrels.parquet", divided.qrels, Qrel)
    write_records(out / "held_out_documents.parquet", map(HeldOutDocument, held_out), HeldOutDocument)
    progress(Progress("dividing queries", len(divided.queries), len(divided.queries)))
    warnings = (*judged.warnings, *notes, *more)
    return _facts(method, judged, assignment, divided, held_out, warnings, inputs)


def choose_method(config: SplitConfig, qrels: list[GivenQrel], inputs: SplitInputs) -> tuple[SplitMethod, list[str]]:
    """Return the method that will be used, and what to tell the user about the choice."""
    named = {given_split(qrel) for qrel in qrels if qrel.grade >= inputs.minimum_grade}
    usable = len(named) > 1 or (inputs.others_teach and Split.TEST in named)
    match config.method:
        case SplitMethod.AUTO if usable:
            return SplitMethod.OFFICIAL, []
        case SplitMethod.AUTO:
            only = [split.value for split in named if split is not Split.TRAIN]
            notes = [f"the judgments name only {only[0]} queries, so all were divided anew"] if only else []
            return SplitMethod.GROUPED, notes
        case SplitMethod.OFFICIAL if not usable:
            raise InputError(
                "split.method = 'official', but the judgments name fewer than two of train, dev and test",
                path=inputs.source,
                hint="use split.method = 'grouped', or name the files train.tsv, dev.tsv and test.tsv",
            )
        case SplitMethod.TIME if config.group_by == "document":
            raise ConfigError(
                "split.group_by = 'document' has no effect with split.method = 'time'", hint="remove one of the two"
            )
        case chosen:
            return chosen, []


def require_enough(judged: Judged, source: Path | None) -> None:
    """Raise `InputError` when too few queries are left to set some aside."""
    if len(judged.queries) < MINIMUM_QUERIES:
        raise InputError(
            f"only {len(judged.queries)} queries have a positive document, at least {MINIMUM_QUERIES} are needed",
            path=source,
            hint="add judged queries: from about 250 on, a test set can tell a real gain from chance",
        )


def assign(
    config: SplitConfig, inputs: SplitInputs, judged: Judged, document_groups: dict[str, str], *, method: SplitMethod
) -> tuple[Assignment, list[str]]:
    """Give every query its split, and say what to tell the user about it."""
    clusters = query_clusters(judged.queries, config.near_duplicate_similarity)
    groups = clusters
    if config.group_by == "document":
        groups = join_by_document(clusters, judged.positives(inputs.minimum_grade), document_groups)
    dev_share, test_share = config.dev_share, config.test_share
    notes: list[str] = []
    match method:
        case SplitMethod.OFFICIAL:
            given = {query.id: judged.given[query.id] for query in judged.queries}
            if inputs.others_teach and Split.TRAIN not in given.values():
                assignment = remove_near_duplicates(given, clusters)
            else:
                assignment = assign_official(
                    given, clusters, groups, dev_share=dev_share, test_share=test_share, seed=inputs.seed
                )
                notes = _notes_on_given(given)
        case SplitMethod.TIME:
            times, notes = _times(judged, config.time_field, inputs.source)
            assignment = assign_by_time(times, clusters, dev_share=dev_share, test_share=test_share)
        case _:
            assignment = assign_grouped(groups, dev_share=dev_share, test_share=test_share, seed=inputs.seed)
    if not inputs.others_teach:
        _require_every_split(assignment, config, inputs.source)
    return assignment, notes


def _notes_on_given(given: dict[str, Split]) -> list[str]:
    present = set(given.values())
    if Split.TRAIN not in present:
        return ["the judgments name no train queries, so the dev queries were divided into train and dev"]
    missing = [split.value for split in (Split.DEV, Split.TEST) if split not in present]
    return [f"the judgments name no {split} queries, so some were carved from train" for split in missing]


def _times(judged: Judged, time_field: str, source: Path | None) -> tuple[dict[str, float], list[str]]:
    parsed = {query.id: parse_time(query.timestamp) for query in judged.queries}
    times = {query_id: time for query_id, time in parsed.items() if time is not None}
    without = len(parsed) - len(times)
    if 2 * without > len(parsed):
        raise InputError(
            f"{without} of {len(parsed)} queries have no readable time in the field {time_field!r}",
            path=source,
            hint="set split.time_field to the field with ISO 8601 times or seconds, or split.method = 'grouped'",
        )
    return times, [f"{without} queries without a readable time were put into train"] if without else []


def _require_every_split(assignment: Assignment, config: SplitConfig, source: Path | None) -> None:
    present = set(assignment.splits.values())
    for split in Split:
        if split not in present:
            largest = Counter(assignment.clusters.values()).most_common(1)[0][1]
            hint = "use split.group_by = 'query'" if config.group_by == "document" else "add judged queries"
            raise InputError(
                f"no query is left for {split.value}: the largest group that must stay together has {largest} "
                f"of {len(assignment.clusters)}, and {len(assignment.removed)} near-duplicates were removed",
                path=source,
                hint=f"{hint}, or change split.near_duplicate_similarity",
            )


def _divide(judged: Judged, assignment: Assignment) -> _Divided:
    splits = assignment.splits
    queries = [
        Query(query.id, query.text, splits[query.id], assignment.clusters[query.id])
        for query in judged.queries
        if query.id in splits
    ]
    qrels = [Qrel(qrel.query_id, qrel.document_id, qrel.grade) for qrel in judged.qrels if qrel.query_id in splits]
    return _Divided(queries, qrels)


def _facts(
    method: SplitMethod,
    judged: Judged,
    assignment: Assignment,
    divided: _Divided,
    held_out: list[str],
    warnings: tuple[str, ...],
    inputs: SplitInputs,
) -> SplitFacts:
    split_of = {query.id: query.split for query in divided.queries}
    positives = Counter(split_of[qrel.query_id] for qrel in divided.qrels if qrel.grade >= inputs.minimum_grade)
    counts = Counter(split_of.values())
    removed = Counter(f"{split.value}_queries_near_held_out" for split in assignment.removed.values())
    tests = counts[Split.TEST]
    effect = minimum_detectable_effect(tests)
    if tests < COMFORTABLE_TEST_QUERIES:
        warnings = (*warnings, f"only {tests} test queries: a gain below {effect:.2f} NDCG cannot be told from chance")
    return SplitFacts(
        method=method.value,
        queries={split.value: counts[split] for split in Split},
        positives={split.value: positives[split] for split in Split},
        held_out_documents=len(held_out),
        near_duplicate_queries_removed=len(assignment.removed),
        query_clusters=len({query.cluster for query in divided.queries}),
        minimum_detectable_effect=effect,
        assumed_standard_deviation=ASSUMED_STANDARD_DEVIATION,
        dropped={**judged.dropped, **dict(sorted(removed.items()))},
        warnings=warnings,
    )


def minimum_detectable_effect(
    queries: int,
    *,
    standard_deviation: float = ASSUMED_STANDARD_DEVIATION,
    significance: float = 0.05,
    power: float = 0.8,
) -> float:
    """Return the smallest mean difference per query that a two-sided z test on paired differences would detect.

    MDE = (z(1 - significance / 2) + z(power)) · standard_deviation / √queries, where z is the normal quantile and
    standard_deviation that of the paired differences. Source:
    Cohen, Statistical Power Analysis for the Behavioral Sciences, 2nd ed. 1988, ch. 2; for topic sets of retrieval
    experiments: Sakai, Topic set size design, Information Retrieval Journal 19, 2016.
    """
    from scipy.special import ndtri  # what scipy.stats.norm.ppf calls, in a quarter of the import time

    quantiles = float(ndtri(1 - significance / 2)) + float(ndtri(power))
    return quantiles * standard_deviation / math.sqrt(queries)
