"""Low-rank adaptation: small matrices beside the linear layers are trained and merged into the weights at the end."""

from typing import Any

import torch
from torch import nn

ALPHA_PER_RANK = 2
"""Scale of the update: `ALPHA_PER_RANK · rank / rank`, so that the learning rate does not depend on the rank."""

DEFAULT_RANK = 16


def add_lora(transformer: nn.Module, *, rank: int, seed: int) -> None:
    """Put low-rank matrices beside every linear layer, in place; nothing else of the model is trained then.

    They begin as no change at all, one of each two drawn at random by the seed.

    Reference: Hu et al. 2021, https://arxiv.org/abs/2106.09685.
    """
    from peft import LoraConfig, inject_adapter_in_model

    transformer.requires_grad_(requires_grad=False)
    config = LoraConfig(
        r=rank, lora_alpha=ALPHA_PER_RANK * rank, lora_dropout=0.0, target_modules=_linear_names(transformer)
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inject_adapter_in_model(config, transformer)


def merge_lora(transformer: nn.Module) -> None:
    """Add the low-rank matrices to the weights that they stand beside and take them away, in place."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    found: list[tuple[str, Any]] = [
        (name, module) for name, module in transformer.named_modules() if isinstance(module, BaseTunerLayer)
    ]
    for name, module in found:
        module.merge()
        parent, _, place = name.rpartition(".")
        setattr(transformer.get_submodule(parent), place, module.get_base_layer())
    transformer.requires_grad_(requires_grad=True)


def _linear_names(transformer: nn.Module) -> list[str]:
    """Return the linear layers of the transformer's blocks; the pooler of a BERT takes no part in our vectors."""
    names = [name for name, module in transformer.named_modules() if isinstance(module, nn.Linear)]
    return [name for name in names if not name.startswith("pooler")]
