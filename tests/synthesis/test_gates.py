"""What each gate bars, and what it lets pass."""

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.synthesis.samples import DOCUMENTS

from dialekt.config import Generator, QueryKind, SynthesisConfig
from dialekt.synthesis.gates import Surroundings, pass_gates
from dialekt.synthesis.realism import Lengths, compare_with_real
from dialekt.synthesis.records import Draft, Gate
from dialekt.synthesis.round_trip import RoundTrip
from dialekt.types import Document, Role

BY_ID = {document.id: document for document in DOCUMENTS}
DISTINCT = DOCUMENTS[:-1]


def draft(text: str, document_id: str = "pump", kind: QueryKind = QueryKind.KEYWORD) -> Draft:
    """Return a made query."""
    return Draft(text, document_id, kind, Generator.LLM)


def fates(drafts: list[Draft], around: Surroundings) -> dict[str, Gate]:
    """Return the gate at which each rejected text failed."""
    return {one.text: gate for gate, one in pass_gates(SynthesisConfig(), drafts, around).rejected}


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        ("...", Gate.EMPTY),
        (" ".join(f"w{number}" for number in range(61)), Gate.TOO_LONG),
        (DOCUMENTS[0].content, Gate.COPY),
        ("a machine that moves oil by two meshing wheels. The seal of the pump", Gate.COPY),
        ("pump seal", Gate.AMBIGUOUS),
        ("Worn: gear, pump seal", Gate.NEAR_DUPLICATE),
        ("when does the seal of a gear pump leak", Gate.HELD_OUT),
    ],
)
def test_gates_bar(text: str, gate: Gate) -> None:
    """Each kind of unfit query is counted under its gate, and the fit one passes."""
    drafts = [draft("worn gear pump seal"), draft(text), draft("Pump seal?", "solar"), draft("oil by wheels")]
    around = Surroundings(BY_ID, {"test-1": "When does the seal of a gear pump leak?"})
    found = fates(drafts, around)
    assert found[text] is gate
    assert "worn gear pump seal" not in found
    assert "oil by wheels" not in found


def test_a_title_may_be_the_title() -> None:
    """A title of many words is not taken for a copied piece of the text."""
    title = "how to mix and bake and cool and cut and serve and keep a loaf"
    document = Document("long", f"{title}. Then eat it.", title=title)
    kept = pass_gates(SynthesisConfig(), [draft(title, "long", QueryKind.TITLE)], Surroundings({"long": document}, {}))
    assert [one.text for one in kept.passing] == [title]


def test_lengths_that_people_never_type_are_unrealistic() -> None:
    """With enough real queries, made ones stay between half of their shortest and twice their longest."""
    real = ["worn seal on pump", "pump seal leaks oil again"] * 30
    around = Surroundings(BY_ID, {}, Lengths.of(real))
    long = "the old gear pump in the cellar leaks oil from its worn seal"
    assert fates([draft("seal"), draft("leaking seal"), draft(long)], around) == {
        "seal": Gate.UNREALISTIC,
        long: Gate.UNREALISTIC,
    }
    assert Lengths.of(real[:49]) is None


def test_the_round_trip_bars_what_neither_words_nor_the_model_find() -> None:
    """A query about another document is barred; one that only BM25 finds passes, and so does one for the model."""
    points = {"bread": 0, "pump": 1, "solar": 2, "refund": 3}

    def encode(texts: object, role: Role) -> NDArray[np.float32]:
        assert isinstance(texts, list)
        if role is Role.DOCUMENT:
            rows = [points[document.id] for document in DISTINCT]
        else:
            rows = [0 if "loaf" in text else 3 for text in texts]
        return np.eye(4, dtype=np.float32)[rows]

    round_trip = RoundTrip(DISTINCT, rank=1, encode=encode)
    drafts = [draft("worn pump seal"), draft("grid voltage"), draft("a tasty loaf", "bread")]
    assert round_trip.barred(drafts) == [False, True, False]


def test_chunks_of_the_own_document_stand_in_nobodys_way() -> None:
    """A query that finds another part of its document first has found its document."""
    chunks = [
        Document("m#1", "pump seal pump seal pump seal", parent_id="m"),
        Document("m#2", "the seal wears out with the years of hard use in the field", parent_id="m"),
        Document("x", "an oven for bread", parent_id="x"),
    ]
    round_trip = RoundTrip(chunks, rank=1, encode=None)
    assert round_trip.barred([draft("seal", "m#2"), draft("oven", "m#2")]) == [False, True]
    assert round_trip.neighbours(["m#1"], 2) == {"m#1": []}


def test_realism_compares_lengths_questions_and_words() -> None:
    """Equal sets are at distance 0; sets of other lengths and words at 1."""
    real = ["how to seal a pump", "pump leaks oil again now"] * 25
    same = compare_with_real(real, real)
    assert same is not None
    assert (same.length_distance, same.shared_words, same.made_questions) == (0.0, 1.0, 0.5)
    other = compare_with_real(real, ["bread"])
    assert other is not None
    assert (other.length_distance, other.shared_words, other.made_questions) == (1.0, 0.0, 0.0)
    assert compare_with_real(real[:10], real) is None
