"""Linear maps on frozen vectors: a probe in seconds."""

import numpy as np
from numpy.typing import NDArray

from dialekt.training.adapter import Adapter, AdapterMaterial, fit_adapter

DIMENSION = 16


def normalised(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    """Scale rows to length 1."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / lengths, dtype=np.float32)


def rotated_world(queries: int, *, seed: int = 1) -> AdapterMaterial:
    """Queries that speak of their documents in a space that is turned a little: what a linear map can learn."""
    generator = np.random.default_rng(seed)
    documents = normalised(generator.normal(size=(queries, DIMENSION)))
    turn = np.eye(DIMENSION) + 0.35 * generator.normal(size=(DIMENSION, DIMENSION))
    spoken = normalised(documents @ turn + 0.05 * generator.normal(size=documents.shape))
    return AdapterMaterial(spoken, documents, [[row] for row in range(queries)], np.arange(queries, dtype=np.int64))


def found_first(adapter: Adapter, world: AdapterMaterial, rows: range) -> float:
    """Return the share of queries whose own document is the nearest."""
    cosines = adapter.queries(world.queries[rows.start : rows.stop]) @ adapter.documents(world.documents).T
    return float(np.mean(cosines.argmax(axis=1) == np.array(rows)))


def test_a_map_learns_what_is_linear_and_helps_unseen_queries() -> None:
    """Trained on half of the queries, it finds far more documents of the other half than the plain vectors do."""
    world = rotated_world(400)
    nothing = fit_adapter(world, [], seed=1)
    learnt = fit_adapter(world, range(200), seed=1)
    plain, tuned = (found_first(adapter, world, range(200, 400)) for adapter in (nothing, learnt))
    assert plain < 0.5
    assert tuned > plain + 0.2


def test_a_share_of_nothing_changes_nothing() -> None:
    """A share of 0 gives the vectors back, and every share keeps them at length 1."""
    world = rotated_world(50)
    adapter = fit_adapter(world, range(50), seed=1)
    np.testing.assert_allclose(adapter.queries(world.queries, share=0.0), world.queries, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(adapter.documents(world.documents), axis=1), 1.0, rtol=1e-5)


def test_equal_seeds_give_equal_maps() -> None:
    """Nothing but the seed is random."""
    world = rotated_world(60)
    first, second = (fit_adapter(world, range(60), seed=4) for _ in range(2))
    np.testing.assert_array_equal(first.query, second.query)


def test_other_answers_of_a_query_are_no_negatives() -> None:
    """Of two copies of every document, both answers, neither is pushed away for the sake of the other."""
    world = rotated_world(100)
    copies = AdapterMaterial(
        world.queries,
        np.concatenate([world.documents, world.documents]),
        [[row, row + 100] for row in range(100)],
        np.arange(200, dtype=np.int64),
    )
    twice, once = (fit_adapter(material, range(100), seed=1) for material in (copies, world))
    assert found_first(twice, world, range(100)) >= found_first(once, world, range(100)) - 0.05
