"""New tokens stand for whole words, change nothing else, and are the same wherever the folder is read."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from tests.adaptation.conftest import LONG_TERM
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from tokenizers.decoders import ByteLevel
from transformers import AutoTokenizer, BertConfig, BertModel, PreTrainedTokenizerFast

from dialekt.adaptation.passages import plain_copy
from dialekt.adaptation.vocabulary import choose_terms, extend, show_terms
from dialekt.config import EngineName, ModelConfig, Precision
from dialekt.models.contract import read_contract, write_contract
from dialekt.models.encoder import Encoder, normalize
from dialekt.models.engines.graph import export_graph
from dialekt.models.engines.onnx_engine import OnnxEngine
from dialekt.models.engines.records import TokenRow
from dialekt.models.padding import PadStyle
from dialekt.models.tokens import BulkTokenizer
from dialekt.types import Role, no_progress

OTHERS = [
    "the water pump and the oil filter",
    f"{LONG_TERM}s are many",
    f"pre{LONG_TERM} and {LONG_TERM}_x",
    "an index, a table; and (one) more...",
    "",
]
WITH_TERM = [
    f"the {LONG_TERM} in oil", f"{LONG_TERM}, water", f"{LONG_TERM}", f"the pump-{LONG_TERM}-valve", "Pump hxq9 pump"
]  # fmt: skip


def load(folder: Path) -> Encoder:
    """Return an encoder of a folder in full precision."""
    return Encoder.load(str(folder), ModelConfig(device="cpu"), precision=Precision.FP32)


@pytest.fixture(scope="module")
def extended(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with two new tokens, saved."""
    folder = tmp_path_factory.mktemp("extended") / "model"
    encoder = load(tiny_model)
    terms = choose_terms(encoder.model.tokenizer, [LONG_TERM.capitalize(), "HXQ9", "pump", LONG_TERM], most=5)
    assert [one.term for one in terms] == [LONG_TERM, "hxq9"]
    before = len(encoder.model.tokenizer)
    assert extend(encoder.model, terms) == before
    assert len(encoder.model.tokenizer) == before + 2
    encoder.model.save_pretrained(str(folder), create_model_card=False)
    write_contract(folder, encoder.contract)
    return folder


def test_other_texts_keep_their_tokens_and_vectors(tiny_model: Path, extended: Path) -> None:
    """Also those that have the term inside a longer word: the greatest difference of a vector's component is 0."""
    old, new = load(tiny_model), load(extended)
    assert new.token_ids(OTHERS, Role.DOCUMENT) == old.token_ids(OTHERS, Role.DOCUMENT)
    difference = np.abs(new.encode(OTHERS, Role.DOCUMENT) - old.encode(OTHERS, Role.DOCUMENT)).max()
    assert difference < 1e-6


def test_texts_with_the_term_get_shorter(tiny_model: Path, extended: Path) -> None:
    """The term is one token in any case and between any marks, and the vector changes."""
    old, new = load(tiny_model), load(extended)
    pairs = zip(old.token_ids(WITH_TERM, Role.QUERY), new.token_ids(WITH_TERM, Role.QUERY), strict=True)
    assert all(len(after) < len(before) for before, after in pairs)
    pieces = new.model.tokenizer.convert_ids_to_tokens(new.token_ids([f"The {LONG_TERM.upper()}."], Role.QUERY)[0])
    assert pieces == ["[CLS]", "the", LONG_TERM, ".", "[SEP]"]
    assert not np.allclose(old.encode(WITH_TERM, Role.QUERY), new.encode(WITH_TERM, Role.QUERY))


def test_new_rows_are_the_mean_of_their_pieces(tiny_model: Path, extended: Path) -> None:
    """A row starts between its pieces; all old rows are byte for byte those of the base."""
    old, new = load(tiny_model), load(extended)
    pieces = old.token_ids(["hxq9"], Role.QUERY)[0][1:-1]
    rows = [encoder.model[0].auto_model.get_input_embeddings().weight.detach().numpy() for encoder in (old, new)]
    np.testing.assert_allclose(rows[1][-1], rows[0][pieces].mean(axis=0), atol=1e-6)
    assert (rows[1][: len(rows[0])] == rows[0]).all()


def test_everyone_reads_the_same_ids(extended: Path) -> None:
    """transformers, sentence-transformers, the bare tokenizer file that servers read, and our own bulk tokenizer."""
    texts = [*OTHERS, *WITH_TERM]
    ours = load(extended).token_ids(texts, Role.DOCUMENT)
    assert AutoTokenizer.from_pretrained(extended)(texts).input_ids == ours
    assert SentenceTransformer(str(extended), device="cpu").tokenizer(texts).input_ids == ours
    bare = Tokenizer.from_file(str(extended / "tokenizer.json"))
    bare.no_padding()
    assert [encoding.ids for encoding in bare.encode_batch(texts)] == ours
    assert read_contract(extended).max_tokens == 64


def test_other_engines_read_the_extended_model(extended: Path, tmp_path: Path) -> None:
    """An ONNX export has the new rows: its vectors are those of the model."""
    encoder = load(extended)
    export_graph(encoder.model, tmp_path / "model.onnx")
    style = PadStyle.of(encoder.model.tokenizer)
    engine = OnnxEngine(tmp_path / "model.onnx", name=EngineName.ONNX, precision="fp32", style=style)
    found = engine.run([TokenRow(ids) for ids in encoder.token_ids(WITH_TERM, Role.QUERY)])
    engine.close()
    np.testing.assert_allclose(normalize(found), encoder.encode(WITH_TERM, Role.QUERY), atol=1e-4)


def unigram() -> PreTrainedTokenizerFast:
    """Return a tokenizer of XLM-R's kind: Unigram, spaces marked."""
    letters = [(letter, -5.0) for letter in "abcdefghijklmnopqrstuvwxyz,.-"]
    words = [("▁the", -2.0), ("▁pump", -2.0), ("▁oil", -2.0), ("▁", -3.0)]
    tokenizer = Tokenizer(models.Unigram([("<unk>", 0.0), *words, *letters], unk_id=0, byte_fallback=False))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<unk>")


def byte_pairs() -> PreTrainedTokenizerFast:
    """Return a tokenizer of RoBERTa's kind: byte pairs, spaces marked."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("o", "i"), ("oi", "l"), ("Ġ", "oil")]
    vocabulary = {piece: row for row, piece in enumerate(["<unk>", *alphabet, *(a + b for a, b in merges)])}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<unk>")


def assemble(tokenizer: PreTrainedTokenizerFast, folder: Path) -> SentenceTransformer:
    """Return a model of two narrow layers over a tokenizer."""
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64
    )
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return SentenceTransformer(
        modules=[Transformer(str(folder), max_seq_length=64), Pooling(32, "mean"), Normalize()], device="cpu"
    )


@pytest.mark.parametrize("make", [unigram, byte_pairs])
def test_models_with_marked_spaces_are_extended_too(
    make: Callable[[], PreTrainedTokenizerFast], tmp_path: Path
) -> None:
    """The new token takes its space along; the words around it, and texts without it, keep their tokens."""
    model = assemble(make(), tmp_path / "plain")
    old = plain_copy(model.tokenizer)
    terms = choose_terms(model.tokenizer, ["autoklav", "oil"], most=5)
    assert [one.term for one in terms] == ["autoklav"]
    first = extend(model, terms)
    new = plain_copy(model.tokenizer)
    for text in ("the pump, the oil", "the autoklaven of oil", "autoklavierung", "the oil-pump."):
        assert new.encode(text).ids == old.encode(text).ids
    around = new.encode("the autoklav the oil").ids
    assert around == [*old.encode("the").ids, first, *old.encode(" the oil").ids]
    model.save_pretrained(str(tmp_path / "saved"), create_model_card=False)
    again = AutoTokenizer.from_pretrained(tmp_path / "saved")
    text = "the autoklav, the Autoklav and autoklav"
    ours = BulkTokenizer.of(again, 64)
    assert ours is not None
    assert again(text).input_ids == new.encode(text).ids == ours.token_ids([text], "")[0]


def test_passages_are_shown_in_both_spellings(tiny_model: Path, extended: Path) -> None:
    """Only texts with a new token, row by row in new tokens and in old ones."""
    old, new = load(tiny_model).model.tokenizer, load(extended).model.tokenizer
    shown = show_terms(plain_copy(old), new, [*OTHERS, *WITH_TERM], prompt="", max_tokens=64, progress=no_progress)
    assert len(shown.new.tokens) == len(shown.old.tokens) == len(WITH_TERM)
    assert [old.decode(tokens) for tokens in shown.old.tokens] == [
        old.decode(old(text).input_ids[1:-1]) for text in WITH_TERM
    ]
    assert all(len(after) < len(before) for before, after in zip(shown.old.tokens, shown.new.tokens, strict=True))
