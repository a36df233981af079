"""Terms of the documents become tokens: the tokenizer, the new rows, and the passages that show them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from tokenizers import AddedToken, Tokenizer

from dialekt.adaptation.passages import Passages, frame_of, plain_copy
from dialekt.errors import ModelError
from dialekt.models.tokens import encodable
from dialekt.types import Progress, ReportProgress

LEAST_PIECES = 2
WORDS_PER_PASSAGE = 40
MOST_PASSAGES_OF_TERMS = 65_536
_TEXTS_PER_CALL = 256
_ONE_WORD = re.compile(r"\w+")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class NewTerm:
    """A term as the tokenizer's normaliser leaves it, and the pieces that it was."""

    term: str
    pieces: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class TwoSpellings:
    """The same passages in new tokens and in old ones, row by row."""

    new: Passages
    old: Passages


def choose_terms(tokenizer: Any, found: Sequence[str], *, most: int) -> list[NewTerm]:
    """Return up to `most` of the terms, in their order: single words of several pieces, known ones, no tokens yet.

    A term is taken as the normaliser leaves it (lower case where the model knows no other), each once.
    """
    fast = plain_copy(tokenizer)
    space = _lone_spaces(fast)
    chosen: dict[str, NewTerm] = {}
    for word in found:
        term = _normalise(fast, word)
        known = term in chosen or fast.token_to_id(term) is not None
        if known or not _ONE_WORD.fullmatch(term) or len(chosen) >= most:
            continue
        ids = fast.encode(f" {term}", add_special_tokens=False).ids
        pieces = tuple(piece for piece in ids if piece not in space)
        if len(pieces) >= LEAST_PIECES and tokenizer.unk_token_id not in pieces:
            chosen[term] = NewTerm(term, pieces)
    return list(chosen.values())


def _normalise(tokenizer: Tokenizer, word: str) -> str:
    normaliser = tokenizer.normalizer
    return str(normaliser.normalize_str(word)) if normaliser is not None else word


def _lone_spaces(tokenizer: Tokenizer) -> set[int]:
    """Return the tokens that stand for a space and nothing else, as Unigram models have them."""
    return {number for piece in ("▁", "Ġ") if (number := tokenizer.token_to_id(piece)) is not None}


def extend(model: SentenceTransformer, terms: Sequence[NewTerm]) -> int:
    """Give a model a token and a row for each term, and return the number of the first one.

    A token stands for the whole word only, never for a part of a longer one, so that texts without the terms keep
    their tokens. It takes the space before it along, as the words of models with marked spaces do. A row starts as the
    mean of the rows of the term's pieces. Raises `ModelError` where the tokenizer does not number its tokens in a row.
    """
    tokenizer = model.tokenizer
    transformer = model[0].auto_model
    marks_spaces = bool(_lone_spaces(plain_copy(tokenizer)))
    first = len(tokenizer)
    added = tokenizer.add_tokens(
        [AddedToken(one.term, single_word=True, lstrip=marks_spaces, normalized=True) for one in terms]
    )
    numbers = tokenizer.convert_tokens_to_ids([one.term for one in terms])
    if added != len(terms) or numbers != list(range(first, first + added)):
        raise ModelError(
            "the tokenizer cannot be extended by whole words",
            hint="leave 'vocabulary' out of adaptation.methods for this model",
        )
    if first + added > len(transformer.get_input_embeddings().weight):
        transformer.resize_token_embeddings(first + added, mean_resizing=False)
    weight = transformer.get_input_embeddings().weight
    with torch.no_grad():
        for number, one in zip(numbers, terms, strict=True):
            weight[number] = weight[list(one.pieces)].mean(dim=0)
    return first


def show_terms(
    old: Tokenizer, new: Any, texts: Sequence[str], *, prompt: str, max_tokens: int, progress: ReportProgress
) -> TwoSpellings:
    """Return the pieces of texts that new tokens change, some 40 words each, in the order of the texts."""
    tokenizers = (plain_copy(new), old)
    frames = [frame_of(tokenizer, prompt) for tokenizer in tokenizers]
    found = [Passages([], [], *frame) for frame in frames]
    room = max_tokens - max(len(head) + len(tail) for head, tail in frames)
    for first in range(0, len(texts), _TEXTS_PER_CALL):
        parts = [part for text in texts[first : first + _TEXTS_PER_CALL] for part in _parts(encodable(text))]
        encoded = [tokenizer.encode_batch_fast(parts, add_special_tokens=False) for tokenizer in tokenizers]
        for both in zip(*encoded, strict=True):
            if both[0].ids != both[1].ids and len(both[1].ids) <= room:
                for passages, encoding in zip(found, both, strict=True):
                    passages.tokens.append(np.array(encoding.ids, dtype=np.int32))
                    passages.words.append(_unnumbered(encoding.ids))
        progress(Progress("looking for terms", min(first + _TEXTS_PER_CALL, len(texts)), len(texts)))
        if len(found[0].tokens) >= MOST_PASSAGES_OF_TERMS:
            break
    return TwoSpellings(*found)


def _parts(text: str) -> list[str]:
    words = _SPACE.split(text)
    return [" ".join(words[first : first + WORDS_PER_PASSAGE]) for first in range(0, len(words), WORDS_PER_PASSAGE)]


def _unnumbered(tokens: Sequence[int]) -> NDArray[np.int32]:
    """Return the numbers of words where nothing asks for them."""
    return np.zeros(len(tokens), dtype=np.int32)
