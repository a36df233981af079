"""The choice among engines, on engines whose speed and faults are known."""

import time
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from dialekt.config import EngineName
from dialekt.errors import MissingExtraError, ModelError
from dialekt.models.engines.choice import QualityGate, SizedEngine, Trials, choose_engine, judge, try_engine
from dialekt.models.engines.records import Engine, TokenRow
from dialekt.types import Progress

ROWS = [TokenRow([number, number + 1, number + 2]) for number in range(1, 40, 3)]


class SlowTable:
    """An engine as slow as it is told, whose vectors `tilt` turns away from the right ones."""

    def __init__(self, name: EngineName, *, precision: str = "fp32", seconds: float = 0.0, tilt: float = 0.0):
        self.name = name
        self.precision = precision
        self.width = 8
        self.batch_tokens = 4_096
        self.call_tokens = 16
        self.lanes = 1
        self.device = "cpu"
        self.size_bytes = 0
        self.closed = False
        self._seconds = seconds
        self._tilt = tilt

    def run(self, rows: Sequence[TokenRow]) -> NDArray[np.float32]:
        """Return vectors that depend on a row's tokens alone."""
        time.sleep(self._seconds)
        vectors = np.array([np.cos(np.arange(8) * sum(row.ids)) for row in rows], dtype=np.float32)
        vectors[:, 0] += self._tilt
        return vectors

    def token_vectors(self, rows: Sequence[TokenRow]) -> list[NDArray[np.float32]]:
        """Return the vector itself for every token: no choice asks for more."""
        return list(self.run(rows)[:, None])

    def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True


def trials_of(*engines: SlowTable, gate: QualityGate | None = None) -> Trials:
    """Return trials in which these engines can be built, and no others."""
    by_name = {engine.name: engine for engine in engines}

    def build(name: EngineName) -> SizedEngine:
        if name not in by_name:
            raise MissingExtraError("openvino", needed_for=f"the engine {name.value!r}")
        return by_name[name]

    reference = SlowTable(EngineName.TORCH).run(ROWS)
    return Trials(build, ROWS, reference, gate, max_tokens=64, seconds_per_engine=0.02)


def test_the_fastest_engine_is_taken() -> None:
    """The fastest engine whose vectors are right is taken, the others are closed, all are reported."""
    slow, fast = SlowTable(EngineName.TORCH, seconds=0.004), SlowTable(EngineName.ONNX)
    wrong = SlowTable(EngineName.OPENVINO, precision="bf16", tilt=1.0)
    names = [EngineName.TORCH, EngineName.ONNX, EngineName.OPENVINO]
    seen: list[Progress] = []
    engine, choice = choose_engine(names, trials_of(slow, fast, wrong), progress=seen.append)
    assert engine is fast
    assert (slow.closed, fast.closed, wrong.closed) == (True, False, True)
    assert (choice.engine, choice.measured, choice.from_cache) == (EngineName.ONNX, True, False)
    torch, onnx, openvino = choice.trials
    assert 0 < torch.queries_per_second < onnx.queries_per_second
    assert 0 < torch.passages_per_second < onnx.passages_per_second
    assert openvino.queries_per_second == 0
    assert "below 0.999" in openvino.refused
    assert [step.note for step in seen] == ["torch", "onnx", "openvino", ""]


def test_what_is_not_installed_is_a_refused_trial() -> None:
    """A missing library keeps nobody from serving; its trial says what is missing."""
    engine, choice = choose_engine([EngineName.TORCH, EngineName.OPENVINO], trials_of(SlowTable(EngineName.TORCH)))
    assert engine.name is EngineName.TORCH
    assert "needs the optional dependency set 'openvino'" in choice.trials[1].refused


def test_no_engine_at_all() -> None:
    """When every engine is refused, the error gives every reason."""
    broken = SlowTable(EngineName.TORCH, tilt=float("nan"))
    with pytest.raises(ModelError, match=r"no engine may serve the model: torch: .* -1\.00000, below 0\.9999"):
        choose_engine([EngineName.TORCH], trials_of(broken))


@pytest.mark.parametrize(
    ("precision", "tilt", "taken"),
    [("fp32", 0.0, True), ("fp32", 0.05, False), ("bf16", 0.05, True), ("bf16", 0.2, False), ("fp32", np.nan, False)],
)
def test_the_bound_depends_on_the_precision(precision: str, tilt: float, taken: bool) -> None:
    """What rounding to bf16 explains is a fault in fp32; a vector that is not finite is one anywhere."""
    engine = SlowTable(EngineName.ONNX, precision=precision, tilt=tilt)
    assert (judge(engine, trials_of(engine)).refused == "") is taken


def gate_of(change: float) -> QualityGate:
    """Return a gate that always measures this change."""

    def gate(_: Engine) -> float:
        return change

    return gate


@pytest.mark.parametrize(("change", "taken"), [(0.01, True), (-0.004, True), (-0.006, False)])
def test_int8_is_gated_by_quality(change: float, taken: bool) -> None:
    """An int8 engine is taken when retrieval on dev loses less than is allowed, and the trial says how much it lost."""
    engine = SlowTable(EngineName.ONNX_INT8, precision="int8", tilt=0.3)
    trial = judge(engine, trials_of(engine, gate=gate_of(change)))
    assert trial.quality_change == change
    assert (trial.refused == "") is taken
    assert trial.min_cosine is not None
    assert trial.min_cosine > 0.97


def test_int8_below_the_floor_is_not_even_ranked() -> None:
    """Vectors that are far off are refused whatever the gate would say."""
    engine = SlowTable(EngineName.ONNX_INT8, precision="int8", tilt=3.0)
    trial = judge(engine, trials_of(engine, gate=gate_of(1.0)))
    assert trial.quality_change is None
    assert "below 0.97" in trial.refused


def test_int8_without_a_gate_is_not_built() -> None:
    """Without dev queries nothing proves an int8 engine, so the time to build one is saved."""
    tried = try_engine(EngineName.OPENVINO_INT8, trials_of())
    assert tried.engine is None
    assert tried.trial.refused == "no dev queries to prove its quality"
