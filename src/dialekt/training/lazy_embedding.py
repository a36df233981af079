"""Word embeddings of which a step touches few rows: gradients, moments and updates are of those rows alone.

The table is the largest part of a small model (half of MiniLM's weights, 80% of multilingual-e5-small's), and a step
of 64 pairs uses some 2,000 of its rows. A dense gradient of all rows would be filled with zeros, added up and swept by
the optimizer for every group of texts.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class LazyEmbedding(nn.Embedding):
    """An embedding over the same weights as another one. Between `open` and `close` it reads rows of its own.

    `rows` (distinct ids, dimension) is the leaf that gradients of the step arrive at.
    """

    def __init__(self, other: nn.Embedding) -> None:
        count, dimension = other.weight.shape
        super().__init__(count, dimension, padding_idx=other.padding_idx, _weight=other.weight.detach())
        self.weight = other.weight
        self.rows: Tensor | None = None
        self.touched = torch.zeros(0, dtype=torch.int64)
        self._places = torch.zeros(len(other.weight), dtype=torch.int64)

    def open(self, token_ids: Tensor) -> None:
        """Begin a step over some ids (any shape)."""
        self.touched = torch.unique(token_ids)
        self._places = self._places.to(token_ids.device)
        self._places[self.touched] = torch.arange(len(self.touched), device=token_ids.device)
        self.rows = self.weight.detach()[self.touched].requires_grad_()

    def adopt(self, token_ids: Tensor) -> None:
        """Begin and end a step over some ids whose gradient has arrived at the whole table."""
        gradient, self.weight.grad = self.weight.grad, None
        self.open(token_ids)
        if self.rows is not None and gradient is not None:
            self.rows.grad = gradient[self.touched]

    def close(self) -> None:
        """End the step: from now on the whole table is read."""
        self.rows = None

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name is torch's
        """Return the vectors of ids; inside a step with a graph to the rows."""
        if self.rows is None or not self.training:
            return functional.embedding(input, self.weight, self.padding_idx)
        return functional.embedding(self._places[input], self.rows)


class LazyAdamW(torch.optim.AdamW):
    """AdamW, where the rows of a lazy embedding have moments that move only in the steps that touch them.

    For those rows a step is that of AdamW with the bias correction of the whole run, as in TensorFlow's LazyAdam and
    torch's SparseAdam, weight decay included; other rows stay as they are.
    """

    def __init__(self, groups: list[dict[str, Any]], *, embedding: LazyEmbedding, **settings: Any) -> None:
        super().__init__(groups, **settings)
        self._embedding = embedding

    def step(self, closure: Any = None) -> Any:
        """Update all weights that have a gradient, and the touched rows."""
        loss = super().step(closure)
        rows = self._embedding.rows
        if rows is not None and rows.grad is not None:
            self._update(self._embedding.weight, self._embedding.touched, rows.grad)
        self._embedding.close()
        return loss

    @torch.no_grad()
    def _update(self, weight: Tensor, touched: Tensor, gradient: Tensor) -> None:
        group = next(group for group in self.param_groups if any(one is weight for one in group["params"]))
        state = self.state[weight]
        if not state:
            state["step"] = torch.tensor(0.0)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(weight), torch.zeros_like(weight)
        state["step"] += 1
        (first, second), count, rate = group["betas"], float(state["step"]), group["lr"]
        mean = state["exp_avg"][touched].lerp_(gradient, 1 - first)  # (distinct ids, dimension)
        square = state["exp_avg_sq"][touched].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        state["exp_avg"][touched], state["exp_avg_sq"][touched] = mean, square
        scale = (square / (1 - second**count)).sqrt_().add_(group["eps"])
        decayed = weight[touched] * (1 - rate * group["weight_decay"])
        weight[touched] = decayed - rate / (1 - first**count) * mean / scale


def make_lazy(transformer: nn.Module) -> LazyEmbedding | None:
    """Put a lazy embedding in the place of a transformer's word embeddings; None where there is no usual one."""
    found = getattr(transformer, "get_input_embeddings", lambda: None)()
    if type(found) is not nn.Embedding or not found.weight.requires_grad:
        return None
    lazy = LazyEmbedding(found)
    transformer.set_input_embeddings(lazy)  # type: ignore[operator]
    return lazy
