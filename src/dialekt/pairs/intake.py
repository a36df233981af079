"""Reading what the sources offer: the divided queries of the main source, and the offers of the others."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dialekt.pairs.mixing import Offer
from dialekt.pairs.records import (
    DocumentKeys,
    GivenNegative,
    GivenQrel,
    JudgedQuery,
    KnownNegative,
    LogWeight,
    MadeQuery,
    PassedOver,
)
from dialekt.store.tables import read_records
from dialekt.types import PairSource, Qrel, Query, Retriever, Split

PASSED_OVER_PER_QUERY = 2  # they are weak: mined negatives must keep their place beside them


@dataclass(frozen=True, slots=True)
class PairsInputs:
    """The artefacts of the sources, None where there is no such source, and of the corpus.

    `split` holds the divided queries of the judgments or, without any, of the logs. The shares divide made queries
    where no other source brings dev or test queries. `minimum_grade` is in the configuration of the pairs.
    """

    corpus: Path
    split: Path | None
    judgments: Path | None = None
    logs: Path | None = None
    synthesis: Path | None = None
    near_duplicate_similarity: float = 0.9
    dev_share: float = 0.1
    test_share: float = 0.2
    seed: int = 13

    @property
    def logs_are_main(self) -> bool:
        """Whether the divided queries are those of the logs."""
        return self.judgments is None and self.logs is not None


@dataclass(frozen=True, slots=True)
class Divided:
    """Queries with their splits and judgments."""

    queries: tuple[Query, ...] = ()
    qrels: tuple[Qrel, ...] = ()


def read_divided(inputs: PairsInputs) -> Divided:
    """Read the divided queries of the main source; nothing where there is none."""
    if inputs.split is None:
        return Divided()
    queries = read_records(inputs.split / "queries.parquet", Query)
    return Divided(tuple(queries), tuple(read_records(inputs.split / "qrels.parquet", Qrel)))


def read_weights(inputs: PairsInputs) -> dict[tuple[str, str], float]:
    """Read how certain the logs are of each answer; nothing where logs are not the main source."""
    if not inputs.logs_are_main or inputs.logs is None:
        return {}
    return {
        (row.query_id, row.document_id): row.weight for row in read_records(inputs.logs / "qrels.parquet", LogWeight)
    }


def read_offers(inputs: PairsInputs, keys: Sequence[DocumentKeys], *, minimum_grade: float) -> list[Offer]:
    """Read what logs beside judgments, and made queries, offer for training."""
    offers: list[Offer] = []
    if inputs.logs is not None and not inputs.logs_are_main:
        offers += _log_offers(inputs.logs, {key.parent_id or key.id for key in keys}, minimum_grade)
    if inputs.synthesis is not None:
        offers += _made_offers(inputs.synthesis, {key.id: key.parent_id or key.id for key in keys})
    return offers


def _log_offers(folder: Path, parents: set[str], minimum_grade: float) -> Iterable[Offer]:
    """Yield the answers that the past of the log offers; its held-out future stays out of training."""
    texts = {query.id: query.text for query in read_records(folder / "queries.parquet", JudgedQuery)}
    weights = {(row.query_id, row.document_id): row.weight for row in read_records(folder / "qrels.parquet", LogWeight)}
    for qrel in read_records(folder / "qrels.parquet", GivenQrel):
        usable = qrel.grade >= minimum_grade and qrel.split in ("", Split.TRAIN.value) and qrel.document_id in parents
        if usable:
            query = Query(qrel.query_id, texts[qrel.query_id], Split.TRAIN, qrel.query_id)
            weight = weights[qrel.query_id, qrel.document_id]
            yield Offer(query, qrel.document_id, PairSource.LOGS, "", qrel.grade, weight)


def _made_offers(folder: Path, parent_of: Mapping[str, str]) -> Iterable[Offer]:
    for made in read_records(folder / "queries.parquet", MadeQuery):
        query = Query(made.id, made.text, Split.TRAIN, made.id)
        parent = parent_of[made.document_id]
        yield Offer(query, parent, PairSource.SYNTHETIC, made.document_id, weight=made.weight)


def read_negatives(inputs: PairsInputs, trained: set[str]) -> list[KnownNegative]:
    """Read the negatives of the trained queries that need no search, those passed over in a log only a few a query."""
    found: list[GivenNegative] = []
    if inputs.judgments is not None:
        found += read_records(inputs.judgments / "given_negatives.parquet", GivenNegative)
    if inputs.synthesis is not None:
        found += read_records(inputs.synthesis / "negatives.parquet", GivenNegative)
    negatives = {
        (row.query_id, row.document_id): KnownNegative(row.query_id, row.document_id)
        for row in found
        if row.query_id in trained
    }
    for row in _passed_over(inputs.logs, trained):
        weak = KnownNegative(row.query_id, row.document_id, row.weight, Retriever.SKIPPED)
        negatives.setdefault((row.query_id, row.document_id), weak)
    return [negatives[key] for key in sorted(negatives)]


def _passed_over(folder: Path | None, trained: set[str]) -> Iterable[PassedOver]:
    if folder is None:
        return
    taken: dict[str, int] = {}
    rows = read_records(folder / "weak_negatives.parquet", PassedOver)
    for row in sorted(rows, key=lambda row: (row.query_id, -row.count, row.document_id)):
        taken[row.query_id] = taken.get(row.query_id, 0) + 1
        if row.query_id in trained and taken[row.query_id] <= PASSED_OVER_PER_QUERY:
            yield row
