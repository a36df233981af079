"""Graphs are built in a process of their own, at low priority: building holds the interpreter for seconds,
and a server that loads a new version meanwhile answers with the old one.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from dialekt.config import EngineName, ModelConfig
from dialekt.errors import DialektError, ModelError
from dialekt.models.engines.records import TokenRow

ONNX_FILE = "model.onnx"
OPENVINO_FILE = "model.xml"
_NICENESS = 10


@dataclass(frozen=True, slots=True)
class BuildOrder:
    """What to build: the graph of `engine`, for `model`, in `folder`.

    An int8 graph is made from the fp32 graph `source`, calibrated on `rows`.
    """

    engine: EngineName
    model: str
    config: ModelConfig
    folder: Path
    source: Path | None = None
    rows: tuple[tuple[int, ...], ...] = ()


def build_apart(order: BuildOrder) -> None:
    """Build a graph in a process of its own. Raises `ModelError` with the reason when it cannot be built."""
    request = {
        "engine": order.engine,
        "model": order.model,
        "config": order.config.model_dump(mode="json"),
        "folder": str(order.folder),
        "source": None if order.source is None else str(order.source),
        "rows": order.rows,
    }
    finished = subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", __name__], input=json.dumps(request), capture_output=True, text=True, check=False
    )
    if finished.returncode == 0:
        return
    last_line = (finished.stdout.strip() or finished.stderr.strip() or "no reason given").splitlines()[-1]
    raise ModelError(f"the graph of the engine {order.engine} was not built: {last_line}", hint="use the engine torch")


def build(order: BuildOrder) -> None:
    """Build a graph in this process. Raises `ModelError`, `MissingExtraError`."""
    match order.engine:
        case EngineName.ONNX | EngineName.OPENVINO:
            _build_fp32(order)
        case EngineName.ONNX_INT8:
            from dialekt.models.engines.int8 import quantize_onnx

            quantize_onnx(_source(order), _rows(order.rows), order.folder / ONNX_FILE)
        case EngineName.OPENVINO_INT8:
            from dialekt.models.engines.int8 import quantize_openvino

            quantize_openvino(_source(order), _rows(order.rows), order.folder / OPENVINO_FILE)
        case EngineName.AUTO | EngineName.TORCH:
            raise ModelError(f"the engine {order.engine} has no graph")
        case _:
            assert_never(order.engine)


def main() -> int:
    """Build what is asked for on standard input; a reason for failure is the last line of standard output."""
    values = json.load(sys.stdin)
    order = BuildOrder(
        engine=EngineName(values["engine"]),
        model=values["model"],
        config=ModelConfig.model_validate(values["config"]),
        folder=Path(values["folder"]),
        source=None if values["source"] is None else Path(values["source"]),
        rows=tuple(tuple(row) for row in values["rows"]),
    )
    os.nice(_NICENESS)
    try:
        build(order)
    except DialektError as error:
        sys.stdout.write(f"{error.message}\n")
        return error.exit_code
    return 0


def _build_fp32(order: BuildOrder) -> None:
    from dialekt.models.engines.graph import export_graph
    from dialekt.models.loading import load_model

    model, _ = load_model(order.model, order.config.model_copy(update={"device": "cpu"}))
    export_graph(model, order.folder / ONNX_FILE)


def _source(order: BuildOrder) -> Path:
    assert order.source is not None
    return order.source


def _rows(rows: Sequence[Sequence[int]]) -> list[TokenRow]:
    return [TokenRow(list(row)) for row in rows]


if __name__ == "__main__":
    sys.exit(main())
