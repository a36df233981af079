"""Mix base and tuned weights and let the dev queries choose the mixture."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from dialekt.training.records import Mixture

SHARES = (0.25, 0.5, 0.75)
"""Shares of tuned weights that are tried beside 0 (the base) and 1 (the tuned model)."""


def mix(base: Mapping[str, Tensor], tuned: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """Return `share · tuned + (1 − share) · base` for every floating-point weight.

    Reference: LM-Cocktail, Xiao et al. 2023, https://arxiv.org/abs/2311.13534.
    """
    return {
        name: torch.lerp(base[name].to(value), value, share) if value.is_floating_point() else value
        for name, value in tuned.items()
    }


def choose_mixture(
    model: nn.Module,
    base: Mapping[str, Tensor],
    *,
    score: Callable[[], float],
    known: Sequence[Mixture],
    most: float,
    on_score: Callable[[int, int], None],
) -> tuple[list[Mixture], Mixture]:
    """Score mixtures on dev and leave the best one in the model; of equals the one nearer to the tuned model.

    `known` holds the scores of share 0 and share 1, which training has already measured; `most` is the largest share
    that may be chosen. Returns all mixtures, smallest share first, and the chosen one.
    """
    tuned = {name: value.detach().clone() for name, value in model.state_dict().items()}
    mixtures = list(known)
    for done, share in enumerate(SHARES, start=1):
        model.load_state_dict(mix(base, tuned, share))
        mixtures.append(Mixture(share, score()))
        on_score(done, len(SHARES))
    allowed = [mixture for mixture in mixtures if mixture.share <= most]
    best = max(allowed, key=lambda mixture: (mixture.dev_ndcg, mixture.share))
    model.load_state_dict(mix(base, tuned, best.share))
    return sorted(mixtures, key=lambda mixture: mixture.share), best
