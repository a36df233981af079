"""Documents that training must not see, because only held-out queries have them as answers."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from dialekt.pairs.records import DocumentKeys
from dialekt.pairs.similarity import Groups, join_similar_sets
from dialekt.types import Qrel, Query, Split

TWIN_SIMILARITY = 0.5


def held_out_documents(
    queries: Sequence[Query],
    qrels: Sequence[Qrel],
    *,
    minimum_grade: float = 1.0,
    document_groups: Mapping[str, str] | None = None,
) -> list[str]:
    """Return, in order, the parent ids that are positives of dev or test queries only, with all their near-duplicates.

    `document_groups` names the near-duplicate group of every parent id (`group_documents`); without it every document
    stands alone.
    """
    groups = document_groups or {}
    split_of = {query.id: query.split for query in queries}
    training: set[str] = set()
    held_out: set[str] = set()
    for qrel in qrels:
        if qrel.grade >= minimum_grade and qrel.query_id in split_of:
            side = training if split_of[qrel.query_id] is Split.TRAIN else held_out
            side.add(qrel.document_id)
    only = held_out - training
    barred = {groups.get(document_id, document_id) for document_id in only}
    twins = {document_id for document_id, group in groups.items() if group in barred}
    return sorted(only | twins)


def group_documents(keys: Sequence[DocumentKeys]) -> dict[str, str]:
    """Return the near-duplicate group of every whole document (parent id).

    Documents are twins when, near-duplicate chunks counted as one, they share at least half of all the chunks that
    either has; a shared boilerplate chunk alone does not make them so.
    """
    chunks: defaultdict[str, set[str]] = defaultdict(set)
    for key in keys:
        chunks[key.parent_id or key.id].add(key.duplicate_of or key.id)
    groups = Groups()
    join_similar_sets(groups, ((parent, frozenset(names)) for parent, names in chunks.items()), TWIN_SIMILARITY)
    return {parent: groups.find(parent) for parent in chunks}
