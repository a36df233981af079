"""Documents → passages of tokens, and the order in which training reads them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from dialekt.errors import InputError, ModelError
from dialekt.models.tokens import encodable
from dialekt.store.tables import read_records
from dialekt.types import Document, Progress, ReportProgress

MOST_PASSAGES = 262_144
LEAST_PASSAGE_TOKENS = 4
MOST_CHARACTERS = 100_000
_TEXTS_PER_CALL = 256
_BATCHES_SORTED_TOGETHER = 16
_MOST_FRAME_SHARE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Passages:
    """Pieces of documents: `tokens` without special ones, and for each token the number of its word.

    `head` and `tail` are what the model sees around every document: special tokens, and the prompt.
    """

    tokens: list[NDArray[np.int32]]
    words: list[NDArray[np.int32]]
    head: tuple[int, ...]
    tail: tuple[int, ...]

    def framed(self, content: Sequence[int] | NDArray[np.int32]) -> list[int]:
        """Return tokens with what belongs before and after them."""
        return [*self.head, *(int(token) for token in content), *self.tail]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each passage (passages,)."""
        return np.array([len(tokens) for tokens in self.tokens], dtype=np.int64)


def read_texts(corpus: Path, *, seed: int) -> list[str]:
    """Return the texts of a corpus in random order, each once; raise `InputError` when there are none.

    Held-out documents are among them: they are what will be searched (docs/decisions/0005). Which of them answers a
    held-out query is not known here.
    """
    documents = [
        document.content[:MOST_CHARACTERS]
        for document in read_records(corpus / "documents.parquet", Document)
        if document.duplicate_of in {"", document.id} and document.content
    ]
    if not documents:
        raise InputError("there is no document to learn from", hint="set corpus.path to your documents")
    return [documents[row] for row in np.random.default_rng(seed).permutation(len(documents)).tolist()]


def read_passages(
    tokenizer: Any, texts: Sequence[str], *, prompt: str, max_tokens: int, progress: ReportProgress
) -> Passages:
    """Cut texts into passages of at most `max_tokens` tokens, frame included, of nearly equal length in each text.

    Reads texts until there are `MOST_PASSAGES`. Raises `ModelError` where the prompt leaves no room.
    """
    fast = plain_copy(tokenizer)
    head, tail = frame_of(fast, prompt)
    room = max_tokens - len(head) - len(tail)
    if room < max_tokens * _MOST_FRAME_SHARE:
        raise ModelError(
            f"passages of {max_tokens} tokens have no room beside the document prompt",
            hint="raise adaptation.max_tokens, or shorten model.document_prompt",
        )
    found = Passages([], [], head, tail)
    for first in range(0, len(texts), _TEXTS_PER_CALL):
        part = [encodable(text) for text in texts[first : first + _TEXTS_PER_CALL]]
        for encoding in fast.encode_batch(part, add_special_tokens=False):
            _cut(encoding, room, found)
        progress(Progress("reading documents", min(first + _TEXTS_PER_CALL, len(texts)), len(texts)))
        if len(found.tokens) >= MOST_PASSAGES:
            break
    return found


def _cut(encoding: Any, room: int, found: Passages) -> None:
    """Add the passages of one text; a rest too short to teach anything is left out."""
    tokens = np.array(encoding.ids, dtype=np.int32)
    if len(tokens) < min(LEAST_PASSAGE_TOKENS, room):
        return
    numbers = [-1 - place if word is None else word for place, word in enumerate(encoding.word_ids)]
    pieces = -(-len(tokens) // room)
    found.tokens.extend(np.array_split(tokens, pieces))
    found.words.extend(np.array_split(np.array(numbers, dtype=np.int32), pieces))


def plain_copy(tokenizer: Any) -> Tokenizer:
    """Return a private copy of a fast tokenizer without padding or limit; raise `ModelError` for a slow one."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        raise ModelError("the model has no fast tokenizer", hint="adaptation needs a transformer with a fast tokenizer")
    copy = Tokenizer.from_str(backend.to_str())
    copy.no_padding()
    copy.no_truncation()
    return copy


def frame_of(tokenizer: Tokenizer, prompt: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the tokens before every document, prompt included, and those after it."""
    encoding = tokenizer.encode("a")
    special = encoding.special_tokens_mask
    first, last = special.index(0), len(special) - special[::-1].index(0)
    prompted = tokenizer.encode(prompt, add_special_tokens=False).ids if prompt else []
    return (*encoding.ids[:first], *prompted), tuple(encoding.ids[last:])


def plan_batches(lengths: NDArray[np.int64], *, batch_size: int, epochs: float, seed: int) -> list[NDArray[np.int64]]:
    """Return the rows of every step: each epoch in another order, batches of similar length in random order."""
    generator = np.random.default_rng([seed, len(lengths)])
    steps = max(1, round(epochs * -(-len(lengths) // batch_size)))
    planned: list[NDArray[np.int64]] = []
    while len(planned) < steps:
        planned += _epoch(lengths, batch_size, generator)
    return planned[:steps]


def _epoch(lengths: NDArray[np.int64], batch_size: int, generator: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    order = generator.permutation(len(lengths))
    group = batch_size * _BATCHES_SORTED_TOGETHER
    batches = []
    for start in range(0, len(order), group):
        rows = order[start : start + group]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        batches += [rows[first : first + batch_size] for first in range(0, len(rows), batch_size)]
    return (batches[place] for place in generator.permutation(len(batches)).tolist())
