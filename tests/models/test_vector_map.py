"""Maps of vectors: what they compute, and what is refused as one."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from dialekt.config import AdapterKind
from dialekt.errors import ModelError
from dialekt.models.vector_map import VectorMap, load_map, save_map

DIMENSION, WIDTH = 6, 4


def random_map(kind: AdapterKind, *, seed: int = 0, dimension: int = DIMENSION) -> VectorMap:
    """A map with weights drawn at random."""
    generator = np.random.default_rng(seed)
    every: dict[AdapterKind, dict[str, tuple[int, ...]]] = {
        AdapterKind.LINEAR: {"matrix": (dimension, dimension)},
        AdapterKind.MLP: {"hidden": (dimension, WIDTH), "bias": (WIDTH,), "output": (WIDTH, dimension)},
    }
    drawn = {name: generator.normal(size=shape).astype(np.float32) for name, shape in every[kind].items()}
    return VectorMap(kind, drawn)


def drawn(rows: int, dimension: int = DIMENSION) -> NDArray[np.float32]:
    """Vectors of length 1."""
    vectors = np.random.default_rng(1).normal(size=(rows, dimension)).astype(np.float32)
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def test_a_linear_map_is_one_product_and_the_mlp_adds_to_the_vector() -> None:
    """Both as their formulas say, row by row, scaled to length 1."""
    for kind in AdapterKind:
        found = random_map(kind)
        for vector in drawn(5):
            expected = vector @ found.weights["matrix"] if kind is AdapterKind.LINEAR else vector.copy()
            if kind is AdapterKind.MLP:
                inner = np.maximum(vector @ found.weights["hidden"] + found.weights["bias"], 0)
                expected = expected + inner @ found.weights["output"]
            np.testing.assert_allclose(found.apply(vector[None])[0], expected / np.linalg.norm(expected), atol=1e-6)


def test_many_rows_are_moved_as_one_by_one() -> None:
    """Blocks change nothing, no rows give none, and a memory-mapped matrix will do."""
    found, vectors = random_map(AdapterKind.MLP), drawn(40_000)
    moved = found.apply(vectors)
    np.testing.assert_allclose(moved[[0, 20_000, 39_999]], found.apply(vectors[[0, 20_000, 39_999]]), atol=1e-6)
    assert found.apply(vectors[:0]).shape == (0, DIMENSION)


@pytest.mark.parametrize("kind", AdapterKind)
def test_a_map_comes_back_from_its_file(tmp_path: Path, kind: AdapterKind) -> None:
    """Saved and loaded, it moves vectors to the very same place."""
    save_map(random_map(kind), tmp_path / "m.safetensors")
    np.testing.assert_array_equal(
        load_map(tmp_path / "m.safetensors", kind).apply(drawn(3)), random_map(kind).apply(drawn(3))
    )


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"matrix": np.eye(3, dtype=np.float32)[:2]}, "not the weights of a linear adapter"),
        ({"matrix": np.full((2, 2), np.nan, dtype=np.float32)}, "not the weights of a linear adapter"),
        ({"hidden": np.eye(3, dtype=np.float32)}, "not the weights of a linear adapter: hidden"),
    ],
)
def test_what_is_no_map_is_refused(tmp_path: Path, weights: dict[str, NDArray[np.float32]], message: str) -> None:
    """Odd shapes, numbers that are none, weights of another kind: named, with the file."""
    save_file(weights, tmp_path / "m.safetensors")
    with pytest.raises(ModelError, match=message):
        load_map(tmp_path / "m.safetensors", AdapterKind.LINEAR)


def test_a_damaged_file_is_said_to_be_one(tmp_path: Path) -> None:
    """Cut weights are an error with the path."""
    (tmp_path / "m.safetensors").write_bytes(b"cut")
    with pytest.raises(ModelError, match="the adapter is damaged"):
        load_map(tmp_path / "m.safetensors", AdapterKind.LINEAR)
