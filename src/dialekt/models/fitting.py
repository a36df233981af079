"""What every training with the library's Trainer needs: a clean stop, whole checkpoints, no foreign messages."""

import contextlib
import json
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import transformers
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from dialekt.types import Progress, ReportProgress

CHECKPOINT_FILES = ("trainer_state.json", "model.safetensors", "optimizer.pt", "scheduler.pt")


class ProgressCallback(TrainerCallback):  # type: ignore[misc]
    """Reports each step, with a note on the history of the run."""

    def __init__(self, report: ReportProgress, *, label: str, note: Callable[[list[dict[str, float]]], str]):
        self.report = report
        self.label = label
        self.note = note

    def on_step_end(self, _: TrainingArguments, state: TrainerState, __: TrainerControl, **___: Any) -> None:
        """Report how far training has come."""
        self.report(Progress(self.label, state.global_step, state.max_steps, self.note(state.log_history)))


class InterruptCallback(TrainerCallback):  # type: ignore[misc]
    """Turns the first Ctrl-C or SIGTERM into a checkpoint at the end of the step; the second stops at once."""

    def __init__(self) -> None:
        self.interrupted = False
        self._former: dict[int, Any] = {}

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Watch the signals; only the main thread may, and `stop_training` serves the others."""
        _WATCHING.append(self)
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._former[number] = signal.signal(number, self._note)

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Give the signals back."""
        self.restore()

    def restore(self) -> None:
        """Give the signals back to whoever had them."""
        if self in _WATCHING:
            _WATCHING.remove(self)
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former = {}

    def on_step_end(self, _: TrainingArguments, __: TrainerState, control: TrainerControl, **___: Any) -> None:
        """Save and stop once a signal has come."""
        if self.interrupted:
            control.should_save = True
            control.should_training_stop = True

    def _note(self, _: int, __: FrameType | None) -> None:
        self.interrupted = True
        self.restore()


_WATCHING: list[InterruptCallback] = []


def stop_training() -> None:
    """Ask the training of this process to stop after its step, as Ctrl-C does where a signal can come.

    Raises KeyboardInterrupt at once where there is no training to save, or it was asked before.
    """
    if not _WATCHING:
        raise KeyboardInterrupt
    watching = _WATCHING[-1]
    watching.interrupted = True
    watching.restore()


def last_checkpoint(folder: Path) -> Path | None:
    """Return the newest complete checkpoint."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    return next((path for path in found if _is_complete(path)), None)


def _is_complete(checkpoint: Path) -> bool:
    """Tell whether a kill left nothing out of a checkpoint; its state is written last, and may be cut short."""
    if not all((checkpoint / name).is_file() for name in CHECKPOINT_FILES):
        return False
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


def disable_dropout(model: nn.Module) -> None:
    """Set every dropout to zero: one pass over the data does not overfit, and fused attention needs it."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.0  # type: ignore[assignment]


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep the libraries' own logs out of ours, and flush denormal numbers, which slow a CPU tenfold."""
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logger = logging.getLogger("sentence_transformers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        transformers.logging.set_verbosity(verbosity)
        logger.setLevel(level)
