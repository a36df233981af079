"""Texts to vectors."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer, models, pre_tokenizers

from dialekt.config import ModelConfig, Precision
from dialekt.errors import ModelError
from dialekt.models.encoder import Encoder, budget_batches
from dialekt.types import Progress, Role

TEXTS = [
    "reset the password of my account",
    "",
    "solar panel cost " * 40,
    "solar",
    "How do I install a battery, an inverter and a cable on the roof?",
    "the invoice",
]


@pytest.fixture(scope="module")
def encoder(tiny_model: Path) -> Encoder:
    """The tiny model in fp32."""
    return Encoder.load(str(tiny_model), ModelConfig(), precision=Precision.FP32)


def test_vectors_equal_the_library_s(encoder: Encoder, tiny_model: Path) -> None:
    """Our batches and tokens give the vectors of SentenceTransformer.encode, in the order of the texts."""
    library = SentenceTransformer(str(tiny_model), device="cpu").encode(TEXTS, normalize_embeddings=True)
    assert np.abs(encoder.encode(TEXTS, Role.DOCUMENT) - library).max() < 1e-6


def test_a_batch_equals_single_texts(encoder: Encoder) -> None:
    """A vector does not depend on the texts beside it."""
    single = np.concatenate([encoder.encode([text], Role.QUERY) for text in TEXTS])
    assert np.abs(encoder.encode(TEXTS, Role.QUERY) - single).max() < 1e-6


def test_shape_type_and_length(encoder: Encoder) -> None:
    """Vectors are float32 of length 1, also for an empty text; no texts give an empty matrix."""
    vectors = encoder.encode(TEXTS, Role.QUERY)
    assert vectors.shape == (6, 32)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert encoder.encode([], Role.QUERY).shape == (0, encoder.dimension)


def test_shared_words_make_near_texts(encoder: Encoder) -> None:
    """The tiny model is good enough for tests of retrieval."""
    vectors = encoder.encode(
        ["install a solar panel", "installing solar panels on the roof", "chocolate cake recipe"], Role.QUERY
    )
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


def test_prompts_belong_to_roles(tiny_model: Path, encoder: Encoder) -> None:
    """The query prompt is put before queries only."""
    prompted = Encoder.load(str(tiny_model), ModelConfig(query_prompt="search "), precision=Precision.FP32)
    plain = encoder.encode(["search solar panel", "solar panel"], Role.DOCUMENT)
    assert np.allclose(prompted.encode(["solar panel"], Role.QUERY)[0], plain[0], atol=1e-6)
    assert np.allclose(prompted.encode(["solar panel"], Role.DOCUMENT)[0], plain[1], atol=1e-6)


def test_settings_reach_the_model(tiny_model: Path) -> None:
    """Pooling and token limit of the contract are those that the loaded model has, and saves."""
    encoder = Encoder.load(str(tiny_model), ModelConfig(pooling="cls", max_tokens=8))
    assert encoder.model.max_seq_length == 8
    assert encoder.model[1].pooling_mode == "cls"
    long = encoder.embed(["solar " * 50], Role.DOCUMENT)
    assert long.tokens == 8


def test_more_tokens_than_positions(tiny_model: Path) -> None:
    """A limit beyond the position table is refused before it crashes the model."""
    with pytest.raises(ModelError, match="max_tokens = 1000 is more than the model's 128 positions"):
        Encoder.load(str(tiny_model), ModelConfig(max_tokens=1000))


def test_progress_counts_texts(encoder: Encoder) -> None:
    """Progress ends at the number of texts."""
    steps: list[Progress] = []
    encoder.encode(TEXTS, Role.DOCUMENT, progress=steps.append)
    assert (steps[-1].label, steps[-1].done, steps[-1].total) == ("encode documents", 6, 6)


def test_a_model_under_training_stays_as_it_was(tiny_model: Path) -> None:
    """Scoring in the midst of training changes neither weights, nor mode, nor gradients."""
    model = SentenceTransformer(str(tiny_model), device="cpu").train()
    reference = Encoder.load(str(tiny_model), ModelConfig(), precision=Precision.FP32)
    mixed = Encoder.of(model, reference.contract, precision=Precision.BF16).encode(TEXTS, Role.DOCUMENT)
    assert (mixed * reference.encode(TEXTS, Role.DOCUMENT)).sum(axis=1).min() > 0.999
    assert model.training
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    model(model.preprocess(["solar"]))["sentence_embedding"].sum().backward()


def test_a_static_embedding(tmp_path: Path) -> None:
    """Models without a transformer encode too, with the vectors of the library."""
    words = {"[UNK]": 0, "solar": 1, "panel": 2, "cat": 3}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    weights = np.random.default_rng(0).standard_normal((4, 16)).astype(np.float32)
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, weights)], device="cpu").save(
        str(tmp_path / "static"), create_model_card=False
    )
    encoder = Encoder.load(str(tmp_path / "static"), ModelConfig(), precision=Precision.FP32)
    texts = ["solar panel", "cat", "", "panel panel cat"]
    vectors = encoder.encode(texts, Role.DOCUMENT)
    library = SentenceTransformer(str(tmp_path / "static"), device="cpu").encode(texts, normalize_embeddings=True)
    assert encoder.dimension == 16
    assert np.abs(vectors - library).max() < 1e-6
    assert not vectors[2].any()


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", b"{", "is not valid JSON"),
        ("model.safetensors", b"cut short", "cannot be loaded"),
        ("modules.json", b"[]", "lists no module"),
        ("modules.json", b"{}", "lists no module"),
        ("tokenizer.json", b"{}", "cannot be loaded"),
    ],
)
def test_a_damaged_folder_is_one_clear_error(
    tiny_model: Path, tmp_path: Path, file: str, content: bytes, message: str
) -> None:
    """Whatever file is damaged, the error is ours, with the place and what to do."""
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    (folder / file).write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        Encoder.load(str(folder), ModelConfig())
    assert caught.value.hint


def test_a_contract_of_another_model(tiny_model: Path, tmp_path: Path) -> None:
    """A contract whose dimension the model does not have is refused."""
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    path = folder / "1_Pooling" / "config.json"
    path.write_text(json.dumps({"embedding_dimension": 48, "pooling_mode": "mean"}), encoding="utf-8")
    with pytest.raises(ModelError, match="makes 32 dimensions, its folder says 48"):
        Encoder.load(str(folder), ModelConfig()).encode(["solar"], Role.QUERY)


@settings(max_examples=100, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 300), max_size=60).map(lambda row: np.array(row, dtype=np.int64)),
    max_tokens=st.integers(1, 1000),
)
def test_batches_hold_every_row_once_within_the_budget(lengths: np.ndarray, max_tokens: int) -> None:
    """Batches fall in length, cover every row once, and only a single long text may exceed the budget."""
    batches = list(budget_batches(lengths, max_tokens))
    assert sorted(int(row) for rows in batches for row in rows) == list(range(len(lengths)))
    assert all(len(rows) == 1 or lengths[rows].max() * len(rows) <= max_tokens for rows in batches)


@pytest.mark.slow
def test_minilm_in_bf16_is_minilm(minilm: Path) -> None:
    """In bf16 the real model's vectors keep a cosine of 0.999 to fp32, whatever processor runs it."""
    texts = ["Return the k largest elements.", "pump " * 40, "x", "Décalage à Zürich", "a = b[::-1]  # reversed"]
    full = Encoder.load(str(minilm), ModelConfig(), precision=Precision.FP32).encode(texts, Role.DOCUMENT)
    half = Encoder.load(str(minilm), ModelConfig(), precision=Precision.BF16).encode(texts, Role.DOCUMENT)
    assert (full * half).sum(axis=1).min() > 0.999
