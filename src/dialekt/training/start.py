"""Training from an adapted base model: what the tuned weights are mixed with, and what that scores."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sentence_transformers import SentenceTransformer
from torch import Tensor, nn

from dialekt.config import Precision
from dialekt.models.encoder import Encoder
from dialekt.training.records import TrainingInputs


@dataclass(frozen=True, slots=True)
class Partner:
    """The weights that tuned ones are mixed with, and whether they are the base model's."""

    weights: Mapping[str, Tensor]
    is_base: bool


def mixing_partner(inputs: TrainingInputs, model: SentenceTransformer) -> Partner:
    """Return what the tuned weights are mixed with: the base model, whatever training starts from.

    Only where it starts from an adapted model with other shapes, such as an extended vocabulary, it is that start.
    """
    own = _copied(model)
    if inputs.start is None:
        return Partner(own, is_base=True)
    base = _copied(Encoder.load(inputs.model.base, inputs.model, precision=Precision.FP32).model)
    shapes = [{name: value.shape for name, value in weights.items()} for weights in (own, base)]
    return Partner(base, is_base=True) if shapes[0] == shapes[1] else Partner(own, is_base=False)


def score_with(model: nn.Module, weights: Mapping[str, Tensor], score: Callable[[], float]) -> float:
    """Return what a model scores with other weights; it keeps its own, low-rank matrices beside them included."""
    own = _copied(model)
    plain = {name: name.replace(".base_layer.", ".") for name in own}
    model.load_state_dict({name: weights.get(plain[name], value) for name, value in own.items()})
    found = score()
    model.load_state_dict(own)
    return found


def _copied(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
