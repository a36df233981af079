"""Inputs of requests to token ids, and back."""

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from dialekt.errors import ModelError, RequestError, TokenizerError
from dialekt.models.engines.records import ModelInput, TokenizeOptions, TruncationDirection
from dialekt.models.engines.tokenizer import RequestTokenizer
from dialekt.models.tokens import BulkTokenizer

LONG = "reset the password of my account " * 10
PLAIN = TokenizeOptions()
UNCUT = TokenizeOptions(truncate=False)
LEFT = TokenizeOptions(direction=TruncationDirection.LEFT)


@pytest.fixture(scope="module")
def library(tiny_model: Path) -> AutoTokenizer:
    """The tiny model's own tokenizer."""
    return AutoTokenizer.from_pretrained(tiny_model)


@pytest.fixture(scope="module")
def tokenizer(library: AutoTokenizer) -> RequestTokenizer:
    """The tiny model's tokenizer for requests, cut at 16 tokens."""
    return RequestTokenizer.of(library, max_tokens=16, special_tokens=True, pair_segments=True)


def _ids(tokenizer: RequestTokenizer, *inputs: ModelInput, options: TokenizeOptions = PLAIN) -> list[list[int]]:
    return [row.ids for row in tokenizer.encode(inputs, options)]


@pytest.mark.parametrize("prompt", ["", "query: "])
def test_texts_are_tokenised_as_the_encoder_does(
    library: AutoTokenizer, tokenizer: RequestTokenizer, prompt: str
) -> None:
    """Ids of texts, cut ones too, are those of the bulk tokenizer, so the server's vectors are the library's."""
    texts = ["solar panel", "", LONG, "Größe 5, naïve", "lone \ud800 surrogate", "solar " * 5_000]
    bulk = BulkTokenizer.of(library, 16)
    assert bulk is not None
    found = _ids(tokenizer, *(ModelInput(text) for text in texts), options=TokenizeOptions(prompt))
    assert found == bulk.token_ids(texts, prompt)


@settings(max_examples=30, deadline=None)
@given(text=st.text(alphabet=st.characters(), max_size=60))
def test_any_text_can_be_tokenised_and_inspected(
    library: AutoTokenizer, tokenizer: RequestTokenizer, text: str
) -> None:
    """No string breaks the tokenizer; byte offsets rise and stay inside the text."""
    _ids(tokenizer, ModelInput(text))
    (tokens,) = tokenizer.inspect([ModelInput(text)], add_special_tokens=False)
    size = len(text.encode("utf-8", "replace"))
    starts = [token.start for token in tokens if token.start is not None]
    assert starts == sorted(starts)
    assert all(0 <= token.start <= (token.stop or 0) <= size for token in tokens if token.start is not None)


def test_a_left_cut_keeps_the_end(library: AutoTokenizer, tokenizer: RequestTokenizer) -> None:
    """With the left direction the beginning of a text goes away, special tokens stay."""
    whole = _ids(tokenizer, ModelInput(LONG), options=UNCUT)[0]
    cut = _ids(tokenizer, ModelInput(LONG), options=LEFT)[0]
    assert cut == [whole[0], *whole[-15:]]
    assert _ids(tokenizer, ModelInput("cable " * 5_000 + LONG), options=LEFT)[0] == cut


def test_without_truncation_all_tokens_stay(tokenizer: RequestTokenizer) -> None:
    """A text that may not be cut keeps its tokens; one far over the limit is refused before it is tokenised."""
    assert len(_ids(tokenizer, ModelInput(LONG), options=UNCUT)[0]) == 62
    with pytest.raises(RequestError, match=r"`inputs` must have less than 16 tokens\. Given: 4001 characters"):
        tokenizer.encode([ModelInput("x" * 4_001)], UNCUT)


def test_pairs_equal_the_library_s(library: AutoTokenizer, tokenizer: RequestTokenizer) -> None:
    """A pair has the ids and segments of the model's own tokenizer, the longer text cut first."""
    pairs = [("solar panel", "wind"), ("reset", LONG), (LONG, LONG), (LONG, "")]
    firsts, seconds = [one for one, _ in pairs], [other for _, other in pairs]
    expected = library(firsts, seconds, truncation=True, max_length=16, return_token_type_ids=True)
    rows = tokenizer.encode([ModelInput(one, pair=other) for one, other in pairs], PLAIN)
    assert [row.ids for row in rows] == expected["input_ids"]
    assert [row.segments for row in rows] == expected["token_type_ids"]


def test_segments_only_where_the_model_has_them(library: AutoTokenizer, tokenizer: RequestTokenizer) -> None:
    """Single texts have no segments, nor have pairs of a model without them."""
    bare = RequestTokenizer.of(library, max_tokens=16, special_tokens=True, pair_segments=False)
    assert bare.encode([ModelInput("solar", pair="wind")], PLAIN)[0].segments is None
    assert tokenizer.encode([ModelInput("solar")], PLAIN)[0].segments is None


def test_token_ids_are_tokenised_again_without_special_tokens(tokenizer: RequestTokenizer) -> None:
    """Ids keep the special tokens they bring and get no others; in a mixed batch every input keeps its place."""
    full, short = _ids(tokenizer, ModelInput("reset the panel"), ModelInput("solar wind"))
    inner = tuple(full[1:-1])
    inputs = [ModelInput("solar wind"), ModelInput(ids=tuple(full)), ModelInput(ids=inner), ModelInput("solar wind")]
    assert _ids(tokenizer, *inputs) == [short, full, list(inner), short]


def test_token_ids_behind_a_prompt_are_text(tokenizer: RequestTokenizer) -> None:
    """With a prompt, ids are decoded without special tokens and read as the text behind the prompt."""
    (ids,) = _ids(tokenizer, ModelInput("reset the panel"))
    options = TokenizeOptions("query: ")
    expected = _ids(tokenizer, ModelInput("reset the panel"), options=options)
    assert _ids(tokenizer, ModelInput(ids=tuple(ids)), options=options) == expected


@pytest.mark.parametrize("token", [-1, 100_000, 2**40])
def test_unknown_ids_are_refused(tokenizer: RequestTokenizer, token: int) -> None:
    """An id outside the vocabulary is an error on encoding and on decoding."""
    with pytest.raises(TokenizerError, match=f"token id {token} is not in the vocabulary"):
        tokenizer.encode([ModelInput(ids=(5, token))], PLAIN)
    with pytest.raises(TokenizerError, match="not in the vocabulary"):
        tokenizer.decode([[token]], skip_special_tokens=True)


def test_ids_of_no_text_are_refused(tokenizer: RequestTokenizer) -> None:
    """No ids are no input."""
    with pytest.raises(TokenizerError, match="stand for no text"):
        tokenizer.encode([ModelInput("solar"), ModelInput(ids=())], PLAIN)


def test_a_prompt_does_not_go_with_pairs(tokenizer: RequestTokenizer) -> None:
    """A pair behind a prompt is refused, as TEI does."""
    with pytest.raises(RequestError, match="cannot be set with pairs"):
        tokenizer.encode([ModelInput("solar", pair="wind")], TokenizeOptions("query: "))


def test_tokens_name_their_bytes(tokenizer: RequestTokenizer) -> None:
    """A token has the bytes of its piece of the text behind the prompt; special tokens have a name and no bytes."""
    (tokens,) = tokenizer.inspect([ModelInput("Größe, panels")], add_special_tokens=True, prompt="a: ")
    written = "a: Größe, panels".encode()
    assert [token.text for token in tokens if token.special] == ["[CLS]", "[SEP]"]
    assert all(token.start is None and token.stop is None for token in tokens if token.special)
    plain = [token for token in tokens if not token.special]
    assert [written[token.start : token.stop].decode() for token in plain] == [token.text for token in plain]
    assert plain[-1].text == "s"
    assert plain[-1].stop == len(written)


def test_inspecting_takes_time_in_proportion_to_the_text(tokenizer: RequestTokenizer) -> None:
    """Forty thousand tokens are a matter of a fraction of a second."""
    begun = time.perf_counter()
    (row,) = tokenizer.inspect([ModelInput("pump " * 40_000)], add_special_tokens=False)
    assert len(row) == 40_000
    assert time.perf_counter() - begun < 5.0


def test_tokens_of_a_pair_point_into_their_own_text(tokenizer: RequestTokenizer) -> None:
    """Offsets of the second text of a pair count from its own beginning."""
    (tokens,) = tokenizer.inspect([ModelInput("solar", pair="wind panel")], add_special_tokens=True)
    assert [(t.text, t.start) for t in tokens if not t.special] == [("solar", 0), ("wind", 0), ("panel", 5)]


def test_decoding_gives_the_text_back(tokenizer: RequestTokenizer) -> None:
    """Ids become text again, with or without special tokens."""
    rows = _ids(tokenizer, ModelInput("reset the panel"), ModelInput("solar"))
    assert tokenizer.decode(rows, skip_special_tokens=True) == ["reset the panel", "solar"]
    assert tokenizer.decode(rows[1:], skip_special_tokens=False) == ["[CLS] solar [SEP]"]


def test_slow_tokenizers_are_refused() -> None:
    """Anything but a fast tokenizer cannot be served."""
    with pytest.raises(ModelError, match="a slow one"):
        RequestTokenizer.of(object(), max_tokens=16, special_tokens=True, pair_segments=False)
