"""The audit: what mining kept and dropped, by which rule and from which retriever, with examples by id."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dialekt.errors import StorageError
from dialekt.negatives.guard import Case
from dialekt.negatives.rules import BM25, DENSE, GIVEN, KEPT, MEANINGS, RETRIEVERS, RULES, Verdicts
from dialekt.store.atomic import write_atomic

AUDIT_NAME = "audit.json"
KEPT_NAME = "kept"
EXAMPLES_BY_ID = 3
RATIO_EDGES = np.round(np.linspace(0.0, 1.2, 25), 2)
RANK_EDGES = np.array([1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000])


@dataclass(frozen=True, slots=True)
class Counts:
    """How many candidates met one fate, by the retriever under which they are recorded."""

    dense: int = 0
    bm25: int = 0
    given: int = 0

    @property
    def total(self) -> int:
        """All retrievers together."""
        return self.dense + self.bm25 + self.given


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of values from `edges[i]` to below `edges[i + 1]`; values outside are in the first and last bin."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """One decision. The texts are empty unless the user asked for examples."""

    query_id: str
    document_id: str
    retriever: str
    rank: int
    score: float
    positive_score: float
    query: str = ""
    document: str = ""


@dataclass(frozen=True, slots=True)
class Audit:
    """Every candidate under exactly one fate: `kept`, or the first rule that barred it.

    `ratios` are the cosines of kept negatives divided by their query's positive score, where that is above 0.
    `ranks` are the retrieval ranks of kept negatives that a retriever found.
    """

    queries: int
    queries_without: int
    queries_short: int
    candidates: int
    found_by_several: int
    mean_rank: float
    fates: Mapping[str, Counts]
    ratios: Histogram
    ranks: Histogram
    examples: Mapping[str, tuple[Example, ...]]

    @property
    def kept(self) -> Counts:
        """The hard negatives."""
        return self.fates[KEPT_NAME]

    @property
    def dropped(self) -> dict[str, int]:
        """The dropped candidates by rule."""
        return {name: counts.total for name, counts in self.fates.items() if name != KEPT_NAME}

    @property
    def example_documents(self) -> frozenset[str]:
        """The ids of the documents that the examples show."""
        return frozenset(example.document_id for examples in self.examples.values() for example in examples)


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A line of the audit table; `share` is the part of all candidates, from 0 to 1."""

    name: str
    label: str
    count: int
    share: float
    dense: int
    bm25: int
    given: int


def audit_table(audit: Audit) -> tuple[AuditRow, ...]:
    """Return the audit as rows for the command line and the report: kept first, then each rule in the order asked."""
    labels: dict[str, str] = {
        KEPT_NAME: "kept as a hard negative",
        **{str(rule): text for rule, text in MEANINGS.items()},
    }
    return tuple(
        AuditRow(
            name=str(name),
            label=label,
            count=counts.total,
            share=counts.total / audit.candidates if audit.candidates else 0.0,
            dense=counts.dense,
            bm25=counts.bm25,
            given=counts.given,
        )
        for name, label in labels.items()
        for counts in [audit.fates[name]]
    )


class Tally:
    """Adds up the audit block by block, so that it takes the same memory for any number of queries."""

    def __init__(self, *, per_query: int, examples: int = 0) -> None:
        self._per_query = per_query
        self._wanted_examples = examples or EXAMPLES_BY_ID
        self._fates = np.zeros((KEPT + 1, len(RETRIEVERS)), dtype=np.int64)
        self._ratios = np.zeros(len(RATIO_EDGES) - 1, dtype=np.int64)
        self._ranks = np.zeros(len(RANK_EDGES) - 1, dtype=np.int64)
        self._rank_sum = self._several = self._queries = self._without = self._short = 0
        self._examples: list[list[Example]] = [[] for _ in range(KEPT + 1)]

    def add(self, case: Case, verdicts: Verdicts) -> None:
        """Count the verdicts (queries, width) on a block of queries."""
        filled = verdicts <= KEPT
        fates = verdicts[filled].astype(np.int64) * len(RETRIEVERS) + case.candidates.retrievers[filled]
        self._fates += np.bincount(fates, minlength=self._fates.size).reshape(self._fates.shape)
        self._several += int(case.candidates.found_by_several.sum())
        kept_per_query = (verdicts == KEPT).sum(axis=1)  # (queries,)
        self._queries += len(kept_per_query)
        self._without += int((kept_per_query == 0).sum())
        self._short += int((kept_per_query < self._per_query).sum())
        self._add_histograms(case, verdicts)
        self._add_examples(case, verdicts)

    def join(self, later: "Tally") -> None:
        """Add what another tally counted on later blocks."""
        self._fates += later._fates
        self._ratios += later._ratios
        self._ranks += later._ranks
        self._rank_sum += later._rank_sum
        self._several += later._several
        self._queries += later._queries
        self._without += later._without
        self._short += later._short
        for examples, more in zip(self._examples, later._examples, strict=True):
            examples.extend(more[: self._wanted_examples - len(examples)])

    def _add_histograms(self, case: Case, verdicts: Verdicts) -> None:
        rows, columns = np.nonzero(verdicts == KEPT)
        positive_scores = case.positive_scores[rows]
        above_zero = positive_scores > 0
        ratios = case.candidates.scores[rows, columns][above_zero] / positive_scores[above_zero]
        self._ratios += _histogram(ratios, RATIO_EDGES)
        mined = case.candidates.retrievers[rows, columns] != GIVEN
        ranks = case.candidates.ranks[rows, columns][mined]
        self._ranks += _histogram(ranks, RANK_EDGES)
        self._rank_sum += int(ranks.sum())

    def _add_examples(self, case: Case, verdicts: Verdicts) -> None:
        for fate, examples in enumerate(self._examples):
            missing = self._wanted_examples - len(examples)
            if missing:
                rows, columns = np.nonzero(verdicts == fate)
                examples.extend(_example(case, *cell) for cell in zip(rows[:missing], columns[:missing], strict=True))

    def finish(self) -> Audit:
        """Return the audit of everything added."""
        names = [*map(str, RULES), KEPT_NAME]
        mined = int(self._ranks.sum())
        return Audit(
            queries=self._queries,
            queries_without=self._without,
            queries_short=self._short,
            candidates=int(self._fates.sum()),
            found_by_several=self._several,
            mean_rank=self._rank_sum / mined if mined else 0.0,
            fates={
                name: Counts(dense=int(row[DENSE]), bm25=int(row[BM25]), given=int(row[GIVEN]))
                for name, row in zip(names, self._fates, strict=True)
            },
            ratios=Histogram(tuple(RATIO_EDGES.tolist()), tuple(self._ratios.tolist())),
            ranks=Histogram(tuple(RANK_EDGES.astype(float).tolist()), tuple(self._ranks.tolist())),
            examples={name: tuple(found) for name, found in zip(names, self._examples, strict=True)},
        )


def _histogram(values: np.ndarray[Any, np.dtype[Any]], edges: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, Any]:
    """Count values per bin, those outside in the first and last."""
    bins = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    return np.bincount(bins, minlength=len(edges) - 1)


def _example(case: Case, row: int, column: int) -> Example:
    candidates = case.candidates
    return Example(
        query_id=case.queries.ids[case.start + row],
        document_id=case.documents.ids[candidates.documents[row, column]],
        retriever=str(RETRIEVERS[candidates.retrievers[row, column]]),
        rank=int(candidates.ranks[row, column]),
        score=float(candidates.scores[row, column]),
        positive_score=float(case.positive_scores[row]),
    )


def with_texts(audit: Audit, queries: Mapping[str, str], documents: Mapping[str, str]) -> Audit:
    """Add texts to the examples: only for a user who asked for them."""
    return dataclasses.replace(
        audit,
        examples={
            name: tuple(
                dataclasses.replace(example, query=queries[example.query_id], document=documents[example.document_id])
                for example in examples
            )
            for name, examples in audit.examples.items()
        },
    )


def write_audit(folder: Path, audit: Audit) -> None:
    """Write `audit.json`."""
    write_atomic(folder / AUDIT_NAME, json.dumps(dataclasses.asdict(audit), indent=2, ensure_ascii=False) + "\n")


def read_audit(folder: Path) -> Audit:
    """Read the audit of a negatives artefact; raise `StorageError` when it is missing or damaged."""
    path = folder / AUDIT_NAME
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Audit(
            **{
                **values,
                "fates": {name: Counts(**counts) for name, counts in values["fates"].items()},
                "ratios": _revive_histogram(values["ratios"]),
                "ranks": _revive_histogram(values["ranks"]),
                "examples": {
                    name: tuple(Example(**example) for example in found) for name, found in values["examples"].items()
                },
            }
        )
    except FileNotFoundError:
        raise StorageError("the audit of the negatives is missing", path=path, hint="run the stage again") from None
    except (ValueError, TypeError, KeyError) as error:
        raise StorageError(f"the audit is damaged: {error}", path=path, hint="run the stage again") from error


def _revive_histogram(values: Mapping[str, Sequence[Any]]) -> Histogram:
    return Histogram(tuple(values["edges"]), tuple(values["counts"]))
