# ruff: noqa: RUF001 - texts in many scripts
"""Near-duplicate search over token sets."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialekt.pairs.similarity import Groups, join_near_duplicates, similar_pairs
from dialekt.store.words import jaccard, normalised_tokens

TOKEN_SETS = st.lists(
    st.frozensets(st.sampled_from("abcdefgh"), min_size=1, max_size=8), min_size=2, max_size=30, unique=True
)


@settings(max_examples=80, deadline=None)
@given(TOKEN_SETS, st.sampled_from([0.51, 0.6, 2 / 3, 0.75, 0.8, 0.9, 1.0]))
def test_prefix_filter_finds_what_brute_force_finds(sets: list[frozenset[str]], threshold: float) -> None:
    """The indexed search is exact: it gives the pairs that comparing everything with everything gives."""
    found = {frozenset(pair) for pair in similar_pairs(sets, threshold)}
    pairs = combinations(range(len(sets)), 2)
    expected = {frozenset((i, j)) for i, j in pairs if jaccard(sets[i], sets[j]) >= threshold - 1e-9}
    assert found == expected


@settings(max_examples=30, deadline=None)
@given(st.permutations(list("abcdef")), st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef"))))
def test_group_names_do_not_depend_on_order(order: list[str], joins: list[tuple[str, str]]) -> None:
    """A group is called by its smallest member, in whatever order and direction the joins come."""
    one, other = Groups(), Groups()
    for first, second in joins:
        one.join(first, second)
    for first, second in sorted(joins, key=lambda join: order.index(join[0])):
        other.join(second, first)
    assert [one.find(item) for item in "abcdef"] == [other.find(item) for item in "abcdef"]
    assert all(one.find(item) <= item for item in "abcdef")


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("How to reset?", "how to RESET", True),
        ("caf\u00e9 menu", "cafe\u0301 menu", True),  # one code point, or a letter and a combining accent
        ("error 404", "error 405", False),
        ("???", "!!!", False),
        ("东京 天气", "天气东京", True),
        ("东京天气", "北京新闻", False),
    ],
)
def test_normalisation(first: str, second: str, same: bool) -> None:
    """Case, punctuation and encoding do not tell queries apart; numbers and characters do."""
    assert (normalised_tokens(first) == normalised_tokens(second)) is same


def test_near_duplicates_are_joined_across_a_chain() -> None:
    """Queries that are near-duplicates of a third are in one cluster with it."""
    base = [f"word{number}" for number in range(20)]
    texts = [("a", " ".join(base)), ("b", " ".join([*base, "more"])), ("c", " ".join([*base, "more", "and"]))]
    groups = Groups()
    join_near_duplicates(groups, [*texts, ("d", "something else")], 0.95)
    assert [groups.find(item) for item in "abcd"] == ["a", "a", "a", "d"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("如何重置我的登录密码？", "如何重置我的登录密码", True),
        ("如何重置我的登录密码", "如何更换水泵的阀门", False),
        ("पासवर्ड कैसे बदलें", "पासवर्ड कैसे बदलें।", True),
        ("का", "की", False),
        ("วิธีเปลี่ยนรหัสผ่าน", "วิธีเปลี่ยนรหัสผ่าน!", True),
        ("วิธีเปลี่ยนรหัสผ่าน", "ราคาแผงโซลาร์เซลล์", False),
        ("كَيْفَ أغير كلمة المرور؟", "كيف أغير كلمة المرور", True),
    ],
)
def test_searches_of_every_script_are_near_duplicates_or_not(one: str, other: str, same: bool) -> None:
    """Marks that end a search and optional signs make no other search; other vowels do."""
    groups = Groups()
    join_near_duplicates(groups, [("a", one), ("b", other)], 0.9)
    assert (groups.find("a") == groups.find("b")) is same
