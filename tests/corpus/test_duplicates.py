"""Repeated and nearly repeated texts are found, unlike ones are left alone."""

import random
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialekt.corpus.duplicates import SIGNATURE_LENGTH, find_duplicates, jaccard, rows_per_band, shingles


def passage(generator: random.Random, words: int = 60) -> list[str]:
    """Return random words."""
    return [f"w{generator.randrange(5_000)}" for _ in range(words)]


def test_case_and_blanks_do_not_tell_texts_apart() -> None:
    """Texts that differ in case and whitespace only are exact duplicates of the first."""
    found = find_duplicates(["The  Cat\nsat.", "other", "the cat sat.", "THE CAT SAT."], similarity=0.9)
    assert found.first == (0, 1, 0, 0)
    assert (found.exact, found.near) == (2, 0)


def test_nearly_equal_texts_form_one_cluster_named_by_the_first() -> None:
    """A chain of small changes is one cluster."""
    words = passage(random.Random(1), 200)
    texts = [" ".join([*words[:-step], *(f"x{n}" for n in range(step))]) for step in (1, 2, 3)]
    found = find_duplicates(["unlike text", *texts], similarity=0.9)
    assert found.first == (0, 1, 1, 1)
    assert (found.exact, found.near) == (0, 2)


@pytest.mark.parametrize("similarity", [0.6, 0.8, 0.9])
def test_candidates_agree_with_comparing_all(similarity: float) -> None:
    """The pairs found are those that comparing every text with every other finds."""
    generator = random.Random(7)
    texts = []
    for _ in range(40):
        words = passage(generator)
        texts += [" ".join([*(f"c{n}" for n in range(changes)), *words[changes:]]) for changes in (0, 1, 3, 8)]
    sets = [shingles(text) for text in texts]
    found = find_duplicates(texts, similarity=similarity).first
    for place in range(len(texts)):
        like = [other for other in range(place) if jaccard(sets[other], sets[place]) >= similarity]
        assert all(found[other] == found[place] for other in like)
        assert like or found[place] == place


@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)))
def test_jaccard_is_the_share_of_common_members(left: set[int], right: set[int]) -> None:
    """The similarity equals its definition; that of two empty sets is 0."""
    arrays = [np.array(sorted(members), dtype=np.uint64) for members in (left, right)]
    assert jaccard(*arrays) == (len(left & right) / len(left | right) if left | right else 0.0)


def test_texts_without_words_are_not_near_duplicates() -> None:
    """Punctuation has no shingles, so it resembles nothing."""
    assert find_duplicates(["!!!", "???", "..."], similarity=0.9).first == (0, 1, 2)


def test_scripts_without_blanks_are_compared_by_character() -> None:
    """One changed character in a long Chinese text leaves it a near duplicate."""
    text = "".join(chr(0x4E00 + number) for number in range(200))
    assert find_duplicates([text, text[:-1] + "字"], similarity=0.9).first == (0, 0)


@pytest.mark.parametrize("similarity", [0.51, 0.7, 0.9, 0.99, 1.0])
def test_bands_catch_pairs_at_the_threshold(similarity: float) -> None:
    """The chance to miss a pair exactly at the threshold is below one in a thousand."""
    rows = rows_per_band(similarity)
    assert (1 - similarity**rows) ** (SIGNATURE_LENGTH // rows) <= 0.001


def test_boilerplate_costs_no_quadratic_time() -> None:
    """A thousand texts from one template are handled without comparing all of them."""
    template = passage(random.Random(3), 80)
    texts = [" ".join([*template, f"number {n} of {n * 7}"]) for n in range(1_000)]
    start = time.process_time()
    found = find_duplicates(texts, similarity=0.9)
    assert found.near == 999
    assert time.process_time() - start < 5  # comparing all pairs takes ten times as long


@pytest.mark.parametrize(
    "text",
    [
        "पंप से पानी रिस रहा है और उसे तुरंत बदलना होगा वाल्व को चाबी से बंद करें और बिजली काट दें",
        "ปั๊มรั่วและต้องเปลี่ยนใหม่ทันทีเพื่อความปลอดภัยของผู้ใช้งานทุกคนในอาคารนี้",
        "المُضَخَّة تُسَرِّب الماء ويجب استبدالها فورا يتم إغلاق الصمام في الوحدة من قبل الفني",
    ],
)
def test_vowel_signs_tell_texts_apart_and_optional_ones_do_not(text: str) -> None:
    """Two texts of one script with other vowels are unlike; Arabic with and without its signs is the same text."""
    other = text.translate(str.maketrans("ािीาิี", "ोुूีุู"))
    without = "".join(sign for sign in text if not "\u064b" <= sign <= "\u0652")
    found = find_duplicates([text, without, other], similarity=0.9).first
    assert found[1] == 0
    assert found[2] == (0 if other == text else 2)
