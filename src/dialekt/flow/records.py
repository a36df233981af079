"""What the journey tells those who watch it: stages, what happened to each, and what would happen."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from dialekt.types import Progress


class StageName(StrEnum):
    """The stages, in the order of the journey; then those that stand beside it."""

    JUDGMENTS = "judgments"
    CORPUS = "corpus"
    LOGS = "logs"
    SPLIT = "split"
    SYNTHESIS = "synthesis"
    PAIRS = "pairs"
    BASE_VECTORS = "base_vectors"
    NEGATIVES = "negatives"
    TEACHER = "teacher"
    TEACHER_VECTORS = "teacher_vectors"
    GENERAL = "general"
    ADAPTATION = "adaptation"
    TRAINING = "training"
    TUNED_VECTORS = "tuned_vectors"
    EVALUATION = "evaluation"
    REGISTRY = "registry"
    REPORT = "report"
    SAMPLE = "sample"
    DIAGNOSIS = "diagnosis"


class StageStatus(StrEnum):
    """What happened to a stage."""

    SKIPPED = "skipped"
    DONE = "done"


class Action(StrEnum):
    """What would happen to a stage."""

    SKIP = "skip"
    RUN = "run"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class StageRecord:
    """What happened to a stage: `seconds` is the time the work took when it was done, now or in an earlier run.

    `inputs` maps what went in to its content id; `facts` are the plain values that the stage returned.
    """

    stage: StageName
    status: StageStatus
    seconds: float
    key: str
    id: str
    folder: Path
    inputs: Mapping[str, str]
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """What a run would do with a stage and why; `key` is None while an earlier stage has yet to run."""

    stage: StageName
    action: Action
    reason: str
    key: str | None


class Observer(Protocol):
    """Someone who watches the journey, for example the command line."""

    def stage_started(self, stage: StageName, reason: str) -> None:
        """A stage begins to work, for this reason."""

    def progressed(self, stage: str, progress: Progress) -> None:
        """A stage, or work beside the journey, has come this far."""

    def stage_ended(self, record: StageRecord) -> None:
        """A stage is done, or was skipped because its artefact is there and verified."""


class SilentObserver:
    """Watches and says nothing."""

    def stage_started(self, stage: StageName, reason: str) -> None:
        """Ignore a begun stage."""

    def progressed(self, stage: str, progress: Progress) -> None:
        """Ignore progress."""

    def stage_ended(self, record: StageRecord) -> None:
        """Ignore an ended stage."""
