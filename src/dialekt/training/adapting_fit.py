"""Train maps on frozen vectors: steps, dev scores, the best weights, and a file from which a killed run goes on."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dialekt.config import TrainingConfig
from dialekt.store.atomic import PARTIAL_SUFFIX, disk_errors
from dialekt.training.adapting_batches import VectorBatch, VectorSource, pairs_of_step
from dialekt.training.adapting_modules import Maps
from dialekt.training.adapting_recipe import AdapterRecipe, Candidate
from dialekt.training.objective import Objective
from dialekt.training.records import CurvePoint
from dialekt.types import Progress, ReportProgress


@dataclass(frozen=True, slots=True, eq=False)
class MapFit:
    """What one training walks over, and who watches. `score` is NDCG@10 on dev of the maps as they are."""

    maps: Maps
    source: VectorSource
    recipe: AdapterRecipe
    config: TrainingConfig
    objective: Objective
    device: torch.device
    seed: int
    score: Callable[[], float]
    progress: ReportProgress


@dataclass(frozen=True, slots=True)
class MapResult:
    """How a training ended; the maps hold the weights of the best step."""

    curve: tuple[CurvePoint, ...]
    steps: int
    best_step: int
    best_dev_ndcg: float
    stopped_early: bool
    resumed: bool
    seconds: float


@dataclass(slots=True)
class _State:
    """Where a training stands."""

    step: int = 0
    best_step: int = 0
    best_dev_ndcg: float = -1.0
    worse: int = 0
    seconds: float = 0.0
    done: bool = False


def fit_maps(run: MapFit, candidate: Candidate, *, steps: int, folder: Path, label: str) -> MapResult:
    """Train until the steps are done or dev no longer improves; go on from the state in `folder` if it is of this run.

    The state is written at every dev score, so that a stopped run loses the steps since the last one. Raises
    KeyboardInterrupt when told to stop.
    """
    training = _Training(run, candidate, steps, folder / "state.pt")
    resumed = training.revive()
    training.walk(label)
    state = training.state
    return MapResult(
        curve=tuple(training.curve),
        steps=state.step,
        best_step=state.best_step,
        best_dev_ndcg=state.best_dev_ndcg,
        stopped_early=state.step < steps,
        resumed=resumed,
        seconds=state.seconds,
    )


class _Training:
    """One training of the maps from the identity on."""

    def __init__(self, run: MapFit, candidate: Candidate, steps: int, path: Path):
        self.run = run
        self.candidate = candidate
        self.steps = steps
        self.path = path
        self.state = _State()
        self.curve: list[CurvePoint] = []
        run.maps.load({name: value.to(run.device) for name, value in run.maps.identity().items()})
        self.best = run.maps.copied()
        self.optimizer = torch.optim.AdamW(
            run.maps.parameters(), lr=candidate.learning_rate, weight_decay=run.config.weight_decay
        )
        self.losses: list[float] = []

    def walk(self, label: str) -> None:
        """Train to the end, and leave the best weights in the maps."""
        every = max(1, -(-self.steps // self.run.recipe.evaluations))
        began = time.monotonic() - self.state.seconds
        while not self.state.done:
            self._step()
            self.state.seconds = time.monotonic() - began
            ends = self.state.step == self.steps
            if ends or self.state.step % every == 0:
                self._score(ends=ends)
            note = f"dev NDCG@10 {self.state.best_dev_ndcg:.4f}" if self.curve else ""
            self.run.progress(Progress(label, self.state.step, self.steps, note))
        self.run.maps.load(self.best)

    def _step(self) -> None:
        run, step = self.run, self.state.step
        recipe = run.recipe
        pairs = len(run.source.examples.pair_query)
        batch = run.source.batch(
            pairs_of_step(pairs, step, batch_size=recipe.batch_size, seed=run.seed),
            hard_negatives=recipe.hard_negatives,
            negatives=recipe.negatives,
            generator=np.random.default_rng([run.seed, step, 1]),
        )
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate(step)
        loss = map_loss(run, batch, strength=self.candidate.strength)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.losses.append(float(loss.detach()))
        self.state.step = step + 1

    def _learning_rate(self, step: int) -> float:
        """Rise over the first steps, then fall to zero in a straight line."""
        warmup = round(self.run.config.warmup_share * self.steps)
        if step < warmup:
            return self.candidate.learning_rate * (step + 1) / warmup
        return self.candidate.learning_rate * (self.steps - step) / max(1, self.steps - warmup)

    def _score(self, *, ends: bool) -> None:
        """Score dev, keep what is best, decide whether to go on, and write where this stands."""
        state, found = self.state, self.run.score()
        if found >= state.best_dev_ndcg:
            state.best_dev_ndcg, state.best_step, state.worse = found, state.step, 0
            self.best = self.run.maps.copied()
        else:
            state.worse += 1
        self.curve.append(
            CurvePoint(
                step=state.step,
                epoch=state.step * self.run.recipe.batch_size / len(self.run.source.examples.pair_query),
                seconds=round(state.seconds, 3),
                loss=float(np.mean(self.losses)),
                learning_rate=self._learning_rate(state.step - 1),
                dev_ndcg=found,
            )
        )
        self.losses.clear()
        state.done = ends or state.worse >= self.run.config.patience
        self._write()

    def _write(self) -> None:
        content = {
            "of": self._identity(),
            "state": asdict(self.state),
            "curve": [asdict(point) for point in self.curve],
            "weights": self.run.maps.copied(),
            "best": self.best,
            "optimizer": self.optimizer.state_dict(),
        }
        partial = self.path.with_name(self.path.name + PARTIAL_SUFFIX)
        with disk_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            torch.save(content, partial)
            partial.replace(self.path)

    def revive(self) -> bool:
        """Go on from the state of this very training, if there is one; return whether there is."""
        if not self.path.is_file():
            return False
        content: dict[str, Any] = torch.load(self.path, map_location=self.run.device, weights_only=True)
        if content["of"] != self._identity():
            return False
        self.state = _State(**content["state"])
        self.curve = [CurvePoint(**point) for point in content["curve"]]
        self.run.maps.load(content["weights"])
        self.best = content["best"]
        self.optimizer.load_state_dict(content["optimizer"])
        return True

    def _identity(self) -> list[float]:
        return [self.candidate.learning_rate, self.candidate.strength, float(self.steps)]


def map_loss(run: MapFit, batch: VectorBatch, *, strength: float) -> Tensor:
    """The loss of the objectives inside Matryoshka, plus what holds the vectors back.

    loss = L(q + f(q), d + g(d)) + strength · mean(‖f(q)‖², ‖g(d)‖²), with q and d of length 1
    """
    queries, documents = batch.queries.to(run.device), batch.documents.to(run.device)
    added = run.maps.queries.added(queries)  # (pairs, dimension)
    moved, penalty = queries + added, _mean_square(added)
    moved_documents = documents
    if run.maps.documents is not None:
        added = run.maps.documents.added(documents)  # (documents, dimension)
        moved_documents, penalty = documents + added, (penalty + _mean_square(added)) / 2
    loss = run.objective.loss(moved, moved_documents, batch.known.to(run.device))
    return loss + strength * penalty if strength else loss


def _mean_square(added: Tensor) -> Tensor:
    return functional.mse_loss(added, torch.zeros_like(added)) * added.shape[1]
