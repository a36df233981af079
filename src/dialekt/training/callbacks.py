"""What happens beside the steps: dev scores, progress, a clean stop on Ctrl-C, re-mining."""

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.evaluation import SentenceEvaluator
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from dialekt.store.tables import read_records, write_records
from dialekt.training.trainer import ExampleSource
from dialekt.types import HardNegative, Progress, ReportProgress

DEV_METRIC = "dev_ndcg@10"


class DevEvaluator(SentenceEvaluator):  # type: ignore[misc]
    """Scores the model under training on the dev queries."""

    def __init__(self, score: Callable[[], float]):
        super().__init__()
        self.score = score
        self.primary_metric = DEV_METRIC

    def __call__(
        self,
        model: SentenceTransformer,
        output_path: str | None = None,
        epoch: float = -1,
        steps: int = -1,
    ) -> dict[str, float]:
        """Return NDCG@10, in [0, 1]."""
        return {DEV_METRIC: self.score()}


class ProgressCallback(TrainerCallback):  # type: ignore[misc]
    """Reports each step, with the last loss and dev score."""

    def __init__(self, report: ReportProgress):
        self.report = report

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: Any,
    ) -> None:
        """Report how far training has come."""
        losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
        scores = [entry[f"eval_{DEV_METRIC}"] for entry in state.log_history if f"eval_{DEV_METRIC}" in entry]
        note = f"loss {losses[-1]:.3f}" if losses else ""
        note += f"  dev NDCG@10 {scores[-1]:.4f}" if scores else ""
        self.report(Progress("training", state.global_step, state.max_steps, note.strip()))


class InterruptCallback(TrainerCallback):  # type: ignore[misc]
    """Turns the first Ctrl-C or SIGTERM into a checkpoint at the end of the step; the second stops at once."""

    def __init__(self) -> None:
        self.interrupted = False
        self._former: dict[int, Any] = {}

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Watch the signals; only the main thread may."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._former[number] = signal.signal(number, self._note)

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Give the signals back."""
        self.restore()

    def restore(self) -> None:
        """Give the signals back to whoever had them."""
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former = {}

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: Any,
    ) -> None:
        """Save and stop once a signal has come."""
        if self.interrupted:
            control.should_save = True
            control.should_training_stop = True

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.interrupted = True
        self.restore()


class RemineCallback(TrainerCallback):  # type: ignore[misc]
    """Mines hard negatives again with the model under training, every so many steps; a resumed run finds them."""

    def __init__(self, source: ExampleSource, mine: Callable[[], list[HardNegative]], *, every: int, folder: Path):
        self.source = source
        self.mine = mine
        self.every = every
        self.folder = folder

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: Any,
    ) -> None:
        """Take up the negatives that were mined before an interruption."""
        done = state.global_step // self.every * self.every
        stored = self.folder / f"{done}.parquet"
        if done and stored.is_file():
            self._use(read_records(stored, HardNegative))

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: Any,
    ) -> None:
        """Mine at every multiple."""
        if state.global_step % self.every == 0 and state.global_step < state.max_steps:
            negatives = self.mine()
            self.folder.mkdir(parents=True, exist_ok=True)
            partial = self.folder / f"{state.global_step}.tmp"
            write_records(partial, negatives, HardNegative)
            partial.replace(self.folder / f"{state.global_step}.parquet")
            self._use(negatives)

    def _use(self, negatives: list[HardNegative]) -> None:
        self.source.examples = self.source.examples.with_negatives(negatives)
