"""Test queries are divided by their words, their frequency, and what answers them."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from dialekt.evaluation.dividing import Dividers, Division, divide
from dialekt.measures.metrics import judge
from dialekt.measures.retrieval import Collection
from dialekt.types import Language, Qrel, Query

KINDS = ("guide", "ticket")


def collection(documents: int = 40) -> Collection:
    """Documents whose first third has 10 words, the next 20, the last 30."""
    texts = tuple(" ".join([f"topic{number}", "the"] + ["of"] * (8 + 10 * (number % 3))) for number in range(documents))
    names = tuple(f"d{number}" for number in range(documents))
    return Collection(names, texts, names, np.arange(documents, dtype=np.int64))


@pytest.fixture
def known() -> Dividers:
    """Forty queries, one answer each: every second shares its word, every fourth is long, every third has jargon."""
    queries = [
        Query(
            f"q{number}",
            ("is it" if number % 4 else "please tell me what this is")
            + (f" topic{number}" if number % 2 else f" thing{number}")
            + (" zqxv" * (number % 3)),
        )
        for number in range(40)
    ]
    qrels = [Qrel(query.id, f"d{number}") for number, query in enumerate(queries)]
    return Dividers(
        queries=queries,
        judgments=judge(qrels, minimum_grade=1),
        documents=collection(),
        trained={f"d{number}" for number in range(15)},
        metadata={f"d{number}": {"kind": KINDS[number % 2], "number": str(number)} for number in range(40)},
        frequencies={query.text: "head" if number < 12 else "tail" for number, query in enumerate(queries[:30])},
        fields=None,
    )


def divided(known: Dividers) -> Mapping[str, Division]:
    """Return the divisions by name."""
    return {division.dimension: division for division in divide(known)}


def test_every_division_names_its_parts(known: Dividers) -> None:
    """Each has at least two parts of at least ten queries, in a sensible order."""
    found = divided(known)
    assert found["query length"].order == ("3-5 words", "6-10 words")
    assert found["words shared with the answer"].order == ("under half", "half or more")
    assert found["answer"].order == ("seen in training", "new")
    assert found["answer length"].order == ("10 to 10 words", "20 to 20 words", "30 to 30 words")
    assert found["answer's kind"].order == KINDS
    for division in found.values():
        assert all(division.parts.count(part) >= 10 for part in division.order)


def test_parts_hold_the_right_queries(known: Dividers) -> None:
    """Overlap, training and metadata follow the answer; the jargon the query."""
    found = divided(known)
    shared = found["words shared with the answer"].parts
    assert shared[1] == "half or more"
    assert shared[2] == "under half"
    assert found["answer"].parts[:16] == ("seen in training",) * 15 + ("new",)
    assert found["answer's kind"].parts[:2] == KINDS
    assert found["query frequency"].parts[11:13] == ("head", "tail")
    assert found["query frequency"].parts[35] == ""


def test_what_nobody_knows_divides_nothing(known: Dividers) -> None:
    """Without training, log and metadata their divisions are left out; one answer each is no division either."""
    found = divided(replace(known, trained=None, metadata={}, frequencies={}))
    assert set(found) & {"answer", "query frequency", "answer's kind", "answers"} == set()


def test_small_parts_become_other_together(known: Dividers) -> None:
    """Values under ten queries are joined where they are ten together, and left out where they are not."""
    teams = {f"d{number}": {"team": f"t{number}" if number < 6 else "big"} for number in range(40)}
    few = {f"d{number}": {"team": "small" if number < 6 else KINDS[number % 2]} for number in range(40)}
    found = divided(replace(known, metadata=few))["answer's team"]
    assert set(found.order) == set(KINDS)
    assert found.parts[0] == ""
    many = {name: {"team": f"t{place % 6}" if place < 12 else "big"} for place, name in enumerate(teams)}
    assert divided(replace(known, metadata=many))["answer's team"].order == ("big", "other")


def test_only_fields_with_few_values_divide_unless_asked_for(known: Dividers) -> None:
    """A field with a value of its own per document is no slice; a field asked for is the only one."""
    assert "answer's number" not in divided(known)
    assert "answer's kind" not in divided(replace(known, fields=()))
    assert "answer's kind" in divided(replace(known, fields=("kind", "absent")))


def test_another_language_has_no_jargon(known: Dividers) -> None:
    """Where most words are unknown to English, rare words mean nothing."""
    assert "rare words" in divided(known)
    queries = [Query(query.id, f"szyszka zmierzch {number}") for number, query in enumerate(known.queries)]
    assert "rare words" not in divided(replace(known, queries=queries))


def test_lengths_without_blanks_are_counted_in_words(known: Dividers) -> None:
    """Two ideographs are about a word: searches in Chinese are not all one word long."""
    texts = ["重置密码", "如何重置登录密码呢"]
    queries = [Query(query.id, texts[number % 2]) for number, query in enumerate(known.queries)]
    assert divided(replace(known, queries=queries))["query length"].order == ("1-2 words", "3-5 words")


def test_jargon_is_that_of_the_corpus_s_language(known: Dividers) -> None:
    """A German corpus is measured by German: its everyday words are not rare."""
    german = replace(known.documents, language=Language.GERMAN)
    words = ("wasser und haus", "wasser und zqxv", "zqxv vrtz haus")
    queries = [Query(query.id, words[number % 3]) for number, query in enumerate(known.queries)]
    found = divided(replace(known, queries=queries, documents=german))["rare words"]
    assert len(found.order) > 1
    assert found.parts[0] == found.order[0]
    chinese = replace(known.documents, language=Language.CHINESE)
    assert "rare words" not in divided(replace(known, queries=queries, documents=chinese))
