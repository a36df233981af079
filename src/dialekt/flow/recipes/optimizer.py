"""What to try next, and what to give up early: Optuna's Gaussian process and its median rule.

The study is built anew from our own records for every question, so that nothing of Optuna's lies on disk: a search goes
on after any kill, and the report reads it without Optuna.
"""

import importlib.util
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dialekt.errors import MissingExtraError
from dialekt.flow.recipes.records import DevPoint, Trial, Value
from dialekt.flow.recipes.space import Choices, Span, tidy_value

if TYPE_CHECKING:
    from collections.abc import Iterator

STARTUP_TRIALS = 4
"""Before these nothing is modelled and nothing is pruned; the default is one of them."""

RUNGS = 4
"""Trials are compared at these parts of their steps, however often each one scores dev."""

ATTEMPTS = 20


def require_optuna() -> None:
    """Raise `MissingExtraError` unless Optuna is installed."""
    if importlib.util.find_spec("optuna") is None:
        raise MissingExtraError("search", needed_for="dialekt train --budget")


def suggest(
    found: Mapping[str, Span], turned: Sequence[str], history: Sequence[Trial], *, seed: int
) -> dict[str, Value] | None:
    """Return a point that was not tried yet, knobs beside `turned` at their defaults; None where there is none left.

    A pruned trial counts with what it had reached, so that its neighbourhood is not tried again.
    """
    tried = [dict(trial.point) for trial in history]
    for attempt in range(ATTEMPTS):
        point = _ask(found, turned, history, seed=seed + attempt, random=attempt > 0)
        if point not in tried:
            return point
    return None


def _ask(
    found: Mapping[str, Span], turned: Sequence[str], history: Sequence[Trial], *, seed: int, random: bool
) -> dict[str, Value]:
    with _quiet_optuna() as optuna:
        if random:
            sampler = optuna.samplers.RandomSampler(seed=seed)
        else:
            sampler = optuna.samplers.GPSampler(seed=seed, n_startup_trials=STARTUP_TRIALS)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        space = {name: _distribution(optuna, found[name]) for name in turned}
        for trial in history:
            params = {name: trial.point[name] for name in turned}
            study.add_trial(optuna.trial.create_trial(params=params, distributions=space, value=trial.score))
        asked = study.ask(space).params
    return {name: tidy_value(span, asked.get(name, span.default)) for name, span in found.items()}


def _distribution(optuna: Any, span: Span) -> Any:
    if isinstance(span, Choices):
        return optuna.distributions.CategoricalDistribution(span.values)
    if span.whole:
        return optuna.distributions.IntDistribution(int(span.low), int(span.high), log=span.log)
    return optuna.distributions.FloatDistribution(span.low, span.high, log=span.log)


def falls_behind(points: Sequence[DevPoint], history: Sequence[Trial]) -> bool:
    """Tell whether a trial, at the best of its dev scores so far, is below the median of the others at this point.

    A trial at its last step is not given up: it only has its mixture to choose.
    """
    if not points or points[-1].share >= 1:
        return False
    with _quiet_optuna() as optuna:
        pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS, n_min_trials=STARTUP_TRIALS)
        study = optuna.create_study(direction="maximize", pruner=pruner)
        for trial in history:
            others = {_rung(point): point.dev_ndcg for point in reversed(trial.points)}
            study.add_trial(optuna.trial.create_trial(value=trial.score, intermediate_values=others))
        running = study.ask()
        for rung, value in {_rung(point): point.dev_ndcg for point in reversed(points)}.items():
            running.report(value, rung)
        return bool(running.should_prune())


def _rung(point: DevPoint) -> int:
    """Return the quarter of its steps that a trial has passed."""
    return int(point.share * RUNGS + 1e-6)


@contextmanager
def _quiet_optuna() -> "Iterator[Any]":
    """Give Optuna without its messages, for as long as it is asked something."""
    import warnings

    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # the sampler was one before 5.0
            yield optuna
    finally:
        optuna.logging.set_verbosity(verbosity)
