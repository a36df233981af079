# ruff: noqa: RUF001 - texts in many scripts
"""Chunks cover the text, keep to the limit, share what they should, and end where sentences end."""

import itertools
import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialekt.corpus import chunking
from dialekt.corpus.chunking import Chunker, chunk_text, cut, word_offsets
from dialekt.types import Document

TEXTS = st.lists(
    st.sampled_from(["word", "Sentence.", "longer-word", "\n\n", "\n", "3.5", "ΩΩ", "a", "!"]), max_size=120
).map(" ".join)


def letter_pairs(texts: Sequence[str]) -> list[list[tuple[int, int]]]:
    """Tokenize words into pieces of two letters, as subword models do."""
    return [
        [
            (start, min(start + 2, word.end()))
            for word in re.finditer(r"\S+", text)
            for start in range(word.start(), word.end(), 2)
        ]
        for text in texts
    ]


@given(TEXTS, st.integers(1, 30), st.integers(0, 15))
def test_chunks_cover_the_text_within_the_limit(text: str, limit: int, overlap: int) -> None:
    """Every token is in a chunk; no chunk has more tokens than the limit; starts increase; overlap is bounded."""
    overlap = min(overlap, limit // 2)
    tokens = letter_pairs([text])[0]
    spans = cut(text, tokens, limit=limit, overlap=overlap)
    inside = [[token for token in tokens if start <= token[0] and token[1] <= end] for start, end in spans]
    assert all(len(chunk) <= limit for chunk in inside)
    assert {token for chunk in inside for token in chunk} == set(tokens)
    assert all(first[0] < second[0] for first, second in itertools.pairwise(spans))
    assert all(len({*a} & {*b}) <= overlap for a, b in itertools.pairwise(inside))
    assert (spans[0][0], spans[-1][1]) == (0, len(text))


@given(TEXTS, st.integers(2, 12))
def test_windows_do_not_change_what_is_covered(text: str, limit: int) -> None:
    """Tokenizing window by window covers the text as tokenizing it at once does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunking, "WINDOW_CHARACTERS", 40)
        spans = list(chunk_text(text, letter_pairs, limit=limit, overlap=limit // 2))
    assert (spans[0][0], spans[-1][1]) == (0, len(text))
    for start, end in spans:
        assert len(letter_pairs([text[start:end]])[0]) <= limit
    for (first, end), (start, _) in itertools.pairwise(spans):
        assert first < start <= end


def test_a_chunk_ends_at_a_paragraph_near_the_limit() -> None:
    """A paragraph end in the last part of the limit wins over a fuller chunk."""
    text = "one two three four.\n\nfive six seven eight nine ten"
    spans = cut(text, word_offsets([text])[0], limit=7, overlap=0)
    assert text[slice(*spans[0])].strip() == "one two three four."


def test_a_chunk_ends_at_a_sentence_when_there_is_no_paragraph() -> None:
    """A sentence end wins over the end of a mere word."""
    text = "one two three four. Five six seven eight nine ten"
    spans = cut(text, word_offsets([text])[0], limit=7, overlap=0)
    assert text[slice(*spans[0])].strip() == "one two three four."


def test_neighbours_share_the_overlap() -> None:
    """Without sentence ends the next chunk starts exactly `overlap` tokens before the end of the last."""
    text = " ".join(f"w{number}" for number in range(20))
    spans = cut(text, word_offsets([text])[0], limit=10, overlap=3)
    assert [text[slice(*span)].split()[0] for span in spans] == ["w0", "w7", "w14"]


def test_words_are_not_cut() -> None:
    """Subword tokens of one word stay together."""
    text = "abcdef " * 10
    spans = cut(text, letter_pairs([text])[0], limit=7, overlap=2)
    assert {word for span in spans for word in text[slice(*span)].split()} == {"abcdef"}


def test_a_character_of_several_tokens_does_not_stop_progress() -> None:
    """Byte-level tokenizers give one character several tokens; the chunks still end."""
    offsets = [(0, 1)] * 5 + [(1, 2)] * 5
    spans = cut("😀😀", offsets, limit=3, overlap=1)
    assert spans[-1][1] == 2
    assert len(spans) < 10


def test_a_long_document_is_tokenized_in_windows() -> None:
    """No call of the tokenizer sees more than a window, and calls grow with the text, not with its square."""
    seen: list[int] = []

    def count(texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        seen.extend(map(len, texts))
        return word_offsets(texts)

    text = "word " * 200_000
    chunks = sum(1 for _ in chunk_text(text, count, limit=256, overlap=32))
    assert max(seen) <= chunking.WINDOW_CHARACTERS
    assert sum(seen) < 1.1 * len(text)
    assert 200_000 / 256 < chunks < 200_000 / 128


def test_chunks_keep_their_parent_and_leave_room_for_the_title() -> None:
    """Chunk ids count from 0 within the parent; title and chunk together keep to the limit."""
    document = Document("d", " ".join(map(str, range(50))), "a title", "d", "d", {"k": "v"})
    chunks = list(Chunker(word_offsets, 12, 4).chunk([document]))
    assert [chunk.id for chunk in chunks] == [f"d#{number}" for number in range(len(chunks))]
    assert {(chunk.parent_id, chunk.title, chunk.metadata["k"]) for chunk in chunks} == {("d", "a title", "v")}
    assert max(len(word_offsets([chunk.content])[0]) for chunk in chunks) == 12


@pytest.mark.parametrize(
    ("sentences", "joint"),
    [
        (["水泵漏水，必须更换。", "用钥匙关闭阀门！", "请先断电，再开始工作。"], ""),
        (["पंप से पानी रिस रहा है।", "वाल्व को चाबी से बंद करें।", "बिजली पहले काट दें।"], " "),
        (["المضخة تسرب الماء؟", "أغلق الصمام بالمفتاح.", "افصل التيار أولا."], " "),
    ],
)
def test_chunks_end_at_the_sentence_ends_of_every_script(sentences: list[str], joint: str) -> None:
    """A full stop needs no blank behind it in Chinese; danda and the Arabic question mark end sentences too."""
    text = joint.join(sentences * 4)
    spans = cut(text, word_offsets([text])[0], limit=30, overlap=0)
    assert len(spans) > 1
    assert all(text[start:end].rstrip().endswith(tuple("。！।؟.")) for start, end in spans)


def test_a_text_without_any_mark_is_cut_between_syllables() -> None:
    """Thai has neither blanks nor full stops: no chunk begins with a vowel sign or ends with a vowel written first."""
    text = "ปั๊มรั่วและต้องเปลี่ยนใหม่ทันทีเพื่อความปลอดภัย" * 5
    characters = [(place, place + 1) for place in range(len(text))]
    spans = cut(text, characters, limit=40, overlap=8)
    assert len(spans) > 2
    assert not any(text[start] in "ัิีึืุู็่้๊๋์ะาำ" or text[end - 1] in "เแโใไ" for start, end in spans)


def test_tokens_that_begin_with_the_blank_before_them_end_sentences_too() -> None:
    """Tokenizers of XLM-R and Qwen count a blank to the word behind it: there is no gap between their tokens."""
    text = "One two three. Four five six. " * 6
    gapless = [(found.start(), found.end()) for found in re.finditer(r"\s?\w+|\.", text)]
    spans = cut(text, gapless, limit=10, overlap=2)
    assert all(text[start:end].rstrip().endswith(".") for start, end in spans)
