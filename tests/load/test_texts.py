"""Texts of a load have the lengths that were asked for."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from dialekt.errors import InputError, UsageError
from dialekt.load.texts import Exactly, Length, make_texts, parse_length, read_texts


@pytest.mark.parametrize(
    ("length", "low", "high"), [(Length.SHORT, 8, 16), (Length.PASSAGE, 128, 128), (Exactly(40), 40, 40)]
)
def test_a_word_is_a_token(minilm: Path, length: Length | Exactly, low: int, high: int) -> None:
    """Made texts have as many tokens, special ones included, as their length says."""
    tokenizer = AutoTokenizer.from_pretrained(minilm)
    counts = [len(ids) for ids in tokenizer(make_texts(50, length, seed=1))["input_ids"]]
    assert (min(counts) >= low, max(counts) <= high) == (True, True)


def test_mixed_texts_are_short_and_long() -> None:
    """A mixture reaches from a few words to hundreds, with most of them short."""
    words = sorted(len(text.split()) for text in make_texts(500, Length.MIXED, seed=1))
    assert words[0] < 8
    assert 20 < words[250] < 60
    assert 250 < words[-1] <= 510


def test_equal_seeds_give_equal_texts() -> None:
    """A load can be sent again."""
    assert make_texts(5, Length.SHORT, seed=3) == make_texts(5, Length.SHORT, seed=3)
    assert make_texts(5, Length.SHORT, seed=3) != make_texts(5, Length.SHORT, seed=4)


@pytest.mark.parametrize("word", ["tiny", "2", "-5", "1.5"])
def test_lengths_that_are_none_are_refused(word: str) -> None:
    """A length is a known word or a number of tokens above the special ones."""
    with pytest.raises(UsageError, match="is no length") as caught:
        parse_length(word)
    assert "short, passage, mixed" in caught.value.hint


def test_texts_of_a_file_are_its_lines(tmp_path: Path) -> None:
    """Empty lines are left out; a file without texts is an error, as is one that is none."""
    path = tmp_path / "texts.txt"
    path.write_text("eins\n\n zwei \n", encoding="utf-8")
    assert read_texts(path) == ["eins", " zwei "]
    path.write_text("\n \n", encoding="utf-8")
    with pytest.raises(InputError, match="holds no text"):
        read_texts(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_texts(tmp_path / "nowhere.txt")
