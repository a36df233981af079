"""Every cause of failure is found where it is, and only there."""

import numpy as np
import pytest
from tests.diagnosis.searches import searches

from dialekt.diagnosis.failures import Evidence, failed_queries, failures, gather_evidence
from dialekt.diagnosis.inputs import BASE, BaselineInputs
from dialekt.diagnosis.records import Failure
from dialekt.types import Document

FILLER = [Document(f"f{number}", "the usual words of every page") for number in range(12)]
ANSWER = Document("a", "restart the motor after it stops")


def shows(inputs: BaselineInputs, failure: Failure) -> list[bool]:
    """Return which queries show a cause."""
    found: list[bool] = gather_evidence(inputs).shows[failure].tolist()
    return found


def test_a_query_fails_when_no_answer_is_among_the_first_ten() -> None:
    """An answer at rank 10 is enough, at rank 11 or nowhere it is not."""
    names = [document.id for document in FILLER]
    ranking = [[*names[:9], "a"], [*names[:10], "a"], names, []]
    inputs = searches([*FILLER, ANSWER], ["motor"] * 4, answers=[["a"]] * 4, ranking=ranking)
    assert failed_queries(inputs.systems[BASE], inputs.judgments).tolist() == [False, True, True, True]


def test_a_lexical_gap_is_an_answer_in_other_words() -> None:
    """The answer shares hardly any weight of the query's terms, frequent ones counting little."""
    queries = ["engine stalls the", "motor stops", "xyzzy engine motor"]
    inputs = searches([*FILLER, ANSWER], queries, answers=[["a"]] * 3, ranking=[["a"]] * 3)
    assert shows(inputs, Failure.LEXICAL_GAP) == [True, False, True]


def test_one_answer_that_shares_the_words_closes_the_gap() -> None:
    """With several answers, a gap is one that all of them have."""
    other = Document("b", "the engine stalls")
    inputs = searches([*FILLER, ANSWER, other], ["engine stalls"], answers=[["a", "b"]], ranking=[["a"]])
    assert shows(inputs, Failure.LEXICAL_GAP) == [False]


def test_a_query_whose_answer_is_not_in_the_corpus_shows_no_cause() -> None:
    """Nothing can be said of an answer that was sampled away."""
    inputs = searches([*FILLER, ANSWER], ["usual words"], answers=[["gone"]], ranking=[["f1"]])
    assert not any(shows(inputs, failure)[0] for failure in Failure)


def test_rare_terms_are_in_two_documents_at_most_or_in_four_pieces_at_least() -> None:
    """A word of thirteen letters takes four tokens of four letters; a frequent short word is not rare."""
    long = [Document(f"l{number}", "electrostatic usual") for number in range(3)]
    queries = ["usual motor", "usual words", "electrostatic", "usual electro"]
    inputs = searches([*FILLER, *long, ANSWER], queries, answers=[["a"]] * 4, ranking=[["a"]] * 4)
    assert shows(inputs, Failure.RARE_TERMS) == [True, False, True, True]


def test_near_duplicates_stand_in_the_way_of_an_answer() -> None:
    """Vectors at cosine 0.97 or the corpus' own mark count, another document does not."""
    copies = [Document("b", "other words", duplicate_of="a"), Document("c", "third")]
    documents = [*FILLER, ANSWER, *copies]
    vectors = np.eye(len(documents), dtype=np.float32)
    vectors[-1] = 0.99 * vectors[-3] + np.sqrt(1 - 0.99**2) * vectors[-1]
    ranking = [["b", "a"], ["c", "a"], ["f1", "a"], ["a"]]
    inputs = searches(documents, ["motor"] * 4, answers=[["a"]] * 4, ranking=ranking, vectors=vectors)
    assert shows(inputs, Failure.NEAR_DUPLICATES) == [True, True, False, False]


def test_two_answers_that_are_alike_stand_in_nobodys_way() -> None:
    """Near-duplicates that are both judged as answers are no failure."""
    documents = [*FILLER, ANSWER, Document("b", "other words", duplicate_of="a")]
    inputs = searches(documents, ["motor"], answers=[["a", "b"]], ranking=[["b", "a"]])
    assert shows(inputs, Failure.NEAR_DUPLICATES) == [False]


def test_an_answer_is_cut_off_when_the_model_does_not_read_all_of_it() -> None:
    """One answer that is read whole is enough; a chunk counts for its document."""
    chunks = [Document("b#0", "short", parent_id="b"), Document("b#1", "long " * 40, parent_id="b")]
    answers = [["a"], ["b"], ["a", "b"]]
    inputs = searches([*FILLER, ANSWER, *chunks], ["x"] * 3, answers=answers, ranking=[["a"]] * 3, max_tokens=20)
    assert shows(inputs, Failure.CUT_OFF) == [False, True, False]
    assert gather_evidence(inputs).truncated_units.sum() == 1


def test_hubs_mislead_only_from_the_first_three_places() -> None:
    """A hub at rank 4 is counted as a hub, but not as a reason."""
    documents = [*FILLER, ANSWER, *(Document(f"d{number}", "unseen words") for number in range(100))]
    ranking = [["f0", "a"]] * 19 + [["f1", "f2", "f3", "f0", "a"]]
    inputs = searches(documents, ["motor"] * 20, answers=[["a"]] * 20, ranking=ranking)
    assert shows(inputs, Failure.HUBS) == [True] * 19 + [False]


def test_the_cause_that_tells_failures_apart_comes_first() -> None:
    """Ratios are of shares, finite where a cause is only among failures, and 1 where it is nowhere."""
    failed = np.array([True] * 10 + [False] * 30)
    nowhere = np.zeros(40, dtype=np.bool_)
    evidence = Evidence(
        shows={
            Failure.CUT_OFF: nowhere,
            Failure.RARE_TERMS: np.ones(40, dtype=np.bool_),
            Failure.HUBS: failed & (np.arange(40) < 4),
            Failure.LEXICAL_GAP: np.arange(40) % 5 == 0,
        },
        hub_share=0.0,
        truncated_units=nowhere,
    )
    found = failures(evidence, failed)
    assert found[0].failure is Failure.HUBS
    assert (found[0].failed, found[0].succeeded) == (4, 0)
    assert found[0].ratio == pytest.approx((4 / 10 + 1 / 40) / (0 / 30 + 1 / 40))
    assert [one.ratio for one in found[1:]] == pytest.approx([1.0, 1.0, 1.0])


def test_where_nothing_fails_no_cause_explains_anything() -> None:
    """Without failures every ratio is 1."""
    shown = np.array([True, False, True])
    evidence = Evidence({Failure.HUBS: shown}, hub_share=0.0, truncated_units=shown)
    assert failures(evidence, np.zeros(3, dtype=np.bool_))[0].ratio == 1.0
