# ruff: noqa: RUF001 - texts in many scripts
"""Sentences and words, and which of them tell documents apart."""

import pytest

from dialekt.synthesis.language import Vocabulary, is_prose, join_words, sentences, words
from dialekt.types import Language


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


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("水泵漏水。请更换！「先断电。」再开始", ["水泵漏水。", "请更换！", "「先断电。」", "再开始"]),
        ("पंप बंद करें। वाल्व खोलें।", ["पंप बंद करें।", "वाल्व खोलें।"]),
        ("هل تعمل المضخة؟ نعم۔ لا", ["هل تعمل المضخة؟", "نعم۔", "لا"]),
        ("ปิดวาล์ว เปิดปั๊ม", ["ปิดวาล์ว", "เปิดปั๊ม"]),
    ],
)
def test_sentences_end_in_every_script(text: str, found: list[str]) -> None:
    """Without a blank behind the mark, with a danda, with the Arabic question mark; a blank ends a Thai clause."""
    assert sentences(text) == found


def test_vowel_signs_make_no_code() -> None:
    """Hindi and Arabic with its signs are prose."""
    assert is_prose("पंप से पानी रिस रहा है।")
    assert is_prose("المُضَخَّة تُسَرِّب الماء؟")


def test_function_words_are_those_of_the_language() -> None:
    """Each language has its own list; hiragana hold Japanese together; a run of katakana is one word."""
    german = Vocabulary.of(["die Pumpe und das Ventil"], language=Language.GERMAN)
    assert german.content(["die", "Pumpe", "und", "das", "Ventil"]) == ["Pumpe", "Ventil"]
    hindi = Vocabulary.of(["पंप की मरम्मत"], language=Language.HINDI)
    assert hindi.content(words("पंप की मरम्मत")) == ["पंप", "मरम्मत"]
    japanese = Vocabulary.of(["ポンプを交換する"], language=Language.JAPANESE)
    assert japanese.content(words("ポンプを交換する")) == ["ポンプ", "交", "換"]
    chinese = Vocabulary.of(["水泵的阀门"], language=Language.CHINESE)
    assert "的" not in chinese.content(words("水泵的阀门"))
