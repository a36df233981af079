"""An fp32 graph → an int8 graph that is calibrated on the domain's own texts.

Every product with a weight matrix becomes one of 8-bit integers, rounded as `rounding` says, or stays in fp32 where
that errs much.

Measured on MiniLM with 150 texts of a domain that were not calibrated on, least and mean cosine with fp32: .9876 and
.9952 with onnxruntime's dynamic quantisation per channel, .9983 and .9993 here, at 0.86 times its speed.
"""

import logging
import os
import platform
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from dialekt.errors import MissingExtraError, ModelError
from dialekt.models.engines.records import TokenRow
from dialekt.models.engines.rounding import SMALLEST, Activation, Product, Quantized, Weight, quantize_products
from dialekt.store.atomic import disk_errors

_MOST_TOKENS = 4_096
_OBSERVED_BYTES = 256 << 20  # of activations held at once
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
        tensor: quantize_products(values, products[tensor], largest_weight=largest_weight)
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


def _products(model: Any) -> dict[str, list[Product]]:
    """Return the products with a weight matrix, by the tensor of activations that they share."""
    weights = {item.name: item for item in model.graph.initializer if len(item.dims) == 2}
    found: dict[str, list[Product]] = {}
    for node in model.graph.node:
        if node.op_type == "MatMul" and node.input[1] in weights:
            weight = numpy_helper.to_array(weights[node.input[1]])
            if weight.dtype == np.float32:
                found.setdefault(node.input[0], []).append(Product(node.name, weight))
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
    options.log_severity_level = 3  # errors
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
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


def _largest_weight() -> int:
    """Return the largest 8-bit weight whose products onnxruntime adds without overflow on this CPU.

    Without VNNI an x86 CPU adds two products of 8 bits in 16, so that weights have 7 bits.
    """
    if platform.machine() not in {"x86_64", "AMD64"}:
        return 127
    flags = Path("/proc/cpuinfo")
    return 127 if flags.is_file() and "vnni" in flags.read_text(encoding="utf-8") else 63


def _rewrite(model: Any, found: Mapping[str, Quantized]) -> None:
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
        nodes += _integer_product(tensor, node)
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
    """Return the operations from activations to integers; `reach` (…, 1) is the scale of every token."""
    steps = (
        ("Mul", ("", "factor"), "smooth"),
        ("Abs", ("smooth",), "size"),
        ("ReduceMax", ("size", "axis"), "largest"),
        ("Max", ("largest", "smallest"), "reach"),
        ("Reciprocal", ("reach",), "inverse"),
        ("Mul", ("smooth", "inverse"), "even"),
        ("QuantizeLinear", ("even", "scale", "zero"), "integers"),
    )
    return [
        helper.make_node(
            operation,
            [f"{tensor}.{name}" if name else tensor for name in inputs],
            [f"{tensor}.{output}"],
            name=f"{tensor}.{output}.node",
        )
        for operation, inputs, output in steps
    ]


def _activation_constants(tensor: str, activation: Activation) -> list[Any]:
    values = {
        "factor": activation.factor,
        "axis": np.array([-1]),
        "smallest": np.array(SMALLEST, dtype=np.float32),
        "scale": np.asarray(activation.scale),
        "zero": np.asarray(activation.zero),
    }
    return [numpy_helper.from_array(value, f"{tensor}.{name}") for name, value in values.items()]


def _integer_product(tensor: str, node: Any) -> list[Any]:
    inputs = [
        f"{tensor}.integers",
        f"{node.name}.integers",
        f"{tensor}.scale",
        f"{node.name}.scales",
        f"{tensor}.zero",
        f"{node.name}.zeros",
    ]
    even = f"{node.name}.even"
    return [
        helper.make_node("MatMulIntegerToFloat", inputs, [even], name=node.name, domain=_CONTRIB),
        helper.make_node("Mul", [even, f"{tensor}.reach"], list(node.output), name=f"{node.name}.back"),
    ]


def _weight_constants(name: str, weight: Weight) -> list[Any]:
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
    os.environ["NNCF_CI"] = "1"  # nncf reports to its makers unless this is set when it is imported
    try:
        import nncf
        import openvino
    except ImportError as error:
        raise MissingExtraError("openvino", needed_for="the engine 'openvino-int8'") from error
    nncf.set_log_level(logging.ERROR)
    return nncf, openvino
