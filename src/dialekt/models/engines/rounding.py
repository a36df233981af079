"""Activations and weights in 8 bits, fitted to what a product of matrices sees in the domain's own texts.

What costs quality are the few channels, and the few tokens, whose activations are ten times larger than the others;
so, per product:

- SmoothQuant (Xiao et al. 2022, arXiv:2211.10438): activations are multiplied and weights divided by a factor per
  channel, here with the exponent that errs least on the domain's texts instead of one for all;
- every token has a scale of its own, so a text's vector does not depend on its batch, as it does where a batch has
  one scale;
- weights are rounded one after the other, each making good the error of those before on the domain's texts
  (GPTQ, Frantar et al. 2022, arXiv:2210.17323);
- a product that still errs much stays in fp32.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

SMALLEST = 1e-5  # reach of a channel or token without activations
_SEARCH_TOKENS = 1_024
_EXPONENTS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_DAMPING = 0.01  # of the mean diagonal, as in GPTQ
_BLOCK = 128
_MOST_ERROR = 0.02  # of a product's variance; above it it stays in fp32


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """A product of activations with a weight matrix (inputs, outputs)."""

    name: str
    weight: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Activation:
    """How activations become 8-bit: times `factor` (channels,), over the token's reach, over `scale`, plus `zero`."""

    factor: NDArray[np.float32]
    scale: np.float32
    zero: np.uint8

    def rounded(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return smoothed activations as the 8 bits hold them."""
        smoothed = values * self.factor
        reach = _reach(smoothed)
        integers = np.clip(np.round(smoothed / reach / self.scale) + self.zero, 0, 255)
        result: NDArray[np.float32] = (integers - self.zero) * self.scale * reach
        return result


@dataclass(frozen=True, slots=True, eq=False)
class Weight:
    """A weight matrix in 8 bits, int8 (inputs, outputs), with a scale per output."""

    integers: NDArray[np.int8]
    scales: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Quantized:
    """What replaces all products of one tensor of activations."""

    activation: Activation
    weights: Mapping[str, Weight]
    errors: Mapping[str, float]


def quantize_products(values: NDArray[np.float32], products: Sequence[Product], *, largest_weight: int) -> Quantized:
    """Find the scales of the activations, then round the weights of every product."""
    activation = _best_activation(values, products, largest_weight=largest_weight)
    smoothed = values * activation.factor
    inverse = _inverse_root(smoothed)
    rounded = activation.rounded(values)
    weights, errors = {}, {}
    for product in products:
        weight = product.weight / activation.factor[:, None]
        made = _round_in_turn(weight, inverse, largest=largest_weight)
        errors[product.name] = _error(smoothed @ weight, rounded @ (made.integers * made.scales))
        if errors[product.name] <= _MOST_ERROR:
            weights[product.name] = made
    return Quantized(activation, weights, errors)


def _best_activation(values: NDArray[np.float32], products: Sequence[Product], *, largest_weight: int) -> Activation:
    """Try exponents: a higher one takes the outliers out of the activations and puts them into the weights."""
    reach = np.abs(values).max(axis=0).clip(min=SMALLEST)  # (channels,)
    weight = np.concatenate([product.weight for product in products], axis=1)
    weight_reach = np.abs(weight).max(axis=1).clip(min=SMALLEST)
    few = values[:: max(1, len(values) // _SEARCH_TOKENS)]
    wanted = few @ weight
    tried = []
    for exponent in _EXPONENTS:
        factor = weight_reach ** (1 - exponent) / reach**exponent
        factor = (factor / np.exp(np.log(factor).mean())).astype(np.float32)
        made = _rounded_weight(weight / factor[:, None], largest=largest_weight)
        found = _activation(few, factor).rounded(few) @ (made.integers * made.scales)
        tried.append((_error(wanted, found), factor))
    return _activation(values, min(tried, key=itemgetter(0))[1])


def _activation(values: NDArray[np.float32], factor: NDArray[np.float32]) -> Activation:
    """Use all 256 steps for what activations do between -1 and 1, their token's reach."""
    even = values * factor
    even /= _reach(even)
    low, high = min(0.0, float(even.min())), max(0.0, float(even.max()))
    scale = np.float32(max(high - low, SMALLEST) / 255)
    return Activation(factor, scale, np.uint8(round(-low / float(scale))))


def _reach(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the largest absolute value of every token (tokens, 1)."""
    reach: NDArray[np.float32] = np.abs(values).max(axis=1, keepdims=True).clip(min=SMALLEST)
    return reach


def _weight_scales(weight: NDArray[np.floating], *, largest: int) -> NDArray[np.float32]:
    reach = np.abs(weight).max(axis=0).clip(min=SMALLEST)
    scales: NDArray[np.float32] = (reach / largest).astype(np.float32)
    return scales


def _rounded_weight(weight: NDArray[np.floating], *, largest: int) -> Weight:
    scales = _weight_scales(weight, largest=largest)
    return Weight(np.round(weight / scales).astype(np.int8), scales)


def _inverse_root(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the upper factor U of the inverse UᵀU of the activations' damped second moments."""
    moments = (values.T @ values).astype(np.float64)
    moments[np.diag_indices_from(moments)] += _DAMPING * np.trace(moments) / len(moments) + SMALLEST
    root = np.linalg.cholesky(moments[::-1, ::-1])[::-1, ::-1]  # upper: moments = root rootᵀ
    inverse: NDArray[np.float32] = solve_triangular(root, np.eye(len(root))).astype(np.float32)
    return inverse


def _round_in_turn(weight: NDArray[np.float32], inverse: NDArray[np.float32], *, largest: int) -> Weight:
    """Round input by input; what is lost at one is made good at those to come, block by block."""
    left = weight.astype(np.float32, copy=True)
    scales = _weight_scales(weight, largest=largest)
    integers = np.empty(weight.shape, dtype=np.int8)
    for start in range(0, len(left), _BLOCK):
        stop = min(start + _BLOCK, len(left))
        losses = np.empty((stop - start, left.shape[1]), dtype=np.float32)
        for row in range(start, stop):
            integers[row] = np.clip(np.round(left[row] / scales), -largest, largest)
            losses[row - start] = (left[row] - integers[row] * scales) / inverse[row, row]
            left[row + 1 : stop] -= np.outer(inverse[row, row + 1 : stop], losses[row - start])
        left[stop:] -= inverse[start:stop, stop:].T @ losses
    return Weight(integers, scales)


def _error(wanted: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """Return the mean squared error as a part of the variance."""
    variance = float(np.square(wanted - wanted.mean(axis=0)).mean())
    return float(np.square(wanted - found).mean()) / max(variance, 1e-12)
