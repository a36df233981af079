"""Derive what the user left open for each method, and say why."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dialekt.adaptation.records import Derived
from dialekt.config import AdaptationConfig, AdaptationMethod

PASSAGES_SEEN = {"cpu": 16_384, "cuda": 262_144}
MOST_EPOCHS = 10.0
TERM_EPOCHS = 4.0
DOCUMENTS_PER_TERM = 10
TERMS = (50, 1_000)
_LENGTHS = {AdaptationMethod.VOCABULARY: 128, AdaptationMethod.MLM: 128, AdaptationMethod.TSDAE: 64}
_LEARNING_RATES = {AdaptationMethod.VOCABULARY: 1e-3, AdaptationMethod.MLM: 5e-5, AdaptationMethod.TSDAE: 3e-5}
_BATCH_SIZE = 32


@dataclass(frozen=True, slots=True)
class Recipe:
    """Every setting of one method's training, none left open."""

    epochs: float
    batch_size: int
    learning_rate: float
    derived: Mapping[str, Derived]


def passage_tokens(config: AdaptationConfig, method: AdaptationMethod, *, limit: int) -> tuple[int, dict[str, Derived]]:
    """Return the longest passage of a method, at most the model's `limit`, and why where it was derived."""
    if config.max_tokens is not None:
        return min(config.max_tokens, limit), {}
    chosen = min(_LENGTHS[method], limit)
    why = "one vector holds a sentence or two" if method is AdaptationMethod.TSDAE else "enough context for a word"
    return chosen, {"max_tokens": Derived(chosen, why)}


def most_terms(config: AdaptationConfig, *, documents: int) -> tuple[int, dict[str, Derived]]:
    """Return how many tokens a vocabulary may gain, and why where it was derived."""
    if config.max_terms is not None:
        return config.max_terms, {}
    chosen = int(np.clip(documents // DOCUMENTS_PER_TERM, *TERMS))
    return chosen, {"max_terms": Derived(chosen, f"one for {DOCUMENTS_PER_TERM} documents, {TERMS[0]} to {TERMS[1]:,}")}


def derive_recipe(config: AdaptationConfig, method: AdaptationMethod, *, passages: int, device: str) -> Recipe:
    """Choose epochs, batch and learning rate of a method. Measurements are in docs/adaptation.md."""
    derived: dict[str, Derived] = {}
    epochs, batch_size, learning_rate = config.epochs, config.batch_size, config.learning_rate
    if epochs is None:
        epochs, why = _epochs(method, passages, device)
        derived["epochs"] = Derived(epochs, why)
    if batch_size is None:
        batch_size = _BATCH_SIZE
        derived["batch_size"] = Derived(batch_size, "fills the matrix units")
    if learning_rate is None or method is AdaptationMethod.VOCABULARY:
        learning_rate = _LEARNING_RATES[method]
        derived["learning_rate"] = Derived(learning_rate, _why_rate(method))
    return Recipe(epochs, batch_size, learning_rate, derived)


def _why_rate(method: AdaptationMethod) -> str:
    match method:
        case AdaptationMethod.VOCABULARY:
            return "only new rows move"
        case AdaptationMethod.MLM:
            return "gentle: the model is to stay an embedding model"
        case AdaptationMethod.TSDAE:
            return "that of the paper"


def _epochs(method: AdaptationMethod, passages: int, device: str) -> tuple[float, str]:
    if method is AdaptationMethod.VOCABULARY:
        return TERM_EPOCHS, "new rows start near their place"
    seen = PASSAGES_SEEN.get(device.partition(":")[0], PASSAGES_SEEN["cpu"])
    epochs = float(np.clip(seen / max(passages, 1), 0.0, MOST_EPOCHS))
    return float(f"{epochs:.2g}"), f"about {seen:,} passages on this device, {MOST_EPOCHS:g} passes at most"
