"""What the losses are made of: cosines, weighted means, and the value that stands for no document."""

import torch
from torch import Tensor
from torch.nn import functional

MASKED = -1e4


def cosines(query_vectors: Tensor, document_vectors: Tensor) -> Tensor:
    """Return the cosine of every query with every document; (pairs, documents)."""
    queries = functional.normalize(query_vectors.float(), dim=-1)
    documents = functional.normalize(document_vectors.float(), dim=-1)
    return queries @ documents.T


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Return Σ wᵢ·vᵢ / Σ wᵢ, zero where all weights are zero."""
    return (values * weights).sum() / weights.sum().clamp_min(1e-6)


def mean_where(values: Tensor, chosen: Tensor) -> Tensor:
    """Return the mean of the chosen values of every row, zero without any; (rows,)."""
    return torch.where(chosen, values, 0.0).sum(dim=1) / chosen.sum(dim=1).clamp_min(1)
