"""Texts to token ids and offsets."""

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from dialekt.models.tokens import _SLICE_CHARACTERS, BulkTokenizer


@pytest.fixture(scope="module")
def bulk(tiny_model: Path) -> BulkTokenizer:
    """The tiny model's tokenizer, cut at 16 tokens."""
    made = BulkTokenizer.of(AutoTokenizer.from_pretrained(tiny_model), 16)
    assert made is not None
    return made


def test_ids_equal_the_library_s(tiny_model: Path, bulk: BulkTokenizer) -> None:
    """Ids with prompt, special tokens and cut equal those of the model's own tokenizer."""
    texts = ["solar panel", "", "reset the password of my account " * 4, "Größe 5, naïve"]
    expected = AutoTokenizer.from_pretrained(tiny_model)(
        [f"query: {text}" for text in texts], truncation=True, max_length=16
    )["input_ids"]
    assert bulk.token_ids(texts, "query: ") == expected


def test_offsets_point_into_the_text(bulk: BulkTokenizer) -> None:
    """Offsets name the characters of each token, without special tokens."""
    text = "Reset the panels!"
    (offsets,) = bulk.offsets([text])
    assert [text[start:end] for start, end in offsets] == ["Reset", "the", "panel", "s", "!"]


def test_a_text_of_a_million_tokens(bulk: BulkTokenizer, recwarn: pytest.WarningsRecorder) -> None:
    """A very long text is tokenised in slices, in linear time and without a warning; ids look at its start only."""
    text = "solar panel cost " * 340_000
    start = time.perf_counter()
    assert len(bulk.token_ids([text], "")[0]) == 16
    assert time.perf_counter() - start < 0.5
    (offsets,) = bulk.offsets([text[: 17 * 34_000]])
    assert len(offsets) == 102_000
    assert not recwarn.list


def test_slices_join_seamlessly(bulk: BulkTokenizer) -> None:
    """A cut never divides a word: the tokens of the slices are those of the whole."""
    text = "battery " * (_SLICE_CHARACTERS // 7)
    (offsets,) = bulk.offsets([text])
    assert [text[start:end] for start, end in offsets] == text.split()


@settings(max_examples=50, deadline=None)
@given(text=st.text(alphabet=st.characters(), max_size=60))
def test_any_text_has_tokens(bulk: BulkTokenizer, text: str) -> None:
    """No string, lone surrogates included, breaks the tokenizer; offsets rise and stay inside the text."""
    bulk.token_ids([text], "")
    (offsets,) = bulk.offsets([text])
    assert all(0 <= start <= end <= len(text) for start, end in offsets)
    assert offsets == sorted(offsets)


def test_a_slow_tokenizer_is_not_wrapped() -> None:
    """Anything but a fast tokenizer is left to the library."""
    assert BulkTokenizer.of(object(), 16) is None
