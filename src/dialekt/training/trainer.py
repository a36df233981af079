"""The sentence-transformers Trainer with steps of our own: planned batches, cached tokens, gradient caching."""

import operator
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from dialekt.config import Distillation, Precision
from dialekt.training.batches import Piece, Plan, StepBatch, TextBatch, collate
from dialekt.training.derive import Recipe
from dialekt.training.distributed import current_team
from dialekt.training.examples import Examples
from dialekt.training.losses import distillation_loss, matryoshka_loss, ranking_loss

TEXTS_PER_PIECE = 32
"""Texts encoded together: enough to fill the matrix units, few enough that their lengths are alike."""


@dataclass(slots=True)
class ExampleSource:
    """The examples in use; re-mining puts new ones in their place."""

    examples: Examples


class PlannedSteps(Dataset[dict[str, StepBatch]]):
    """Item i is the tensors of step i of the plan; the same at every run, so a resumed run continues exactly."""

    def __init__(self, source: ExampleSource, plan: Plan, recipe: Recipe, *, pad_id: int, seed: int):
        self.source = source
        self.plan = plan
        self.recipe = recipe
        self.pad_id = pad_id
        self.seed = seed

    def __len__(self) -> int:
        return len(self.plan.steps)

    def __getitem__(self, index: int) -> dict[str, StepBatch]:
        return {"batch": self.batch(index)}

    def batch(self, index: int) -> StepBatch:
        """Return the tensors of one step."""
        return collate(
            self.source.examples,
            self.plan.steps[index],
            hard_negatives=self.recipe.hard_negatives,
            piece=Piece(TEXTS_PER_PIECE, self.recipe.mini_batch_tokens),
            pad_id=self.pad_id,
            seed=self.seed + index,
        )


@dataclass(frozen=True, slots=True)
class Objective:
    """What a step minimises. `distillation_weight` is the part of a teacher's scores, where the step has any."""

    dimensions: tuple[int, ...]
    temperature: float
    distillation: Distillation = Distillation.LISTWISE
    distillation_weight: float = 0.0

    def loss(self, queries: Tensor, documents: Tensor, batch: StepBatch) -> Tensor:
        """Return the contrastive loss, mixed with that of the teacher's scores, inside Matryoshka."""

        def of_prefix(query_vectors: Tensor, document_vectors: Tensor) -> Tensor:
            contrastive = ranking_loss(
                query_vectors,
                document_vectors,
                targets=batch.targets,
                masked=batch.masked,
                weights=batch.weights,
                temperature=self.temperature,
                discounts=batch.discounts,
            )
            if batch.teacher is None or not self.distillation_weight:
                return contrastive
            taught = distillation_loss(
                self.distillation,
                query_vectors,
                document_vectors,
                targets=batch.targets,
                teacher=batch.teacher,
                weights=batch.weights,
                temperature=self.temperature,
            )
            return torch.lerp(contrastive, taught, self.distillation_weight)

        return matryoshka_loss(queries, documents, dimensions=self.dimensions, loss=of_prefix)


class RankingStep(nn.Module):
    """One step: encode queries and documents in groups of similar length, then the loss of the objective.

    Documents whose vectors are frozen are not encoded, and have no gradient.

    A step of more than `mini_batch_tokens` padded tokens is computed with gradient caching (Gao et al. 2021,
    https://arxiv.org/abs/2101.06983): vectors first without a graph, the loss and its gradients on them, then group
    by group forward and backward again. The result is the same, the memory that of one group.
    """

    def __init__(self, model: SentenceTransformer, *, objective: Objective, recipe: Recipe) -> None:
        super().__init__()
        self.model = model
        self.objective = objective
        self.precision = recipe.precision
        self.mini_batch_tokens = recipe.mini_batch_tokens

    def forward(self, batch: StepBatch) -> Tensor:
        """Return the loss with its graph."""
        with self._autocast(batch.targets.device):
            queries = self._encode_all(batch.queries)
            documents = self._documents(batch)
        return self.objective.loss(queries, documents, batch)

    def is_too_large(self, batch: StepBatch) -> bool:
        """Tell whether the activations of the whole step would not fit."""
        return sum(part.tokens for part in (*batch.queries, *batch.documents)) > self.mini_batch_tokens

    def backward_cached(self, batch: StepBatch, backward: Callable[[Tensor], None]) -> Tensor:
        """Run forward and backward group by group and return the detached loss."""
        with torch.no_grad(), self._autocast(batch.targets.device):
            queries = self._encode_all(batch.queries)
            documents = self._documents(batch)
        queries = queries.detach().requires_grad_()
        documents = documents.detach().requires_grad_()
        loss = self.objective.loss(queries, documents, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        assert queries.grad is not None
        assert documents.grad is not None
        for parts, gradient in ((batch.queries, queries.grad), (batch.documents, documents.grad)):
            for part in parts:
                with self._autocast(batch.targets.device):
                    vectors = self._encode(part)
                backward((vectors.float() * gradient[part.rows]).sum())
        return loss.detach()

    def _autocast(self, device: torch.device) -> AbstractContextManager[None]:
        return torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.precision is Precision.BF16)

    def _encode(self, part: TextBatch) -> Tensor:
        features = {"input_ids": part.input_ids, "attention_mask": part.attention_mask}
        vectors: Tensor = self.model(features)["sentence_embedding"]  # (texts, dimension)
        return vectors

    def _documents(self, batch: StepBatch) -> Tensor:
        """Return the vectors of the step's documents; (documents, dimension)."""
        return self._encode_all(batch.documents) if batch.frozen is None else batch.frozen

    def _encode_all(self, parts: tuple[TextBatch, ...]) -> Tensor:
        vectors = torch.cat([self._encode(part) for part in parts])  # (texts, dimension), sorted by length
        places = torch.cat([part.rows for part in parts])
        return vectors[torch.argsort(places)]


class PairTrainer(SentenceTransformerTrainer):  # type: ignore[misc]
    """SentenceTransformerTrainer over planned steps. It writes no model card, so no text leaves the data."""

    loss: RankingStep

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.started = time.monotonic()
        self._earlier_seconds: float | None = None

    def preprocess_dataset(self, dataset: PlannedSteps, dataset_name: str | None = None) -> PlannedSteps:
        """Return the planned steps as they are."""
        return dataset

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Collect nothing for a card: the default one shows rows of the training data."""

    def get_train_dataloader(self) -> DataLoader[dict[str, StepBatch]]:
        """Return the steps in their planned order; a resumed run skips the done ones without building them."""
        return DataLoader(self.train_dataset, batch_size=1, shuffle=False, collate_fn=operator.itemgetter(0))

    def training_step(
        self,
        model: nn.Module,
        inputs: dict[str, StepBatch],
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor:
        """Compute loss and gradients of one step."""
        model.train()
        batch = inputs["batch"].to(self.args.device)
        if (team := current_team()) is not None:
            return team.backward(self.loss, batch)
        if self.loss.is_too_large(batch):
            return self.loss.backward_cached(batch, self.accelerator.backward)
        loss: Tensor = self.loss(batch)
        self.accelerator.backward(loss)
        return loss.detach()

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the clock to every entry of the history; a resumed run goes on from the last one."""
        if self._earlier_seconds is None:
            self._earlier_seconds = max((entry.get("seconds", 0.0) for entry in self.state.log_history), default=0.0)
        seconds = self._earlier_seconds + time.monotonic() - self.started
        super().log({**logs, "seconds": round(seconds, 3)}, start_time)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        folder = output_dir or self.args.output_dir
        assert self.model is not None
        self.model.save_pretrained(folder, create_model_card=False)
        torch.save(self.args, f"{folder}/training_args.bin")


def seconds_per_step(step: RankingStep, batches: list[StepBatch], device: torch.device) -> float:
    """Measure forward and backward over a few batches; the weights stay as they are."""
    seconds = []
    step.train()
    for batch in batches:
        start = time.perf_counter()
        moved = batch.to(device)
        if (team := current_team()) is not None:
            team.backward(step, moved)
        elif step.is_too_large(moved):
            step.backward_cached(moved, lambda loss: loss.backward())  # type: ignore[no-untyped-call]
        else:
            step(moved).backward()
        seconds.append(time.perf_counter() - start)
        step.zero_grad(set_to_none=True)
    return float(np.median(np.array(seconds)))
