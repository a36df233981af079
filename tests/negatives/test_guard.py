"""The guard: every rule on a case small enough to check by eye."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from dialekt.config import NegativesConfig
from dialekt.negatives.guard import TESTS, margin_thresholds
from dialekt.negatives.mining import Mining, hard_negatives, mine
from dialekt.negatives.rules import MEANINGS, Rule
from dialekt.negatives.tables import (
    HeldOutDocument,
    KnownNegative,
    MiningTables,
    document_codes,
    document_table,
    query_table,
)
from dialekt.types import Document, HardNegative, Pair, Qrel, Retriever


@dataclass(frozen=True)
class Scene:
    """One query `q` at (1, 0) whose positive is `p`, and documents at chosen cosines from it."""

    cosines: Mapping[str, float]
    documents: Sequence[Document] = ()
    positives: Sequence[str] = ("p",)
    trained: Sequence[str] = ("p",)
    grades: Mapping[str, float] = field(default_factory=dict)
    given: Sequence[str] = ()
    held_out: Sequence[str] = ()
    category_field: str | None = None
    minimum_grade: float = 1.0

    @property
    def tables(self) -> MiningTables:
        """The scene as mining sees it."""
        special = {document.id: document for document in self.documents}
        documents = [special.get(name, Document(name, name, parent_id=name)) for name in self.cosines]
        codes = document_codes(documents)
        held_out = [HeldOutDocument(name) for name in self.held_out]
        table = document_table(documents, codes, held_out=held_out, category_field=self.category_field)
        grades = dict.fromkeys(self.positives, self.minimum_grade) | dict(self.grades)
        queries = query_table(
            table,
            codes,
            pairs=[Pair("q", name) for name in self.trained],
            qrels=[Qrel("q", name, grade) for name, grade in grades.items()],
            given=[KnownNegative("q", name) for name in self.given],
            minimum_grade=self.minimum_grade,
        )
        return MiningTables(table, queries, None)

    @property
    def document_vectors(self) -> NDArray[np.float32]:
        """One row of length 1 per document."""
        return np.array([[cosine, np.sqrt(1 - cosine**2)] for cosine in self.cosines.values()], dtype=np.float32)

    def mine(self, **settings: object) -> Mining:
        """Mine for the query with vectors only."""
        config = NegativesConfig.model_validate({"retrievers": (Retriever.DENSE,), **settings})
        return mine(config, self.tables, np.array([[1, 0]], np.float32), self.document_vectors, seed=1)

    def records(self, **settings: object) -> list[HardNegative]:
        """Return the hard negatives."""
        return list(hard_negatives(self.mine(**settings).selection, self.tables))

    def kept(self, **settings: object) -> list[str]:
        """Return the ids of the hard negatives, in order."""
        return [negative.document_id for negative in self.records(**settings)]

    def fates(self, **settings: object) -> dict[str, int]:
        """Return how many candidates met each fate that any met, `kept` among them."""
        fates = self.mine(**settings).audit.fates
        return {name: counts.total for name, counts in fates.items() if counts.total}


def chunk(parent: str, number: int) -> Document:
    """Return a chunk of a document."""
    return Document(f"{parent}#{number}", "text", parent_id=parent)


@pytest.mark.parametrize(("positive", "threshold"), [(0.8, 0.76), (0.0, 0.0), (-0.2, -0.21), (1.0, 0.95)])
def test_margin_threshold_lies_below_the_positive_whatever_its_sign(positive: float, threshold: float) -> None:
    """The threshold is 5% of the score's size below the score, also where multiplying would put it above."""
    assert margin_thresholds(np.array([positive]), 0.95)[0] == pytest.approx(threshold)


def test_margin_bars_what_comes_too_close_to_the_positive() -> None:
    """A candidate is kept strictly below 95% of the positive's cosine and barred from there on."""
    scene = Scene({"p": 0.8, "near": 0.77, "far": 0.75})
    assert scene.kept() == ["far"]
    assert scene.fates() == {"positive": 1, "above_margin": 1, "kept": 1}


def test_margin_of_one_bars_equals_and_better() -> None:
    """With margin 1 a negative must still score below the positive."""
    scene = Scene({"p": 0.5, "equal": 0.5, "better": 0.6, "worse": 0.49})
    assert scene.kept(margin=1.0) == ["worse"]


def test_negative_positive_scores_keep_only_what_is_clearly_worse() -> None:
    """Below zero, a document slightly better or slightly worse than the positive is barred, a much worse one kept."""
    scene = Scene({"p": -0.2, "better": -0.195, "slightly": -0.205, "worse": -0.3})
    assert scene.kept() == ["worse"]


def test_lowest_of_several_positives_sets_the_margin() -> None:
    """With positives at 0.9 and 0.6, a candidate at 0.7 may be as good an answer as the second."""
    scene = Scene({"p": 0.9, "p2": 0.6, "n": 0.7, "m": 0.5}, positives=("p", "p2"), trained=("p", "p2"))
    (negative,) = scene.records()
    assert negative.document_id == "m"
    assert negative.positive_score == pytest.approx(0.6)
    assert negative.score == pytest.approx(0.5)


def test_positives_that_are_not_trained_on_are_barred_but_set_no_margin() -> None:
    """A judged positive without a pair is no negative, and its score does not lower the threshold."""
    scene = Scene({"p": 0.9, "p2": 0.1, "n": 0.7}, positives=("p", "p2"))
    assert scene.kept() == ["n"]
    assert scene.fates()["positive"] == 2


def test_partly_relevant_documents_are_barred_as_judged() -> None:
    """A grade above 0 and below a positive's is neither an answer nor a negative."""
    scene = Scene({"p": 0.9, "partial": 0.5, "n": 0.4}, grades={"partial": 1.0}, minimum_grade=2.0)
    assert scene.fates() == {"positive": 1, "judged": 1, "kept": 1}


def test_judged_non_match_passes_the_margin() -> None:
    """A document judged 0 is a negative however close it comes; an unjudged one beside it is barred."""
    scene = Scene({"p": 0.8, "rejected": 0.9, "unjudged": 0.85}, grades={"rejected": 0.0})
    assert scene.kept() == ["rejected"]


def test_judged_non_match_of_a_chunked_document_confirms_its_chunks() -> None:
    """Judgments speak of whole documents: each chunk of a rejected document is a confirmed negative."""
    scene = Scene({"p": 0.8, "d#0": 0.9, "d#1": 0.85}, documents=[chunk("d", 0), chunk("d", 1)], grades={"d": -1.0})
    assert scene.kept() == ["d#0", "d#1"]


def test_judged_non_match_is_still_barred_when_held_out() -> None:
    """A confirmed negative passes the margin rule and no other."""
    scene = Scene({"p": 0.8, "rejected": 0.5}, grades={"rejected": 0.0}, held_out=("rejected",))
    assert scene.fates() == {"positive": 1, "held_out": 1}


def test_chunks_of_a_judged_document_are_positives() -> None:
    """When a whole document is judged, no chunk of it is a negative."""
    chunks = [chunk("d", 0), chunk("d", 1)]
    scene = Scene({"d#0": 0.8, "d#1": 0.1, "n": 0.2}, documents=chunks, positives=("d",), trained=("d#0",))
    assert scene.fates() == {"positive": 2, "kept": 1}


def test_siblings_of_a_judged_chunk_are_of_the_same_document() -> None:
    """When only a chunk is judged, the other chunks of its document are barred under their own rule."""
    chunks = [chunk("d", 0), chunk("d", 1)]
    scene = Scene({"d#0": 0.8, "d#1": 0.1, "n": 0.2}, documents=chunks, positives=("d#0",), trained=("d#0",))
    assert scene.fates() == {"positive": 1, "same_document": 1, "kept": 1}


@pytest.mark.parametrize(
    "copies",
    [
        {"copy": "p"},
        {"p": "copy"},
        {"p": "original", "copy": "original"},
    ],
)
def test_near_duplicates_of_a_positive_are_barred(copies: Mapping[str, str]) -> None:
    """A document of the positive's cluster is no negative, whichever of the two came first, or if neither did."""
    documents = [Document(name, "text", parent_id=name, duplicate_of=first) for name, first in copies.items()]
    scene = Scene({"p": 0.8, "copy": 0.3, "n": 0.2}, documents=documents)
    assert scene.fates() == {"positive": 1, "near_duplicate": 1, "kept": 1}


def test_near_duplicates_of_any_chunk_of_a_positive_are_barred() -> None:
    """The copy of a chunk is barred also when the query is trained towards another chunk of the document."""
    documents = [chunk("d", 0), chunk("d", 1), Document("copy", "x", duplicate_of="d#1")]
    cosines = {"d#0": 0.8, "d#1": 0.1, "copy": 0.3, "n": 0.2}
    scene = Scene(cosines, documents=documents, positives=("d",), trained=("d#0",))
    assert scene.fates() == {"positive": 2, "near_duplicate": 1, "kept": 1}


def test_near_duplicates_of_other_documents_stay() -> None:
    """A cluster without a positive bars nothing."""
    scene = Scene({"p": 0.8, "a": 0.3, "b": 0.2}, documents=[Document("b", "x", duplicate_of="a")])
    assert scene.kept() == ["a", "b"]


def test_held_out_documents_and_their_chunks_are_barred() -> None:
    """A document that answers test queries only is never a negative, by its own or by its parent's id."""
    scene = Scene({"p": 0.8, "t": 0.3, "d#0": 0.2, "n": 0.1}, documents=[chunk("d", 0)], held_out=("t", "d", "gone"))
    assert scene.fates() == {"positive": 1, "held_out": 2, "kept": 1}


def test_rank_window_counts_retrieval_ranks() -> None:
    """Ranks are those of retrieval, the positive's included: from rank 3 on, the second best of all is still barred."""
    scene = Scene({"p": 0.9, "second": 0.5, "third": 0.4, "fourth": 0.3})
    assert [(negative.document_id, negative.rank) for negative in scene.records(rank_from=3)] == [
        ("third", 3),
        ("fourth", 4),
    ]
    assert scene.fates(rank_from=3, depth=3) == {"positive": 1, "rank_window": 1, "kept": 1}


def test_negatives_share_the_category_of_the_positive() -> None:
    """With a category field, documents of another category or of none are barred."""
    documents = [
        Document("p", "x", metadata={"product": "pump"}),
        Document("same", "x", metadata={"product": "pump"}),
        Document("other", "x", metadata={"product": "valve"}),
    ]
    scene = Scene({"p": 0.8, "same": 0.3, "other": 0.2, "none": 0.1}, documents=documents, category_field="product")
    assert scene.kept() == ["same"]
    assert scene.fates() == {"positive": 1, "other_category": 2, "kept": 1}


def test_positive_without_a_category_has_no_negatives() -> None:
    """Nothing equals a category that is not there."""
    documents = [Document("n", "x", metadata={"product": "pump"})]
    scene = Scene({"p": 0.8, "n": 0.3, "m": 0.2}, documents=documents, category_field="product")
    assert scene.kept() == []


def test_given_negatives_come_first_and_pass_the_margin() -> None:
    """A negative that the user named is taken before any mined one, even one closer than the positive."""
    scene = Scene({"p": 0.8, "mined": 0.5, "easy": 0.1, "hard": 0.9}, given=("easy", "hard", "gone"))
    negatives = scene.records()
    assert [negative.document_id for negative in negatives] == ["hard", "easy", "mined"]
    assert [negative.retriever for negative in negatives] == [Retriever.GIVEN, Retriever.GIVEN, Retriever.DENSE]
    assert scene.kept(per_query=1) == ["hard"]


def test_given_negatives_yield_to_judgments_and_to_the_held_out() -> None:
    """A given negative that is judged a positive, or that answers held-out queries, is barred."""
    scene = Scene({"p": 0.8, "t": 0.5, "n": 0.1}, given=("p", "t", "n"), held_out=("t",))
    assert scene.kept() == ["n"]
    assert scene.fates() == {"positive": 1, "held_out": 1, "kept": 1}


def test_given_negatives_may_resemble_the_positive() -> None:
    """Near-duplicates that the user tells apart, and ranks outside the window, are kept when given."""
    documents = [Document("n", "x", duplicate_of="p")]
    assert Scene({"p": 0.8, "n": 0.7}, documents=documents, given=("n",)).kept(rank_from=50) == ["n"]


def test_given_document_that_was_chunked_counts_once_by_its_nearest_chunk() -> None:
    """Of a given document's chunks, the one nearest to the query is the given negative."""
    scene = Scene({"p": 0.8, "d#0": 0.1, "d#1": 0.3}, documents=[chunk("d", 0), chunk("d", 1)], given=("d",))
    given = [negative for negative in scene.records(retrievers=()) if negative.retriever is Retriever.GIVEN]
    assert [(negative.document_id, negative.rank) for negative in given] == [("d#1", 1)]


def test_candidate_is_counted_under_the_first_rule_that_bars_it() -> None:
    """A held-out document above the margin is dropped once, as held out."""
    scene = Scene({"p": 0.8, "t": 0.9}, held_out=("t",))
    assert scene.fates(rank_from=5) == {"positive": 1, "held_out": 1}


def test_every_rule_has_a_meaning_and_a_test() -> None:
    """The tables that say what a rule means and how it decides name every rule; only the draw decides the last."""
    assert set(MEANINGS) == set(Rule)
    assert set(TESTS) == set(Rule) - {Rule.NOT_SAMPLED}
