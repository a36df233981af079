"""The mixture: the best on dev among those that general queries allow."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from dialekt.training.interpolation import GeneralLimit, choose_mixture
from dialekt.training.records import Mixture

Choose = Callable[..., tuple[list[Mixture], Mixture]]


@pytest.fixture
def model() -> nn.Linear:
    """A model of one weight, which is 0 in the base and 1 when tuned: it is its own share of tuned weights."""
    linear = nn.Linear(1, 1, bias=False)
    nn.init.ones_(linear.weight)
    return linear


@pytest.fixture
def choose(model: nn.Linear) -> Choose:
    """Choose a mixture where dev scores rise with the share and general scores fall with it, by a tenth in all."""

    def share() -> float:
        return float(model.weight.detach())

    def make(*, max_loss: float | None, most: float = 1.0) -> tuple[list[Mixture], Mixture]:
        limit = None if max_loss is None else GeneralLimit(lambda: 0.5 - share() / 10, 0.5, 0.5 - max_loss)
        return choose_mixture(
            model,
            {"weight": torch.zeros(1, 1)},
            score=share,
            known=[Mixture(0.0, 0.0), Mixture(1.0, 1.0)],
            most=most,
            general=limit,
            on_score=lambda _, __: None,
        )

    return make


def test_without_a_limit_dev_chooses(choose: Choose, model: nn.Linear) -> None:
    """Nothing is asked of general queries, and the best on dev stays in the model."""
    tried, chosen = choose(max_loss=None)
    assert chosen == Mixture(1.0, 1.0)
    assert [mixture.share for mixture in tried] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert all(mixture.general_ndcg is None for mixture in tried)
    assert float(model.weight.detach()) == 1.0


def test_a_mixture_that_forgets_is_passed_over(choose: Choose, model: nn.Linear) -> None:
    """The best one on dev within the limit is taken; those that dev likes less are not asked."""
    tried, chosen = choose(max_loss=0.06)
    assert chosen.share == 0.5
    assert chosen.general_ndcg == pytest.approx(0.45)
    assert float(model.weight.detach()) == 0.5
    asked = [mixture.share for mixture in tried if mixture.general_ndcg is not None]
    assert asked == [0.5, 0.75, 1.0]


def test_the_base_always_remembers(choose: Choose, model: nn.Linear) -> None:
    """Where every mixture forgets too much, the base is left."""
    _, chosen = choose(max_loss=0.0)
    assert (chosen.share, chosen.general_ndcg) == (0.0, 0.5)
    assert float(model.weight.detach()) == 0.0


def test_both_limits_hold(choose: Choose) -> None:
    """The largest share that is allowed holds beside the limit on general queries."""
    tried, chosen = choose(max_loss=0.06, most=0.25)
    assert chosen.share == 0.25
    assert [mixture.share for mixture in tried if mixture.general_ndcg is not None] == [0.25]
