"""Eight bits hold a product of activations with outliers."""

import numpy as np
import pytest
from numpy.typing import NDArray

from dialekt.models.engines.rounding import Product, Quantized, quantize_products


@pytest.fixture
def activations() -> NDArray[np.float32]:
    """Activations (400, 64) that hang together, with one channel and some tokens fifty times larger."""
    draw = np.random.default_rng(3)
    values = draw.normal(size=(400, 12)) @ draw.normal(size=(12, 64)) + 0.3 * draw.normal(size=(400, 64))
    values[:, 5] *= 50
    values[::40] *= 50
    return values.astype(np.float32)


@pytest.fixture
def product() -> Product:
    """A product with a weight matrix (64, 32)."""
    return Product("dense", np.random.default_rng(4).normal(size=(64, 32)).astype(np.float32))


def _found(values: NDArray[np.float32], quantized: Quantized) -> NDArray[np.float32]:
    weight = quantized.weights["dense"]
    return quantized.activation.rounded(values) @ (weight.integers * weight.scales)


def _error(wanted: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(wanted - found, axis=1).mean() / np.linalg.norm(wanted, axis=1).mean())


def test_outliers_do_not_drown_the_others(activations: NDArray[np.float32], product: Product) -> None:
    """Ordinary tokens keep their products, which one scale for all activations would lose."""
    quantized = quantize_products(activations, [product], largest_weight=127)
    wanted = activations @ product.weight
    ordinary = np.arange(400) % 40 != 0
    step = np.abs(activations).max() / 127
    plain = np.round(activations / step) * step @ product.weight
    assert _error(wanted[ordinary], _found(activations, quantized)[ordinary]) < 0.01
    assert _error(wanted[ordinary], plain[ordinary]) > 0.1


def test_weights_make_good_each_other_s_rounding(activations: NDArray[np.float32], product: Product) -> None:
    """With coarse weights the product errs less than it does when every weight is rounded to its nearest."""
    quantized = quantize_products(activations, [product], largest_weight=7)
    weight = product.weight / quantized.activation.factor[:, None]
    scales = np.abs(weight).max(axis=0) / 7
    rounded = quantized.activation.rounded(activations)
    wanted = activations @ product.weight
    nearest = rounded @ (np.round(weight / scales) * scales)
    assert quantized.weights.keys() == {"dense"}
    assert np.abs(quantized.weights["dense"].integers).max() <= 7
    assert _error(wanted, _found(activations, quantized)) < 0.7 * _error(wanted, nearest)


def test_tokens_are_rounded_alone(activations: NDArray[np.float32], product: Product) -> None:
    """What stands beside a token does not change its integers; a token without activations stays zero."""
    activation = quantize_products(activations, [product], largest_weight=127).activation
    np.testing.assert_array_equal(activation.rounded(activations)[:3], activation.rounded(activations[:3]))
    np.testing.assert_array_equal(activation.rounded(np.zeros((1, 64), dtype=np.float32)), np.zeros((1, 64)))


def test_a_product_that_cannot_be_held_is_left_out(product: Product) -> None:
    """With weights of -1, 0 and 1 the error is above the bound: no integers come back, but the error is told."""
    noise = np.random.default_rng(5).normal(size=(400, 64)).astype(np.float32)
    quantized = quantize_products(noise, [product], largest_weight=1)
    assert not quantized.weights
    assert quantized.errors["dense"] > 0.02
