"""Mix base and tuned weights; dev queries choose the mixture among those that general queries allow."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from dialekt.training.records import Mixture

SHARES = (0.25, 0.5, 0.75)
"""Shares of tuned weights that are tried beside 0 (the base) and 1 (the tuned model)."""


@dataclass(frozen=True, slots=True)
class GeneralLimit:
    """How the model as it is now does on general queries, what the base does, and the least that is allowed.

    `base_ndcg` is None where share 0 is not the base model, and must be asked as well.
    """

    score: Callable[[], float]
    base_ndcg: float | None
    least_ndcg: float


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
    general: GeneralLimit | None,
    on_score: Callable[[int, int], None],
) -> tuple[list[Mixture], Mixture]:
    """Score mixtures on dev and leave the best one in the model; of equals the one nearer to the tuned model.

    `known` holds the scores of share 0 and share 1, which training has already measured; `most` is the largest share
    that may be chosen. With `general`, the best one is taken that does not fall below its limit; the general queries
    are asked of one mixture after the other, the best on dev first, until one passes, as the base always does. Returns
    all mixtures, smallest share first, and the chosen one.
    """
    tuned = {name: value.detach().clone() for name, value in model.state_dict().items()}
    mixtures = list(known)
    for done, share in enumerate(SHARES, start=1):
        model.load_state_dict(mix(base, tuned, share))
        mixtures.append(Mixture(share, score()))
        on_score(done, len(SHARES))
    mixtures.sort(key=lambda mixture: (mixture.dev_ndcg, mixture.share), reverse=True)
    for place, mixture in enumerate(mixtures):
        if mixture.share > most:
            continue
        model.load_state_dict(mix(base, tuned, mixture.share))
        mixtures[place] = _ask(mixture, general)
        if _remembers(mixtures[place], general):
            break
    return sorted(mixtures, key=lambda one: one.share), mixtures[place]


def _ask(mixture: Mixture, general: GeneralLimit | None) -> Mixture:
    """Score the mixture that the model now is on general queries; what the base does is known."""
    if general is None:
        return mixture
    known = general.base_ndcg if mixture.share == 0 else None
    return replace(mixture, general_ndcg=general.score() if known is None else known)


def _remembers(mixture: Mixture, general: GeneralLimit | None) -> bool:
    if general is None or mixture.general_ndcg is None:
        return True
    return mixture.share == 0 or mixture.general_ndcg >= general.least_ndcg
