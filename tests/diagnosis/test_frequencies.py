"""General language: frequencies, and which language a corpus is in."""

import math
from collections import Counter

import pytest
import wordfreq

from dialekt.diagnosis.frequencies import GeneralLanguage, detect_language, english_words

_TEXTS = {
    "en": "the valve of the pump was closed because the pressure in the pipe had become much too high for this seal",
    "de": "das ventil der pumpe wurde geschlossen weil der druck in der leitung für diese dichtung viel zu hoch war",
    "fr": "la vanne de la pompe a été fermée parce que la pression dans le tuyau était trop forte pour ce joint",
    "ru": "клапан насоса был закрыт потому что давление в трубе стало слишком высоким для этой прокладки",
}


@pytest.mark.parametrize("code", list(_TEXTS))
def test_the_language_is_found(code: str) -> None:
    """One sentence is enough to tell the language."""
    assert detect_language(Counter(_TEXTS[code].split())).code == code


@pytest.mark.parametrize("counts", [{}, {"qzxv": 5, "wkrpt": 3, "blorf": 9}, {"ส": 3, "ว": 2, "ด": 2}])
def test_no_language(counts: dict[str, int]) -> None:
    """Words that no list knows, or knows as strays only, are in no language, and then nothing is known."""
    found = detect_language(counts)
    assert found.code == ""
    assert found.zipf("the") == 0.0


def test_frequencies_are_those_of_the_library() -> None:
    """The zipf frequency of a word is wordfreq's."""
    english = GeneralLanguage.of("en")
    for word in ("the", "pump", "Laminar", "don't", "patient"):
        assert math.isclose(english.zipf(word), wordfreq.zipf_frequency(word, "en"), abs_tol=0.02)


def test_a_compound_is_as_frequent_as_its_rarest_part() -> None:
    """Compounds without an entry of their own are known by their parts, and unknown by an unknown part."""
    english = GeneralLanguage.of("en")
    assert english.zipf("pump-laminar") == english.zipf("laminar")
    assert english.zipf("pump-qzxvk") == 0.0
    assert english.zipf("freon-12") == english.zipf("freon")
    assert english.knows("valve-pump")
    assert not english.knows("mimikatz")


def test_general_english() -> None:
    """The frequent words make up nearly all of running English."""
    words = english_words()
    assert max(words, key=lambda word: words[word]) == "the"
    assert 0.85 < sum(words.values()) <= 1.0
