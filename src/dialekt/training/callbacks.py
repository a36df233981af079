"""What happens beside the steps: dev scores and re-mining."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.evaluation import SentenceEvaluator
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from dialekt.store.tables import read_records, write_records
from dialekt.training.trainer import ExampleSource
from dialekt.types import HardNegative

DEV_METRIC = "dev_ndcg@10"


class DevEvaluator(SentenceEvaluator):  # type: ignore[misc]
    """Scores the model under training on the dev queries."""

    def __init__(self, score: Callable[[], float], *, steps: int, watch: Callable[[float, float], None] | None = None):
        super().__init__()
        self.score = score
        self.steps = steps
        self.watch = watch
        self.primary_metric = DEV_METRIC

    def __call__(
        self,
        model: SentenceTransformer,
        output_path: str | None = None,
        epoch: float = -1,
        steps: int = -1,
    ) -> dict[str, float]:
        """Return NDCG@10, in [0, 1]."""
        score = self.score()
        if self.watch is not None:
            self.watch(steps / self.steps, score)
        return {DEV_METRIC: score}


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
