"""Near-duplicate queries: pairs of texts whose token sets have at least a given Jaccard similarity, exactly."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from dialekt.store.words import jaccard, normalised_tokens


class Groups:
    """Union-find: joins items to groups; the name of a group is its smallest item, whatever the order of joins."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def find(self, item: str) -> str:
        """Return the name of the item's group."""
        root = item
        while (above := self._parent.get(root, root)) != root:
            root = above
        while (above := self._parent.get(item, item)) != root:
            self._parent[item], item = root, above
        return root

    def join(self, first: str, second: str) -> None:
        """Make one group of the groups of two items."""
        one, other = sorted((self.find(first), self.find(second)))
        self._parent[other] = one


def similar_pairs(token_sets: Sequence[frozenset[str]], threshold: float) -> Iterator[tuple[int, int]]:
    """Yield index pairs (later, earlier in order of size) of sets with Jaccard similarity ≥ threshold.

    Exact, by prefix filtering: with tokens in order of rarity, two sets that are similar enough share a token among
    the first |x| - ⌈t·|x|⌉ + 1, so only those are indexed (Bayardo, Ma, Srikant: Scaling up all pairs similarity
    search, WWW 2007; Xiao et al.: PPJoin, WWW 2008). Sizes bound candidates: |y| ≥ t·|x|.
    """
    frequency = Counter(token for tokens in token_sets for token in tokens)
    order = sorted(range(len(token_sets)), key=lambda index: len(token_sets[index]))
    index_of: defaultdict[str, list[int]] = defaultdict(list)
    for index in order:
        tokens = token_sets[index]
        least = math.ceil(threshold * len(tokens) - 1e-9)
        ranked = sorted(tokens, key=lambda token: (frequency[token], token))
        prefix = [token for token in ranked[: len(tokens) - least + 1] if frequency[token] > 1]
        candidates = {other for token in prefix for other in index_of[token] if len(token_sets[other]) >= least}
        for other in candidates:
            if jaccard(tokens, token_sets[other]) >= threshold - 1e-9:
                yield index, other
        for token in prefix:
            index_of[token].append(index)


def join_near_duplicates(groups: Groups, texts: Iterable[tuple[str, str]], threshold: float) -> None:
    """Join the ids of (id, text) pairs whose texts are equal or nearly equal after normalisation."""
    join_similar_sets(groups, ((text_id, normalised_tokens(text)) for text_id, text in texts), threshold)


def join_similar_sets(groups: Groups, sets: Iterable[tuple[str, frozenset[str]]], threshold: float) -> None:
    """Join the ids of (id, set) pairs whose sets have a Jaccard similarity of at least the threshold."""
    ids_of: defaultdict[frozenset[str], list[str]] = defaultdict(list)
    for item_id, tokens in sets:
        ids_of[tokens].append(item_id)
    for ids in ids_of.values():
        for item_id in ids[1:]:
            groups.join(ids[0], item_id)
    distinct = list(ids_of)
    for one, other in similar_pairs(distinct, threshold):
        groups.join(ids_of[distinct[one]][0], ids_of[distinct[other]][0])
