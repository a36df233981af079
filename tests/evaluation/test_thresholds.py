"""A threshold reaches its precision on dev, and what it brings on test is said honestly."""

import numpy as np
import pytest

from dialekt.evaluation.comparison import Settings
from dialekt.evaluation.thresholds import LEAST_RESULTS, Shown, calibrate, choose_threshold
from dialekt.measures.metrics import Judgments, judge
from dialekt.measures.runs import Run
from dialekt.types import Qrel

SETTINGS = Settings(confidence=0.95, resamples=1000, seed=1)


def made(queries: int, seed: int) -> tuple[Run, list[Qrel]]:
    """A run of 12 results per query in which a result of cosine c is an answer with probability c."""
    generator = np.random.default_rng(seed)
    scores = -np.sort(-generator.uniform(0.0, 1.0, (queries, 12)), axis=1).astype(np.float32)
    indices = np.tile(np.arange(12, dtype=np.int64), (queries, 1))
    names = tuple(f"{seed}-{number}" for number in range(queries))
    answers = generator.uniform(size=scores.shape) < scores
    qrels = [Qrel(names[row], f"d{column}") for row, column in np.argwhere(answers).tolist()]
    return Run(names, tuple(f"d{number}" for number in range(12)), indices, scores), qrels


@pytest.fixture
def runs() -> tuple[Run, Run, Judgments]:
    """Dev and test runs of the same kind, and their judgments."""
    dev, some = made(800, 1)
    test, others = made(800, 2)
    return dev, test, judge([*some, *others], minimum_grade=1)


def test_the_target_is_met_on_queries_of_the_same_kind(runs: tuple[Run, Run, Judgments]) -> None:
    """Where answers are as likely as the cosine says, results above t are answers in (1 + t) / 2 of all cases."""
    dev, test, judgments = runs
    found = calibrate("tuned", dev, test, judgments, target=0.8, settings=SETTINGS)
    assert found.cosine == pytest.approx(0.6, abs=0.03)
    assert found.precision is not None
    assert found.precision.low <= 0.8 <= found.precision.high
    assert found.recall is not None
    assert 0.5 < found.recall.value < 0.9
    assert found.empty is not None
    assert found.empty < 0.01
    assert (found.system, found.target, found.queries) == ("tuned", 0.8, 800)


def test_the_smallest_threshold_is_chosen(runs: tuple[Run, Run, Judgments]) -> None:
    """A higher target asks for a higher cosine."""
    dev, test, judgments = runs
    cosines = [calibrate("base", dev, test, judgments, target=share, settings=SETTINGS).cosine for share in (0.7, 0.9)]
    assert None not in cosines
    assert cosines[0] < cosines[1]  # type: ignore[operator]


def test_a_target_out_of_reach_is_none(runs: tuple[Run, Run, Judgments]) -> None:
    """Without any answer no cosine reaches the target, and nothing else is said."""
    dev, test, _ = runs
    found = calibrate("base", dev, test, judge([], minimum_grade=1), target=0.5, settings=SETTINGS)
    assert (found.cosine, found.precision, found.recall, found.empty) == (None, None, None, None)


def test_a_handful_of_results_chooses_nothing() -> None:
    """Nineteen perfect results are too few to stand on."""
    cosines, answers = np.full((LEAST_RESULTS, 10), -np.inf), np.zeros((LEAST_RESULTS, 10), dtype=bool)
    cosines[:, 0], answers[:, 0] = np.linspace(0.5, 0.9, LEAST_RESULTS), True
    assert choose_threshold(Shown(cosines, answers), target=0.9) is not None
    assert choose_threshold(Shown(cosines[1:], answers[1:]), target=0.9) is None


def test_equal_cosines_are_not_parted() -> None:
    """A threshold never lies within a tie, whatever the order of its results."""
    cosines = np.full((30, 10), -np.inf)
    cosines[:, 0] = 0.7
    answers = np.zeros((30, 10), dtype=bool)
    answers[:24, 0] = True
    assert choose_threshold(Shown(cosines, answers), target=0.9) is None
    assert choose_threshold(Shown(cosines, answers), target=0.8) == pytest.approx(0.7)


def test_where_all_results_will_do_the_lowest_seen_is_the_threshold() -> None:
    """Nothing is said of cosines below all that were seen."""
    cosines, answers = np.full((30, 10), -np.inf), np.zeros((30, 10), dtype=bool)
    cosines[:, 0], answers[:, 0] = np.linspace(0.3, 0.9, 30), True
    assert choose_threshold(Shown(cosines, answers), target=0.9) == 0.3
    assert choose_threshold(Shown(cosines[:0], answers[:0]), target=0.9) is None
