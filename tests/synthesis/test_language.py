"""Sentences and words, and which of them tell documents apart."""

import pytest

from dialekt.synthesis.language import Vocabulary, is_prose, join_words, sentences, words


def test_a_text_is_split_at_sentence_ends_lines_and_list_marks() -> None:
    """Abbreviations and decimal points end no sentence."""
    text = "Use e.g. a 2.5 mm key. Turn it!\nThen wait - twice - or more ; go on"
    assert sentences(text) == ["Use e.g. a 2.5 mm key.", "Turn it!", "Then wait", "twice", "or more", "go on"]


def test_words_keep_what_stands_inside_them() -> None:
    """File names and compounds stay whole; brackets and signs around words do not."""
    assert words("(open file.txt, man-made: user's --path)") == ["open", "file.txt", "man-made", "user's", "path"]


def test_scripts_without_blanks_are_read_and_written_without_blanks() -> None:
    """Every character is a word, and they are written together again."""
    found = words("太陽電池 inverter")
    assert found == ["太", "陽", "電", "池", "inverter"]
    assert join_words(found) == "太陽電池 inverter"


@pytest.mark.parametrize(
    ("sentence", "prose"),
    [
        ("The seal wears out, after (about) five years.", True),
        ("grep --count -r pattern path/to/file", False),
        ("3.1 4.7 8 12.0 kPa", False),
    ],
)
def test_prose_is_told_from_code_and_numbers(sentence: str, prose: bool) -> None:
    """Most parts of prose are plain words."""
    assert is_prose(sentence) is prose


def test_function_words_and_words_of_most_documents_tell_nothing_apart() -> None:
    """In a corpus on pumps, "pump" is no content word; in English, "the" never is."""
    vocabulary = Vocabulary.of([f"the pump of the kind number{number} and that is all of it" for number in range(60)])
    assert vocabulary.english
    assert vocabulary.content(["the", "pump", "number7"]) == ["number7"]
    assert vocabulary.rarity("number7") > vocabulary.rarity("pump")
