"""Every system is compared with the first, and all comparisons hold at once."""

import ir_measures
import numpy as np
import pytest

from dialekt.evaluation.comparison import Settings, compare
from dialekt.evaluation.contest import hold_contest
from dialekt.evaluation.unjudged import unjudged_facts
from dialekt.measures.metrics import NDCG, judge, score_run
from dialekt.measures.runs import Run
from dialekt.types import Qrel

SETTINGS = Settings(confidence=0.95, resamples=1_000, seed=3)
QUERIES = tuple(f"q{number}" for number in range(60))
DOCUMENTS = tuple(f"d{number}" for number in range(40))
JUDGMENTS = judge(
    [qrel for place, name in enumerate(QUERIES) for qrel in (Qrel(name, f"d{place % 40}"), Qrel(name, "d39", 0.0))],
    minimum_grade=1.0,
)


def run_with(share: float, seed: int) -> Run:
    """Return a random run that ranks the answer first for a share of the queries."""
    generator = np.random.default_rng(seed)
    indices = np.stack([generator.permutation(40) for _ in QUERIES]).astype(np.int64)
    for row in range(int(share * len(QUERIES))):
        answer = row % 40
        place = int(np.flatnonzero(indices[row] == answer)[0])
        indices[row, [0, place]] = indices[row, [place, 0]]
    return Run(QUERIES, DOCUMENTS, indices, np.tile(-np.arange(40, dtype=np.float32), (len(QUERIES), 1)))


def test_the_better_system_is_proven_better_and_an_equal_one_not() -> None:
    """The first has no comparison; intervals leave out zero only where the joint test rejects."""
    runs = {"base": run_with(0.2, 1), "same": run_with(0.2, 2), "good": run_with(0.9, 3)}
    first, same, good = hold_contest(runs, JUDGMENTS, SETTINGS).standings
    assert first.comparison is None
    assert good.comparison is not None
    assert same.comparison is not None
    assert good.comparison.low > 0
    assert same.comparison.low <= 0 <= same.comparison.high
    assert good.comparison.p_value < 0.05 < same.comparison.p_value
    assert good.comparison.difference == pytest.approx(good.metrics[NDCG].value - first.metrics[NDCG].value)


def test_two_systems_are_compared_as_everywhere_else() -> None:
    """With one comparison there is nothing to correct."""
    runs = {"base": run_with(0.2, 1), "good": run_with(0.5, 3)}
    scores = {name: score_run(run, JUDGMENTS) for name, run in runs.items()}
    expected = compare(scores, [("good", "base", NDCG)], SETTINGS)[0]
    assert hold_contest(runs, JUDGMENTS, SETTINGS).standings[1].comparison == expected


def test_more_systems_make_intervals_wider() -> None:
    """What is said of ten systems at once must be said more carefully."""
    runs = {"base": run_with(0.2, 1), "good": run_with(0.5, 3)}
    alone = hold_contest(runs, JUDGMENTS, SETTINGS).standings[1].comparison
    others = {f"other{seed}": run_with(0.2, seed) for seed in range(10, 18)}
    among = hold_contest(runs | others, JUDGMENTS, SETTINGS).standings[1].comparison
    assert alone is not None
    assert among is not None
    assert among.difference == alone.difference
    assert among.high - among.low > alone.high - alone.low


def test_judged_shares_are_those_of_ir_measures() -> None:
    """Judged@10 as a mean over all queries."""
    run = run_with(0.5, 4)
    found = hold_contest({"a": run, "b": run_with(0.1, 5)}, JUDGMENTS, SETTINGS)
    rows = zip(QUERIES, run.indices.tolist(), strict=True)
    scored = {query: {DOCUMENTS[index]: -float(rank) for rank, index in enumerate(row)} for query, row in rows}
    judged = {query: dict(grades) for query, grades in JUDGMENTS.grades.items()}
    expected = ir_measures.calc_aggregate([ir_measures.Judged @ 10], judged, scored)[ir_measures.Judged @ 10]
    assert found.standings[0].judged.judged.value == pytest.approx(expected)
    assert found.condensed_meaningful


@pytest.mark.parametrize(("negatives", "meaningful"), [(1, False), (29, False), (30, True)])
def test_condensed_lists_count_as_in_the_evaluation(negatives: int, *, meaningful: bool) -> None:
    """They say something where half of the queries have a judged non-answer, here as there."""
    qrels = [Qrel(name, "d0") for name in QUERIES] + [Qrel(name, "d39", 0.0) for name in QUERIES[:negatives]]
    judgments = judge(qrels, minimum_grade=1.0)
    runs = {"base": run_with(0.2, 1), "tuned": run_with(0.5, 3)}
    assert hold_contest(runs, judgments, SETTINGS).condensed_meaningful is meaningful
    assert unjudged_facts(runs, judgments, SETTINGS).meaningful is meaningful
