"""What a teacher's scores change, and what they may not change."""

from dataclasses import replace

import numpy as np
import pytest

from dialekt.config import TeacherConfig, TeacherUse
from dialekt.teacher.corrections import MOST_RELABELLED, Corrected, correct
from dialekt.teacher.material import Material
from dialekt.types import HardNegative, Pair, PairSource, Retriever, TeacherScore

EVERY_USE = tuple(TeacherUse)
NEGATIVES = ("n0", "n1", "n2", "n3", "n4")


def material(
    *, judged: frozenset[tuple[int, int]] = frozenset(), retriever: Retriever = Retriever.DENSE, copies: bool = False
) -> Material:
    """Return two queries: the first has two positives and five negatives, the second one positive."""
    names = ["p0", "p1", "p2", *NEGATIVES]
    return Material(
        pairs=[Pair("q0", "p0", weight=0.8), Pair("q0", "p1", weight=0.5), Pair("q1", "p2")],
        negatives=[HardNegative("q0", name, 1, 0.4, 0.6, retriever) for name in NEGATIVES],
        query_texts=["first", "second"],
        document_texts=names,
        pair_rows=np.array([[0, 0], [0, 1], [1, 2]]),
        negative_rows=np.array([[0, row] for row in range(3, 8)]),
        kin=np.array([0, 1, 2, *([3] * 5 if copies else range(3, 8))]),
        judged=judged,
    )


def corrected(
    *scores: float, uses: tuple[TeacherUse, ...] = EVERY_USE, margin: float = 0.0, given: Material | None = None
) -> Corrected:
    """Correct with positives at 2, 4 and 1, and these scores of the negatives."""
    config = TeacherConfig(model="any", uses=uses, relabel_margin=margin)
    return correct(config, given or material(), np.array([2.0, 4.0, 1.0, *scores], dtype=np.float32))


def kept(result: Corrected) -> list[str]:
    """Return the negatives that stay."""
    return [negative.document_id for negative in result.negatives]


def added(result: Corrected) -> list[str]:
    """Return the documents of new pairs."""
    return [pair.document_id for pair in result.pairs if pair.source is PairSource.TEACHER]


def test_a_negative_between_the_positives_is_dropped_and_one_above_all_becomes_one() -> None:
    """Below the lowest positive it stays, above the highest it is an answer, between nobody knows."""
    result = corrected(-3.0, 1.9, 3.0, 5.0, 2.0)
    assert kept(result) == ["n0", "n1", "n4"]
    assert added(result) == ["n3"]
    assert (result.relabelled["dense"], result.dropped["dense"]) == (1, 1)


def test_a_new_pair_weighs_what_its_query_and_the_teacher_are_sure_of() -> None:
    """The query's lightest pair times the probability that the new one is the better answer."""
    new = corrected(-3.0, -3.0, -3.0, 5.0, -3.0).pairs[-1]
    assert replace(new, weight=1.0) == Pair("q0", "n3", source=PairSource.TEACHER)
    assert new.weight == pytest.approx(0.5 / (1 + np.exp(-1.0)), rel=1e-6)


def test_without_relabelling_an_answer_is_only_dropped() -> None:
    """`filter` makes no positives."""
    result = corrected(-3.0, 1.9, 3.0, 5.0, 2.0, uses=(TeacherUse.FILTER,))
    assert (kept(result), added(result), result.scores) == (["n0", "n1", "n4"], [], ())
    assert result.dropped["dense"] == 2


def test_only_scores_when_only_distilling() -> None:
    """Every pair and negative has its score, and nothing else changes."""
    result = corrected(-3.0, 1.9, 3.0, 5.0, 2.0, uses=(TeacherUse.DISTIL,))
    assert kept(result) == list(NEGATIVES)
    assert added(result) == []
    assert TeacherScore("q0", "n3", 5.0) in result.scores
    assert len(result.scores) == 8


def test_dropped_negatives_have_no_score_and_new_pairs_have() -> None:
    """The student learns scores of what it sees."""
    scored = {score.document_id for score in corrected(-3.0, 1.9, 3.0, 5.0, 2.0).scores}
    assert scored == {"p0", "p1", "p2", "n0", "n1", "n3", "n4"}


def test_the_margin_spares_what_is_nearly_a_tie() -> None:
    """A negative must be above by more than the margin."""
    result = corrected(-3.0, 1.9, 3.0, 5.0, 2.0, margin=1.5)
    assert kept(result) == ["n0", "n1", "n2", "n4"]
    assert added(result) == []
    assert result.dropped["dense"] == 1


def test_beside_a_wrong_positive_nothing_becomes_an_answer() -> None:
    """Above a query's only positive, but below what half of all positives get: dropped, not believed."""
    given = replace(
        material(),
        pairs=[Pair("q0", "p0"), Pair("q1", "p1"), Pair("q1", "p2")],
        pair_rows=np.array([[0, 0], [1, 1], [1, 2]]),
    )
    scores = np.array([-9.0, 3.0, 4.0, -8.0, -8.0, -8.0, -8.0, -8.0], dtype=np.float32)
    result = correct(TeacherConfig(model="any", uses=EVERY_USE), given, scores)
    assert (kept(result), added(result)) == ([], [])
    assert result.dropped["dense"] == 5


def test_a_query_gets_a_few_new_positives_at_most() -> None:
    """The best-rated ones; the others are dropped."""
    result = corrected(5.0, 6.0, 7.0, 8.0, 9.0)
    assert added(result) == ["n2", "n3", "n4"][-MOST_RELABELLED:]
    assert kept(result) == []


def test_copies_of_a_text_become_one_positive() -> None:
    """Near-duplicates and chunks of one document are one answer."""
    assert added(corrected(5.0, 6.0, 7.0, 8.0, 9.0, given=material(copies=True))) == ["n4"]


@pytest.mark.parametrize(
    "given", [material(retriever=Retriever.GIVEN), material(judged=frozenset((0, row) for row in range(3, 8)))]
)
def test_what_a_person_said_stays(given: Material) -> None:
    """Named or judged negatives are counted as fixed."""
    result = corrected(9.0, 9.0, 9.0, 9.0, 9.0, given=given)
    assert (kept(result), added(result), result.fixed) == (list(NEGATIVES), [], 5)


def test_margins_are_counted_against_the_lowest_positive() -> None:
    """Every negative is in one bin; what lies outside is in the outer ones."""
    margins = corrected(-90.0, 1.5, 2.5, 90.0, 2.5).margins
    counts = dict(zip(margins.edges, margins.counts, strict=False))
    assert (counts[-16.0], counts[-1.0], counts[0.0], counts[9.0]) == (1, 1, 2, 1)
    assert sum(margins.counts) == 5
