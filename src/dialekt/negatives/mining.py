"""Mining: candidates, guard and draw over blocks of queries, for any vectors of the same corpus and queries."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialekt.config import NegativeSampling, NegativesConfig
from dialekt.models.topk import top_k
from dialekt.negatives.audit import Audit, Tally
from dialekt.negatives.candidates import (
    Candidates,
    Floats,
    dense_hits,
    given_hits,
    lexical_hits,
    unite,
    with_cosines,
)
from dialekt.negatives.guard import Case, judge, lowest_positive_scores
from dialekt.negatives.ragged import Integers
from dialekt.negatives.rules import KEPT, RETRIEVERS, Verdicts
from dialekt.negatives.sampling import Hashes, draw, hash_ids, order_of_choice, random_order
from dialekt.negatives.tables import MiningTables
from dialekt.types import Divide, HardNegative, Progress, ReportProgress, Retriever, no_progress, one_by_one

QUERIES_PER_BLOCK = 2048
CELLS_PER_BLOCK = 1_000_000  # candidates at a time: about 150 MB of arrays


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """The hard negatives as arrays (negatives,), by query row and then in the order in which they were chosen."""

    query_rows: Integers
    document_rows: Integers
    ranks: Integers
    retrievers: NDArray[np.int8]
    scores: Floats
    positive_scores: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Mining:
    """What mining found, and the account of how."""

    selection: Selection
    audit: Audit


@dataclass(frozen=True, slots=True, eq=False)
class MinedBlock:
    """What mining found for one block of queries, and its part of the account."""

    selection: Selection
    tally: Tally


class Miner:
    """Mines for a block of queries; blocks know nothing of each other, so any process may do any of them.

    `query_vectors` (queries, dimension) and `document_vectors` (documents, dimension) are L2-normalised and in the
    order of the tables; the latter may be memory-mapped.
    """

    def __init__(
        self,
        config: NegativesConfig,
        tables: MiningTables,
        query_vectors: Floats,
        document_vectors: Floats,
        *,
        seed: int,
    ) -> None:
        self._config = config
        self._tables = tables
        self._query_vectors = query_vectors
        self._document_vectors = document_vectors
        self._seed = seed
        self._hashes = _hash_tables(tables) if config.sampling is NegativeSampling.RANDOM else None

    def __call__(self, rows: range) -> MinedBlock:
        """Choose hard negatives for the queries of these rows."""
        config = self._config
        vectors = np.asarray(self._query_vectors[rows.start : rows.stop], dtype=np.float32)
        case = _open_case(config, self._tables, vectors, self._document_vectors, start=rows.start)
        random = None if self._hashes is None else _random_numbers(case, *self._hashes, seed=self._seed)
        order = order_of_choice(case.candidates, random, config.sampling)
        verdicts = draw(judge(case), order, per_query=config.per_query)
        tally = Tally(per_query=config.per_query, examples=config.examples)
        tally.add(case, verdicts)
        return MinedBlock(_select(case, verdicts, order), tally)


def mine(
    config: NegativesConfig,
    tables: MiningTables,
    query_vectors: Floats,
    document_vectors: Floats,
    *,
    seed: int,
    queries_per_block: int = QUERIES_PER_BLOCK,
    progress: ReportProgress = no_progress,
) -> Mining:
    """Choose hard negatives for every query of `tables`; the same call serves re-mining with a newer model's vectors.

    Vectors are as `Miner` takes them. Memory grows with queries + documents, never with their product: candidates live
    for one block of queries, and the size of a block changes nothing in the result.
    """

    def open_miner() -> Miner:
        return Miner(config, tables, query_vectors, document_vectors, seed=seed)

    return mine_blocks(config, tables, open_miner, queries_per_block=queries_per_block, progress=progress)


def mine_blocks(
    config: NegativesConfig,
    tables: MiningTables,
    open_miner: Callable[[], Miner],
    *,
    queries_per_block: int = QUERIES_PER_BLOCK,
    divide: Divide = one_by_one,
    progress: ReportProgress = no_progress,
) -> Mining:
    """Mine block by block, in whatever process and order; the result is that of one process."""
    query_count = len(tables.queries.ids) if config.per_query else 0
    size = min(queries_per_block, largest_block(config, tables))
    blocks = [range(start, min(start + size, query_count)) for start in range(0, query_count, size)]
    mined: dict[int, MinedBlock] = {}
    done = 0
    progress(Progress("hard negatives", done, query_count))
    for place, block in divide(open_miner, blocks) if blocks else ():
        mined[place] = block
        done += len(blocks[place])
        progress(Progress("hard negatives", done, query_count))
    tally = Tally(per_query=config.per_query, examples=config.examples)
    for place in range(len(blocks)):
        tally.join(mined[place].tally)
    return Mining(_join([mined[place].selection for place in range(len(blocks))]), tally.finish())


def largest_block(config: NegativesConfig, tables: MiningTables) -> int:
    """Return how many queries can be mined at a time with their candidates within `CELLS_PER_BLOCK`."""
    width = config.depth * len(config.retrievers) + int(tables.queries.given.lengths.max(initial=0))
    return max(1, CELLS_PER_BLOCK // max(1, width))


def _open_case(
    config: NegativesConfig,
    tables: MiningTables,
    query_vectors: Floats,
    document_vectors: Floats,
    *,
    start: int,
) -> Case:
    stop = start + len(query_vectors)
    trained = tables.queries.trained.block(start, stop)
    return Case(
        candidates=_find(config, tables, query_vectors, document_vectors, start=start),
        documents=tables.documents,
        queries=tables.queries,
        start=start,
        stop=stop,
        positive_scores=lowest_positive_scores(trained, query_vectors, document_vectors),
        margin=config.margin,
        rank_from=config.rank_from,
    )


def _find(
    config: NegativesConfig,
    tables: MiningTables,
    query_vectors: Floats,
    document_vectors: Floats,
    *,
    start: int,
) -> Candidates:
    stop = start + len(query_vectors)
    given = tables.queries.given.block(start, stop)
    hits = [given_hits(given, tables.documents.parents, query_vectors, document_vectors)]
    if Retriever.DENSE in config.retrievers:
        found = top_k(query_vectors, document_vectors, min(config.depth, len(document_vectors)))
        hits.append(dense_hits(found.indices, found.scores))
    if Retriever.BM25 in config.retrievers:
        assert tables.lexical_rows is not None
        hits.append(lexical_hits(tables.lexical_rows[start:stop, : config.depth]))
    return with_cosines(unite(hits), query_vectors, document_vectors)


def _hash_tables(tables: MiningTables) -> tuple[Hashes, Hashes]:
    return hash_ids(tables.queries.ids), hash_ids(tables.documents.ids)


def _random_numbers(case: Case, query_hashes: Hashes, document_hashes: Hashes, *, seed: int) -> Integers:
    queries = query_hashes[case.start : case.stop, None]  # (queries, 1)
    return random_order(queries, document_hashes[case.candidates.documents], seed=seed)


def _select(case: Case, verdicts: Verdicts, order: Integers) -> Selection:
    """Return the kept candidates of a block, each query's in the order of choice."""
    rows, columns = np.nonzero(verdicts == KEPT)
    chosen = np.lexsort((order[rows, columns], rows))
    rows, columns = rows[chosen], columns[chosen]
    candidates = case.candidates
    return Selection(
        query_rows=rows + case.start,
        document_rows=candidates.documents[rows, columns],
        ranks=candidates.ranks[rows, columns],
        retrievers=candidates.retrievers[rows, columns],
        scores=candidates.scores[rows, columns],
        positive_scores=case.positive_scores[rows],
    )


def _join(parts: list[Selection]) -> Selection:
    return Selection(
        query_rows=np.concatenate([np.empty(0, np.int64), *(part.query_rows for part in parts)]),
        document_rows=np.concatenate([np.empty(0, np.int64), *(part.document_rows for part in parts)]),
        ranks=np.concatenate([np.empty(0, np.int64), *(part.ranks for part in parts)]),
        retrievers=np.concatenate([np.empty(0, np.int8), *(part.retrievers for part in parts)]),
        scores=np.concatenate([np.empty(0, np.float32), *(part.scores for part in parts)]),
        positive_scores=np.concatenate([np.empty(0, np.float64), *(part.positive_scores for part in parts)]),
    )


def hard_negatives(selection: Selection, tables: MiningTables) -> Iterator[HardNegative]:
    """Yield the selected negatives as records, by query id and then in the order in which they were chosen."""
    columns = (
        selection.query_rows.tolist(),
        selection.document_rows.tolist(),
        selection.ranks.tolist(),
        selection.scores.tolist(),
        selection.positive_scores.tolist(),
        selection.retrievers.tolist(),
    )
    for query, document, rank, score, positive_score, code in zip(*columns, strict=True):
        retriever, weight = RETRIEVERS[code], 1.0
        if retriever is Retriever.GIVEN and (query, document) in tables.queries.passed_over:
            retriever, weight = Retriever.SKIPPED, tables.queries.passed_over[query, document]
        yield HardNegative(
            query_id=tables.queries.ids[query],
            document_id=tables.documents.ids[document],
            rank=rank,
            score=score,
            positive_score=positive_score,
            retriever=retriever,
            weight=weight,
        )
