"""Every setting of an adapter's training: what the user gave, what was derived and why, what does nothing here."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from dialekt.config import AdapterConfig, AdapterKind, TrainingConfig, TunedSide
from dialekt.errors import ConfigError
from dialekt.training.records import Derived

IDLE = (
    "remine_every",
    "mini_batch_tokens",
    "max_query_tokens",
    "max_document_tokens",
    "precision",
    "lora_rank",
    "frozen_layers",
    "freeze_embeddings",
)
"""Settings of training that do nothing where no weight of the base model is touched."""

BATCH = 128
STEPS = 500
EPOCHS = (3, 60)
LEARNING_RATE = 0.02
"""Over √dimension, as the entries of a rotation shrink with it: 1e-3 at 384 dimensions."""

LEARNING_RATES = {AdapterKind.LINEAR: (1.0, 3.0), AdapterKind.MLP: (0.3, 1.0)}
"""Times the one above: both are tried on dev."""

STRENGTHS = (0.0, 0.1)
TRIAL_SHARE = 0.3
"""Of the steps: what each combination is tried for before the best one is trained in full."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is chosen on dev: the highest learning rate, and how strongly vectors are held where they were."""

    learning_rate: float
    strength: float


@dataclass(frozen=True, slots=True)
class AdapterRecipe:
    """Every setting, none left open. `steps` are of the whole training, after the trials."""

    kind: AdapterKind
    hidden_dimension: int
    shared: bool
    batch_size: int
    steps: int
    epochs: float
    hard_negatives: int
    negatives: int
    evaluations: int
    candidates: tuple[Candidate, ...]
    derived: Mapping[str, Derived]


def check_settings(training: TrainingConfig, adapter: AdapterConfig) -> None:
    """Raise `ConfigError` for settings that would do nothing."""
    for name in IDLE:
        if getattr(training, name):
            raise ConfigError(
                f"training.{name} = {getattr(training, name)!r} does nothing where an adapter is trained",
                hint="unset it: an adapter reads the base model's vectors and changes none of its weights",
            )
    if adapter.hidden_dimension is not None and adapter.kind is not AdapterKind.MLP:
        raise ConfigError(
            f"adapter.hidden_dimension = {adapter.hidden_dimension}, but only an mlp has a hidden layer",
            hint='set adapter.kind = "mlp", or unset it',
        )
    if adapter.shared is not None and training.side is TunedSide.QUERY:
        raise ConfigError(
            'adapter.shared is set, but training.side = "query" leaves documents where they are',
            hint="unset one of the two",
        )


class _Choices:
    """Takes the user's value where there is one, and notes the others with their reason."""

    def __init__(self) -> None:
        self.derived: dict[str, Derived] = {}

    def number(self, name: str, given: float | None, value: float, why: str) -> float:
        if given is None:
            self.derived[name] = Derived(value, why)
            return value
        return given


def derive_adapter(
    training: TrainingConfig, adapter: AdapterConfig, *, pairs: int, mined: int, dimension: int
) -> AdapterRecipe:
    """Choose what the user left open; `mined` is the largest number of hard negatives of a query."""
    check_settings(training, adapter)
    choices = _Choices()
    on_queries = training.side is TunedSide.QUERY
    kind = adapter.kind or AdapterKind.LINEAR
    if adapter.kind is None:
        choices.derived["adapter.kind"] = Derived(kind.value, "a matrix is learnt from few pairs, and explains itself")
    hidden = 0
    if kind is AdapterKind.MLP:
        quarter = max(32, dimension // 4)
        hidden = int(choices.number("adapter.hidden_dimension", adapter.hidden_dimension, quarter, "a quarter"))
    batch = int(choices.number("batch_size", training.batch_size, min(BATCH, pairs), "one matrix product a step"))
    batch = min(batch, pairs)
    fitting = float(np.clip(round(STEPS * batch / pairs), *EPOCHS))
    epochs = choices.number("epochs", training.epochs, fitting, f"about {STEPS} steps; dev decides when to stop")
    hard = choices.number("hard_negatives", training.hard_negatives, *_hard_negatives(mined, frozen=on_queries))
    random = (2_048, "documents cost one product") if on_queries else (512, "each is moved by the map in every step")
    steps = max(1, round(-(-pairs // batch) * epochs))
    return AdapterRecipe(
        kind=kind,
        hidden_dimension=hidden,
        shared=bool(adapter.shared) and not on_queries,
        batch_size=batch,
        steps=steps,
        epochs=epochs,
        hard_negatives=int(hard),
        negatives=int(choices.number("adapter.negatives", adapter.negatives, *random)),
        evaluations=int(choices.number("evaluations", training.evaluations, min(10, steps), "a score costs little")),
        candidates=_candidates(training, adapter, dimension=dimension),
        derived=choices.derived,
    )


def _candidates(training: TrainingConfig, adapter: AdapterConfig, *, dimension: int) -> tuple[Candidate, ...]:
    """Return the combinations that dev chooses from, the boldest first, so that it wins among equals."""
    usual = LEARNING_RATE / dimension**0.5
    rates = sorted((usual * times for times in LEARNING_RATES[adapter.kind or AdapterKind.LINEAR]), reverse=True)
    given = [training.learning_rate] if training.learning_rate is not None else [float(f"{rate:.1e}") for rate in rates]
    strengths = sorted(set(STRENGTHS if adapter.strengths is None else adapter.strengths)) or [0.0]
    return tuple(Candidate(rate, strength) for rate, strength in product(given, strengths))


def _hard_negatives(mined: int, *, frozen: bool) -> tuple[int, str]:
    if not mined:
        return 0, "none were mined"
    if frozen:
        return min(mined, 8), "documents cost one product"
    return min(mined, 2), "each is moved by the map in every step"
