"""The leak check: held-out queries and documents must not have reached the training pairs or negatives.

Everything is worked out again from what lies on disk, with code of its own; the facts of the stages that should
have prevented a leak are not consulted.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dialekt.errors import LeakError
from dialekt.evaluation.records import LeakFacts
from dialekt.store.similarity_join import near_twins
from dialekt.store.tables import read_records
from dialekt.types import HardNegative, Pair, Qrel, Query, Split

_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class DocumentKeys:
    """The columns of a corpus row that say which document it is, without its text."""

    id: str
    parent_id: str
    duplicate_of: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the check looks at, read from the artefacts."""

    queries: Sequence[Query]
    qrels: Sequence[Qrel]
    documents: Sequence[DocumentKeys]
    pairs: Sequence[Pair]
    negatives: Sequence[HardNegative]


@dataclass(frozen=True, slots=True)
class Leak:
    """One kind of leak and the ids that show it."""

    rule: str
    ids: tuple[str, ...]

    def __str__(self) -> str:
        shown = ", ".join(self.ids[:_EXAMPLES]) + (", ..." if len(self.ids) > _EXAMPLES else "")
        return f"{self.rule}: {len(self.ids)} ({shown})"


def check(
    *,
    corpus: Path,
    split: Path,
    pairs: Path | None,
    negatives: Path | None,
    minimum_grade: float = 1.0,
    near_duplicate_similarity: float = 0.9,
) -> LeakFacts:
    """Read the artefacts and raise `LeakError` with counts and up to five ids of every kind of leak."""
    evidence = Evidence(
        queries=read_records(split / "queries.parquet", Query),
        qrels=read_records(split / "qrels.parquet", Qrel),
        documents=read_records(corpus / "documents.parquet", DocumentKeys),
        pairs=read_records(pairs / "pairs.parquet", Pair) if pairs else [],
        negatives=read_records(negatives / "negatives.parquet", HardNegative) if negatives else [],
    )
    return check_evidence(evidence, minimum_grade=minimum_grade, near_duplicate_similarity=near_duplicate_similarity)


def check_evidence(
    evidence: Evidence, *, minimum_grade: float = 1.0, near_duplicate_similarity: float = 0.9
) -> LeakFacts:
    """Apply every rule; raise `LeakError` when one of them finds something."""
    held_out = held_out_documents(evidence, minimum_grade)
    leaks = [
        Leak("query ids in two splits", tuple(_ids_in_two_splits(evidence.queries))),
        Leak("held-out queries in training", tuple(_held_out_queries_in_training(evidence))),
        Leak("training queries like a held-out query", _twin_queries(evidence, near_duplicate_similarity)),
        *_document_leaks(evidence, held_out),
    ]
    found = [leak for leak in leaks if leak.ids]
    if found:
        raise LeakError(
            "held-out queries or documents reached training: " + "; ".join(map(str, found)),
            hint="run the stages from the split on again; scores on these test queries would prove nothing",
        )
    return LeakFacts(
        train_queries=len(_trained_query_ids(evidence)),
        held_out_queries=sum(query.split is not Split.TRAIN for query in evidence.queries),
        held_out_documents=len(held_out),
        pairs=len(evidence.pairs),
        negatives=len(evidence.negatives),
        near_duplicate_similarity=near_duplicate_similarity,
    )


def held_out_documents(evidence: Evidence, minimum_grade: float) -> set[str]:
    """Return the parents that answer dev or test queries only."""
    split_of = {query.id: query.split for query in evidence.queries}
    positives = [qrel for qrel in evidence.qrels if qrel.grade >= minimum_grade and qrel.query_id in split_of]
    trained = {qrel.document_id for qrel in positives if split_of[qrel.query_id] is Split.TRAIN}
    return {qrel.document_id for qrel in positives if split_of[qrel.query_id] is not Split.TRAIN} - trained


def _ids_in_two_splits(queries: Iterable[Query]) -> Iterator[str]:
    placed = Counter(query_id for query_id, _ in {(query.id, query.split) for query in queries})
    return (query_id for query_id, splits in sorted(placed.items()) if splits > 1)


def _trained_query_ids(evidence: Evidence) -> set[str]:
    return {row.query_id for rows in (evidence.pairs, evidence.negatives) for row in rows}


def _held_out_queries_in_training(evidence: Evidence) -> list[str]:
    held_out = {query.id for query in evidence.queries if query.split is not Split.TRAIN}
    return sorted(_trained_query_ids(evidence) & held_out)


def _twin_queries(evidence: Evidence, threshold: float) -> tuple[str, ...]:
    """Return the trained queries whose words are those of a held-out query, as "trained ~ held out"."""
    used = _trained_query_ids(evidence)
    trained = {query.id: query.text for query in evidence.queries if query.id in used and query.split is Split.TRAIN}
    held_out = {query.id: query.text for query in evidence.queries if query.split is not Split.TRAIN}
    first = dict(sorted(near_twins(trained, held_out, threshold), reverse=True))
    return tuple(f"{one} ~ {other}" for one, other in sorted(first.items()))


def _document_leaks(evidence: Evidence, held_out: set[str]) -> Iterator[Leak]:
    """Compare the documents of pairs and negatives with the held-out ones, by id and by text cluster."""
    parents = {row.id: row.parent_id or row.id for row in evidence.documents}
    clusters = {row.id: row.duplicate_of or row.id for row in evidence.documents}
    held_clusters = {clusters[row.id] for row in evidence.documents if parents[row.id] in held_out}
    for name, rows in (("positives", evidence.pairs), ("negatives", evidence.negatives)):
        used = sorted({row.document_id for row in rows})
        same = {unit for unit in used if parents.get(unit, unit) in held_out}
        twins = (unit for unit in used if unit not in same and clusters.get(unit, unit) in held_clusters)
        yield Leak(f"held-out documents among training {name}", tuple(sorted(same)))
        yield Leak(f"training {name} with the text of a held-out document", tuple(twins))
