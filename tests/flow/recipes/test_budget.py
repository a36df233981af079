"""The arithmetic of the budget: what is understood, what fits, what comes next."""

from dataclasses import replace

import pytest
from tests.flow.recipes.sample import probe, study, trial

from dialekt.errors import UsageError
from dialekt.flow.recipes import budget
from dialekt.flow.recipes.budget import Move
from dialekt.flow.recipes.records import Fidelity, Study, Trial

MINUTE = 60.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30m", 1800), ("2h", 7200), ("90s", 90), ("1h30m", 5400), ("1.5h", 5400), (" 1H 30m ", 5400), ("1h2m3s", 3723)],
)
def test_lengths_of_time_are_understood(text: str, seconds: float) -> None:
    """Hours, minutes and seconds, in this order, each with its unit."""
    assert budget.parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "0m", "m", "30x", "30m1h", "-5m", "soon"])
def test_anything_else_is_refused_by_its_value(text: str) -> None:
    """The message names what was typed, the hint what to type."""
    with pytest.raises(UsageError, match=f"--budget {text!r} is no length of time") as error:
        budget.parse_duration(text)
    assert "30m" in error.value.hint


def test_a_number_without_unit_is_answered_with_the_unit() -> None:
    """Who types 45 learns 45m."""
    with pytest.raises(UsageError, match="no length of time") as error:
        budget.parse_duration("45")
    assert "45m" in error.value.hint


@pytest.mark.parametrize(
    ("full_minutes", "budget_minutes", "expected"),
    [(6, 30, 1.5), (6, 60, 1.5), (6, 66, None), (0.5, 5, None), (10, 30, 2.5)],
)
def test_probes_are_there_where_full_trainings_are_few(
    full_minutes: float, budget_minutes: float, expected: float | None
) -> None:
    """A quarter of a training, unless ten whole ones fit beside the default or one takes less than a minute."""
    assert budget.probe_minutes(full_minutes * MINUTE, budget_minutes * MINUTE) == expected


def _played(study: Study, budget_seconds: float, *, gain: float) -> tuple[list[Move], Study]:
    """Let trials end as expected until the search stops; every second probe is better than the default's by `gain`."""
    moves: list[Move] = []
    while (move := budget.next_move(study, budget_seconds)) is not Move.STOP:
        moves.append(move)
        assert len(moves) < 100
        number = len(study.trials)
        done = _ended(study, move, number, gain=gain if number % 2 else -0.01)
        spent = study.spent_seconds + done.seconds
        study = replace(study, trials=(*study.trials, done), spent_seconds=spent)
        assert study.spent_seconds <= budget_seconds
    return moves, study


def _ended(study: Study, move: Move, number: int, *, gain: float) -> Trial:
    match move:
        case Move.DEFAULT_PROBE:
            return probe(number, 0.4)
        case Move.PROBE:
            return probe(number, 0.4 + gain, learning_rate=number * 1e-5)
        case Move.FINAL:
            point = budget.finalists(study)[0].point["learning_rate"]
            return trial(number, 0.5, learning_rate=float(point))
        case _:
            return trial(number, 0.45, learning_rate=number * 1e-5, seconds=12.0)


def test_a_laptop_in_thirty_minutes() -> None:
    """A training of ten minutes: the default, the default as a probe, probes, and the best of them in full."""
    start = study(trial(0, 0.5, seconds=600), probe_minutes=2.5)
    moves, ended = _played(start, 30 * MINUTE, gain=0.02)
    assert moves == [Move.DEFAULT_PROBE, Move.PROBE, Move.PROBE, Move.PROBE, Move.FINAL]
    assert ended.spent_seconds == 30 * MINUTE


def test_more_budget_goes_on() -> None:
    """With twice the budget the same search probes on and trains another finalist."""
    start = study(trial(0, 0.5, seconds=600), probe_minutes=2.5)
    _, ended = _played(start, 30 * MINUTE, gain=0.02)
    assert budget.next_move(ended, 30 * MINUTE) is Move.STOP
    moves, further = _played(ended, 60 * MINUTE, gain=0.02)
    assert moves.count(Move.FINAL) >= 1
    assert moves.count(Move.PROBE) >= 6
    assert len(further.done(Fidelity.FULL)) == 2 + moves.count(Move.FINAL)


def test_no_full_training_without_a_probe_that_promises() -> None:
    """Where no probe beats the default's, none is trained in full, and time for one more final is never used up."""
    start = study(trial(0, 0.5, seconds=600), probe_minutes=2.5)
    moves, ended = _played(start, 40 * MINUTE, gain=-0.02)
    assert Move.FINAL not in moves
    assert 40 * MINUTE - ended.spent_seconds >= 600


def test_a_finalist_is_trained_once() -> None:
    """A probe whose point was trained in full is no candidate any more."""
    played = study(trial(0, 0.5), probe(1, 0.4), probe(2, 0.45, learning_rate=1e-4), trial(3, 0.52, learning_rate=1e-4))
    assert budget.finalists(played) == ()


def test_short_trainings_are_all_full() -> None:
    """Without probes trials run while one more is expected to end in time."""
    moves, ended = _played(study(trial(0, 0.5, seconds=10.0)), 100.0, gain=0.0)
    assert moves == [Move.FULL] * 7
    assert ended.spent_seconds == 94.0


@pytest.mark.parametrize(("budget_minutes", "knobs"), [(30, 2), (60, 3), (110, 3), (600, 19)])
def test_few_trials_turn_few_knobs(budget_minutes: float, knobs: int) -> None:
    """A knob for every three trials that fit, two at least."""
    seconds = budget_minutes * MINUTE
    known = study(trial(0, 0.5, seconds=600), probe_minutes=budget.probe_minutes(600, seconds))
    assert budget.open_knobs(known, seconds) == knobs
