# ruff: noqa: RUF001, RUF002 - texts in many scripts
"""Words of any script."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialekt.store.words import (
    comparison_form,
    count_words,
    find_terms,
    find_words,
    first_words,
    may_break,
    normalised_tokens,
    plain_digits,
    run_ends,
    search_form,
    spelling_form,
)

LATIN = st.text(st.characters(codec="latin-1"))


@given(LATIN)
def test_latin_text_is_what_it_always_was(text: str) -> None:
    """In western texts words are runs of letters, digits and underscores, and parts between blanks are counted."""
    plain = text.replace("\u00ad", "")
    assert find_words(plain) == find_terms(plain) == re.findall(r"\w+", plain)
    assert count_words(plain) == len(plain.split())
    assert search_form(plain) == unicodedata.normalize("NFC", plain).lower()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("हिन्दी में खोज", ["हिन्दी", "में", "खोज"]),
        ("مُحَمَّد يكتب", ["مُحَمَّد", "يكتب"]),
        ("می\u200cخواهم برو", ["می\u200cخواهم", "برو"]),
        ("cafe\u0301 noir", ["cafe\u0301", "noir"]),
        ("重置iPhone密码。", ["重", "置", "iPhone", "密", "码"]),
        ("ガス・水", ["ガ", "ス", "水"]),
        ("เปลี่ยนปั๊มน้ำ", ["เป", "ลี่", "ย", "น", "ปั๊", "ม", "น้ำ"]),
        ("ខ្មែរ", ["ខ្មែ", "រ"]),
        ("한국어 검색!", ["한국어", "검색"]),
        ("👩‍💻 🎉", []),
    ],
)
def test_marks_stay_with_their_letters_and_units_are_told(text: str, words: list[str]) -> None:
    """A vowel sign is part of its word; without blanks the unit is an ideograph, a kana or a written syllable."""
    assert find_words(text) == words


def test_what_a_search_compares_are_overlapping_pairs() -> None:
    """Pairs never reach over a blank, a mark or another script; a unit that stands alone is a term."""
    assert find_terms("重置密码 水 iPhone手机，充电") == ["重置", "置密", "密码", "水", "iPhone", "手机", "充电"]
    assert run_ends("重置密码 水 iPhone手机") == ["码", "机"]
    assert run_ends("plain") == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Straße", "STRASSE"),
        ("İstanbul", "istanbul"),
        ("ISPARTA", "ısparta"),
        ("cafe\u0301", "CAFÉ"),
        ("ＡＢＣ１２３", "abc123"),
        ("ﾊﾟｽﾜｰﾄﾞ", "パスワード"),
        ("مُحَمَّد", "محمد"),
        ("محـــمد", "محمد"),
        ("שָׁלוֹם", "שלום"),
        ("می\u200cخواهم", "میخواهم"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("👍\ufe0f ok", "👍 OK"),
    ],
)
def test_what_is_written_in_two_ways_is_the_same(one: str, other: str) -> None:
    """Case, encoding, width and optional signs tell no texts apart."""
    assert normalised_tokens(one) == normalised_tokens(other)
    assert comparison_form(one) == comparison_form(other)


def test_what_differs_by_a_sign_stays_apart() -> None:
    """か and が, का and की, мой and мои are different words, in every form of comparison."""
    for one, other in (("か", "が"), ("バス", "パス"), ("का", "की"), ("мой", "мои"), ("ใกล้", "ไกล")):
        assert normalised_tokens(one) != normalised_tokens(other)
        assert spelling_form(one) != spelling_form(other)
        assert search_form(one) != search_form(other)


def test_spellings_of_letters_with_case_lose_their_accents() -> None:
    """A Greek or Russian search is often typed without; й is no и."""
    assert spelling_form("Αντλία") == spelling_form("ΑΝΤΛΙΑ")
    assert spelling_form("ёлка") == spelling_form("Елка")


def test_turkish_has_two_letters_i() -> None:
    """The capital of ı is I, and that of i is İ."""
    assert search_form("IŞIK İZMİR", turkish=True) == "ışık izmir"
    assert search_form("IŞIK İZMİR") == "işik izmir"


def test_lengths_are_those_of_people() -> None:
    """Two units without blanks are a word; a beginning ends between units."""
    assert count_words("重置密码") == 2
    assert count_words("iPhone手机 reset") == 3
    assert count_words("") == 0
    assert first_words("重置密码的方法说明", 3) == "重置密码的方"
    assert first_words("one two three", 2) == "one two"
    assert first_words("重置密码 reset it", 3) == "重置密码 reset"


def test_a_text_is_cut_between_units_only() -> None:
    """Never between a letter and its sign, never after a vowel that is written first, never inside a Latin word."""
    assert may_break("密码", 1)
    assert not may_break("ปั๊ม", 1)
    assert not may_break("เป", 1)
    assert not may_break("น้ำ", 2)
    assert not may_break("word", 2)


def test_digits_of_every_script_are_digits() -> None:
    """The length stays, so that places in the text do; what is no decimal digit stays too."""
    assert plain_digits("٠٥٠-१२३ ½ ²") == "050-123 ½ ²"


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    """Any text has words, a length and a beginning."""
    assert all(find_words(text))
    assert len(find_terms(text)) <= len(find_words(text))
    assert normalised_tokens(text)
    assert count_words(first_words(text, 3)) <= 3
