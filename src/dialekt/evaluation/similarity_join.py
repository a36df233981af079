"""Find texts of one side that repeat, or nearly repeat, a text of the other side, in near-linear time."""

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

_SINGLE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0e7f"  # scripts without blanks
_TOKEN = re.compile(rf"[{_SINGLE}]|[^\W_{_SINGLE}]+")

Tokens = frozenset[str]


def tokens_of(text: str) -> Tokens:
    """Return the distinct words of a text, without case, encoding of accents, or punctuation.

    A text without any word is one token by itself, so that it is like nothing but itself.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return frozenset(_TOKEN.findall(folded)) or frozenset([folded.strip()])


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


def jaccard(first: Tokens, second: Tokens) -> float:
    """Return the size of the intersection over the size of the union, in [0, 1]."""
    shared = len(first & second)
    return shared / (len(first) + len(second) - shared)


def _by_tokens(texts: Mapping[str, str]) -> dict[Tokens, list[str]]:
    groups: defaultdict[Tokens, list[str]] = defaultdict(list)
    for text_id, text in texts.items():
        groups[tokens_of(text)].append(text_id)
    return dict(groups)


def _prefix(tokens: Tokens, frequency: Counter[str], threshold: float) -> list[str]:
    rarest_first = sorted(tokens, key=lambda token: (frequency[token], token))
    return rarest_first[: len(tokens) - math.ceil(threshold * len(tokens) - 1e-9) + 1]
