"""What a teacher changes: false negatives leave, sure ones become positives, and every change is counted."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dialekt.config import TeacherConfig, TeacherUse
from dialekt.teacher.material import Material
from dialekt.teacher.records import Histogram
from dialekt.types import HardNegative, Pair, PairSource, Retriever, TeacherScore

MOST_RELABELLED = 3
"""New positives per query: a broad query must not be learned mostly from a teacher's word."""

MARGIN_EDGES = tuple(float(edge) for edge in range(-16, 11))


@dataclass(frozen=True, slots=True)
class Corrected:
    """The examples as the student is to learn them."""

    pairs: tuple[Pair, ...]
    negatives: tuple[HardNegative, ...]
    scores: tuple[TeacherScore, ...]
    relabelled: dict[str, int]
    dropped: dict[str, int]
    fixed: int
    margins: Histogram


@dataclass(frozen=True, slots=True, eq=False)
class _Ratings:
    """The teacher's logits of pairs and negatives, and per negative those of its query's positives."""

    pairs: NDArray[np.float32]
    negatives: NDArray[np.float32]
    lowest: NDArray[np.float32]  # (negatives,) of the query's positives
    highest: NDArray[np.float32]  # (negatives,)


def correct(config: TeacherConfig, material: Material, scores: NDArray[np.float32]) -> Corrected:
    """Apply a teacher's scores, of the pairs and then of the negatives, as the configuration wants them used.

    A negative that is rated above the lowest of its query's positives by more than the margin is no hard negative:
    it is dropped. It becomes a positive where it is rated above all of them, and above half of the positives of all
    queries: beside a wrong positive every document looks good. Negatives that a person judged or an instruction
    names stay as they are.
    """
    ratings = _rate(material, scores)
    fixed = _fixed(material)
    wrong = np.zeros(len(material.negatives), dtype=np.bool_)
    if {TeacherUse.FILTER, TeacherUse.RELABEL} & set(config.uses):
        wrong = (ratings.negatives > ratings.lowest + config.relabel_margin) & ~fixed
    relabelled = np.zeros_like(wrong)
    if TeacherUse.RELABEL in config.uses:
        sure = wrong & (ratings.negatives > ratings.highest + config.relabel_margin)
        relabelled = _best_per_query(sure & (ratings.negatives >= np.median(ratings.pairs)), material, ratings)
    new = _new_pairs(material, ratings, relabelled)
    return Corrected(
        pairs=(*material.pairs, *new),
        negatives=tuple(item for item, gone in zip(material.negatives, wrong.tolist(), strict=True) if not gone),
        scores=_scores(material, ratings, kept=~wrong | relabelled) if TeacherUse.DISTIL in config.uses else (),
        relabelled=_by_retriever(material.negatives, relabelled),
        dropped=_by_retriever(material.negatives, wrong & ~relabelled),
        fixed=int(fixed.sum()),
        margins=_histogram(ratings.negatives - ratings.lowest),
    )


def _rate(material: Material, scores: NDArray[np.float32]) -> _Ratings:
    of_pairs, of_negatives = scores[: len(material.pairs)], scores[len(material.pairs) :]
    lowest = np.full(len(material.query_texts), np.inf, dtype=np.float32)
    highest = np.full(len(material.query_texts), -np.inf, dtype=np.float32)
    np.minimum.at(lowest, material.pair_rows[:, 0], of_pairs)
    np.maximum.at(highest, material.pair_rows[:, 0], of_pairs)
    owners = material.negative_rows[:, 0]
    return _Ratings(of_pairs, of_negatives, lowest[owners], highest[owners])


def _fixed(material: Material) -> NDArray[np.bool_]:
    """Mark negatives that a person or an instruction named."""
    return np.array(
        [
            negative.retriever is Retriever.GIVEN or (query, document) in material.judged
            for negative, (query, document) in zip(material.negatives, material.negative_rows.tolist(), strict=True)
        ],
        dtype=np.bool_,
    )


def _best_per_query(sure: NDArray[np.bool_], material: Material, ratings: _Ratings) -> NDArray[np.bool_]:
    """Keep a query's best-rated new positives, one of those that share a text or a parent."""
    kept = np.zeros_like(sure)
    taken: Counter[int] = Counter()
    seen: set[tuple[int, int]] = set()
    for place in np.argsort(-ratings.negatives, kind="stable").tolist():
        if not sure[place]:
            continue
        query, document = material.negative_rows[place].tolist()
        key = (query, int(material.kin[document]))
        if taken[query] < MOST_RELABELLED and key not in seen:
            kept[place] = True
            taken[query] += 1
            seen.add(key)
    return kept


def _new_pairs(material: Material, ratings: _Ratings, relabelled: NDArray[np.bool_]) -> list[Pair]:
    """Make pairs of relabelled negatives, as heavy as the query's lightest pair times the teacher's certainty."""
    templates: dict[str, Pair] = {}
    for pair in material.pairs:
        known = templates.get(pair.query_id)
        if known is None or pair.weight < known.weight:
            templates[pair.query_id] = pair
    new = []
    for place in np.flatnonzero(relabelled).tolist():
        negative = material.negatives[place]
        certainty = 1 / (1 + float(np.exp(ratings.highest[place] - ratings.negatives[place])))
        template = templates[negative.query_id]
        new.append(
            replace(
                template,
                document_id=negative.document_id,
                weight=template.weight * certainty,
                source=PairSource.TEACHER,
            )
        )
    return new


def _scores(material: Material, ratings: _Ratings, *, kept: NDArray[np.bool_]) -> tuple[TeacherScore, ...]:
    """Return one score per couple of query and document that the student may meet."""
    couples = [(item.query_id, item.document_id) for item in material.pairs]
    negatives = zip(material.negatives, kept.tolist(), strict=True)
    couples += [(item.query_id, item.document_id) for item, keeps in negatives if keeps]
    values = np.concatenate([ratings.pairs, ratings.negatives[kept]]).tolist()
    found = dict(zip(couples, values, strict=True))
    return tuple(TeacherScore(query, document, value) for (query, document), value in found.items())


def _by_retriever(negatives: Sequence[HardNegative], chosen: NDArray[np.bool_]) -> dict[str, int]:
    counts = Counter(item.retriever for item, keeps in zip(negatives, chosen.tolist(), strict=True) if keeps)
    return {retriever.value: counts[retriever] for retriever in Retriever if retriever is not Retriever.GIVEN}


def _histogram(margins: NDArray[np.float32]) -> Histogram:
    counts, _ = np.histogram(np.clip(margins, MARGIN_EDGES[0], MARGIN_EDGES[-1]), bins=np.array(MARGIN_EDGES))
    return Histogram(MARGIN_EDGES, tuple(counts.tolist()))
