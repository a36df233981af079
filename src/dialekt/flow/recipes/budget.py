"""The arithmetic of a time budget: how long, what fits, and what to try next."""

import re
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean

from dialekt.errors import UsageError
from dialekt.flow.recipes.records import Fidelity, Study, Trial

PROBE_SHARE = 0.25
"""Of a full training: short enough for four recipes in the place of one, long enough to be ranked as full ones are."""

FULL_TRIALS_WITHOUT_PROBES = 10
"""Where so many full trainings fit beside the default, none is cut short."""

LEAST_PROBED_SECONDS = 60.0
"""A full training below this is not cut: reading data and scoring dev would be all that is left."""

DEFAULT_SHARE = 1 / 3
"""Of the budget that the project's own recipe may take as it is; one that would take more is limited."""

LIMITED_SHARE = 0.25
"""Of the budget that a full training gets where the project's own recipe takes too long."""

LONGER = 1.5
"""A recipe may take so many times as long as the default; one that would take more gets a limit."""

LEAST_ALLOWED_SECONDS = 20.0
"""No full trial is cut below this: its speed is not known well enough before."""

TRIALS_PER_KNOB = 3
LEAST_KNOBS = 2
MOST_FINALS = 2

_DURATION = re.compile(r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?")
_UNIT_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}


class Move(StrEnum):
    """What a search does next."""

    DEFAULT = "default"
    FULL = "full"
    PROBE = "probe"
    DEFAULT_PROBE = "default probe"
    FINAL = "final"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Costs:
    """How many seconds a full trial and a probe are expected to take."""

    full_seconds: float
    probe_seconds: float


def parse_duration(text: str) -> float:
    """Return the seconds of a text such as 30m, 2h, 90s or 1h30m. Raises `UsageError` for anything else."""
    found = _DURATION.fullmatch("".join(text.split()).lower())
    parts = found.groupdict().items() if found else ()
    seconds = sum(float(value) * _UNIT_SECONDS[unit] for unit, value in parts if value)
    if not seconds:
        hint = "write hours, minutes and seconds with their unit: 30m, 2h, 90s, 1h30m"
        if text.strip().isdigit() and int(text):
            hint = f"a number needs a unit: {text.strip()}m for minutes, {text.strip()}h for hours"
        raise UsageError(f"--budget {text!r} is no length of time", hint=hint)
    return seconds


def costs(study: Study) -> Costs:
    """Return what trials are expected to cost, from those that have ended."""
    default = study.default
    assert default is not None
    full = fmean(trial.seconds for trial in study.done(Fidelity.FULL))
    probes = [trial.seconds for trial in study.done(Fidelity.PROBE)]
    expected = 60 * (study.probe_minutes or 0.0)
    return Costs(max(default.seconds, full), max(probes, default=1.2 * expected))


def probe_minutes(default_seconds: float, budget_seconds: float) -> float | None:
    """Return how long probes train, None where there is time to train every recipe at its full length."""
    left = budget_seconds - default_seconds
    if default_seconds < LEAST_PROBED_SECONDS or left >= FULL_TRIALS_WITHOUT_PROBES * default_seconds:
        return None
    return minutes(PROBE_SHARE * default_seconds)


def minutes(seconds: float) -> float:
    """Return a time limit in minutes, to three digits: it becomes a setting that people read."""
    return float(f"{max(seconds, 0.6) / 60:.3g}")


def finals(study: Study, budget_seconds: float) -> int:
    """Return how many of the best probes are trained at their full length."""
    default = study.default
    assert default is not None
    return min(MOST_FINALS, max(1, int((budget_seconds - default.seconds) / default.seconds / 2)))


def fitting_trials(study: Study, budget_seconds: float) -> int:
    """Return how many recipes the whole budget lets a search try, those included that were tried already."""
    cost, left = costs(study), budget_seconds - costs(study).full_seconds
    if study.probe_minutes is None:
        return int(left / cost.full_seconds)
    return int((left - finals(study, budget_seconds) * cost.full_seconds) / cost.probe_seconds)


def open_knobs(study: Study, budget_seconds: float) -> int:
    """Return how many knobs a search may turn: few trials find more in few dimensions (docs/decisions, 17)."""
    return max(LEAST_KNOBS, fitting_trials(study, budget_seconds) // TRIALS_PER_KNOB)


def next_move(study: Study, budget_seconds: float) -> Move:
    """Say what to do with what is left of the budget: nothing is begun that is not expected to end within it."""
    if study.default is None:
        return Move.DEFAULT
    left, cost = budget_seconds - study.spent_seconds, costs(study)
    if study.probe_minutes is None:
        return Move.FULL if left >= cost.full_seconds else Move.STOP
    candidates, finished = finalists(study), len(study.done(Fidelity.FULL)) - 1
    reserved = max(1, finals(study, budget_seconds) - finished) if candidates else 1
    if left - reserved * cost.full_seconds >= cost.probe_seconds:
        return Move.PROBE if study.done(Fidelity.PROBE) else Move.DEFAULT_PROBE
    return Move.FINAL if candidates and left >= cost.full_seconds else Move.STOP


def finalists(study: Study) -> tuple[Trial, ...]:
    """Return the probes that beat the default's and were not trained at their full length yet, the best first."""
    default, *others = study.done(Fidelity.PROBE) or (None,)
    if default is None:
        return ()
    finished = [trial.point for trial in study.trials if trial.fidelity is Fidelity.FULL]
    better = [trial for trial in others if (trial.score or 0.0) > (default.score or 0.0)]
    return tuple(sorted((one for one in better if one.point not in finished), key=lambda one: -(one.score or 0.0)))
