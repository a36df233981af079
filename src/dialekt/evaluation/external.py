"""Runs that others made: read from a TREC file and laid over the project's test queries."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dialekt.errors import InputError
from dialekt.measures.runs import Run, read_run


@dataclass(frozen=True, slots=True, eq=False)
class External:
    """A foreign run in the order of our test queries, and what did not fit.

    `missing_queries` have no result and score 0; `other_queries` of the file are no test queries; `unknown_documents`
    are not in the corpus and keep their ranks.
    """

    run: Run
    missing_queries: int
    other_queries: int
    unknown_documents: int


def read_foreign(path: Path) -> Run:
    """Read a TREC run file as it is; raise `InputError` for a malformed line and a document that a query has twice."""
    found = read_run(path)
    _refuse_repeats(found, path)
    return found


def read_external(path: Path, query_ids: Sequence[str], document_ids: Collection[str], *, depth: int) -> External:
    """Read a TREC run file, plain or gzipped, as the run of `query_ids`, at most `depth` results each.

    Raises `InputError` for a malformed line, a document that a query lists twice, and a file without any test query.
    """
    found = read_foreign(path)
    places = {query_id: row for row, query_id in enumerate(found.query_ids)}
    matched = [query_id for query_id in query_ids if query_id in places]
    if not matched:
        raise InputError(
            f"none of the {len(query_ids)} test queries is in this run",
            path=path,
            hint="query ids must be those of the project; dialekt compare base tuned --save FOLDER writes an example",
        )
    run = align(found, query_ids, depth=depth)
    known = frozenset(document_ids)
    listed = {found.document_ids[index] for index in np.unique(run.indices).tolist() if index >= 0}
    return External(
        run,
        missing_queries=len(query_ids) - len(matched),
        other_queries=len(places) - len(matched),
        unknown_documents=len(listed - known),
    )


def align(run: Run, query_ids: Sequence[str], *, depth: int) -> Run:
    """Return a run with the given queries in their order, `depth` results wide; one that it lacks finds nothing."""
    indices = np.full((len(query_ids), depth), -1, dtype=np.int64)
    scores = np.full((len(query_ids), depth), -np.inf, dtype=np.float32)
    places = {query_id: row for row, query_id in enumerate(run.query_ids)}
    for row, query_id in enumerate(query_ids):
        if query_id in places:
            ranked = run.indices[places[query_id], :depth]
            indices[row, : len(ranked)] = ranked
            scores[row, : len(ranked)] = run.scores[places[query_id], :depth]
    return Run(tuple(query_ids), run.document_ids, indices, scores)


def _refuse_repeats(run: Run, path: Path) -> None:
    for query_id, row in zip(run.query_ids, run.indices.tolist(), strict=True):
        listed = [index for index in row if index >= 0]
        if len(set(listed)) < len(listed):
            raise InputError(
                f"lists a document twice for query {query_id!r}", path=path, hint="keep the best rank of each document"
            )
