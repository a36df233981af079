"""Which query goes to which split: as given, by groups, or by time. Pure functions over ids."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from dialekt.pairs.records import JudgedQuery
from dialekt.pairs.similarity import Groups, join_near_duplicates
from dialekt.types import Split

Room = tuple[Split, int]


@dataclass(frozen=True, slots=True)
class Assignment:
    """The split of each query that is kept, the queries removed from train or dev, and the cluster of every query."""

    splits: dict[str, Split]
    removed: dict[str, Split]
    clusters: dict[str, str]


def query_clusters(queries: Sequence[JudgedQuery], similarity: float) -> dict[str, str]:
    """Return the cluster of every query: the smallest id among its near-duplicates and theirs."""
    groups = Groups()
    join_near_duplicates(groups, ((query.id, query.text) for query in queries), similarity)
    return {query.id: groups.find(query.id) for query in queries}


def join_by_document(
    clusters: Mapping[str, str], positives: Mapping[str, Iterable[str]], document_groups: Mapping[str, str]
) -> dict[str, str]:
    """Return larger clusters, in which queries also stand together when a document (or its twin) answers both."""
    groups = Groups()
    first_of: dict[str, str] = {}
    for query_id, cluster in clusters.items():
        groups.join(query_id, cluster)
        for document_id in positives[query_id]:
            group = document_groups.get(document_id, document_id)
            groups.join(query_id, first_of.setdefault(group, query_id))
    return {query_id: groups.find(query_id) for query_id in clusters}


def carve(clusters: Mapping[str, str], rooms: Sequence[Room], *, seed: int) -> dict[str, Split]:
    """Give whole clusters to the first room that still has place for them; what fits nowhere is train.

    Clusters come in the order of their seeded hash, so the result depends on the ids and the seed only, and most
    queries keep their split when others are added.
    """
    members: defaultdict[str, list[str]] = defaultdict(list)
    for query_id, cluster in clusters.items():
        members[cluster].append(query_id)
    left = dict(rooms)
    splits: dict[str, Split] = {}
    for cluster in sorted(members, key=lambda name: (_seeded_hash(name, seed), name)):
        size = len(members[cluster])
        split = next((split for split, _ in rooms if left[split] >= size), Split.TRAIN)
        if split in left:
            left[split] -= size
        splits.update(dict.fromkeys(members[cluster], split))
    return splits


def _seeded_hash(text: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\0{text}".encode("utf-8", "surrogatepass")).digest()


def share_of(count: int, share: float) -> int:
    """Return how many of `count` queries a share is: rounded, and at least one."""
    return max(1, round(count * share))


def assign_grouped(clusters: Mapping[str, str], *, dev_share: float, test_share: float, seed: int) -> Assignment:
    """Divide all queries by cluster."""
    rooms = [(Split.TEST, share_of(len(clusters), test_share)), (Split.DEV, share_of(len(clusters), dev_share))]
    return Assignment(carve(clusters, rooms, seed=seed), {}, dict(clusters))


def assign_official(
    given: Mapping[str, Split],
    clusters: Mapping[str, str],
    carve_clusters: Mapping[str, str],
    *,
    dev_share: float,
    test_share: float,
    seed: int,
) -> Assignment:
    """Keep the given test and dev queries; carve from train, by cluster, what is missing of them.

    Without train queries the dev queries are divided into train and dev; the test queries are never touched.
    """
    present = set(given.values())
    start = dict(given)
    if Split.TRAIN not in present:
        start = {query_id: Split.TRAIN if split is Split.DEV else split for query_id, split in given.items()}
        present = {Split.TRAIN, Split.TEST}
    assignment = remove_near_duplicates(start, clusters)
    pool = {query_id: carve_clusters[query_id] for query_id, split in assignment.splits.items() if split is Split.TRAIN}
    shares = ((Split.TEST, test_share), (Split.DEV, dev_share))
    rooms = [(split, share_of(len(pool), share)) for split, share in shares if split not in present]
    return Assignment({**assignment.splits, **carve(pool, rooms, seed=seed)}, assignment.removed, dict(clusters))


def assign_by_time(
    times: Mapping[str, float], clusters: Mapping[str, str], *, dev_share: float, test_share: float
) -> Assignment:
    """Make the latest queries test and those before them dev; queries without a time are train."""
    order = sorted(times, key=lambda query_id: (times[query_id], query_id), reverse=True)
    tests, devs = share_of(len(clusters), test_share), share_of(len(clusters), dev_share)
    splits = dict.fromkeys(clusters, Split.TRAIN)
    splits.update(dict.fromkeys(order[:tests], Split.TEST))
    splits.update(dict.fromkeys(order[tests : tests + devs], Split.DEV))
    return remove_near_duplicates(splits, clusters)


def remove_near_duplicates(splits: Mapping[str, Split], clusters: Mapping[str, str]) -> Assignment:
    """Remove train queries whose cluster has a dev or test query, and dev queries whose cluster has a test query."""
    present: defaultdict[str, set[Split]] = defaultdict(set)
    for query_id, split in splits.items():
        present[clusters[query_id]].add(split)
    stronger = {Split.TRAIN: {Split.DEV, Split.TEST}, Split.DEV: {Split.TEST}, Split.TEST: set[Split]()}
    kept: dict[str, Split] = {}
    removed: dict[str, Split] = {}
    for query_id, split in splits.items():
        target = removed if stronger[split] & present[clusters[query_id]] else kept
        target[query_id] = split
    return Assignment(kept, removed, dict(clusters))


def parse_time(text: str) -> float | None:
    """Return the seconds of an ISO 8601 time (UTC unless it says otherwise) or of a number, else `None`."""
    text = text.strip()
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
