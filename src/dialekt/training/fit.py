"""Run the Trainer: steps, dev scores, checkpoints, early stopping, resume."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer, SentenceTransformerTrainingArguments
from transformers import EarlyStoppingCallback, PrinterCallback

from dialekt.config import TrainingConfig
from dialekt.models.fitting import InterruptCallback, ProgressCallback, last_checkpoint, quiet_libraries
from dialekt.training.batches import Plan
from dialekt.training.callbacks import DEV_METRIC, DevEvaluator, RemineCallback
from dialekt.training.derive import Recipe
from dialekt.training.records import CurvePoint
from dialekt.training.trainer import ExampleSource, PairTrainer, PlannedSteps, RankingStep
from dialekt.types import HardNegative, ReportProgress


@dataclass(frozen=True, slots=True)
class Fit:
    """One training run: the step, what it walks over, and who watches."""

    step: RankingStep
    source: ExampleSource
    plan: Plan
    recipe: Recipe
    score_dev: Callable[[], float]
    mine: Callable[[], list[HardNegative]] | None
    progress: ReportProgress
    watch: Callable[[float, float], None] | None = None


@dataclass(frozen=True, slots=True)
class FitResult:
    """How a run ended; the model holds the weights of the best step."""

    curve: tuple[CurvePoint, ...]
    steps: int
    best_step: int
    best_dev_ndcg: float
    stopped_early: bool
    resumed: bool
    seconds: float


def fit(run: Fit, config: TrainingConfig, *, seed: int, folder: Path) -> FitResult:
    """Train until the plan ends or dev no longer improves; continue from the last checkpoint in `folder`.

    Raises KeyboardInterrupt after a checkpoint was saved, when the user or the system asked to stop.
    """
    model = run.step.model
    interrupt = InterruptCallback()
    checkpoint = last_checkpoint(folder)
    with quiet_libraries():
        trainer = PairTrainer(
            model=model,
            args=_arguments(run, config, seed=seed, folder=folder),
            train_dataset=PlannedSteps(run.source, run.plan, run.recipe, pad_id=_pad_id(model), seed=seed),
            loss=run.step,
            evaluator=DevEvaluator(run.score_dev, steps=len(run.plan.steps), watch=run.watch),
            callbacks=[
                ProgressCallback(run.progress, label="training", note=_note),
                EarlyStoppingCallback(config.patience),
                interrupt,
            ],
        )
        trainer.remove_callback(PrinterCallback)
        if run.mine is not None and config.remine_every is not None:
            every = max(1, round(config.remine_every * run.plan.steps_per_epoch))
            trainer.add_callback(RemineCallback(run.source, run.mine, every=every, folder=folder / "negatives"))
        started = time.monotonic()
        try:
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        finally:
            interrupt.restore()
    if interrupt.interrupted:
        raise KeyboardInterrupt
    return _result(trainer, resumed=checkpoint is not None, seconds=time.monotonic() - started)


def _note(history: list[dict[str, float]]) -> str:
    """Return the last loss and dev score."""
    losses = [entry["loss"] for entry in history if "loss" in entry]
    scores = [entry[f"eval_{DEV_METRIC}"] for entry in history if f"eval_{DEV_METRIC}" in entry]
    note = f"loss {losses[-1]:.3f}" if losses else ""
    return (note + (f"  dev NDCG@10 {scores[-1]:.4f}" if scores else "")).strip()


def _arguments(run: Fit, config: TrainingConfig, *, seed: int, folder: Path) -> SentenceTransformerTrainingArguments:
    total = len(run.plan.steps)
    every = -(-total // run.recipe.evaluations)
    return SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        max_steps=total,
        per_device_train_batch_size=1,
        learning_rate=run.recipe.learning_rate,
        weight_decay=config.weight_decay,
        warmup_steps=round(config.warmup_share * total),
        lr_scheduler_type="linear",
        optim="adamw_torch_fused",
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=2,
        load_best_model_at_end=True,
        restore_callback_states_from_checkpoint=True,
        metric_for_best_model=f"eval_{DEV_METRIC}",
        greater_is_better=True,
        logging_steps=max(1, total // 100),
        disable_tqdm=True,
        report_to="none",
        seed=seed,
        use_cpu=run.step.model.device.type == "cpu",
        dataloader_pin_memory=False,
    )


def _pad_id(model: SentenceTransformer) -> int:
    return int(model.tokenizer.pad_token_id or 0)


def _result(trainer: PairTrainer, *, resumed: bool, seconds: float) -> FitResult:
    state = trainer.state
    best = Path(state.best_model_checkpoint).name.rpartition("-")[2] if state.best_model_checkpoint else "0"
    return FitResult(
        curve=tuple(_curve_point(entry) for entry in state.log_history if "train_runtime" not in entry),
        steps=state.global_step,
        best_step=int(best),
        best_dev_ndcg=float(state.best_metric or 0.0),
        stopped_early=state.global_step < state.max_steps,
        resumed=resumed,
        seconds=seconds,
    )


def _curve_point(entry: dict[str, Any]) -> CurvePoint:
    return CurvePoint(
        step=int(entry["step"]),
        epoch=float(entry["epoch"]),
        seconds=float(entry.get("seconds", 0.0)),
        loss=entry.get("loss"),
        learning_rate=entry.get("learning_rate"),
        dev_ndcg=entry.get(f"eval_{DEV_METRIC}"),
    )
