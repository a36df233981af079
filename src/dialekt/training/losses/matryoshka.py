"""Any objective over nested prefixes of the vectors."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]
"""Query vectors (pairs, dimension) and document vectors (documents, dimension) of a step → one number."""


def matryoshka_loss(
    query_vectors: Tensor, document_vectors: Tensor, *, dimensions: Sequence[int], loss: Loss
) -> Tensor:
    """Mean of a loss over nested prefixes of the vectors, so that short prefixes rank well too.

    Reference: Kusupati et al. 2022, https://arxiv.org/abs/2205.13147, equal weights.
    """
    losses = [loss(query_vectors[:, :dimension], document_vectors[:, :dimension]) for dimension in dimensions]
    return torch.stack(losses).mean()
