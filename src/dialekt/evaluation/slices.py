"""For whom it got better: NDCG@10 before and after on parts of the test queries, with intervals that hold at once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.evaluation.comparison import Scores, Settings
from dialekt.evaluation.dividing import Dividers, Division, divide
from dialekt.evaluation.records import Slice
from dialekt.evaluation.systems import Held
from dialekt.measures.metrics import NDCG
from dialekt.measures.retrieval import Collection
from dialekt.measures.simultaneous import adjusted_p_values, simultaneous_intervals
from dialekt.store.tables import read_records
from dialekt.types import Pair

_INTERVAL_SEED = 3
_SIGN_SEED = 4


@dataclass(frozen=True, slots=True)
class SliceSources:
    """Folders of what the test queries are divided by: without pairs or logs, their divisions are left out.

    `fields` are the metadata fields of documents to divide by, None for those with few values.
    """

    corpus: Path
    pairs: Path | None
    logs: Path | None
    fields: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class _Described:
    """A unit of the corpus without its text."""

    id: str
    parent_id: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Searched:
    """A query of the log."""

    text: str
    frequency: str


def slice_queries(
    sources: SliceSources, collection: Collection, held: Held, scores: Scores, *, settings: Settings
) -> tuple[Slice, ...]:
    """Return every slice of the test queries; none without a tuned model.

    All intervals hold at once. One leaves out zero only where the sign-flip test, adjusted for all slices, rejects.
    """
    if "tuned" not in scores:
        return ()
    divisions = list(divide(_read(sources, collection, held)))
    members = _members(divisions)
    if not members.size:
        return ()
    base, tuned = scores["base"][NDCG], scores["tuned"][NDCG]
    bounds = _bounds(tuned - base, members, settings)
    places = [(division.dimension, part) for division in divisions for part in division.order]
    return tuple(
        _slice(place, base[chosen], tuned[chosen], ends)
        for place, chosen, ends in zip(places, members.T, bounds, strict=True)
    )


def _read(sources: SliceSources, collection: Collection, held: Held) -> Dividers:
    units = read_records(sources.corpus / "documents.parquet", _Described)
    parents = {unit.id: unit.parent_id or unit.id for unit in units}
    pairs = None if sources.pairs is None else read_records(sources.pairs / "pairs.parquet", Pair)
    searched = [] if sources.logs is None else read_records(sources.logs / "queries.parquet", _Searched)
    return Dividers(
        queries=held.test,
        judgments=held.judgments,
        documents=collection,
        trained=None if pairs is None else {parents[pair.document_id] for pair in pairs},
        metadata={parents[unit.id]: unit.metadata for unit in reversed(units)},
        frequencies={query.text: query.frequency for query in searched},
        fields=sources.fields,
    )


def _members(divisions: list[Division]) -> NDArray[np.bool_]:
    """Return which queries belong to which slice (queries, slices)."""
    columns = list(_columns(divisions))
    return np.column_stack(columns) if columns else np.zeros((0, 0), dtype=bool)


def _columns(divisions: list[Division]) -> Iterator[NDArray[np.bool_]]:
    for division in divisions:
        for part in division.order:
            yield np.array([own == part for own in division.parts], dtype=bool)


def _bounds(differences: NDArray[np.float64], members: NDArray[np.bool_], settings: Settings) -> NDArray[np.float64]:
    """Return the simultaneous intervals within [-1, 1], widened to zero where the test does not reject (slices, 2)."""
    values = np.broadcast_to(differences[:, None], members.shape)
    bounds = simultaneous_intervals(
        values,
        members,
        confidence=settings.confidence,
        resamples=settings.resamples,
        seed=settings.seed + _INTERVAL_SEED,
    ).clip(-1.0, 1.0)
    p_values = adjusted_p_values(values, members, resamples=settings.resamples, seed=settings.seed + _SIGN_SEED)
    accepted = p_values >= 1 - settings.confidence
    bounds[accepted, 0] = np.minimum(bounds[accepted, 0], 0.0)
    bounds[accepted, 1] = np.maximum(bounds[accepted, 1], 0.0)
    return bounds


def _slice(
    place: tuple[str, str], base: NDArray[np.float64], tuned: NDArray[np.float64], ends: NDArray[np.float64]
) -> Slice:
    dimension, value = place
    before, after = float(base.mean()), float(tuned.mean())
    low, high = ends.tolist()
    return Slice(dimension, value, len(base), before, after, after - before, low, high)
