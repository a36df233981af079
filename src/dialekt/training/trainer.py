"""The sentence-transformers Trainer with steps of our own: planned batches, cached tokens, gradient caching."""

import operator
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_model, save_model
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from dialekt.config import Precision
from dialekt.training.batches import Piece, Plan, StepBatch, TextBatch, collate
from dialekt.training.derive import Recipe
from dialekt.training.distributed import current_team
from dialekt.training.examples import Examples
from dialekt.training.lazy_embedding import LazyAdamW, LazyEmbedding
from dialekt.training.objective import Objective

WEIGHTS = "model.safetensors"


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
            piece=Piece(self.recipe.texts_per_piece, self.recipe.mini_batch_tokens),
            pad_id=self.pad_id,
            seed=self.seed + index,
            mask_above=self.recipe.mask_above,
        )


class RankingStep(nn.Module):
    """One step: encode queries and documents in groups of similar length, then the loss of the objective.

    Documents whose vectors are frozen are not encoded, and have no gradient.

    A step of more than `mini_batch_tokens` padded tokens is computed with gradient caching (Gao et al. 2021,
    https://arxiv.org/abs/2101.06983): vectors first without a graph, the loss and its gradients on them, then group
    by group forward and backward again. The result is the same, the memory that of one group.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        *,
        objective: Objective,
        recipe: Recipe,
        embedding: LazyEmbedding | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.embedding = embedding
        self.objective = objective
        self.precision = recipe.precision
        self.mini_batch_tokens = recipe.mini_batch_tokens

    def run(self, batch: StepBatch, backward: Callable[[Tensor], None]) -> Tensor:
        """Compute loss and gradients of a step, in one piece or with gradient caching; return the detached loss."""
        if self.embedding is not None:
            self.embedding.open(batch.token_ids)
        if self.is_too_large(batch):
            return self.backward_cached(batch, backward)
        loss: Tensor = self(batch)
        backward(loss)
        return loss.detach()

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
        return gradients_of(self.loss, inputs["batch"].to(self.args.device), self.accelerator.backward)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Return AdamW; where word embeddings are read lazily, one that updates their touched rows alone."""
        optimizer: torch.optim.Optimizer = super().create_optimizer(model)
        if self.loss.embedding is not None:
            self.optimizer = optimizer = LazyAdamW(optimizer.param_groups, embedding=self.loss.embedding, fused=True)
        return optimizer

    def _clip_grad_norm(self, model: nn.Module) -> Tensor:
        """Clip the gradients of all weights and of the touched rows together; return their norm before."""
        lazy = self.loss.embedding
        rows = [] if lazy is None or lazy.rows is None else [lazy.rows]
        norm: Tensor = self.accelerator.clip_grad_norm_([*model.parameters(), *rows], self.args.max_grad_norm)
        return norm

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the clock to every entry of the history; a resumed run goes on from the last one."""
        if self._earlier_seconds is None:
            self._earlier_seconds = max((entry.get("seconds", 0.0) for entry in self.state.log_history), default=0.0)
        seconds = self._earlier_seconds + time.monotonic() - self.started
        super().log({**logs, "seconds": round(seconds, 3)}, start_time)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        """Write the weights as they are while they are trained, low-rank matrices beside their layers included."""
        folder = Path(output_dir or str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        assert self.model is not None
        save_model(self.model, str(folder / WEIGHTS))
        torch.save(self.args, folder / "training_args.bin")

    def _load_from_checkpoint(self, checkpoint_path: str) -> None:
        load_model(self.model, Path(checkpoint_path) / WEIGHTS)


def gradients_of(step: RankingStep, batch: StepBatch, backward: Callable[[Tensor], None]) -> Tensor:
    """Compute the gradients of a step, with the help of other processes where there are some; return the loss."""
    team, embedding = current_team(), step.embedding
    if team is None:
        return step.run(batch, backward)
    if embedding is None:
        return team.backward(step, batch)
    embedding.close()  # the others know no rows of a step
    loss = team.backward(step, batch)
    embedding.adopt(batch.token_ids)
    return loss


def seconds_per_step(step: RankingStep, batches: list[StepBatch], device: torch.device) -> float:
    """Measure forward and backward over a few batches; the weights stay as they are."""
    seconds = []
    step.train()
    for batch in batches:
        start = time.perf_counter()
        gradients_of(step, batch.to(device), lambda loss: loss.backward())  # type: ignore[no-untyped-call]
        seconds.append(time.perf_counter() - start)
        step.zero_grad(set_to_none=True)
    return float(np.median(np.array(seconds)))
