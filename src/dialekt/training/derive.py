"""Derive what the user left open from the data and the machine, and say why."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialekt.config import Precision, TrainingConfig, TrainingMethod
from dialekt.errors import ConfigError
from dialekt.training.examples import Examples
from dialekt.training.records import LEAST_DOCUMENT_TOKENS, Derived

BYTES_PER_TOKEN_AND_LAYER = 40
"""Activations kept for the backward pass: about 40 numbers of a hidden width per token and layer (plain attention)."""

TEXTS_PER_PIECE = 16
"""Texts that go through the model together on a CPU: enough for its matrix units, few enough to be of like length."""

TEXTS_PER_PIECE_ON_GPU = 512

MOST_FROZEN_NEGATIVES = 8
"""Hard negatives per document where no document is encoded."""


LORA_RATE = 10
"""How much larger the learning rate of low-rank matrices is (docs/experiments.md)."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the training settings depend on: device, its fastest precision, and memory."""

    device: str
    precision: Precision
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """Every setting of a training run, none left open."""

    epochs: float
    batch_size: int
    queries_per_document: int
    learning_rate: float
    hard_negatives: int
    max_query_tokens: int
    max_document_tokens: int
    mini_batch_tokens: int
    precision: Precision
    evaluations: int
    mask_above: float | None
    texts_per_piece: int
    derived: Mapping[str, Derived]


class _Choices:
    """Takes the user's value where there is one, and notes the others with their reason."""

    def __init__(self) -> None:
        self.derived: dict[str, Derived] = {}

    def number(self, name: str, given: float | None, value: float, why: str) -> float:
        if given is not None:
            return given
        self.derived[name] = Derived(value, why)
        return value


def derive_recipe(
    config: TrainingConfig, examples: Examples, *, machine: Machine, max_tokens: int, hidden_numbers: int
) -> Recipe:
    """Choose epochs, batch, learning rate, lengths and precision.

    `max_tokens` is the contract's limit; `hidden_numbers` is layers × hidden width of the model, for the memory of
    activations. The measurements behind the defaults are in docs/experiments.md.
    """
    _refuse_idle(config, max_tokens=max_tokens)
    choices = _Choices()
    pairs = len(examples.pair_query)
    on_gpu = machine.device != "cpu"
    queries_per_document = _queries_per_document(examples)
    choices.derived["queries_per_document"] = Derived(
        queries_per_document, "a document is encoded once for several of its queries in a step"
    )
    batch = choices.number("batch_size", config.batch_size, *_batch_size(pairs, queries_per_document, on_gpu=on_gpu))
    epochs = choices.number("epochs", config.epochs, *_epochs(pairs))
    learning_rate = choices.number("learning_rate", config.learning_rate, *_learning_rate(int(batch), config.method))
    precision = config.precision
    if precision is None:
        precision = machine.precision
        choices.derived["precision"] = Derived(
            precision.value, f"the fastest that was measured on this {machine.device}"
        )
    return Recipe(
        epochs=epochs,
        batch_size=int(batch),
        queries_per_document=queries_per_document,
        learning_rate=learning_rate,
        hard_negatives=int(choices.number("hard_negatives", config.hard_negatives, *_hard_negatives(examples))),
        max_query_tokens=int(
            choices.number(
                "max_query_tokens", config.max_query_tokens, *_length(examples.query_tokens.lengths, max_tokens)
            )
        ),
        max_document_tokens=_max_document_tokens(config, examples, choices, max_tokens=max_tokens, on_gpu=on_gpu),
        mini_batch_tokens=int(
            choices.number(
                "mini_batch_tokens",
                config.mini_batch_tokens,
                max(2048, machine.memory_bytes // 2 // (hidden_numbers * BYTES_PER_TOKEN_AND_LAYER * 4)),
                "half of the memory holds the activations; a larger step uses gradient caching",
            )
        ),
        precision=precision,
        evaluations=int(choices.number("evaluations", config.evaluations, *_evaluations(pairs, epochs))),
        mask_above=config.mask_above,
        texts_per_piece=TEXTS_PER_PIECE_ON_GPU if on_gpu else TEXTS_PER_PIECE,
        derived=choices.derived,
    )


def _refuse_idle(config: TrainingConfig, *, max_tokens: int) -> None:
    """Raise `ConfigError` for settings that would do nothing."""
    for name in ("max_query_tokens", "max_document_tokens"):
        value = getattr(config, name)
        if value is not None and value > max_tokens:
            raise ConfigError(
                f"training.{name} = {value}, but the model reads at most {max_tokens} tokens",
                hint="lower it, or raise model.max_tokens if the model allows it",
            )
    if config.remine_every is not None and config.hard_negatives == 0:
        raise ConfigError(
            "training.remine_every is set, but training.hard_negatives = 0 uses none", hint="unset one of the two"
        )


def _queries_per_document(examples: Examples) -> int:
    """Half of the mean number of queries per document, at most 4, so that every step still varies."""
    documents = max(1, len(np.unique(examples.kin.clusters[examples.pair_document])))
    return int(np.clip(len(examples.pair_query) // documents // 2, 1, 4))


def _batch_size(pairs: int, queries_per_document: int, *, on_gpu: bool) -> tuple[int, str]:
    documents = 256 if on_gpu else 64
    most = max(8, pairs // 16)
    size = min(documents * queries_per_document, most)
    why = f"{documents} documents a step" if size < most else "at least 16 steps an epoch"
    return size, why


def _learning_rate(batch_size: int, method: TrainingMethod | None) -> tuple[float, str]:
    """Scale with the square root of the batch (https://arxiv.org/abs/2205.10287); low-rank matrices take more."""
    times, rate = (LORA_RATE, "5e-4") if method is TrainingMethod.LORA else (1, "5e-5")
    scaled = times * float(np.clip(5e-5 * np.sqrt(batch_size / 64), 2e-5, 1e-4))
    return float(f"{scaled:.1e}"), f"{rate} at 64 pairs a step, with the square root of the batch of {batch_size}"


def default_epochs(pairs: int) -> float:
    """Return how often training passes over this many pairs where the user does not say."""
    return _epochs(pairs)[0]


def _epochs(pairs: int) -> tuple[float, str]:
    if pairs < 1_000:
        return 4.0, f"{pairs} pairs are few: more passes, and dev decides when to stop"
    if pairs < 10_000:
        return 2.0, f"{pairs} pairs: two passes"
    return 1.0, f"{pairs} pairs are many: one pass"


def _hard_negatives(examples: Examples) -> tuple[int, str]:
    mined = max(map(len, examples.negatives), default=0)
    if not mined:
        return 0, "none were mined"
    if examples.frozen:
        return min(mined, MOST_FROZEN_NEGATIVES), "with vectors that are there, more negatives cost next to nothing"
    if len(examples.teacher_scores):
        return 2, "two per document: a teacher's scores say most where there are several to compare"
    return 1, "one per document: each more costs as much as a positive"


def _length(lengths: NDArray[np.int64], limit: int) -> tuple[int, str]:
    wanted = int(np.quantile(lengths, 0.95)) if len(lengths) else limit
    rounded = min(limit, -(-wanted // 8) * 8)
    return max(8, rounded), "95% of the texts fit" if rounded < limit else f"the limit of {limit} tokens"


def _max_document_tokens(
    config: TrainingConfig, examples: Examples, choices: _Choices, *, max_tokens: int, on_gpu: bool
) -> int:
    """Return how much training sees of a document: with frozen vectors all that went into them."""
    if examples.frozen:
        return max_tokens
    limit = min(max_tokens, 256 if on_gpu else LEAST_DOCUMENT_TOKENS)
    derived, why = _length(examples.document_tokens.lengths, limit)
    return int(choices.number("max_document_tokens", config.max_document_tokens, derived, why))


def _evaluations(pairs: int, epochs: float) -> tuple[int, str]:
    count = int(np.clip(round(pairs * epochs / 3_000), 2, 8))
    return count, "about every 3,000 pairs"
