"""Train a cross-encoder on the pairs with the library's Trainer: planned steps, cached tokens, pieces that fit."""

import operator
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers.cross_encoder import CrossEncoder, CrossEncoderTrainer, CrossEncoderTrainingArguments
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from transformers import PrinterCallback

from dialekt.config import TeacherConfig
from dialekt.errors import ModelError
from dialekt.models.fitting import (
    InterruptCallback,
    ProgressCallback,
    disable_dropout,
    last_checkpoint,
    quiet_libraries,
)
from dialekt.models.machine import device_memory_bytes
from dialekt.models.pair_tokens import PairedTexts, PairTokenizer, TokenRows
from dialekt.models.reranker import Reranker
from dialekt.teacher.groups import GroupBatch, GroupPlan
from dialekt.teacher.material import Material
from dialekt.teacher.records import Fitting
from dialekt.types import ReportProgress

CHECKPOINTS = 10
WARMUP_SHARE = 0.1
WEIGHT_DECAY = 0.01
_PIECE_TOKENS = {"cpu": 4_096, "cuda": 65_536}
_BYTES_PER_NUMBER = 100  # activations kept for the backward pass, per token, layer and hidden component
_MEMORY_SHARE = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One step's groups, and their rows of tokens: group g has the rows g * width to (g + 1) * width - 1."""

    groups: GroupBatch
    texts: PairedTexts


class PlannedGroups(Dataset[dict[str, Step]]):
    """Item i is step i of the plan, the same at every run, so that a resumed run continues exactly."""

    def __init__(self, plan: GroupPlan, tokenizer: PairTokenizer, material: Material):
        self.plan = plan
        self.tokenizer = tokenizer
        self.queries: TokenRows = tokenizer.tokenise(material.query_texts)
        self.documents: TokenRows = tokenizer.tokenise(material.document_texts)

    def __len__(self) -> int:
        return len(self.plan.steps)

    def __getitem__(self, index: int) -> dict[str, Step]:
        return {"step": self.step(index)}

    def step(self, index: int) -> Step:
        """Return the groups of a step with their tokens."""
        groups = self.plan.batch(index)
        return Step(groups, self.tokenizer.join(self.queries, self.documents, groups.couples.reshape(-1, 2)))


class GroupLoss(nn.Module):
    """One right document among wrong ones: softmax cross-entropy, and a zero that means undecided.

    L = weight · (-log softmax(s)[right] + ½ softplus(-s[right]) + ½ mean softplus(s[wrong])). The first term ranks
    (as in Nogueira & Cho 2019 with the softmax over candidates of Gao, Dai & Callan 2021, "Rethink training of BERT
    rerankers"); the others are binary cross-entropy with equal shares of right and wrong. `scores` (groups,
    1 + wrong), the right one first; `weights` (groups,). Returns the sum over the groups.
    """

    def __init__(self, model: CrossEncoder):
        super().__init__()
        self.model = model

    def forward(self, scores: Tensor, weights: Tensor) -> Tensor:
        """Return the loss with its graph."""
        scores = scores.float()
        ranking = -torch.log_softmax(scores, dim=1)[:, 0]
        wrong = nn.functional.softplus(scores[:, 1:]).mean(dim=1)
        anchored = 0.5 * nn.functional.softplus(-scores[:, 0]) + 0.5 * wrong
        return (weights * (ranking + anchored)).sum()


class GroupTrainer(CrossEncoderTrainer):  # type: ignore[misc]
    """CrossEncoderTrainer over planned steps. It writes no model card, so no text leaves the data."""

    reranker: Reranker
    piece_tokens: int

    def preprocess_dataset(self, dataset: PlannedGroups, *_: Any, **__: Any) -> PlannedGroups:
        """Return the planned steps as they are."""
        return dataset

    def add_model_card_callback(self, _: dict[str, Any]) -> None:
        """Collect nothing for a card: the default one shows rows of the training data."""

    def get_train_dataloader(self) -> DataLoader[dict[str, Step]]:
        """Return the steps in their planned order."""
        return DataLoader(self.train_dataset, batch_size=1, shuffle=False, collate_fn=operator.itemgetter(0))

    def training_step(self, model: nn.Module, inputs: dict[str, Step], _: Tensor | int | None = None) -> Tensor:
        """Compute loss and gradients piece by piece; the loss is a sum over groups, so pieces change nothing."""
        model.train()
        loss = torch.zeros((), device=self.args.device)
        for piece in self.losses(inputs["step"]):
            self.accelerator.backward(piece)
            loss += piece.detach()
        return loss

    def losses(self, step: Step) -> Iterator[Tensor]:
        """Yield the losses of a step's pieces, which sum up to the mean over its groups."""
        assert self.reranker.tokenizer is not None
        groups, width, _ = step.groups.couples.shape
        total = float(step.groups.weights.sum())
        for chosen in pieces(step.texts.lengths.reshape(groups, width), self.piece_tokens):
            rows = (chosen[:, None] * width + np.arange(width)).ravel()
            with self.reranker.autocast():
                scores = self.reranker.logits(self.reranker.tokenizer.features(step.texts, rows))
            weights = torch.from_numpy(step.groups.weights[chosen] / total).to(scores.device)
            loss: Tensor = self.loss(scores.reshape(len(chosen), width), weights)
            yield loss

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:  # noqa: ARG002 - the Trainer sets the signature
        folder = output_dir or self.args.output_dir
        self.reranker.save(Path(folder))
        torch.save(self.args, f"{folder}/training_args.bin")


def pieces(lengths: NDArray[np.int64], max_tokens: int) -> Iterator[NDArray[np.int64]]:
    """Yield groups by falling length, as many as fit: `lengths` (groups, 1 + wrong) are padded to the longest."""
    longest = lengths.max(axis=1)
    order = np.argsort(-longest, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, max_tokens // int(longest[order[start]] * lengths.shape[1]))
        yield order[start : start + size]
        start += size


def fit(
    config: TeacherConfig, reranker: Reranker, material: Material, *, seed: int, folder: Path, progress: ReportProgress
) -> Fitting:
    """Train in place; continue from the last checkpoint in `folder`.

    Raises KeyboardInterrupt after a checkpoint was saved, when the user or the system asked to stop.
    """
    if reranker.tokenizer is None:
        raise ModelError(
            "the base model's tokenizer cannot join two texts", hint="name a cross-encoder in teacher.model"
        )
    plan = GroupPlan(
        material, wrong=config.negatives_per_pair, max_pairs=config.max_pairs, epochs=config.epochs, seed=seed
    )
    _make_fast(reranker)
    interrupt = InterruptCallback()
    with quiet_libraries():
        trainer = GroupTrainer(
            model=reranker.model,
            args=_arguments(config, len(plan.steps), reranker, seed=seed, folder=folder),
            train_dataset=PlannedGroups(plan, reranker.tokenizer, material),
            loss=GroupLoss(reranker.model),
            callbacks=[ProgressCallback(progress, label="training the teacher", note=_note), interrupt],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.reranker, trainer.piece_tokens = reranker, _piece_tokens(reranker)
        return _train(trainer, interrupt, config, plan=plan, folder=folder)


def _train(
    trainer: GroupTrainer, interrupt: InterruptCallback, config: TeacherConfig, *, plan: GroupPlan, folder: Path
) -> Fitting:
    checkpoint = last_checkpoint(folder)
    steps = _affordable_steps(trainer, config, folder=folder)
    trainer.args.max_steps = steps
    trainer.args.warmup_steps = round(WARMUP_SHARE * steps)
    trainer.args.save_steps = -(-steps // CHECKPOINTS)
    started = time.monotonic()
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    finally:
        interrupt.restore()
    if interrupt.interrupted:
        raise KeyboardInterrupt
    seconds = time.monotonic() - started
    earlier = int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0
    done = sum(len(step) for step in plan.steps[earlier:steps])
    return Fitting(
        pairs=plan.pairs,
        steps=steps,
        seconds=seconds,
        pairs_per_second=done / seconds,
        precision=trainer.reranker.precision.value,
        losses=tuple(
            (int(entry["step"]), float(entry["loss"])) for entry in trainer.state.log_history if "loss" in entry
        ),
        resumed=checkpoint is not None,
        shortened=steps < len(plan.steps),
    )


def _affordable_steps(trainer: GroupTrainer, config: TeacherConfig, *, folder: Path) -> int:
    """Return how many steps fit into the time limit, measured over a few; a resumed run keeps its number."""
    steps = len(trainer.train_dataset)
    known = folder / "steps.txt"
    if config.time_limit_minutes is None:
        return steps
    if known.is_file() and last_checkpoint(folder):
        return int(known.read_text(encoding="utf-8"))
    seconds = []
    for index in range(min(3, steps)):
        start = time.perf_counter()
        for loss in trainer.losses(trainer.train_dataset.step(index)):
            loss.backward()  # type: ignore[no-untyped-call]
        seconds.append(time.perf_counter() - start)
    trainer.reranker.model.zero_grad(set_to_none=True)
    affordable = max(1, min(steps, int(config.time_limit_minutes * 60 / float(np.median(seconds)))))
    folder.mkdir(parents=True, exist_ok=True)
    known.write_text(str(affordable), encoding="utf-8")
    return affordable


def _make_fast(reranker: Reranker) -> None:
    """No dropout, and on a CPU the plain attention, whose backward pass is the faster one (docs/experiments.md)."""
    disable_dropout(reranker.model)
    transformer = reranker.model.model
    if transformer is not None and reranker.model.device.type == "cpu":
        transformer.set_attn_implementation("eager")


def _piece_tokens(reranker: Reranker) -> int:
    """Return how many padded tokens go forward and backward together, by the memory of the device."""
    device = reranker.model.device
    settings = reranker.model.config
    numbers = int(getattr(settings, "num_hidden_layers", 1)) * int(getattr(settings, "hidden_size", 1))
    fitting = int(_MEMORY_SHARE * device_memory_bytes(str(device)) / (numbers * _BYTES_PER_NUMBER))
    return max(reranker.max_tokens, min(fitting, _PIECE_TOKENS.get(device.type, 16_384)))


def _note(history: list[dict[str, float]]) -> str:
    losses = [entry["loss"] for entry in history if "loss" in entry]
    return f"loss {losses[-1]:.3f}" if losses else ""


def _arguments(
    config: TeacherConfig, steps: int, reranker: Reranker, *, seed: int, folder: Path
) -> CrossEncoderTrainingArguments:
    return CrossEncoderTrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=1,
        learning_rate=config.learning_rate,
        weight_decay=WEIGHT_DECAY,
        lr_scheduler_type="linear",
        optim="adamw_torch_fused",
        save_strategy="steps",
        save_total_limit=2,
        restore_callback_states_from_checkpoint=True,
        logging_steps=max(1, steps // 50),
        disable_tqdm=True,
        report_to="none",
        seed=seed,
        use_cpu=reranker.model.device.type == "cpu",
        dataloader_pin_memory=False,
    )
