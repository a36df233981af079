"""The last question before a release goes live: does it find what people look for at least as well as the live one?"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.config import IndexConfig
from dialekt.errors import StorageError
from dialekt.flow.artefacts import ArtefactStore
from dialekt.flow.project import Project
from dialekt.flow.records import StageName
from dialekt.index.checks import Check
from dialekt.index.documents import Documents
from dialekt.index.records import Embed
from dialekt.index.searching import Hit, Searcher
from dialekt.measures.metrics import CUTOFF, Judgments, judge, ndcg, tabulate
from dialekt.measures.statistics import bootstrap_intervals
from dialekt.store.tables import read_records
from dialekt.store.words import first_words
from dialekt.types import Qrel, Query, Role, Split

WORDS_OF_MADE_QUERY = 12
_CONFIDENCE, _RESAMPLES = 0.95, 2_000


class QueriesFrom(StrEnum):
    """Where the queries of the checks come from, best first."""

    JUDGMENTS = "held-out judged queries"
    SEARCHES = "logged searches"
    DOCUMENTS = "first words of documents"


@dataclass(frozen=True, slots=True)
class GateQueries:
    """Queries that the checks ask; `judgments` where people or logs say what answers them."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    origin: QueriesFrom
    judgments: Judgments | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """One release as the gate asks it."""

    searcher: Searcher
    embed: Embed


def gate_queries(project: Project, documents: Documents, *, most: int | None = None) -> GateQueries:
    """Return what the checks ask: held-out judged queries, else logged searches, else words of documents."""
    config, most = project.config, most or project.config.index.gate_queries
    judged = _judged(project, most)
    if judged is not None:
        return judged
    searches = _logged(config.search.log_path, most)
    if searches:
        return GateQueries(tuple(f"s{n}" for n in range(len(searches))), searches, QueriesFrom.SEARCHES)
    units = documents.read(documents.sample(most, seed=config.project.seed))
    texts = tuple(first_words(unit.content, WORDS_OF_MADE_QUERY) for unit in units.values())
    return GateQueries(tuple(units), texts, QueriesFrom.DOCUMENTS)


def check_release(live: Side | None, new: Side, queries: GateQueries, config: IndexConfig, *, seed: int) -> Check:
    """Compare what two releases find: paired NDCG@10 where there are judgments, else their overlap.

    Without a live release, or without queries, there is nothing to compare with.
    """
    if live is None or not queries.texts:
        return Check("quality", passed=True, detail="no release is live yet: nothing to compare with")
    before, after = ranked(live, queries.texts), ranked(new, queries.texts)
    if queries.judgments is None:
        return _overlap_check(before, after, queries, config)
    scores = [score_rankings(ranking, queries) for ranking in (before, after)]
    return _paired_check(scores[0], scores[1], queries, config, seed=seed)


def ranked(side: Side, texts: Sequence[str], *, k: int = CUTOFF) -> list[list[Hit]]:
    """Return what a release finds for queries."""
    return side.searcher.search(side.embed(texts, Role.QUERY), k=k)


def _paired_check(
    before: NDArray[np.float64], after: NDArray[np.float64], queries: GateQueries, config: IndexConfig, *, seed: int
) -> Check:
    difference = float((after - before).mean())
    interval = bootstrap_intervals(
        (after - before)[:, None], confidence=_CONFIDENCE, resamples=_RESAMPLES, seed=seed, bounds=(-1.0, 1.0)
    )
    low, high = map(float, interval[0])
    passed = difference >= -config.max_loss and high >= 0
    detail = (
        f"NDCG@10 {after.mean():.3f} against {before.mean():.3f} live: {difference:+.3f} ({low:+.3f} to {high:+.3f})"
        f" on {len(before):,} {queries.origin}"
    )
    facts = {
        "live": float(before.mean()),
        "new": float(after.mean()),
        "difference": difference,
        "low": low,
        "high": high,
        "queries": len(before),
        "origin": queries.origin.value,
    }
    return Check("quality", passed, detail, facts)


def _overlap_check(
    before: Sequence[Sequence[Hit]], after: Sequence[Sequence[Hit]], queries: GateQueries, config: IndexConfig
) -> Check:
    shares = [_overlap(old, new) for old, new in zip(before, after, strict=True) if old]
    overlap = float(np.mean(shares)) if shares else 1.0
    detail = f"{overlap:.0%} of the live release's results on {len(shares):,} {queries.origin}; no judgments"
    facts = {"overlap": overlap, "queries": len(shares), "origin": queries.origin.value}
    return Check("quality", overlap >= config.min_overlap, detail, facts)


def _overlap(old: Sequence[Hit], new: Sequence[Hit]) -> float:
    """Return the share of the old results that are among the new ones."""
    return len({hit.document_id for hit in old} & {hit.document_id for hit in new}) / len(old)


def score_rankings(ranking: Sequence[Sequence[Hit]], queries: GateQueries) -> NDArray[np.float64]:
    """Return NDCG@10 of each judged query's hits."""
    return score_ids([[hit.document_id for hit in hits] for hits in ranking], queries)


def score_ids(ranking: Sequence[Sequence[str]], queries: GateQueries) -> NDArray[np.float64]:
    """Return NDCG@10 of each judged query's ranking of whole documents, of which each counts where it comes first."""
    assert queries.judgments is not None
    places: dict[str, int] = {}
    indices = np.full((len(ranking), CUTOFF), -1, dtype=np.int64)
    for row, documents in enumerate(ranking):
        for rank, document in enumerate(list(dict.fromkeys(documents))[:CUTOFF]):
            indices[row, rank] = places.setdefault(document, len(places))
    return ndcg(indices, tabulate(queries.judgments, query_ids=queries.ids, document_ids=tuple(places)))


def _judged(project: Project, most: int) -> GateQueries | None:
    """Read the held-out judged queries of the project's last run, those of the test split first."""
    folder = ArtefactStore(project.artefacts).latest_folder(StageName.PAIRS)
    if folder is None:
        return None
    try:
        queries = read_records(folder / "queries.parquet", Query)
        judgments = judge(
            read_records(folder / "qrels.parquet", Qrel), minimum_grade=project.config.pairs.minimum_grade
        )
    except StorageError:
        return None
    held_out = [query for split in (Split.TEST, Split.DEV) for query in queries if query.split is split]
    chosen = [query for query in held_out if judgments.positives(query.id)][:most]
    if not chosen:
        return None
    ids, texts = tuple(query.id for query in chosen), tuple(query.text for query in chosen)
    return GateQueries(ids, texts, QueriesFrom.JUDGMENTS, judgments)


def _logged(folder: Path, most: int) -> tuple[str, ...]:
    """Read the latest distinct texts of searches that the server wrote down; it does so only when asked to."""
    texts: dict[str, None] = {}
    for path in sorted(folder.glob("ubi_queries-*.ndjson"), reverse=True):
        for line in path.read_bytes().splitlines():
            try:
                text = json.loads(line).get("user_query")
            except (ValueError, AttributeError):
                continue  # a line that a kill cut short
            if text:
                texts[str(text)] = None
        if len(texts) >= most:
            break
    return tuple(texts)[:most]
