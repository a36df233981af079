"""Find texts of one side that repeat, or nearly repeat, a text of the other side, in near-linear time."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from dialekt.store.words import jaccard, normalised_tokens

Tokens = frozenset[str]


def near_twins(left: Mapping[str, str], right: Mapping[str, str], threshold: float) -> Iterator[tuple[str, str]]:
    """Yield every (left id, right id) whose texts' token sets have a Jaccard similarity from the threshold on.

    Exact. Two sets this similar share a token among the rarest |x| - ⌈t·|x|⌉ + 1 of each, so only those are
    looked up (Bayardo, Ma & Srikant 2007, "Scaling up all pairs similarity search").
    """
    left_ids, right_ids = _by_tokens(left), _by_tokens(right)
    frequency = Counter(token for side in (left_ids, right_ids) for tokens in side for token in tokens)
    holders: defaultdict[str, list[Tokens]] = defaultdict(list)
    for tokens in right_ids:
        for token in _prefix(tokens, frequency, threshold):
            holders[token].append(tokens)
    for tokens, ids in left_ids.items():
        candidates = {other for token in _prefix(tokens, frequency, threshold) for other in holders[token]}
        for other in candidates:
            if jaccard(tokens, other) >= threshold - 1e-9:
                yield from ((one, two) for one in ids for two in right_ids[other])


def _by_tokens(texts: Mapping[str, str]) -> dict[Tokens, list[str]]:
    groups: defaultdict[Tokens, list[str]] = defaultdict(list)
    for text_id, text in texts.items():
        groups[normalised_tokens(text)].append(text_id)
    return dict(groups)


def _prefix(tokens: Tokens, frequency: Counter[str], threshold: float) -> list[str]:
    rarest_first = sorted(tokens, key=lambda token: (frequency[token], token))
    return rarest_first[: len(tokens) - math.ceil(threshold * len(tokens) - 1e-9) + 1]
