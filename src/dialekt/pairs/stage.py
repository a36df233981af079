"""Stage 4, pairs: the train part of the split and the corpus → training pairs of a query and one chunk."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dialekt.config import PairsConfig
from dialekt.errors import InputError
from dialekt.pairs.chunks import Chunks, read_chunks
from dialekt.pairs.records import DocumentKeys, HeldOutDocument
from dialekt.store.tables import read_records, write_records
from dialekt.types import Pair, PairSource, Progress, Qrel, Query, ReportProgress, Split, no_progress

STAGE_VERSION = 1


@dataclass(frozen=True, slots=True)
class PairsInputs:
    """The split, corpus and judgments artefacts."""

    split: Path
    corpus: Path
    judgments: Path


@dataclass(frozen=True, slots=True)
class PairsFacts:
    """What became training pairs. `by_source` counts pairs by where their judgment came from."""

    pairs: int
    queries: int
    documents: int
    by_source: dict[str, int]
    dropped: dict[str, int]
    warnings: tuple[str, ...]


def run(config: PairsConfig, inputs: PairsInputs, out: Path, *, progress: ReportProgress = no_progress) -> PairsFacts:
    """Write a pair for every positive of every train query; raise `InputError` when there is none."""
    queries = [query for query in read_records(inputs.split / "queries.parquet", Query) if query.split is Split.TRAIN]
    positives, dropped = _train_positives(config, queries, read_records(inputs.split / "qrels.parquet", Qrel))
    progress(Progress("choosing pairs", 0, len(queries)))
    held_out = read_records(inputs.split / "held_out_documents.parquet", HeldOutDocument)
    chunks = read_chunks(
        inputs.corpus / "documents.parquet",
        {qrel.document_id for qrels in positives.values() for qrel in qrels},
        {document.document_id for document in held_out},
    )
    inline = {key.id for key in read_records(inputs.judgments / "documents.parquet", DocumentKeys)}
    pairs: list[Pair] = []
    for query in queries:
        found = choose_positives(config, query, positives[query.id], chunks, dropped)
        pairs += [_pair(qrel, chunk_id, inline) for qrel, chunk_id in found]
    if not pairs:
        raise InputError(
            f"no train query has a document of grade {config.minimum_grade:g} or more",
            hint="lower pairs.minimum_grade, or check the grades in the judgments",
        )
    write_records(out / "pairs.parquet", pairs, Pair)
    progress(Progress("choosing pairs", len(queries), len(queries)))
    return PairsFacts(
        pairs=len(pairs),
        queries=len({pair.query_id for pair in pairs}),
        documents=len({pair.document_id for pair in pairs}),
        by_source=dict(sorted(Counter(pair.source.value for pair in pairs).items())),
        dropped=dict(sorted(dropped.items())),
        warnings=_warnings(pairs),
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


def _train_positives(
    config: PairsConfig, queries: Sequence[Query], qrels: Iterable[Qrel]
) -> tuple[dict[str, list[Qrel]], Counter[str]]:
    train = {query.id for query in queries}
    positives: defaultdict[str, list[Qrel]] = defaultdict(list)
    dropped: Counter[str] = Counter()
    for qrel in qrels:
        if qrel.query_id not in train:
            continue
        if qrel.grade >= config.minimum_grade:
            positives[qrel.query_id].append(qrel)
        else:
            dropped["judgments_below_minimum_grade"] += 1
    return positives, dropped


def _pair(qrel: Qrel, chunk_id: str, inline: set[str]) -> Pair:
    """Return the pair; its source is `pairs` when the judgments brought the document's text, else `qrels`."""
    source = PairSource.PAIRS if qrel.document_id in inline else PairSource.QRELS
    return Pair(qrel.query_id, chunk_id, qrel.grade, 1.0, source)


def _warnings(pairs: Sequence[Pair]) -> tuple[str, ...]:
    if len(pairs) < 100:
        return (f"only {len(pairs)} training pairs: expect a small gain, or none",)
    return ()
