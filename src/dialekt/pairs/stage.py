"""The pairs stage: the divided queries and every other source → training pairs, one table of queries and judgments."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dialekt.config import PairsConfig
from dialekt.errors import InputError
from dialekt.pairs.chunks import Chunks, read_chunks
from dialekt.pairs.held_out import group_documents, held_out_documents
from dialekt.pairs.intake import Divided, PairsInputs, read_divided, read_negatives, read_offers, read_weights
from dialekt.pairs.mixing import Offer, admit, set_aside, weigh
from dialekt.pairs.records import MADE_QUERIES, DocumentKeys, HeldOutDocument, KnownNegative
from dialekt.store.tables import read_records, write_records
from dialekt.types import Pair, PairSource, Progress, Qrel, Query, ReportProgress, Split, no_progress

__all__ = ["STAGE_VERSION", "PairsFacts", "PairsInputs", "choose_positives", "run"]

STAGE_VERSION = 3
MOST_MADE_QUERIES_HELD_OUT = 500


@dataclass(frozen=True, slots=True)
class PairsFacts:
    """What became training pairs. `by_source` counts pairs by where they came from.

    `held_out` says where the test queries come from: judgments, logs or made queries. `made_dev_queries` counts dev
    queries that were made from documents: all of them, or none.
    """

    pairs: int
    queries: int
    documents: int
    held_out: str
    made_dev_queries: int
    by_source: dict[str, int]
    known_negatives: dict[str, int]
    dropped: dict[str, int]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Mixed:
    """The queries and judgments of all sources, and the offers that came beside the main one."""

    queries: list[Query]
    qrels: list[Qrel]
    offers: list[Offer]


def run(config: PairsConfig, inputs: PairsInputs, out: Path, *, progress: ReportProgress = no_progress) -> PairsFacts:
    """Mix the sources and write the pairs with the queries, judgments, held-out documents and known negatives.

    Raises `InputError` when no pair is left.
    """
    progress(Progress("mixing sources", 0))
    dropped: Counter[str] = Counter()
    keys = read_records(inputs.corpus / "documents.parquet", DocumentKeys)
    divided = read_divided(inputs)
    offers = [
        offer
        for offer in read_offers(inputs, keys, minimum_grade=config.minimum_grade)
        if offer.source not in config.leave_out
    ]
    groups = group_documents(keys) if offers else {}
    mixed = _mix(inputs, divided, offers, groups, dropped)
    held_out = _held_out(config, inputs, mixed, groups)
    train = [query for query in mixed.queries if query.split is Split.TRAIN]
    positives = _train_positives(config, divided, dropped)
    offered = [offer for offer in mixed.offers if offer.query.split is Split.TRAIN]
    judged = {qrel.document_id for qrels in positives.values() for qrel in qrels}
    chunks = read_chunks(
        inputs.corpus / "documents.parquet", judged | {offer.document_id for offer in offered}, held_out
    )
    pairs = _judged_pairs(config, inputs, train, positives, chunks, dropped)
    pairs += _offered_pairs(offered, chunks, dropped)
    pairs = weigh(pairs, config, seed=inputs.seed, dropped=dropped)
    if not pairs:
        raise InputError(
            f"no train query has a document of grade {config.minimum_grade:g} or more",
            hint="lower pairs.minimum_grade, check the grades in the judgments, or leave out fewer sources",
        )
    trained = {pair.query_id for pair in pairs}
    negatives = read_negatives(inputs, trained)
    write_records(out / "pairs.parquet", pairs, Pair)
    write_records(out / "queries.parquet", _of_use(mixed.queries, divided, trained), Query)
    write_records(out / "qrels.parquet", mixed.qrels, Qrel)
    write_records(out / "held_out_documents.parquet", map(HeldOutDocument, sorted(held_out)), HeldOutDocument)
    write_records(out / "known_negatives.parquet", negatives, KnownNegative)
    progress(Progress("mixing sources", len(pairs), len(pairs)))
    return PairsFacts(
        pairs=len(pairs),
        queries=len(trained),
        documents=len({pair.document_id for pair in pairs}),
        held_out=_origin_of_tests(inputs),
        made_dev_queries=sum(query.split is Split.DEV for query in mixed.queries[len(divided.queries) :]),
        by_source=dict(sorted(Counter(pair.source.value for pair in pairs).items())),
        known_negatives=dict(sorted(Counter(negative.retriever.value for negative in negatives).items())),
        dropped=dict(sorted(dropped.items())),
        warnings=_warnings(pairs, inputs),
    )


def choose_positives(
    config: PairsConfig, query: Query, qrels: Iterable[Qrel], chunks: Chunks, dropped: Counter[str]
) -> list[tuple[Qrel, str]]:
    """Return a query's positives with the chunk of each, best grade first, equal grades by document id.

    Of near-duplicate positives the first is kept. What is left out is counted in `dropped` by reason.
    """
    chosen: list[tuple[Qrel, str]] = []
    seen: set[str] = set()
    for qrel in sorted(qrels, key=lambda qrel: (-qrel.grade, qrel.document_id)):
        chunk = chunks.best(query.text, qrel.document_id)
        if chunk is None:
            dropped["positives_with_held_out_text"] += 1
        elif chunk.duplicate_of in seen:
            dropped["near_duplicate_positives"] += 1
        elif config.max_positives_per_query is not None and len(chosen) == config.max_positives_per_query:
            dropped["positives_beyond_limit"] += 1
        else:
            seen.add(chunk.duplicate_of)
            chosen.append((qrel, chunk.id))
    return chosen


def _mix(
    inputs: PairsInputs,
    divided: Divided,
    offers: Sequence[Offer],
    groups: Mapping[str, str],
    dropped: Counter[str],
) -> _Mixed:
    """Join what the other sources offer to the divided queries; without any, made queries are divided themselves."""
    if not offers:
        return _Mixed([*divided.queries], [*divided.qrels], [])
    present = {query.split for query in divided.queries}
    shares = {Split.TEST: inputs.test_share, Split.DEV: inputs.dev_share}
    missing = {split: share for split, share in shares.items() if split not in present}
    made = [offer for offer in offers if offer.source is PairSource.SYNTHETIC]
    if missing and made:
        aside = set_aside(made, groups.__getitem__, missing, most=MOST_MADE_QUERIES_HELD_OUT, seed=inputs.seed)
        held_out = [offer for offer in aside if offer.query.split is not Split.TRAIN]
        of_held_out = {offer.query.id for offer in held_out}
        offers = [offer for offer in offers if offer.query.id not in of_held_out]
    else:
        held_out = []
    queries = [*divided.queries, *{offer.query.id: offer.query for offer in held_out}.values()]
    qrels = [*divided.qrels, *(offer.qrel for offer in held_out)]
    admitted = admit(offers, queries, qrels, similarity=inputs.near_duplicate_similarity, dropped=dropped)
    known = {query.id for query in queries}
    new = {offer.query.id: offer.query for offer in admitted if offer.query.id not in known}
    return _Mixed([*queries, *new.values()], [*qrels, *(offer.qrel for offer in admitted)], admitted)


def _held_out(config: PairsConfig, inputs: PairsInputs, mixed: _Mixed, groups: Mapping[str, str]) -> set[str]:
    """Return the documents that only held-out queries ask for.

    A document that a log or a made query trains is not among them: that it is in the index is known to all.
    """
    if inputs.split is not None and not mixed.offers:
        held_out = read_records(inputs.split / "held_out_documents.parquet", HeldOutDocument)
        return {document.document_id for document in held_out}
    return set(
        held_out_documents(mixed.queries, mixed.qrels, minimum_grade=config.minimum_grade, document_groups=groups)
    )


def _train_positives(config: PairsConfig, divided: Divided, dropped: Counter[str]) -> Mapping[str, list[Qrel]]:
    train = {query.id for query in divided.queries if query.split is Split.TRAIN}
    positives: defaultdict[str, list[Qrel]] = defaultdict(list)
    for qrel in divided.qrels:
        if qrel.query_id not in train:
            continue
        if qrel.grade >= config.minimum_grade:
            positives[qrel.query_id].append(qrel)
        else:
            dropped["judgments_below_minimum_grade"] += 1
    return positives


def _judged_pairs(
    config: PairsConfig,
    inputs: PairsInputs,
    train: Sequence[Query],
    positives: Mapping[str, list[Qrel]],
    chunks: Chunks,
    dropped: Counter[str],
) -> list[Pair]:
    """Return the pairs of the main source: `pairs` where the judgments brought the text, else `qrels`, or `logs`."""
    inline: set[str] = set()
    if inputs.judgments is not None:
        inline = {key.id for key in read_records(inputs.judgments / "documents.parquet", DocumentKeys)}
    weights = read_weights(inputs)
    pairs = []
    for query in train:
        for qrel, chunk_id in choose_positives(config, query, positives.get(query.id, ()), chunks, dropped):
            source = PairSource.PAIRS if qrel.document_id in inline else PairSource.QRELS
            if inputs.logs_are_main:
                source = PairSource.LOGS
            weight = weights.get((query.id, qrel.document_id), 1.0)
            pairs.append(Pair(query.id, chunk_id, qrel.grade, weight, source))
    return pairs


def _offered_pairs(offers: Sequence[Offer], chunks: Chunks, dropped: Counter[str]) -> list[Pair]:
    """Return the pairs of the other sources; one without a unit of its own takes the chunk that fits the query."""
    units = {chunk.id for found in chunks.of_document.values() for chunk in found}
    pairs = []
    for offer in offers:
        best = chunks.best(offer.query.text, offer.document_id)
        unit = offer.unit_id or (best.id if best else "")
        if unit in units:
            pairs.append(Pair(offer.query.id, unit, offer.grade, offer.weight, offer.source))
        else:
            dropped[f"{offer.source.value}_pairs_with_held_out_text"] += 1
    return pairs


def _of_use(queries: Sequence[Query], divided: Divided, trained: set[str]) -> list[Query]:
    """Return the divided queries, the held-out ones, and of the others those that have a pair."""
    own = {query.id for query in divided.queries}
    return [query for query in queries if query.id in own or query.split is not Split.TRAIN or query.id in trained]


def _origin_of_tests(inputs: PairsInputs) -> str:
    if inputs.split is None:
        return MADE_QUERIES
    return "logs" if inputs.logs_are_main else "judgments"


def _warnings(pairs: Sequence[Pair], inputs: PairsInputs) -> tuple[str, ...]:
    warnings = []
    if len(pairs) < 100:
        warnings.append(f"only {len(pairs)} training pairs: expect a small gain, or none")
    if inputs.split is None:
        warnings.append(
            "there are no judgments and no logs: the test queries were made from documents like the training queries, "
            "so the scores say how well the model finds such queries' documents, not how well people find theirs"
        )
    return tuple(warnings)
