"""Make a model ready for training: no dropout, what is frozen, what is added, what is read lazily."""

from torch import nn

from dialekt.config import TrainingConfig, TrainingMethod
from dialekt.errors import ConfigError
from dialekt.models.encoder import Encoder
from dialekt.models.fitting import disable_dropout
from dialekt.training.lora import DEFAULT_RANK, add_lora


def prepare_model(encoder: Encoder) -> None:
    """Make a model fast to train: no dropout, and on a CPU the plain attention.

    The backward pass of the CPU's fused attention kernel takes 38% of a step (docs/experiments.md).
    """
    disable_dropout(encoder.model)
    transformer = transformer_of(encoder)
    if transformer is not None and encoder.model.device.type == "cpu":
        transformer.set_attn_implementation("eager")  # type: ignore[operator]


def transformer_of(encoder: Encoder) -> nn.Module | None:
    """Return the transformer of a model, None of a static one."""
    found: nn.Module | None = getattr(encoder.model[0], "auto_model", None)
    return found


def choose_weights(encoder: Encoder, config: TrainingConfig, *, seed: int) -> None:
    """Freeze what the user wants to keep, and put low-rank matrices in where those are trained.

    Raises `ConfigError` for settings that would do nothing or leave nothing to train.
    """
    transformer = transformer_of(encoder)
    frozen = config.freeze_embeddings or config.frozen_layers > 0
    if config.method is TrainingMethod.LORA:
        if frozen:
            raise ConfigError(
                "training.method = 'lora' trains no embeddings and no layers, so there is nothing to freeze",
                hint="unset training.freeze_embeddings and training.frozen_layers",
            )
        add_lora(_required(transformer), rank=config.lora_rank or DEFAULT_RANK, seed=seed)
    elif config.lora_rank is not None:
        raise ConfigError("training.lora_rank is set, but all weights are trained", hint="set training.method = 'lora'")
    elif frozen:
        _freeze(_required(transformer), config.frozen_layers)


def _required(transformer: nn.Module | None) -> nn.Module:
    if transformer is None:
        raise ConfigError("a static model has no layers to freeze or to adapt", hint="training needs a transformer")
    return transformer


def _freeze(transformer: nn.Module, layers: int) -> None:
    """Freeze all embeddings and the lowest layers."""
    blocks = next((module for module in transformer.modules() if isinstance(module, nn.ModuleList)), nn.ModuleList())
    if layers >= len(blocks):
        raise ConfigError(
            f"training.frozen_layers = {layers} leaves none of the model's {len(blocks)} layers to train",
            hint=f"take less than {len(blocks)}",
        )
    embeddings = getattr(transformer, "embeddings", None) or transformer.get_input_embeddings()  # type: ignore[operator]
    for part in (embeddings, *blocks[:layers]):
        part.requires_grad_(requires_grad=False)
