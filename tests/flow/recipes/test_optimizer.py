"""What Optuna is asked: the next point, and whether a trial falls behind."""

import importlib.util
import math
from dataclasses import replace

import pytest
from tests.flow.recipes.sample import trial

from dialekt.errors import MissingExtraError
from dialekt.flow.recipes.optimizer import falls_behind, require_optuna, suggest
from dialekt.flow.recipes.records import DevPoint, Trial, TrialState
from dialekt.flow.recipes.space import Choices, Numbers

SPANS = {"learning_rate": Numbers(1e-5, 1e-3, 5e-5), "temperature": Numbers(0.02, 0.1, 0.05)}
CURVES = [trial(number, 0.5, points=((0.25, 0.3 + number / 100), (0.5, 0.4), (1.0, 0.5))) for number in range(5)]


def _at(number: int, learning_rate: float, temperature: float = 0.05) -> Trial:
    """A trial of a problem whose best learning rate is 3e-4, whatever the temperature."""
    score = 0.6 - 0.2 * (math.log10(learning_rate) - math.log10(3e-4)) ** 2
    return replace(trial(number, score), point={"learning_rate": learning_rate, "temperature": temperature})


def test_a_few_trials_lead_to_the_better_recipes() -> None:
    """After the start the model proposes learning rates near the best one."""
    history = [_at(0, 5e-5), _at(1, 1e-5), _at(2, 2e-4), _at(3, 9e-4), _at(4, 1e-4)]
    point = suggest(SPANS, ["learning_rate"], history, seed=1)
    assert point is not None
    assert 1.5e-4 < float(point["learning_rate"]) < 6e-4


def test_what_is_not_turned_stays() -> None:
    """Knobs that are left alone have the default's value, in every suggestion."""
    point = suggest(SPANS, ["learning_rate"], [_at(0, 5e-5)], seed=3)
    assert point is not None
    assert point["temperature"] == 0.05
    assert point["learning_rate"] != 5e-5


def test_the_same_question_has_the_same_answer() -> None:
    """A suggestion depends on history and seed alone, so a search can be repeated."""
    history = [_at(0, 5e-5), _at(1, 2e-4)]
    assert suggest(SPANS, list(SPANS), history, seed=5) == suggest(SPANS, list(SPANS), history, seed=5)


def test_an_empty_space_is_said() -> None:
    """Where every point was tried there is none to suggest."""
    found = {"hard_negatives": Numbers(0, 1, 1, whole=True, log=False)}
    tried = [replace(trial(number, 0.5), point={"hard_negatives": number}) for number in (0, 1)]
    assert suggest(found, ["hard_negatives"], tried, seed=1) is None


def test_choices_are_suggested_too() -> None:
    """A knob may be a choice of names."""
    found = {"objectives": Choices(("ranking", "symmetric"), "ranking")}
    first = replace(trial(0, 0.5), point={"objectives": "ranking"})
    assert suggest(found, ["objectives"], [first], seed=1) == {"objectives": "symmetric"}


@pytest.mark.parametrize(
    ("points", "behind"),
    [
        ([(0.25, 0.2)], True),
        ([(0.25, 0.33)], False),
        ([(0.25, 0.2), (0.5, 0.45)], False),
        ([(1 / 3, 0.2)], True),
        ([(0.125, 0.0)], False),
        ([(1.0, 0.0)], False),
    ],
)
def test_a_trial_below_the_median_of_the_others_falls_behind(points: list[tuple[float, float]], behind: bool) -> None:
    """Compared at quarters of the steps by the best score so far; a finished one is never given up."""
    assert falls_behind([DevPoint(*point) for point in points], CURVES) is behind


def test_nothing_is_given_up_before_there_is_something_to_compare() -> None:
    """With three trials a median says little."""
    assert not falls_behind([DevPoint(0.25, 0.0)], CURVES[:3])


def test_a_pruned_trial_counts_with_what_it_had_reached() -> None:
    """Its score is the best of its dev scores."""
    assert trial(1, 0.0, state=TrialState.PRUNED, points=((0.25, 0.3), (0.5, 0.2))).score == 0.3


def test_a_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Optuna the error names the command that installs it."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "optuna" else find(name))
    with pytest.raises(MissingExtraError, match="--budget needs the optional dependency set 'search'") as error:
        require_optuna()
    assert error.value.hint == "pip install 'dialekt[search]'"
