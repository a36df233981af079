"""Mining as a whole: against a plain reference, and the same whatever the order and the block."""

import tracemalloc
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dialekt.config import NegativeSampling, NegativesConfig
from dialekt.negatives.mining import Mining, hard_negatives, largest_block, mine
from dialekt.negatives.tables import (
    HeldOutDocument,
    KnownNegative,
    MiningTables,
    document_codes,
    document_table,
    query_table,
)
from dialekt.types import Document, HardNegative, Pair, Qrel, Retriever

MINIMUM_GRADE = 2.0


@dataclass(frozen=True)
class World:
    """A random corpus of chunks and whole documents, with judgments, copies, held-out documents and BM25 hits."""

    documents: list[Document]
    document_vectors: NDArray[np.float32]
    query_vectors: NDArray[np.float32]
    query_ids: list[str]
    pairs: list[Pair]
    qrels: list[Qrel]
    given: list[KnownNegative]
    held_out: set[str]
    lexical_rows: NDArray[np.int32]

    @property
    def tables(self) -> MiningTables:
        """The world as mining sees it."""
        codes = document_codes(self.documents)
        held_out = [HeldOutDocument(name) for name in sorted(self.held_out)]
        table = document_table(self.documents, codes, held_out=held_out, category_field="kind")
        queries = query_table(
            table, codes, pairs=self.pairs, qrels=self.qrels, given=self.given, minimum_grade=MINIMUM_GRADE
        )
        assert queries.ids == self.query_ids
        return MiningTables(table, queries, self.lexical_rows)

    def mine(self, config: NegativesConfig, *, queries_per_block: int = 100, seed: int = 5) -> Mining:
        """Mine for all queries."""
        return mine(
            config,
            self.tables,
            self.query_vectors,
            self.document_vectors,
            seed=seed,
            queries_per_block=queries_per_block,
        )

    def records(self, config: NegativesConfig, *, queries_per_block: int = 100, seed: int = 5) -> list[HardNegative]:
        """Mine for all queries and return the hard negatives."""
        mining = self.mine(config, queries_per_block=queries_per_block, seed=seed)
        return list(hard_negatives(mining.selection, self.tables))


def scaled(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the vectors at length 1."""
    lengths: NDArray[np.float64] = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / lengths).astype(np.float32)


def unit_rows(rng: np.random.Generator, rows: int) -> NDArray[np.float32]:
    """Return random vectors of length 1."""
    return scaled(rng.normal(size=(rows, 4)))


def random_documents(rng: np.random.Generator, count: int) -> list[Document]:
    """Return documents: some are chunks of few parents, some copies of an earlier one."""
    documents: list[Document] = []
    for number in range(count):
        name, parent = f"d{number}", f"d{number}"
        if rng.random() < 0.4:
            parent = f"book{rng.integers(3)}"
            name = f"{parent}#{number}"
        copied = documents and rng.random() < 0.2
        first = documents[rng.integers(len(documents))].duplicate_of if copied else name
        documents.append(Document(name, "", parent_id=parent, duplicate_of=first, metadata={"kind": "ab"[number % 2]}))
    return documents


def random_world(seed: int) -> World:
    """Return a world in which every rule has something to do."""
    rng = np.random.default_rng(seed)
    documents = random_documents(rng, int(rng.integers(4, 25)))
    query_ids = [f"q{number}" for number in range(rng.integers(1, 6))]
    names = [document.id for document in documents]
    judged = [*names, *(document.parent_id for document in documents)]

    def some(pool: list[str], most: int) -> list[str]:
        return [str(name) for name in rng.choice(pool, rng.integers(0, most + 1))]

    document_vectors = unit_rows(rng, len(documents))
    pairs = [
        (row, int(answer)) for row in range(len(query_ids)) for answer in rng.permutation(len(names))[: row % 2 + 1]
    ]
    aims = np.array(
        [document_vectors[[answer for at, answer in pairs if at == row]].sum(0) for row in range(len(query_ids))]
    )
    depth = int(rng.integers(1, 8))
    lexical = [[*rng.permutation(len(names))[: rng.integers(0, depth + 1)], *[-1] * depth][:depth] for _ in query_ids]
    return World(
        documents=documents,
        document_vectors=document_vectors,
        query_vectors=scaled(aims + rng.normal(size=aims.shape) * rng.choice([0.1, 3.0])),
        query_ids=query_ids,
        pairs=[Pair(query_ids[row], names[answer]) for row, answer in pairs],
        qrels=[Qrel(query, name, float(rng.integers(-1, 4))) for query in query_ids for name in some(judged, 4)],
        given=[KnownNegative(query, name) for query in query_ids for name in some(judged, 2)],
        held_out=set(some(judged, 3)),
        lexical_rows=np.array(lexical, dtype=np.int32).reshape(len(query_ids), depth),
    )


class Reference:
    """Mining for one query of a world, written with dictionaries and loops, the way one would explain it."""

    def __init__(self, world: World, config: NegativesConfig, row: int) -> None:
        self.config = config
        self.query = world.query_ids[row]
        self.documents = {document.id: document for document in world.documents}
        self.world = world
        names = list(self.documents)
        cosines = world.document_vectors.astype(float) @ world.query_vectors[row].astype(float)
        self.cosines = dict(zip(names, cosines.tolist(), strict=True))
        self.by_words = [names[place] for place in world.lexical_rows[row] if place >= 0][: config.depth]
        self.trained = {pair.document_id for pair in world.pairs if pair.query_id == self.query}
        grades = [(qrel.document_id, qrel.grade) for qrel in world.qrels if qrel.query_id == self.query]
        self.positives = self.trained | {name for name, grade in grades if grade >= MINIMUM_GRADE}
        self.partial = {name for name, grade in grades if 0 < grade < MINIMUM_GRADE}
        self.rejected = {name for name, grade in grades if grade <= 0}
        self.positive_score = min(self.cosines[name] for name in self.trained)

    def candidates(self) -> dict[str, tuple[int, Retriever]]:
        """Return the rank and retriever of every candidate, in the order in which they are taken."""
        found = {name: (rank, Retriever.GIVEN) for rank, name in enumerate(self.given(), start=1)}
        by_vectors = sorted(self.cosines, key=lambda name: -self.cosines[name])[: self.config.depth]
        rankings = {Retriever.DENSE: by_vectors, Retriever.BM25: self.by_words}
        for place in range(self.config.depth):
            for retriever, ranking in rankings.items():
                if retriever in self.config.retrievers and place < len(ranking):
                    found.setdefault(ranking[place], (place + 1, retriever))
        return found

    def given(self) -> list[str]:
        """Return the given documents, of a chunked one its nearest chunk, nearest first."""
        named = {negative.document_id for negative in self.world.given if negative.query_id == self.query}
        nearest: dict[str, str] = {}
        for name in sorted(self.cosines, key=lambda name: -self.cosines[name]):
            if {name, self.documents[name].parent_id} & named:
                nearest.setdefault(self.documents[name].parent_id, name)
        return list(nearest.values())

    def positive_clusters(self) -> set[str]:
        """Return the names under which copies of the positives, and of their chunks, go."""
        chunks = [document for document in self.world.documents if {document.id, document.parent_id} & self.positives]
        return {chunk.duplicate_of for chunk in chunks}

    def held_out_clusters(self) -> set[str]:
        """Return the names under which copies of held-out documents, and of their chunks, go."""
        held = self.world.held_out
        return {other.duplicate_of for other in self.world.documents if {other.id, other.parent_id} & held}

    def allows(self, name: str, rank: int, *, given: bool) -> bool:
        """Return whether the guard lets a candidate through."""
        document = self.documents[name]
        ids = {name, document.parent_id}
        if ids & (self.positives | self.partial | self.world.held_out):
            return False
        if document.duplicate_of in self.held_out_clusters():
            return False
        if given:
            return True
        parents = {self.documents[other].parent_id for other in self.positives if other in self.documents}
        kinds = {self.documents[other].metadata["kind"] for other in self.trained}
        size = abs(self.positive_score)
        below = self.cosines[name] < self.positive_score - (1 - self.config.margin) * size
        return (
            document.parent_id not in parents
            and document.duplicate_of not in self.positive_clusters()
            and rank >= self.config.rank_from
            and (below or bool(ids & self.rejected))
            and document.metadata["kind"] in kinds
        )

    def mine(self) -> list[tuple[str, str, int, Retriever]]:
        """Return the hard negatives of the query."""
        allowed = [
            (self.query, name, rank, retriever)
            for name, (rank, retriever) in self.candidates().items()
            if self.allows(name, rank, given=retriever is Retriever.GIVEN)
        ]
        return allowed[: self.config.per_query]


CONFIGS = st.builds(
    NegativesConfig,
    per_query=st.integers(0, 6),
    retrievers=st.sampled_from(
        [(Retriever.BM25, Retriever.DENSE), (Retriever.DENSE,), (Retriever.BM25,), ()],
    ),
    depth=st.integers(1, 30),
    rank_from=st.integers(1, 3),
    margin=st.sampled_from([0.5, 0.95, 1.0]),
)


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32), config=CONFIGS, queries_per_block=st.integers(1, 4))
def test_mining_equals_the_reference(seed: int, config: NegativesConfig, queries_per_block: int) -> None:
    """In blocks of any size, mining finds what one query after the other finds, in the same order."""
    world = random_world(seed)
    found = world.records(config, queries_per_block=queries_per_block)
    references = [Reference(world, config, row) for row in range(len(world.query_ids))]
    expected = [negative for reference in references for negative in reference.mine()]
    assert [(item.query_id, item.document_id, item.rank, item.retriever) for item in found] == expected
    scores = {reference.query: reference for reference in references}
    for item in found:
        assert item.score == pytest.approx(scores[item.query_id].cosines[item.document_id], abs=1e-5)
        assert item.positive_score == pytest.approx(scores[item.query_id].positive_score, abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_candidate_meets_exactly_one_fate(seed: int) -> None:
    """Kept and dropped add up to the candidates, and kept to the negatives."""
    world = random_world(seed)
    config = NegativesConfig(per_query=2)
    audit = world.mine(config).audit
    candidates = sum(len(Reference(world, config, row).candidates()) for row in range(len(world.query_ids)))
    assert sum(counts.total for counts in audit.fates.values()) == audit.candidates == candidates
    assert audit.kept.total == len(world.records(config))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), sampling=st.sampled_from(NegativeSampling))
def test_row_order_changes_nothing(seed: int, sampling: NegativeSampling) -> None:
    """Judgments, pairs and documents in another order, and queries in other blocks, give the same negatives."""
    world = random_world(seed)
    config = NegativesConfig(per_query=2, retrievers=(Retriever.DENSE,), sampling=sampling, margin=1.0)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(world.documents))
    shuffled = replace(
        world,
        documents=[world.documents[row] for row in order],
        document_vectors=world.document_vectors[order],
        pairs=world.pairs[::-1],
        qrels=world.qrels[::-1],
        given=world.given[::-1],
    )
    first = world.records(config)
    again = shuffled.records(config, queries_per_block=1)
    assert [(item.query_id, item.document_id) for item in again] == [
        (item.query_id, item.document_id) for item in first
    ]


def many_documents(count: int) -> World:
    """Return a world of one query, one positive that comes first, and many documents to choose from."""
    rng = np.random.default_rng(3)
    vectors = unit_rows(rng, count)
    vectors[0] = [1, 0, 0, 0]
    kinds = {"kind": "a"}
    return World(
        documents=[Document(f"d{number}", "", parent_id=f"d{number}", metadata=kinds) for number in range(count)],
        document_vectors=vectors,
        query_vectors=vectors[:1],
        query_ids=["q"],
        pairs=[Pair("q", "d0")],
        qrels=[],
        given=[],
        held_out=set(),
        lexical_rows=np.full((1, 1), -1, dtype=np.int32),
    )


def test_random_sampling_spreads_over_the_candidates_and_obeys_the_seed() -> None:
    """Random draws repeat with the seed, differ with another, and reach far beyond the first ranks."""
    world = many_documents(200)
    config = NegativesConfig(sampling=NegativeSampling.RANDOM, per_query=20, retrievers=(Retriever.DENSE,))
    first = [item.rank for item in world.records(config, seed=1)]
    assert first == [item.rank for item in world.records(config, seed=1)]
    assert first != [item.rank for item in world.records(config, seed=2)]
    assert 30 < np.mean(first) < 70


def test_query_short_of_negatives_keeps_fewer() -> None:
    """Nothing is filled up: two candidates below the margin stay two, and the query is counted as short."""
    world = many_documents(3)
    mining = world.mine(NegativesConfig(per_query=5))
    assert mining.audit.kept.total == 2
    assert (mining.audit.queries_short, mining.audit.queries_without) == (1, 0)


def test_nothing_is_mined_for_no_negatives() -> None:
    """per_query = 0 gives an empty selection and an audit of no candidates."""
    mining = many_documents(5).mine(NegativesConfig(per_query=0))
    assert len(mining.selection.query_rows) == mining.audit.candidates == 0


def peak_bytes(queries: int) -> int:
    """Return the peak memory of mining for so many queries over 3,000 documents, 50 queries at a time."""
    world = many_documents(3_000)
    rng = np.random.default_rng(1)
    codes = document_codes(world.documents)
    table = document_table(world.documents, codes, held_out=[], category_field=None)
    pairs = [Pair(f"q{number:05}", f"d{number}") for number in range(queries)]
    judged = query_table(table, codes, pairs=pairs, qrels=[], given=[], minimum_grade=1)
    tables, vectors = MiningTables(table, judged, None), unit_rows(rng, queries)
    config = NegativesConfig(retrievers=(Retriever.DENSE,), per_query=1)
    tracemalloc.start()
    mine(config, tables, vectors, world.document_vectors, seed=1, queries_per_block=50)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_queries_times_documents() -> None:
    """Four times the queries cost their own rows more, less than a tenth of what their scores would take."""
    assert peak_bytes(800) - peak_bytes(200) < 600 * 3_000 * 4 / 10


def test_blocks_shrink_as_candidates_grow() -> None:
    """The candidates of a block stay within a million cells, whatever the depth."""
    tables = many_documents(3).tables
    assert largest_block(NegativesConfig(depth=100), tables) == 5_000
    assert largest_block(NegativesConfig(depth=1_000_000), tables) == 1
