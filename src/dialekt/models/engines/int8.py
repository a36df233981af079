"""An fp32 graph → an int8 graph whose scales come from the domain's own texts.

Every product with a weight matrix becomes one of 8-bit integers. What costs quality are the few channels of the
activations that are ten times larger than the others; so, per product:

- SmoothQuant (Xiao et al. 2022, arXiv:2211.10438): activations are divided and weights multiplied by a factor per
  channel, here with the exponent that errs least on the domain's texts instead of one for all;
- the activations' scale is fixed beforehand, so a text's vector does not depend on its batch, as it does where
  every batch finds its own scale;
- weights are rounded one after the other, each making good the error of those before on the domain's texts
  (GPTQ, Frantar et al. 2022, arXiv:2210.17323);
- a product that still errs much stays in fp32.
"""

import logging
import os
import platform
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from dialekt.errors import MissingExtraError, ModelError
from dialekt.models.engines.records import TokenRow
from dialekt.store.atomic import disk_errors

_MOST_TOKENS = 4_096
_OBSERVED_BYTES = 256 << 20  # of activations held at once
_SEARCH_TOKENS = 1_024
_EXPONENTS = (0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0)
_SMALLEST_CHANNEL = 1e-5  # a channel that is never used
_DAMPING = 0.01  # of the mean diagonal, as in GPTQ
_BLOCK = 128
_MOST_ERROR = 0.02  # of a product's variance; above it it stays in fp32
_CONTRIB = "com.microsoft"


@dataclass(frozen=True, slots=True)
class Int8Facts:
    """How many products were quantised on how many tokens; `kept` names those left in fp32.

    `mean_error` is the mean squared error of a product as a part of its variance, each product counted alone.
    """

    products: int
    kept: tuple[str, ...]
    tokens: int
    mean_error: float


@dataclass(frozen=True, slots=True, eq=False)
class _Product:
    """A product of activations with a weight matrix (inputs, outputs)."""

    name: str
    weight: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class _Activation:
    """How activations become 8-bit: times `factor` (channels,), over `scale`, plus `zero`."""

    factor: NDArray[np.float32]
    scale: np.float32
    zero: np.uint8

    def rounded(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return smoothed activations as the 8 bits hold them."""
        integers = np.clip(np.round(values * self.factor / self.scale) + self.zero, 0, 255)
        result: NDArray[np.float32] = (integers - self.zero) * self.scale
        return result


@dataclass(frozen=True, slots=True, eq=False)
class _Weight:
    """A weight matrix in 8 bits, int8 (inputs, outputs), with a scale per output."""

    integers: NDArray[np.int8]
    scales: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class _Quantized:
    """What replaces all products of one tensor of activations."""

    activation: _Activation
    weights: Mapping[str, _Weight]
    errors: Mapping[str, float]


def quantize_onnx(graph: Path, rows: Sequence[TokenRow], out: Path) -> Int8Facts:
    """Write an int8 graph of an fp32 one, calibrated on rows of the domain's tokens.

    The result runs in onnxruntime only. Raises `ModelError` where the graph has no product to quantise or no text
    is given.
    """
    rows = _sampled(rows)
    model = onnx.load(str(graph))
    products = _products(model)
    if not rows or not products:
        raise ModelError(
            "the graph cannot be quantised: " + ("no text to calibrate on" if products else "no product with a weight"),
            path=graph,
            hint="use another engine",
        )
    largest_weight = _largest_weight()
    widths = {tensor: len(group[0].weight) for tensor, group in products.items()}
    found = {
        tensor: _quantize(values, products[tensor], largest_weight=largest_weight)
        for tensor, values in _observed(graph, widths, rows)
    }
    _rewrite(model, found)
    with disk_errors(out):
        onnx.save(model, str(out))
    errors = [error for quantized in found.values() for error in quantized.errors.values()]
    return Int8Facts(
        products=len(errors),
        kept=tuple(n for found_one in found.values() for n in found_one.errors if n not in found_one.weights),
        tokens=sum(len(row.ids) for row in rows),
        mean_error=float(np.mean(errors)),
    )


def _sampled(rows: Sequence[TokenRow]) -> list[TokenRow]:
    """Return rows from all over the given ones that hold no more tokens than are needed."""
    rows = [row for row in rows if row.ids]
    tokens = sum(len(row.ids) for row in rows)
    return list(rows[:: max(1, -(-tokens // _MOST_TOKENS))])


def _products(model: Any) -> dict[str, list[_Product]]:
    """Return the products with a weight matrix, by the tensor of activations that they share."""
    weights = {item.name: item for item in model.graph.initializer if len(item.dims) == 2}
    found: dict[str, list[_Product]] = {}
    for node in model.graph.node:
        if node.op_type == "MatMul" and node.input[1] in weights:
            weight = numpy_helper.to_array(weights[node.input[1]])
            if weight.dtype == np.float32:
                found.setdefault(node.input[0], []).append(_Product(node.name, weight))
    return found


def _observed(
    graph: Path, widths: Mapping[str, int], rows: Sequence[TokenRow]
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the activations (tokens, channels) of every tensor, a few tensors at once: memory is bounded."""
    model = onnx.load(str(graph))
    column_bytes = 4 * sum(len(row.ids) for row in rows)
    group: list[str] = []
    for tensor in widths:
        if group and column_bytes * sum(widths[name] for name in (*group, tensor)) > _OBSERVED_BYTES:
            yield from _run(model, group, rows)
            group = []
        group.append(tensor)
    yield from _run(model, group, rows)


def _run(model: Any, tensors: Sequence[str], rows: Sequence[TokenRow]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield tensors of the graph for all rows, each row run alone: padding is nobody's text."""
    del model.graph.output[:]
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in tensors)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_inputs()]
    found: list[list[NDArray[np.float32]]] = [[] for _ in tensors]
    for row in rows:
        for values, parts in zip(session.run(list(tensors), _feed(row, names)), found, strict=True):
            parts.append(values.reshape(-1, values.shape[-1]))
    for name in tensors:
        yield name, np.concatenate(found.pop(0))


def _feed(row: TokenRow, names: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    ids = np.array([row.ids], dtype=np.int64)
    segments = np.zeros_like(ids) if row.segments is None else np.array([row.segments], dtype=np.int64)
    every = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": segments}
    return {name: every[name] for name in names}


def _quantize(values: NDArray[np.float32], products: Sequence[_Product], *, largest_weight: int) -> _Quantized:
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
    return _Quantized(activation, weights, errors)


def _best_activation(values: NDArray[np.float32], products: Sequence[_Product], *, largest_weight: int) -> _Activation:
    """Try exponents: a higher one takes the outliers out of the activations and puts them into the weights."""
    low, high = values.min(axis=0), values.max(axis=0)  # (channels,)
    reach = np.maximum(-low, high).clip(min=_SMALLEST_CHANNEL)
    weight = np.concatenate([product.weight for product in products], axis=1)
    weight_reach = np.abs(weight).max(axis=1).clip(min=_SMALLEST_CHANNEL)
    few = values[:: max(1, len(values) // _SEARCH_TOKENS)]
    wanted = few @ weight
    tried = []
    for exponent in _EXPONENTS:
        factor = weight_reach ** (1 - exponent) / reach**exponent
        activation = _activation(low, high, factor / np.exp(np.log(factor).mean()))
        made = _rounded_weight(weight / activation.factor[:, None], largest=largest_weight)
        tried.append((_error(wanted, activation.rounded(few) @ (made.integers * made.scales)), activation))
    return min(tried, key=itemgetter(0))[1]


def _activation(low: NDArray[np.float32], high: NDArray[np.float32], factor: NDArray[np.float32]) -> _Activation:
    lowest, highest = min(0.0, float((low * factor).min())), max(0.0, float((high * factor).max()))
    scale = np.float32(max(highest - lowest, _SMALLEST_CHANNEL) / 255)
    return _Activation(factor.astype(np.float32), scale, np.uint8(round(-lowest / float(scale))))


def _weight_scales(weight: NDArray[np.floating], *, largest: int) -> NDArray[np.float32]:
    reach = np.abs(weight).max(axis=0).clip(min=_SMALLEST_CHANNEL)
    scales: NDArray[np.float32] = (reach / largest).astype(np.float32)
    return scales


def _rounded_weight(weight: NDArray[np.floating], *, largest: int) -> _Weight:
    scales = _weight_scales(weight, largest=largest)
    return _Weight(np.round(weight / scales).astype(np.int8), scales)


def _inverse_root(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the upper Cholesky factor of the inverse of the activations' damped second moments."""
    moments = (values.T @ values).astype(np.float64)
    moments[np.diag_indices_from(moments)] += _DAMPING * np.trace(moments) / len(moments) + _SMALLEST_CHANNEL
    root: NDArray[np.float32] = np.linalg.cholesky(np.linalg.inv(moments)).T.astype(np.float32)
    return root


def _round_in_turn(weight: NDArray[np.float32], inverse: NDArray[np.float32], *, largest: int) -> _Weight:
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
    return _Weight(integers, scales)


def _error(wanted: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """Return the mean squared error as a part of the variance."""
    variance = float(np.square(wanted - wanted.mean(axis=0)).mean())
    return float(np.square(wanted - found).mean()) / max(variance, 1e-12)


def _largest_weight() -> int:
    """Return the largest 8-bit weight whose products onnxruntime adds without overflow on this CPU.

    Without VNNI an x86 CPU adds two products of 8 bits in 16, so that weights have 7 bits.
    """
    if platform.machine() not in {"x86_64", "AMD64"}:
        return 127
    flags = Path("/proc/cpuinfo")
    return 127 if flags.is_file() and "vnni" in flags.read_text(encoding="utf-8") else 63


def _rewrite(model: Any, found: Mapping[str, _Quantized]) -> None:
    """Put integer products, and the rounding of their activations, in the place of those that were quantised."""
    by_node = {name: (tensor, quantized) for tensor, quantized in found.items() for name in quantized.weights}
    nodes: list[Any] = []
    constants: list[Any] = []
    rounded: set[str] = set()
    for node in model.graph.node:
        if node.name not in by_node:
            nodes.append(node)
            continue
        tensor, quantized = by_node[node.name]
        if tensor not in rounded:
            rounded.add(tensor)
            nodes += _rounding(tensor)
            constants += _activation_constants(tensor, quantized.activation)
        nodes.append(_integer_product(tensor, node))
        constants += _weight_constants(node.name, quantized.weights[node.name])
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    left = [item for item in model.graph.initializer if item.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend([*left, *constants])
    if _CONTRIB not in {item.domain for item in model.opset_import}:
        model.opset_import.append(helper.make_opsetid(_CONTRIB, 1))


def _rounding(tensor: str) -> list[Any]:
    return [
        helper.make_node("Mul", [tensor, f"{tensor}.factor"], [f"{tensor}.smooth"], name=f"{tensor}.smoothing"),
        helper.make_node(
            "QuantizeLinear",
            [f"{tensor}.smooth", f"{tensor}.scale", f"{tensor}.zero"],
            [f"{tensor}.integers"],
            name=f"{tensor}.rounding",
        ),
    ]


def _activation_constants(tensor: str, activation: _Activation) -> list[Any]:
    values = {"factor": activation.factor, "scale": np.asarray(activation.scale), "zero": np.asarray(activation.zero)}
    return [numpy_helper.from_array(value, f"{tensor}.{name}") for name, value in values.items()]


def _integer_product(tensor: str, node: Any) -> Any:
    inputs = [
        f"{tensor}.integers",
        f"{node.name}.integers",
        f"{tensor}.scale",
        f"{node.name}.scales",
        f"{tensor}.zero",
        f"{node.name}.zeros",
    ]
    return helper.make_node("MatMulIntegerToFloat", inputs, list(node.output), name=node.name, domain=_CONTRIB)


def _weight_constants(name: str, weight: _Weight) -> list[Any]:
    zeros = np.zeros(weight.integers.shape[1], dtype=np.int8)
    values = {"integers": weight.integers, "scales": weight.scales, "zeros": zeros}
    return [numpy_helper.from_array(value, f"{name}.{part}") for part, value in values.items()]


def quantize_openvino(graph: Path, rows: Sequence[TokenRow], out: Path) -> None:
    """Write an int8 graph for OpenVINO (`out`, .xml, and .bin beside it), calibrated on rows of the domain's tokens.

    Quantised by nncf, whose scheme for transformers contains SmoothQuant. Raises `ModelError`, `MissingExtraError`.
    """
    nncf, openvino = _import_nncf()
    rows = _sampled(rows)
    if not rows:
        raise ModelError("the graph cannot be quantised: no text to calibrate on", path=graph)
    model = openvino.Core().read_model(str(graph))
    names = [item.get_any_name() for item in model.inputs]
    feeds = [_feed(row, names) for row in rows]
    with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # progress bars
        warnings.simplefilter("ignore")
        quantized = nncf.quantize(
            model,
            nncf.Dataset(feeds),
            subset_size=len(feeds),
            model_type=nncf.ModelType.TRANSFORMER,
            preset=nncf.QuantizationPreset.MIXED,
        )
    with disk_errors(out):
        openvino.save_model(quantized, str(out), compress_to_fp16=False)


def _import_nncf() -> tuple[Any, Any]:
    """Return nncf and OpenVINO, told to send nothing and to say nothing."""
    os.environ["NNCF_NO_TELEMETRY"] = "1"  # read by nncf when it is imported
    try:
        import nncf
        import openvino
    except ImportError as error:
        raise MissingExtraError("openvino", needed_for="the engine 'openvino-int8'") from error
    nncf.set_log_level(logging.ERROR)
    return nncf, openvino
