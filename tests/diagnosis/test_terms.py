"""Words, their tokens, and what kind of word each is."""

import re
from collections.abc import Sequence

import numpy as np
import pytest

from dialekt.diagnosis.frequencies import GeneralLanguage
from dialekt.diagnosis.terms import Vocabulary, is_code, is_plain, ranked, read_words


def letters_and_words(texts: Sequence[str]) -> list[list[tuple[int, int]]]:
    """Cut small words off whole, others into pieces of three characters, as a tokenizer might."""
    return [[match.span() for match in re.finditer(r"[a-z]+|\S{1,3}|\s", text)] for text in texts]


def vocabulary(*texts: str) -> Vocabulary:
    """Read texts by the toy tokenizer."""
    return Vocabulary.of(read_words(texts, letters_and_words))


@pytest.mark.parametrize(
    "term", ["MRI", "APIs", "T1059.001", "libc6-dev", "x86_64", "COVID-19", "snake_case", "SSL/TLS", "I/O", "U.S"]
)
def test_codes(term: str) -> None:
    """Acronyms, letters with digits and identifiers are codes."""
    assert is_code(term)
    assert not is_plain(term)


@pytest.mark.parametrize("term", ["Word", "third-party", "O'Brien", "file.txt", "straße", "PowerShell"])
def test_plain_words(term: str) -> None:
    """Words of letters are plain, whatever joins them."""
    assert is_plain(term)


@pytest.mark.parametrize("term", ["2nd", "90s", "10mg", "3-day", "18-year-old", "and/or", "path/to/file1", "a"])
def test_quantities_are_neither(term: str) -> None:
    """Quantities, paths and single letters are neither codes nor plain words."""
    assert not is_code(term)
    assert not is_plain(term)


def test_words_of_a_text() -> None:
    """Joints inside a word stay, numbers are no words, and a sentence that starts without a blank is its own."""
    words = read_words(["The MRI's end.Next libc6-dev, 2,000 हिन्दी 数据 don't"], letters_and_words)
    assert words.spellings == ("The", "MRI", "end", "Next", "libc6-dev", "हिन्दी", "数", "据", "don't")


def test_tokens_of_a_word() -> None:
    """A token belongs to the word that it shares characters with; blanks and marks belong to none."""
    words = read_words(["the SUBJECTS, T1059.001 the", "", "..."], letters_and_words)
    assert words.pieces.tolist() == [1, 3, 3, 1]
    assert words.text_rows.tolist() == [0, 0, 0, 0]
    assert words.fertility == 2.0
    assert words.texts == 3


def test_byte_level_tokens_that_hold_the_blank_before() -> None:
    """A token of a blank and a word counts for the word, and a token of no characters for none."""
    words = read_words(["one two"], lambda texts: [[(0, 0), (0, 3), (3, 7)] for _ in texts])
    assert words.pieces.tolist() == [1, 1]


def test_spellings_are_joined() -> None:
    """A word is shown in its commonest spelling and counted in all of them."""
    found = vocabulary("Cell cell", "cell wall", "CELL biology of the cell in a culture")
    row = found.terms.index("cell")
    assert "Cell" not in found.terms
    assert (found.counts[row], found.documents[row]) == (5, 3)


def test_a_text_that_shouts_holds_no_acronyms() -> None:
    """Capitals mean nothing where all is written in capitals."""
    assert vocabulary("STOP THE PUMP NOW", "the MRI scan was clear").terms[:3] == ("stop", "the", "pump")
    assert "MRI" in vocabulary("the MRI scan was clear").terms


def test_joints_are_no_fragments() -> None:
    """A compound of two whole words is not fragmented; a word of three tokens has two too many."""
    found = vocabulary("third-party SUBJECT")
    assert found.excess.tolist() == [0, 2]


def test_rare_words_are_not_shown() -> None:
    """A word in fewer than five texts is never ranked, however often it occurs."""
    found = vocabulary(*["secret " * 9] * 4, *["pump"] * 5)
    assert [found.terms[row] for row in ranked(found, found.counts.astype(np.float64), most=9)] == ["pump"]


def test_the_record_of_a_word() -> None:
    """A term says how often, in how many texts and tokens, and how frequent it is in general."""
    found = vocabulary("the SUBJECT of it", "a Subject")
    term = found.term(found.terms.index("SUBJECT"), GeneralLanguage.of("en"))
    assert (term.count, term.documents, term.pieces) == (2, 2, 2)
    assert term.zipf > 4


def test_no_texts() -> None:
    """Without texts there are no words, and nothing fails."""
    found = vocabulary()
    assert found.terms == ()
    assert found.words.fertility == 0.0
    assert ranked(found, found.counts.astype(np.float64), most=3) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("पंप की मरम्मत", ("पंप", "की", "मरम्मत")),
        ("الصَّمّام مُغلق", ("الصَّمّام", "مُغلق")),
        ("เปลี่ยนวาล์ว", ("เป", "ลี่", "ย", "น", "วา", "ล์", "ว")),
        ("水泵 MRI-2 ok", ("水", "泵", "MRI-2", "ok")),
    ],
)
def test_words_of_every_script_keep_their_signs(text: str, words: tuple[str, ...]) -> None:
    """A vowel sign is part of its word; scripts without blanks are read in units."""
    assert read_words([text], lambda texts: [[] for _ in texts]).spellings == words
