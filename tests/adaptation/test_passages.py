"""Documents become passages, and every passage is read once an epoch."""

from pathlib import Path

import numpy as np
import pytest
from tests.adaptation.conftest import write_texts
from transformers import AutoTokenizer

from dialekt.adaptation.passages import frame_of, plain_copy, plan_batches, read_passages, read_texts
from dialekt.errors import InputError, ModelError
from dialekt.store.tables import write_records
from dialekt.types import Document, no_progress

TEXT = "the water pump and the oil filter with a motor for the old belt " * 5


def test_long_texts_are_cut_into_even_passages(tiny_model: Path) -> None:
    """No token is lost, none is too much, and the frame is what the model's own tokenizer puts around a text."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    found = read_passages(tokenizer, [TEXT, "pump"], prompt="", max_tokens=16, progress=no_progress)
    whole = tokenizer(TEXT, truncation=False).input_ids
    assert [found.head, found.tail] == [(whole[0],), (whole[-1],)]
    assert np.concatenate(found.tokens).tolist() == whole[1:-1]
    assert {len(found.framed(tokens)) for tokens in found.tokens} <= {15, 16}
    assert found.framed(found.tokens[0])[0] == tokenizer.cls_token_id


def test_a_document_prompt_stands_before_every_passage(tiny_model: Path) -> None:
    """The model reads a passage as it reads a document."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    head, tail = frame_of(plain_copy(tokenizer), "search document: ")
    assert [*head, *tail] == tokenizer("search document: ").input_ids
    with pytest.raises(ModelError, match="passages of 8 tokens have no room beside the document prompt"):
        read_passages(tokenizer, [TEXT], prompt="search document: search", max_tokens=8, progress=no_progress)


def test_words_are_numbered_for_their_pieces(tiny_model: Path) -> None:
    """Pieces of one word have one number."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    found = read_passages(tokenizer, ["the pumps and xylem"], prompt="", max_tokens=32, progress=no_progress)
    pieces = tokenizer.convert_ids_to_tokens(found.tokens[0].tolist())
    assert pieces == ["the", "pump", "##s", "and", "x", "##y", "##l", "##e", "##m"]
    assert found.words[0].tolist() == [0, 1, 1, 2, 3, 3, 3, 3, 3]


def test_texts_come_once_each_and_not_at_all_from_nothing(tmp_path: Path) -> None:
    """Copies teach nothing new; an empty corpus is an error."""
    documents = [Document("a", "one", duplicate_of="a"), Document("b", "one", duplicate_of="a"), Document("c", "two")]
    write_records(tmp_path / "documents.parquet", documents, Document)
    assert sorted(read_texts(tmp_path, seed=1)) == ["one", "two"]
    write_texts(tmp_path, [])
    with pytest.raises(InputError, match="there is no document to learn from"):
        read_texts(tmp_path, seed=1)


def test_every_passage_is_read_once_an_epoch() -> None:
    """Two epochs hold every row twice, in another order; the same seed plans the same."""
    lengths = np.arange(50)
    planned = plan_batches(lengths, batch_size=8, epochs=2.0, seed=3)
    first, second = (np.concatenate(planned[half]) for half in (slice(0, 7), slice(7, 14)))
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(50))
    assert first.tolist() != second.tolist()
    again = plan_batches(lengths, batch_size=8, epochs=2.0, seed=3)
    assert [rows.tolist() for rows in planned] == [rows.tolist() for rows in again]
    assert len(plan_batches(lengths, batch_size=8, epochs=0.3, seed=3)) == 2
