"""The gate says in words what speaks against a version."""

import re
from collections.abc import Callable

import pytest

from dialekt.registry.gate import judge
from dialekt.registry.records import Evidence, Forgetting, Parity, Version
from dialekt.types import Interval

MakeEvidence = Callable[..., Evidence]
RegisterModel = Callable[..., Version]


def test_proven_gain_is_promotable(register_model: RegisterModel) -> None:
    """An interval above the minimum and guards that passed: nothing speaks against it."""
    verdict = judge(register_model(), champion=None, minimum_gain=0.0)
    assert verdict.promotable
    assert verdict.comparison is None


@pytest.mark.parametrize(
    ("low", "high", "minimum", "expected"),
    [
        (-0.01, 0.05, 0.0, r"NDCG@10 \+0\.020 on 400 held-out queries, .* -0\.010 to \+0\.050 includes 0$"),
        (0.0, 0.05, 0.0, "includes 0$"),
        (0.01, 0.05, 0.02, r"includes 0\.02$"),
        (-0.05, -0.01, 0.0, "lies below 0$"),
        (-0.05, 0.0, 0.0, "ends at 0$"),
    ],
)
def test_unproven_gain(register_model: RegisterModel, low: float, high: float, minimum: float, expected: str) -> None:
    """The whole interval must lie above the minimum; the reason gives the numbers."""
    verdict = judge(register_model(low=low, high=high), champion=None, minimum_gain=minimum)
    assert len(verdict.reasons) == 1
    assert re.search(expected, verdict.reasons[0])


def test_no_evidence(register_model: RegisterModel) -> None:
    """A model that was never compared with its base is not promotable."""
    (reason,) = judge(register_model(compared=False), champion=None, minimum_gain=0.0).reasons
    assert reason.startswith("there is no evidence")


def test_failed_guards(register_model: RegisterModel) -> None:
    """A leak, a parity that failed and a damaged file are each a reason of its own."""
    differs = Parity(texts=7, min_cosine=0.98, max_abs_difference=0.1, passed=False)
    version = register_model(leak_check_passed=False, parity=differs)
    (version.model / "README.md").unlink()
    leak, parity, damage = judge(version, champion=None, minimum_gain=0.0).reasons
    assert leak.startswith("the leak check did not pass")
    assert "cosine between their vectors is 0.980000" in parity
    assert damage == "its files are damaged: README.md is missing"


def test_parity_that_was_never_checked(register_model: RegisterModel) -> None:
    """A model whose export was not checked, or could not be, is not promotable."""
    (never,) = judge(register_model("a", parity=None), champion=None, minimum_gain=0.0).reasons
    assert "never compared" in never
    broken = Parity(7, -1.0, 2.0, passed=False, fault="no weights")
    (fault,) = judge(register_model("b", parity=broken), champion=None, minimum_gain=0.0).reasons
    assert fault.endswith("no weights")


@pytest.mark.parametrize(
    ("high", "expected"),
    [(-0.01, "the loss is proven"), (0.01, "the loss is not proven, but the mean of so many counts")],
)
def test_a_model_that_forgets(register_model: RegisterModel, high: float, expected: str) -> None:
    """A mean loss on general queries above the limit is a reason, which says whether the loss is proven."""
    (reason,) = judge(register_model(forgetting=_forgetting(-0.05, high)), champion=None, minimum_gain=0.0).reasons
    assert reason == (
        f"it forgets the general world: NDCG@10 -0.050 on 200 general queries (-0.100 to {high:+.3f}: {expected}), "
        "more than evaluation.max_general_loss = 0.03"
    )


def test_a_model_that_forgets_little(register_model: RegisterModel) -> None:
    """A loss within the limit is shown elsewhere and is no reason, even where it is proven."""
    assert judge(register_model(forgetting=_forgetting(-0.02, -0.01)), champion=None, minimum_gain=0.0).promotable


def _forgetting(change: float, high: float) -> Forgetting:
    return Forgetting(
        source="builtin",
        queries=200,
        documents=1_000,
        base=Interval(0.5, 0.45, 0.55),
        tuned=Interval(0.5 + change, 0.4, 0.55),
        change=Interval(change, -0.1, high),
        limit=0.03,
        passed=change >= -0.03,
    )


def test_worse_than_the_champion_on_the_same_split(register_model: RegisterModel) -> None:
    """A lower score than the champion's on the same queries is a reason; on other queries it is only shown."""
    champion = register_model("a", tuned=0.8)
    same = judge(register_model("b", tuned=0.7), champion=champion, minimum_gain=0.0)
    assert same.reasons == ("the champion v1 is better on the same queries: NDCG@10 0.800 against 0.700",)
    other = judge(register_model("c", tuned=0.7, split="split-2"), champion=champion, minimum_gain=0.0)
    assert other.promotable
    assert other.comparison is not None
    assert (other.comparison.same_split, other.comparison.champion_value) == (False, 0.8)


def test_champion_is_not_compared_with_itself(register_model: RegisterModel) -> None:
    """The champion stands beside nobody."""
    version = register_model()
    assert judge(version, champion=version, minimum_gain=0.0).comparison is None


def test_equal_score_is_promotable(register_model: RegisterModel) -> None:
    """As good as the champion is good enough."""
    assert judge(register_model("b"), champion=register_model("a"), minimum_gain=0.0).promotable
