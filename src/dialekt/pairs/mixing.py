"""Sources beside the main one: which of their queries may train, what each brings, and how much it counts."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from dialekt.config import PairsConfig
from dialekt.pairs.assignment import carve, share_of
from dialekt.pairs.similarity import similar_pairs
from dialekt.store.hashing import hash_text
from dialekt.store.words import normalised_tokens
from dialekt.types import Pair, PairSource, Qrel, Query, Split


@dataclass(frozen=True, slots=True)
class Offer:
    """A query and an answer that a source offers. `unit_id` is "" where the source judges whole documents only."""

    query: Query
    document_id: str
    source: PairSource
    unit_id: str = ""
    grade: float = 1.0
    weight: float = 1.0

    @property
    def qrel(self) -> Qrel:
        """The offer as a judgment of the whole document."""
        return Qrel(self.query.id, self.document_id, self.grade)


def admit(
    offers: Sequence[Offer],
    present: Sequence[Query],
    qrels: Iterable[Qrel],
    *,
    similarity: float,
    dropped: Counter[str],
) -> list[Offer]:
    """Return the offers that may train beside the queries already there.

    An offer is left out, and counted, when its query is nearly the same as a dev or test query, or when a query of the
    same words already has the same answer. A query of the same words as a train query takes that query's id, so that
    all its answers are known together.
    """
    barred = _near_held_out(offers, present, similarity)
    train = {normalised_tokens(query.text): query for query in present if query.split is Split.TRAIN}
    known = {(qrel.query_id, qrel.document_id) for qrel in qrels}
    admitted = []
    for offer in offers:
        if offer.query.id in barred:
            dropped[f"{offer.source.value}_queries_near_held_out"] += 1
            continue
        query = train.setdefault(normalised_tokens(offer.query.text), offer.query)
        if (query.id, offer.document_id) in known:
            dropped[f"{offer.source.value}_pairs_known_from_another_source"] += 1
            continue
        known.add((query.id, offer.document_id))
        admitted.append(replace(offer, query=query))
    return admitted


def _near_held_out(offers: Sequence[Offer], present: Sequence[Query], similarity: float) -> set[str]:
    """Return the ids of offered queries whose words are nearly those of a dev or test query."""
    ids_of: defaultdict[frozenset[str], list[str]] = defaultdict(list)
    for offer in offers:
        ids_of[normalised_tokens(offer.query.text)].append(offer.query.id)
    held_out = {normalised_tokens(query.text) for query in present if query.split is not Split.TRAIN}
    distinct = [*ids_of, *(held_out - ids_of.keys())]
    barred = ids_of.keys() & held_out
    for one, other in similar_pairs(distinct, similarity):
        first, second = distinct[one], distinct[other]
        barred |= {words for words, twin in ((first, second), (second, first)) if words in ids_of and twin in held_out}
    return {query_id for words in barred for query_id in ids_of[words]}


def set_aside(
    offers: Sequence[Offer],
    group_of: Callable[[str], str],
    shares: Mapping[Split, float],
    *,
    most: int,
    seed: int,
) -> list[Offer]:
    """Return the offers with some of the documents' queries moved into the splits that `shares` asks for.

    All queries of a document group, and of groups that a query joins, stay on one side. At most `most` queries go to
    each split, so that testing on made queries does not eat the training.
    """
    groups = {offer.query.id: group_of(offer.document_id) for offer in offers}
    rooms = [(split, min(most, share_of(len(groups), share))) for split, share in shares.items()]
    splits = carve(groups, rooms, seed=seed)
    return [replace(offer, query=replace(offer.query, split=splits[offer.query.id])) for offer in offers]


def weigh(pairs: Sequence[Pair], config: PairsConfig, *, seed: int, dropped: Counter[str]) -> list[Pair]:
    """Return the pairs with the weights of their sources, those of left-out sources and beyond caps dropped.

    A cap keeps the heaviest pairs of its source; equal weights are drawn by a seeded hash.
    """
    kept: list[Pair] = []
    by_source: defaultdict[PairSource, list[Pair]] = defaultdict(list)
    for pair in pairs:
        if pair.source in config.leave_out:
            dropped[f"{pair.source.value}_pairs_left_out"] += 1
        else:
            by_source[pair.source].append(pair)
    for source, found in by_source.items():
        cap = config.source_caps.get(source)
        chosen = found
        if cap is not None and len(found) > cap:
            chosen = sorted(
                found, key=lambda pair: (-pair.weight, hash_text(f"{seed} {pair.query_id} {pair.document_id}"))
            )
            chosen = chosen[:cap]
            dropped[f"{source.value}_pairs_beyond_cap"] += len(found) - cap
        factor = config.source_weights.get(source, 1.0)
        kept += [replace(pair, weight=pair.weight * factor) for pair in chosen]
    return sorted(kept, key=lambda pair: (pair.query_id, -pair.grade, pair.document_id))
