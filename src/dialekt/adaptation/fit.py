"""Train one objective with the library's Trainer: planned steps, checkpoints, resume, a time limit."""

import operator
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_model, save_model
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from transformers import PreTrainedModel, PrinterCallback, Trainer, TrainingArguments

from dialekt.adaptation.objectives import Batch, Objective
from dialekt.adaptation.records import LossPoint
from dialekt.config import Precision
from dialekt.models.fitting import (
    InterruptCallback,
    ProgressCallback,
    disable_dropout,
    last_checkpoint,
    quiet_libraries,
)
from dialekt.models.machine import fastest_precision
from dialekt.store.atomic import write_atomic
from dialekt.types import ReportProgress

CHECKPOINTS = 10
WARMUP_SHARE = 0.1
FRESH_FACTOR = 10.0
"""How much faster than the model the parts learn that start from nothing."""

MAX_GRADIENT_NORM = 1.0
_WEIGHTS = "model.safetensors"


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """One training: the rows of every step, and how fast to learn."""

    steps: list[NDArray[np.int64]]
    learning_rate: float
    seed: int
    label: str
    time_limit_minutes: float | None


@dataclass(frozen=True, slots=True)
class Fitted:
    """How a training went."""

    steps: int
    seconds: float
    passages_per_second: float
    precision: str
    losses: tuple[LossPoint, ...]
    resumed: bool
    shortened: bool


class _PlannedBatches(Dataset[Batch]):
    """Item i is step i of the plan, the same at every run, so that a resumed run continues exactly."""

    def __init__(self, objective: Objective, plan: Plan) -> None:
        self.objective = objective
        self.plan = plan

    def __len__(self) -> int:
        return len(self.plan.steps)

    def __getitem__(self, index: int) -> Batch:
        return self.objective.batch(self.plan.steps[index], seed=self.plan.seed + index)


class _Trainer(Trainer):  # type: ignore[misc]
    """The Trainer over planned steps. What starts from nothing learns faster; nothing leaves the data but weights."""

    model: Objective

    def get_train_dataloader(self) -> DataLoader[Batch]:
        """Return the steps in their planned order."""
        return DataLoader(self.train_dataset, batch_size=1, shuffle=False, collate_fn=operator.itemgetter(0))

    def create_optimizer(self, *_: Any) -> torch.optim.Optimizer:
        """Return AdamW without decay, with a higher rate for fresh parameters."""
        fresh = self.model.fresh
        names = {id(parameter) for parameter in fresh}
        own = [one for one in self.model.parameters() if one.requires_grad and id(one) not in names]
        rate = self.args.learning_rate
        groups = [{"params": own, "lr": rate}, {"params": fresh, "lr": FRESH_FACTOR * rate}]
        self.optimizer = torch.optim.AdamW([group for group in groups if group["params"]], weight_decay=0.0, fused=True)
        return self.optimizer

    def compute_loss(self, _: Any, inputs: Batch, *__: Any, **___: Any) -> Tensor:
        """Return the loss of a step."""
        return compute(self.model, inputs)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:  # noqa: ARG002 - the Trainer sets the signature
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        save_model(self.model, str(folder / _WEIGHTS))
        torch.save(self.args, folder / "training_args.bin")

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:  # noqa: ARG002 - the Trainer sets the signature
        load_model(self.model, str(Path(resume_from_checkpoint) / _WEIGHTS))


def compute(objective: Objective, batch: Batch) -> Tensor:
    """Return the loss of a batch, in the machine's fastest precision."""
    device = objective.model.device
    moved = {name: values.to(device) for name, values in batch.items()}
    half = fastest_precision(str(device)) is Precision.BF16
    with torch.autocast(device.type, torch.bfloat16, enabled=half):
        loss: Tensor = objective(moved)
    return loss


def fit(objective: Objective, plan: Plan, *, folder: Path, progress: ReportProgress) -> Fitted:
    """Train in place; continue from the last checkpoint in `folder`.

    Raises KeyboardInterrupt after a checkpoint was saved, when the user or the system asked to stop.
    """
    _make_fast(objective)
    steps = _affordable_steps(objective, plan, folder)
    interrupt = InterruptCallback()
    checkpoint = last_checkpoint(folder)
    with quiet_libraries():
        trainer = _Trainer(
            model=objective,
            args=_arguments(plan, steps, objective.model.device, folder),
            train_dataset=_PlannedBatches(objective, plan),
            callbacks=[ProgressCallback(progress, label=plan.label, note=_note), interrupt],
        )
        trainer.remove_callback(PrinterCallback)
        started = time.monotonic()
        try:
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        finally:
            interrupt.restore()
    if interrupt.interrupted:
        raise KeyboardInterrupt
    seconds = time.monotonic() - started
    earlier = int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0
    history = trainer.state.log_history
    return Fitted(
        steps=steps,
        seconds=seconds,
        passages_per_second=sum(map(len, plan.steps[earlier:steps])) / seconds,
        precision=fastest_precision(str(objective.model.device)).value,
        losses=tuple(LossPoint(int(entry["step"]), float(entry["loss"])) for entry in history if "loss" in entry),
        resumed=checkpoint is not None,
        shortened=steps < len(plan.steps),
    )


def _make_fast(objective: Objective) -> None:
    """No dropout, and on a CPU the plain attention, whose backward pass is the faster one (docs/experiments.md)."""
    disable_dropout(objective)
    for module in objective.modules():
        if isinstance(module, PreTrainedModel) and objective.model.device.type == "cpu":
            module.set_attn_implementation("eager")


def _affordable_steps(objective: Objective, plan: Plan, folder: Path) -> int:
    """Return how many steps fit into the time limit, measured over a few; a resumed run keeps its number."""
    if plan.time_limit_minutes is None:
        return len(plan.steps)
    known = folder / "steps.txt"
    if known.is_file() and last_checkpoint(folder):
        return int(known.read_text(encoding="utf-8"))
    seconds = []
    for rows in plan.steps[:3]:
        start = time.perf_counter()
        compute(objective, objective.batch(rows, seed=plan.seed)).backward()  # type: ignore[no-untyped-call]
        seconds.append(time.perf_counter() - start)
    objective.zero_grad(set_to_none=True)
    affordable = max(1, min(len(plan.steps), int(plan.time_limit_minutes * 60 / float(np.median(seconds)))))
    write_atomic(known, str(affordable))
    return affordable


def _note(history: list[dict[str, float]]) -> str:
    losses = [entry["loss"] for entry in history if "loss" in entry]
    return f"loss {losses[-1]:.3f}" if losses else ""


def _arguments(plan: Plan, steps: int, device: torch.device, folder: Path) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=1,
        learning_rate=plan.learning_rate,
        warmup_steps=round(WARMUP_SHARE * steps),
        lr_scheduler_type="linear",
        max_grad_norm=MAX_GRADIENT_NORM,
        save_strategy="steps",
        save_steps=-(-steps // CHECKPOINTS),
        save_total_limit=2,
        restore_callback_states_from_checkpoint=True,
        remove_unused_columns=False,
        logging_steps=max(1, steps // 50),
        disable_tqdm=True,
        report_to="none",
        seed=plan.seed,
        use_cpu=device.type == "cpu",
        dataloader_pin_memory=False,
    )
