"""One trial: the journey's own training stage with other settings, watched so that it can be given up in time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dialekt.config import Config, Precision
from dialekt.flow.artefacts import Artefact
from dialekt.flow.journey import skip_or_run
from dialekt.flow.recipes.optimizer import falls_behind
from dialekt.flow.recipes.records import DevPoint, Trial, Value
from dialekt.flow.records import StageName, StageRecord
from dialekt.flow.workbench import Stage, Workbench
from dialekt.types import Progress

SECONDS_TO_JUDGE_SPEED = 3.0
STEPS_TO_JUDGE_SPEED = 5


class GivenUpError(Exception):
    """Ends a training that is not worth going on with; no error that a person sees."""


class PrunedError(GivenUpError):
    """The trial falls behind the others."""


class TooSlowError(GivenUpError):
    """The training would take longer than it may: `seconds` in all."""

    def __init__(self, seconds: float):
        super().__init__(f"would take {seconds:.0f} seconds")
        self.seconds = seconds


class OverdueError(GivenUpError):
    """The budget is used up."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a trial is given up: it would take longer than `allowed_seconds`, or the clock passes `deadline`.

    None allows any length.
    """

    allowed_seconds: float | None
    deadline: float


class Watch:
    """Watches one training: how it does on dev beside the others, how fast it is, and the clock."""

    def __init__(
        self,
        limits: Limits,
        history: Sequence[Trial],
        *,
        clock: Callable[[], float],
        tell: Callable[[str], None],
    ) -> None:
        self.points: list[DevPoint] = []
        self._limits = limits
        self._history = history
        self._clock = clock
        self._tell = tell
        self._began = clock()
        self._first: tuple[float, int] | None = None

    @property
    def seconds(self) -> float:
        """How long the trial has taken."""
        return self._clock() - self._began

    def scored(self, share: float, dev_ndcg: float) -> None:
        """Training scored dev. Raises `PrunedError` where the trial falls behind."""
        self.points.append(DevPoint(share, dev_ndcg))
        if falls_behind(self.points, self._history):
            raise PrunedError

    def stage_started(self, stage: StageName, reason: str) -> None:
        """Say nothing: the trial has a line of its own."""

    def progressed(self, stage: str, progress: Progress) -> None:
        """Training has come further. Raises `OverdueError`, `TooSlowError`."""
        self._tell(_note(stage, progress, self.points))
        if self._clock() > self._limits.deadline:
            raise OverdueError
        if progress.label == stage and progress.total:
            self._judge_speed(progress.done, progress.total)

    def stage_ended(self, record: StageRecord) -> None:
        """Say nothing: the trial has a line of its own."""

    def _judge_speed(self, done: int, total: int) -> None:
        """Compare what the training will take, at the speed of its steps so far, with what it may."""
        now = self._clock()
        if self._first is None:
            self._first = now, done
            return
        since, first = self._first
        if done - first < STEPS_TO_JUDGE_SPEED or now - since < SECONDS_TO_JUDGE_SPEED:
            return
        expected = now - self._began + (now - since) / (done - first) * (total - done)
        allowed = self._limits.allowed_seconds
        if allowed is not None and expected > allowed:
            raise TooSlowError(expected)


def _note(stage: str, progress: Progress, points: Sequence[DevPoint]) -> str:
    """Say in short how far a training is, and what it has reached."""
    doing = f"{progress.done / progress.total:.0%}" if progress.label == stage and progress.total else progress.label
    return f"{doing}, dev {points[-1].dev_ndcg:.3f}" if points else doing


@dataclass(frozen=True, slots=True)
class Attempt:
    """A finished training: its artefact, whether it was made now, and how long its work took, whenever that was."""

    artefact: Artefact
    made: bool
    work_seconds: float

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the training stage reports."""
        return self.artefact.manifest.facts

    @property
    def points(self) -> tuple[DevPoint, ...]:
        """Return the dev scores of the whole training, those before an interruption too."""
        steps = max(1, *(int(point["step"]) for point in self.facts["curve"]), int(self.facts["steps"]))
        scored = [point for point in self.facts["curve"] if point.get("dev_ndcg") is not None]
        return tuple(DevPoint(point["step"] / steps, point["dev_ndcg"]) for point in scored)


def config_of(config: Config, settings: Mapping[str, Value]) -> Config:
    """Return the configuration with other settings of [training], checked as if they stood in the file."""
    training = type(config.training).model_validate(config.training.model_dump() | dict(settings))
    return config.model_copy(update={"training": training})


def train(stage: Stage, workbench: Workbench, settings: Mapping[str, Value], watch: Watch) -> Attempt:
    """Run the training stage with some settings, or find that it is done; a training that is given up leaves nothing.

    Raises `GivenUpError`. What an overdue training left stays: with more budget it goes on from there.
    """
    bench = workbench.with_config(config_of(workbench.config, settings))
    bench.watch_dev = watch.scored
    recipe = stage.recipe(bench)
    made = stage.look_up(bench, recipe).artefact is None
    try:
        record = skip_or_run(stage, bench, watch)
    except (PrunedError, TooSlowError):
        bench.store.remove(recipe)
        raise
    return Attempt(bench.artefacts[stage.name], made, _work_seconds(record))


def forget(stage: Stage, workbench: Workbench, settings: Mapping[str, Value]) -> int:
    """Remove what a training with some settings left on disk, and return how many bytes that were."""
    bench = workbench.with_config(config_of(workbench.config, settings))
    recipe = stage.recipe(bench)
    size_bytes = sum(path.stat().st_size for path in bench.store.folder(recipe).rglob("*") if path.is_file())
    bench.store.remove(recipe)
    return size_bytes


def dev_scores(workbench: Workbench, attempt: Attempt) -> tuple[float, ...]:
    """Return NDCG@10 of each dev query by a tuned model, encoded as its training does."""
    from dialekt.models.encoder import Encoder

    assert workbench.examiner is not None
    loaded = Encoder.load(str(attempt.artefact.folder / "model"), workbench.config.model, precision=Precision.FP32)
    encoder = Encoder.of(loaded.model, loaded.contract)
    return tuple(map(float, workbench.examiner.scores(encoder.encode)))


def _work_seconds(record: StageRecord) -> float:
    """Return how long a training took: of a resumed one also what came before its last start."""
    return max([record.seconds, *(float(point["seconds"]) for point in record.facts["curve"])])
