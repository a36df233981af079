"""The draw among the candidates that survived the guard."""

import numpy as np

from dialekt.negatives.rules import EMPTY, KEPT, RULES, Rule
from dialekt.negatives.sampling import draw, hash_ids, random_order

NOT_SAMPLED = RULES.index(Rule.NOT_SAMPLED)


def test_draw_keeps_the_smallest_numbers_of_the_survivors() -> None:
    """Barred and empty cells are passed over and keep their verdict; the rest beyond `per_query` is not sampled."""
    verdicts = np.array([[KEPT, 0, KEPT, KEPT, EMPTY]], dtype=np.int8)
    drawn = draw(verdicts, np.array([[9, 1, 5, 7, 0]]), per_query=2)
    assert drawn.tolist() == [[NOT_SAMPLED, 0, KEPT, KEPT, EMPTY]]


def test_draw_of_more_than_there_are_keeps_all() -> None:
    """A query with fewer survivors than asked for keeps them all."""
    verdicts = np.array([[KEPT, 0]], dtype=np.int8)
    assert draw(verdicts, np.array([[1, 2]]), per_query=3).tolist() == verdicts.tolist()


def test_random_numbers_are_uniform_and_their_own_for_each_query() -> None:
    """Numbers fill [0, 2^62) evenly, and two queries order the same documents independently."""
    queries, documents = hash_ids(["q1", "q2"])[:, None], np.tile(hash_ids([f"d{n}" for n in range(4000)]), (2, 1))
    numbers = random_order(queries, documents, seed=1) / 2**62
    counts = np.histogram(numbers[0], bins=10, range=(0, 1))[0]
    assert counts.sum() == 4000
    assert counts.min() > 300
    assert abs(np.mean((numbers[0] - 0.5) * (numbers[1] - 0.5))) < 0.01
