"""In which order documents are embedded again."""

import numpy as np
import pytest

from dialekt.index.records import Found
from dialekt.index.update.displacement import Displacement
from dialekt.index.update.order import Popularity, order_by_harm, popularity


def _found(*ids: str) -> Found:
    return Found(ids, ids, ("s",) * len(ids), np.linspace(1, 0.5, len(ids), dtype=np.float32))


def _left(values: list[float], cells: list[int] | None = None) -> Displacement:
    left = np.array(values, dtype=np.float32)
    return Displacement(left, left, np.array(cells or range(len(values)), dtype=np.int64))


def test_hits_count_by_rank() -> None:
    """A first place weighs 1, a second 1 / log2 3."""
    past = popularity([_found("a", "b"), _found("a")])
    assert past.hits["a"] == pytest.approx(2.0)
    assert past.hits["b"] == pytest.approx(1 / np.log2(3))


def test_newness_is_the_share_of_answers_seen_once() -> None:
    """Judged answers count where there are some, else first results."""
    assert popularity([_found("a"), _found("a"), _found("b")]).newness == pytest.approx(1 / 3)
    assert popularity([_found("a"), _found("a")], [("x",), ("y",)]).newness == 1.0
    assert popularity([]).newness == 1.0


def test_where_questions_repeat_the_most_harmful_rows_come_first() -> None:
    """Hits times what is unexplained decides; what nobody retrieved is last."""
    order = order_by_harm(list("abcd"), _left([0.1, 0.5, 0.9, 0.3]), Popularity({"a": 8, "b": 1, "d": 1}, 0.0))
    assert order == ["a", "b", "d", "c"]


def test_where_all_questions_are_new_whole_neighbourhoods_follow_each_other() -> None:
    """The neighbourhood with most left unexplained is done first, wholly, whatever was asked before."""
    order = order_by_harm(list("abcd"), _left([0.1, 0.5, 0.2, 0.7], [0, 1, 0, 1]), Popularity({"a": 9}, 1.0))
    assert order == ["d", "b", "c", "a"]


def test_both_orders_take_their_share() -> None:
    """With a newness of one half every second place goes to a neighbourhood; every unit comes once."""
    ids = [f"u{number}" for number in range(10)]
    past = Popularity({unit: 10.0 - number for number, unit in enumerate(ids[:5])}, 0.5)
    order = order_by_harm(ids, _left([0.5] * 5 + [0.9] * 5, [0] * 5 + [1] * 5), past)
    assert sorted(order) == sorted(ids)
    assert order[:4] == ["u0", "u5", "u1", "u6"]


def test_nothing_to_order_is_no_error() -> None:
    """An update that is done has an empty order."""
    assert order_by_harm([], _left([]), Popularity({}, 0.5)) == []
