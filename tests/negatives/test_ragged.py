"""Ragged sets: grouping, membership, following links."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dialekt.negatives.ragged import Ragged

Sets = list[set[int]]
SETS = st.lists(st.sets(st.integers(0, 9), max_size=5), min_size=1, max_size=5)


def ragged(sets: Sets) -> Ragged:
    """Build ragged sets from Python's, their members in no order and twice."""
    pairs = [(row, value) for row, values in enumerate(sets) for value in values] * 2
    table = np.array(pairs[::-1], dtype=np.int64).reshape(-1, 2)
    return Ragged.build(table[:, 0], table[:, 1], row_count=len(sets))


def as_sets(table: Ragged) -> Sets:
    """Return ragged sets as Python's."""
    return [set(map(int, row[row >= 0])) for row in table.padded()]


@settings(max_examples=40, deadline=None)
@given(SETS)
def test_building_keeps_every_member_once(sets: Sets) -> None:
    """Sets come back as they went in, each member once."""
    table = ragged(sets)
    assert as_sets(table) == sets
    assert table.lengths.tolist() == [len(values) for values in sets]


@settings(max_examples=40, deadline=None)
@given(SETS, st.integers(-1, 12))
def test_membership_is_that_of_python_sets(sets: Sets, value: int) -> None:
    """A value is found in exactly the rows whose set holds it; -1 in none."""
    candidates = np.full((len(sets), 1), value)
    assert ragged(sets).contains(candidates)[:, 0].tolist() == [value in values for values in sets]


@settings(max_examples=40, deadline=None)
@given(SETS, SETS)
def test_union_is_row_by_row(left: Sets, right: Sets) -> None:
    """Each row of the union holds both rows' members."""
    pairs = list(zip(left, right, strict=False))
    first, second = ragged([one for one, _ in pairs]), ragged([two for _, two in pairs])
    assert as_sets(first.union(second)) == [one | two for one, two in pairs]


@settings(max_examples=40, deadline=None)
@given(SETS, st.lists(st.sets(st.integers(0, 9), max_size=3), min_size=10, max_size=10))
def test_following_links_replaces_members_by_their_targets(sets: Sets, links: Sets) -> None:
    """A set of keys becomes the union of what its keys stand for."""
    expected: Sets = [{target for key in values for target in links[key]} for values in sets]
    assert as_sets(ragged(sets).follow(ragged(links))) == expected


@settings(max_examples=40, deadline=None)
@given(SETS, st.data())
def test_block_is_a_slice_of_the_rows(sets: Sets, data: st.DataObject) -> None:
    """A block holds the sets of its rows."""
    start = data.draw(st.integers(0, len(sets)))
    stop = data.draw(st.integers(start, len(sets)))
    assert as_sets(ragged(sets).block(start, stop)) == sets[start:stop]
