"""Graphs that are built in a process of their own."""

from pathlib import Path

import pytest

from dialekt.config import EngineName, ModelConfig
from dialekt.errors import ModelError
from dialekt.models.engines.building import BuildOrder, build_apart


def test_a_graph_appears_and_nothing_is_said(
    tiny_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The graph lies in the folder, and the other process wrote nothing on the screen."""
    capfd.readouterr()
    build_apart(BuildOrder(EngineName.ONNX, str(tiny_model), ModelConfig(), tmp_path))
    assert capfd.readouterr() == ("", "")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_the_reason_of_a_failure_comes_through(tmp_path: Path) -> None:
    """What the other process found wrong is the error here."""
    order = BuildOrder(EngineName.ONNX, str(tmp_path / "nothing"), ModelConfig(), tmp_path)
    with pytest.raises(ModelError, match=r"the graph of the engine onnx was not built: there is no model folder"):
        build_apart(order)


def test_a_failure_that_nobody_foresaw(tmp_path: Path) -> None:
    """An order that makes the other process fail is an error with its last words, not a traceback."""
    order = BuildOrder(EngineName.ONNX_INT8, "unused", ModelConfig(), tmp_path, source=tmp_path / "none.onnx")
    with pytest.raises(ModelError, match=r"the graph of the engine onnx-int8 was not built: .+none\.onnx"):
        build_apart(order)
