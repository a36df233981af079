"""Inputs of requests → rows of token ids, the same ids that the library makes; and back, for /tokenize and /decode."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, Self, TypeAlias, assert_never

from tokenizers import Encoding, Tokenizer

from dialekt.errors import ModelError, RequestError, TokenizerError
from dialekt.models.engines.records import ModelInput, TokenizeOptions, TokenRow, TruncationDirection
from dialekt.models.tokens import CHARACTERS_PER_TOKEN, encodable

_MOST_CHARACTERS_PER_TOKEN = 250  # beyond it a text that must not be cut is refused without being tokenised
_MOST_ID = 2**32 - 1  # of the tokenizer library

_Text: TypeAlias = str | tuple[str, str]


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """One token of a text: the bytes (start, stop) of the text in UTF-8, None for special tokens."""

    id: int
    text: str
    special: bool
    start: int | None
    stop: int | None


class RequestTokenizer:
    """Private copies of a fast tokenizer, one per way to cut. Nothing changes after it is made: threads may share it.

    `pair_segments` says whether the model tells the two texts of a pair apart by segment numbers.
    """

    def __init__(self, tokenizer: Tokenizer, *, max_tokens: int, special_tokens: bool, pair_segments: bool):
        self.max_tokens = max_tokens
        self._special_tokens = special_tokens
        self._pair_segments = pair_segments
        self._whole = Tokenizer.from_str(tokenizer.to_str())
        self._whole.no_padding()
        self._whole.no_truncation()
        self._cut_right = self._cutting(TruncationDirection.RIGHT)

    @classmethod
    def of(cls, tokenizer: Any, *, max_tokens: int, special_tokens: bool, pair_segments: bool) -> Self:
        """Return a request tokenizer of a transformers or tokenizers tokenizer. Raises `ModelError` for a slow one."""
        backend = tokenizer if isinstance(tokenizer, Tokenizer) else getattr(tokenizer, "backend_tokenizer", None)
        if not isinstance(backend, Tokenizer):
            raise ModelError(
                f"the model's tokenizer, {type(tokenizer).__name__}, is a slow one, which cannot be served",
                hint="give the model's folder a tokenizer.json",
            )
        return cls(backend, max_tokens=max_tokens, special_tokens=special_tokens, pair_segments=pair_segments)

    @property
    def vocabulary_size(self) -> int:
        """Number of tokens, added ones included."""
        return self._whole.get_vocab_size(with_added_tokens=True)

    def encode(self, inputs: Sequence[ModelInput], options: TokenizeOptions) -> list[TokenRow]:
        """Return a row of token ids per input, in their order.

        Raises `RequestError` for a prompt before a pair and for a text that may not be cut and is far too long,
        `TokenizerError` for token ids that are not in the vocabulary or stand for no text.
        """
        texts = [self._text(item, options) for item in inputs]
        # Token ids bring their own special tokens; behind a prompt they are text like any other.
        bare = {row for row, item in enumerate(inputs) if item.ids is not None and not options.prompt}
        if not bare:
            return self._rows(texts, options, special_tokens=self._special_tokens)
        rows = iter(
            self._rows([t for n, t in enumerate(texts) if n not in bare], options, special_tokens=self._special_tokens)
        )
        bare_rows = iter(self._rows([texts[n] for n in sorted(bare)], options, special_tokens=False))
        found = [next(bare_rows if number in bare else rows) for number in range(len(texts))]
        if any(not found[number].ids for number in bare):
            raise TokenizerError("the token ids stand for no text")
        return found

    def inspect(
        self, inputs: Sequence[ModelInput], *, add_special_tokens: bool, prompt: str = ""
    ) -> list[list[TokenInfo]]:
        """Return the tokens of every input behind the prompt, uncut."""
        options = TokenizeOptions(prompt, truncate=False)
        texts = [self._joined(item, options) for item in inputs]
        encodings = self._whole.encode_batch(texts, add_special_tokens=add_special_tokens)
        return [_token_infos(text, encoding) for text, encoding in zip(texts, encodings, strict=True)]

    def decode(self, ids: Sequence[Sequence[int]], *, skip_special_tokens: bool) -> list[str]:
        """Return the texts that rows of token ids stand for. Raises `TokenizerError` for an unknown id."""
        for row in ids:
            self._check_known(row)
        return list(self._whole.decode_batch([list(row) for row in ids], skip_special_tokens=skip_special_tokens))

    def _rows(self, texts: list[_Text], options: TokenizeOptions, *, special_tokens: bool) -> list[TokenRow]:
        encodings = self._tokenizer(options).encode_batch_fast(texts, add_special_tokens=special_tokens)
        if not self._pair_segments:
            return [TokenRow(encoding.ids) for encoding in encodings]
        return [
            TokenRow(encoding.ids, encoding.type_ids if isinstance(text, tuple) else None)
            for text, encoding in zip(texts, encodings, strict=True)
        ]

    def _text(self, item: ModelInput, options: TokenizeOptions) -> _Text:
        """Return what is tokenised of an input: never much more than the model can read."""
        joined = self._joined(item, options)
        if isinstance(joined, str):
            return self._bounded(joined, options, prompt_length=len(options.prompt))
        first, second = joined
        return self._bounded(first, options), self._bounded(second, options)

    def _joined(self, item: ModelInput, options: TokenizeOptions) -> _Text:
        if item.pair is not None:
            if options.prompt:
                raise RequestError("`prompt_name` cannot be set with pairs of texts", param="prompt_name")
            return encodable(item.text), encodable(item.pair)
        if item.ids is None:
            return encodable(options.prompt + item.text)
        (text,) = self.decode([item.ids], skip_special_tokens=bool(options.prompt))
        return encodable(options.prompt + text)

    def _bounded(self, text: str, options: TokenizeOptions, *, prompt_length: int = 0) -> str:
        if not options.truncate:
            if len(text) > self.max_tokens * _MOST_CHARACTERS_PER_TOKEN:
                given = f"{len(text)} characters"
                raise RequestError(f"`inputs` must have less than {self.max_tokens} tokens. Given: {given}")
            return text
        most = self.max_tokens * CHARACTERS_PER_TOKEN
        if len(text) <= most:
            return text
        match options.direction:
            case TruncationDirection.RIGHT:
                return text[: prompt_length + most]
            case TruncationDirection.LEFT:
                return text[-most:]
            case _:
                assert_never(options.direction)

    def _tokenizer(self, options: TokenizeOptions) -> Tokenizer:
        if not options.truncate:
            return self._whole
        return self._cut_right if options.direction is TruncationDirection.RIGHT else self._cut_left

    @cached_property
    def _cut_left(self) -> Tokenizer:
        return self._cutting(TruncationDirection.LEFT)

    def _cutting(self, direction: TruncationDirection) -> Tokenizer:
        tokenizer = Tokenizer.from_str(self._whole.to_str())
        tokenizer.enable_truncation(self.max_tokens, direction=direction.value)
        return tokenizer

    def _check_known(self, ids: Sequence[int]) -> None:
        for token in set(ids):
            if not 0 <= token <= _MOST_ID or self._whole.id_to_token(token) is None:
                raise TokenizerError(f"token id {token} is not in the vocabulary of {self.vocabulary_size} tokens")


def limit_workers(threads: int) -> None:
    """Let the tokenizer library use so many threads; heeded until it tokenises its first batch."""
    os.environ["RAYON_NUM_THREADS"] = str(threads)


def _token_infos(text: _Text, encoding: Encoding) -> list[TokenInfo]:
    texts = (text,) if isinstance(text, str) else text
    places = [_byte_places(part) for part in texts]
    infos = []
    # Each of these is a list that the library makes anew whenever it is asked for.
    columns = (encoding.ids, encoding.tokens, encoding.special_tokens_mask, encoding.sequence_ids, encoding.offsets)
    for identity, token, special, sequence, (start, stop) in zip(*columns, strict=True):
        if special or sequence is None:
            infos.append(TokenInfo(identity, token, special=True, start=None, stop=None))
            continue
        at = places[sequence]
        infos.append(TokenInfo(identity, texts[sequence][start:stop], special=False, start=at[start], stop=at[stop]))
    return infos


def _byte_places(text: str) -> Sequence[int]:
    """Return, per character and for the end, the byte of the text in UTF-8 at which it begins."""
    if text.isascii():
        return range(len(text) + 1)
    return list(accumulate((len(character.encode()) for character in text), initial=0))
