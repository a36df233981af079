"""What the teacher is shown: the same groups at every run, and no answer among the wrong documents."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from dialekt.teacher.fit import pieces
from dialekt.teacher.groups import PAIRS_PER_STEP, GroupPlan
from dialekt.teacher.material import Material
from dialekt.types import HardNegative, Pair, Retriever

QUERIES, DOCUMENTS = 50, 120


@pytest.fixture
def material() -> Material:
    """Fifty queries: query n is answered by documents n and n + 50, and n + 1 and n + 100 are its hard negatives.

    Documents 0 to 9 are copies of documents 110 to 119.
    """
    pairs = [(query, query + shift) for query in range(QUERIES) for shift in (0, 50)]
    negatives = [(query, document % DOCUMENTS) for query in range(QUERIES) for document in (query + 1, query + 100)]
    return Material(
        pairs=[Pair(f"q{query}", f"d{document}", weight=0.5 + query / 100) for query, document in pairs],
        negatives=[
            HardNegative(f"q{query}", f"d{document}", 1, 0.5, 0.6, Retriever.BM25) for query, document in negatives
        ],
        query_texts=[""] * QUERIES,
        document_texts=[""] * DOCUMENTS,
        pair_rows=np.array(pairs),
        negative_rows=np.array(negatives),
        kin=np.where(np.arange(DOCUMENTS) >= 110, np.arange(DOCUMENTS) - 110, np.arange(DOCUMENTS)),
        judged=frozenset(),
    )


def plan_of(
    material: Material, *, wrong: int = 4, epochs: float = 2.0, max_pairs: int = 1000, seed: int = 3
) -> GroupPlan:
    """Return a plan."""
    return GroupPlan(material, wrong=wrong, max_pairs=max_pairs, epochs=epochs, seed=seed)


def groups_of(plan: GroupPlan) -> list[list[tuple[int, int]]]:
    """Return all groups of a plan, as couples of query and document."""
    batches = [plan.batch(step).couples for step in range(len(plan.steps))]
    return [[(query, document) for query, document in group] for batch in batches for group in batch.tolist()]


def test_every_pair_is_seen_once_per_epoch(material: Material) -> None:
    """Each epoch in an order of its own; half an epoch is half of the pairs."""
    seen = [group[0] for group in groups_of(plan_of(material))]
    assert sorted(seen[:100]) == sorted(seen[100:]) == sorted(map(tuple, material.pair_rows.tolist()))
    assert seen[:100] != seen[100:]
    assert len(groups_of(plan_of(material, epochs=0.5))) == 50


def test_no_answer_or_copy_of_one_is_a_wrong_document(material: Material) -> None:
    """Not the query's other positive, and not a document with a positive's text."""
    for group in groups_of(plan_of(material)):
        query = group[0][0]
        barred = {query, query + 50}
        assert not {int(material.kin[document]) for _, document in group[1:]} & barred
        assert len({document for _, document in group}) == 5
        assert {couple[0] for couple in group} == {query}


def test_half_of_the_wrong_documents_are_hard(material: Material) -> None:
    """Two of four are the query's own hard negatives where it has them."""
    hard = {tuple(couple) for couple in material.negative_rows.tolist()}
    counts = [sum(couple in hard for couple in group[1:]) for group in groups_of(plan_of(material))]
    assert np.mean(np.array(counts) >= 2) > 0.75


def test_a_plan_is_the_same_at_every_run(material: Material) -> None:
    """A resumed run sees what an uninterrupted one sees; another seed sees something else."""
    assert groups_of(plan_of(material)) == groups_of(plan_of(material))
    assert groups_of(plan_of(material)) != groups_of(plan_of(material, seed=4))


def test_pairs_are_bounded(material: Material) -> None:
    """No more than `max_pairs` different pairs are drawn."""
    plan = plan_of(material, max_pairs=40)
    assert plan.pairs == 40
    assert len({group[0] for group in groups_of(plan)}) == 40
    assert max(len(step) for step in plan.steps) == PAIRS_PER_STEP


def test_groups_carry_the_weights_of_their_pairs(material: Material) -> None:
    """A pair that is half as sure counts half."""
    batch = plan_of(material).batch(0)
    expected = [0.5 + query / 100 for query, _ in batch.couples[:, 0].tolist()]
    np.testing.assert_allclose(batch.weights, expected, rtol=1e-6)


def test_a_tiny_corpus_still_fills_the_groups(material: Material) -> None:
    """With nothing but answers a group repeats documents rather than being short."""
    tiny = replace(
        material, negatives=[], negative_rows=np.zeros((0, 2), dtype=np.int64), kin=np.zeros(120, dtype=np.int64)
    )
    assert all(len(group) == 5 for group in groups_of(plan_of(tiny)))


def test_pieces_hold_every_group_once_within_the_budget() -> None:
    """Groups of like length go together, longest first."""
    lengths = np.random.default_rng(1).integers(1, 60, size=(33, 5))
    found = list(pieces(lengths, 600))
    assert sorted(np.concatenate(found).tolist()) == list(range(33))
    assert all(len(piece) == 1 or len(piece) * 5 * lengths[piece].max() <= 600 for piece in found)
    longest = [int(lengths[piece].max()) for piece in found]
    assert all(first >= second for first, second in pairwise(longest))
