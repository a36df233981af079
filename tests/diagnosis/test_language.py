"""The language of a corpus, by a real tokenizer and a real model."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from dialekt.config import ModelConfig
from dialekt.diagnosis.language import MAX_DOCUMENTS, draw_sample, language_facts
from dialekt.diagnosis.records import LanguageFacts
from dialekt.models.encoder import Encoder
from dialekt.types import Progress, ReportProgress, Role, no_progress

_PLAIN = "the water of the river was cold and the old house by the road had a small garden with a tree"
_GERMAN = "das wasser im fluss war kalt und das alte haus an der straße hatte einen kleinen garten mit baum"
_JARGON = ["hypertelorism", "mimikatz", "syndactyly"]
_CODES = ["T1059.001", "libc6-dev", "MRI"]


def corpus(words: str, *, special: Sequence[str] = (), texts: int = 60) -> list[str]:
    """Return texts of plain words; every text has one of the special ones twice."""
    draw = random.Random(7)
    return [
        " ".join([*draw.choices(words.split(), k=20), *([special[number % len(special)]] * 2 if special else [])])
        for number in range(texts)
    ]


@pytest.fixture(scope="module")
def encoder(minilm: Path) -> Encoder:
    """The real MiniLM: its tokenizer is what the numbers are about."""
    return Encoder.load(str(minilm), ModelConfig())


def look(encoder: Encoder, texts: Sequence[str], progress: ReportProgress = no_progress) -> LanguageFacts:
    """Look at texts."""
    return language_facts(
        texts,
        token_offsets=encoder.token_offsets,
        encode=lambda terms: encoder.encode(terms, Role.DOCUMENT),
        seed=1,
        progress=progress,
    )


def test_plain_english(encoder: Encoder) -> None:
    """Plain English has about one token per word, and nothing in it is unknown or a code."""
    facts = look(encoder, corpus(_PLAIN))
    assert facts.english
    assert facts.language == "en"
    assert facts.fertility == pytest.approx(1.0)
    assert 1.0 < facts.english_fertility < 1.1
    assert (facts.unknown_share, facts.code_share) == (0.0, 0.0)
    assert facts.fragmented == facts.unknown == facts.codes == ()
    assert (facts.documents, facts.words) == (60, 1200)


def test_jargon_and_codes(encoder: Encoder) -> None:
    """Words that the list does not know, in many tokens, and codes are named with their share of running words."""
    facts = look(encoder, corpus(_PLAIN, special=[*_JARGON, *_CODES]))
    assert {term.term for term in facts.unknown} == set(_JARGON)
    assert {term.term for term in facts.codes} == set(_CODES)
    assert {term.term for term in facts.fragmented} == set(_JARGON)
    assert facts.unknown_share == facts.code_share == pytest.approx(60 / (60 * 22))
    assert facts.fertility > 1.2
    assert all(term.pieces > 2 and term.documents == 10 and term.count == 20 for term in facts.fragmented)


def test_another_language(encoder: Encoder) -> None:
    """A German corpus is measured by the German list: its everyday words are not unknown."""
    facts = look(encoder, corpus(_GERMAN, special=_JARGON))
    assert not facts.english
    assert facts.language == "de"
    assert {term.term for term in facts.unknown} <= set(_JARGON)
    assert facts.fertility > facts.english_fertility


def test_no_language(encoder: Encoder) -> None:
    """Where no list fits, nothing is called unknown, for everything would be."""
    facts = look(encoder, corpus("qzxv wkrpt blorfen xkcdq vvrtz"))
    assert facts.language == ""
    assert not facts.english
    assert (facts.unknown, facts.unknown_share) == ((), 0.0)


def test_a_rare_word_is_not_shown(encoder: Encoder) -> None:
    """A word in fewer than five documents, a name perhaps, is counted but never named."""
    texts = [*corpus(_PLAIN), *["hypertelorism MRI"] * 4]
    facts = look(encoder, texts)
    assert facts.unknown == facts.codes == facts.fragmented == ()
    assert facts.unknown_share > 0


def test_no_documents(encoder: Encoder) -> None:
    """An empty corpus gives zeros."""
    facts = look(encoder, [])
    assert (facts.documents, facts.words, facts.fertility, facts.terms_compared) == (0, 0, 0.0, 0)


def test_facts_are_the_same_twice(encoder: Encoder) -> None:
    """The same texts and seed give the same facts, and the progress says what is done."""
    seen: list[Progress] = []
    texts = corpus(_PLAIN, special=_JARGON)
    assert look(encoder, texts, progress=seen.append) == look(encoder, texts)
    assert seen == [Progress("read words", 60, 60)]


def test_a_large_corpus_is_sampled() -> None:
    """At most five thousand documents and six million characters are read, the same ones for the same seed."""
    texts = [f"text {number}" for number in range(MAX_DOCUMENTS + 100)]
    sample = draw_sample(texts, seed=4)
    assert len(sample) == MAX_DOCUMENTS
    assert sample == draw_sample(texts, seed=4) != draw_sample(texts, seed=5)
    assert sample == sorted(sample, key=lambda text: int(text.split()[1]))
    long = draw_sample(["word " * 10_000] * 500, seed=0)
    assert len(long) == 300
    assert all(len(text) == 20_000 for text in long)
