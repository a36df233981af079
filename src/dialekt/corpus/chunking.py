"""Long texts → overlapping chunks that fit the model, cut at a paragraph or sentence end near the limit."""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dialekt.corpus.records import CountTokens, Offsets
from dialekt.store.words import LETTERS, UNIT, may_break
from dialekt.types import Document

WINDOW_CHARACTERS = 200_000  # tokenized at once, so that a document of any length needs the memory of one window
BATCH_CHARACTERS = 1_000_000  # short documents are tokenized together
EARLIEST_CUT = 0.6  # share of the limit; a break before it would make chunks too short
_CLOSED_ENDS = "。！？｡।॥։።။៕"  # noqa: RUF001 - these end a sentence also where no blank follows
_SENTENCE_ENDS = frozenset(".!?:;…؟۔؛" + _CLOSED_ENDS)  # noqa: RUF001 - marks of several scripts are meant
_CLAUSE_ENDS = frozenset("，、；：")  # noqa: RUF001 - full-width marks are meant
_CLOSERS = "\"')]}»”’」』）】〉》"  # noqa: RUF001 - full-width marks are meant
_WORD = re.compile(rf"{UNIT}|(?:{LETTERS}|_)+|[^\w\s]")

# How good a place between two tokens is for a cut.
_NEVER, _INSIDE_WORD, _WORD_END, _LINE_END, _SENTENCE_END, _PARAGRAPH_END = range(-1, 5)


def word_offsets(texts: Sequence[str]) -> list[Offsets]:
    """Stand in for a tokenizer: words and punctuation marks count as one token each."""
    return [[match.span() for match in _WORD.finditer(text)] for text in texts]


def chunk_text(text: str, count_tokens: CountTokens, *, limit: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Yield character spans (start, end) of chunks of at most `limit` tokens that together cover the text.

    Neighbours share at most `overlap` tokens; each chunk starts after the start of the one before. Time is
    linear in the length of the text, memory is that of one window of `WINDOW_CHARACTERS`. Needs
    `overlap <= limit / 2`.
    """
    start, width = 0, WINDOW_CHARACTERS
    while True:
        end = _window_end(text, start, width)
        offsets = count_tokens([text[start:end]])[0]
        spans = cut(text[start:end], offsets, limit=limit, overlap=overlap)
        if end == len(text):
            yield from ((start + first, start + last) for first, last in spans)
            return
        if spans[-1][0] == 0:  # the limit is longer than the window
            width *= 2
            continue
        yield from ((start + first, start + last) for first, last in spans[:-1])
        start, width = start + spans[-1][0], WINDOW_CHARACTERS  # the last one may go on in the next window


def _window_end(text: str, start: int, width: int) -> int:
    """End a window between words, so that its tokens are those of the whole text."""
    end = start + width
    if end >= len(text):
        return len(text)
    blank = max(text.rfind(mark, start + width // 2, end) for mark in " \n。")
    return blank if blank > start else end


def cut(text: str, offsets: Offsets, *, limit: int, overlap: int) -> list[tuple[int, int]]:
    """Return the spans of the chunks of one text from its tokens' character offsets."""
    tokens = [span for span in offsets if span[1] > span[0]]
    if len(tokens) <= limit:
        return [(0, len(text))]
    breaks = _rate_breaks(text, tokens)
    spans = []
    first = 0
    while len(tokens) - first > limit:
        last = _best_cut(breaks, first, limit=limit, overlap=overlap)
        spans.append((tokens[first][0] if first else 0, tokens[last][0]))
        first = _start_after(breaks, first, last, overlap=overlap)
    spans.append((tokens[first][0], len(text)))
    return spans


def _rate_breaks(text: str, tokens: Offsets) -> list[int]:
    """Rate the place before each token: how good a chunk end it would be."""
    ratings = [_PARAGRAPH_END]
    for (_, end), (start, _) in itertools.pairwise(tokens):
        if start < end:
            ratings.append(_NEVER)
        else:
            left, right = _gap_around(text, end, start)
            ratings.append(_rate_gap(text, left, text[left:right]) if left < right else _rate_joint(text, end))
    return ratings


def _gap_around(text: str, end: int, start: int) -> tuple[int, int]:
    """Return where the blanks between two tokens begin and end: some tokenizers count them to the word behind."""
    while end and text[end - 1].isspace():
        end -= 1
    while start < len(text) - 1 and text[start].isspace():
        start += 1
    return end, start


def _rate_joint(text: str, place: int) -> int:
    """Rate a place without a blank: a sentence may end there in Chinese, and any unit of a script without blanks."""
    before, after = text[max(0, place - 3) : place].rstrip(_CLOSERS), text[place]
    if after in _CLOSERS or after in _SENTENCE_ENDS or after in _CLAUSE_ENDS:
        return _INSIDE_WORD
    if before and before[-1] in _CLOSED_ENDS:
        return _SENTENCE_END
    if before and before[-1] in _CLAUSE_ENDS:
        return _LINE_END
    return _WORD_END if may_break(text, place) else _INSIDE_WORD


def _rate_gap(text: str, end: int, gap: str) -> int:
    if "\n\n" in gap:
        return _PARAGRAPH_END
    before = text[max(0, end - 3) : end].rstrip(_CLOSERS)
    if before and before[-1] in _SENTENCE_ENDS:
        return _SENTENCE_END
    return _LINE_END if "\n" in gap else _WORD_END


def _best_cut(breaks: list[int], first: int, *, limit: int, overlap: int) -> int:
    """Choose the best place in the last part of the limit; among equals the last, so that chunks are full."""
    earliest = max(first + int(limit * EARLIEST_CUT), first + overlap + 1, first + 1)
    return max(range(min(earliest, first + limit), first + limit + 1), key=lambda place: (breaks[place], place))


def _start_after(breaks: list[int], first: int, last: int, *, overlap: int) -> int:
    """Start up to `overlap` tokens before the end `last`: at an early sentence start, else at a word."""
    places = range(min(max(last - overlap, first + 1), last), last + 1)
    for place in places[: len(places) // 2]:
        if breaks[place] >= _SENTENCE_END:
            return place
    return next((place for place in places if breaks[place] >= _WORD_END), places[0])


@dataclass(frozen=True)
class Chunker:
    """Cuts documents so that title and chunk together keep to `limit` tokens, with `overlap` tokens shared."""

    count_tokens: CountTokens
    limit: int
    overlap: int

    def batches(self, documents: Sequence[Document]) -> Iterator[tuple[list[Document], int]]:
        """Yield documents in batches worth one call of the tokenizer, each with how many are out by then."""
        batch: list[Document] = []
        characters = 0
        for done, document in enumerate(documents, start=1):
            batch.append(document)
            characters += len(document.text)
            if characters >= BATCH_CHARACTERS or done == len(documents):
                yield batch, done
                batch, characters = [], 0

    def chunk(self, documents: Sequence[Document]) -> Iterator[Document]:
        """Yield the chunks of the documents; `id#n` counts from 0 within a document."""
        titles = self.count_tokens([document.title for document in documents])
        offsets = self.count_tokens(
            [document.text if len(document.text) <= WINDOW_CHARACTERS else "" for document in documents]
        )
        for document, title, tokens in zip(documents, titles, offsets, strict=True):
            limit = self.limit - min(len(title), self.limit // 2)
            overlap = min(self.overlap, limit // 2)
            spans = (
                cut(document.text, tokens, limit=limit, overlap=overlap)
                if len(document.text) <= WINDOW_CHARACTERS
                else chunk_text(document.text, self.count_tokens, limit=limit, overlap=overlap)
            )
            texts = filter(None, (document.text[start:end].strip() for start, end in spans))
            for number, text in enumerate(texts if document.text else [""]):
                yield replace(document, id=f"{document.id}#{number}", text=text, duplicate_of="")
