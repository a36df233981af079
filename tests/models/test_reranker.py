"""A cross-encoder scores pairs in bulk as the library scores them one by one."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder

from dialekt.config import Precision
from dialekt.errors import ModelError
from dialekt.models.reranker import Reranker
from dialekt.types import Progress

QUERIES = ["how do i reset the password", "pump", "solar panel cost and warranty of the new inverter " * 9, "", "tea"]
DOCUMENTS = ["the pump leaks oil", "reset password " * 60, "", "a cheap solar panel", "water", "coffee or tea?"]
PAIRS = np.array([(query, document) for query in range(len(QUERIES)) for document in range(len(DOCUMENTS))])


@pytest.fixture(scope="session")
def cross_encoder(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny cross-encoder with a random head, wide enough that other words make other scores."""
    folder = tmp_path_factory.mktemp("reranker") / "model"
    reranker = Reranker.untrained(str(tiny_model), device="cpu", max_tokens=64, seed=3)
    with torch.no_grad():
        for name, weight in reranker.model.named_parameters():
            weight.mul_(20.0 if name.endswith(("pooler.dense.weight", "classifier.weight")) else 1.0)
    reranker.save(folder)
    return folder


def by_the_library(folder: Path, *, max_tokens: int) -> np.ndarray:
    """Return the logits that the library gives, one call per pair."""
    model = CrossEncoder(str(folder), device="cpu", max_length=max_tokens)
    texts = [(QUERIES[query], DOCUMENTS[document]) for query, document in PAIRS.tolist()]
    return np.array([model.predict([pair], activation_fn=torch.nn.Identity())[0] for pair in texts])


@pytest.mark.parametrize("max_tokens", [64, 33, 16, 7])
def test_bulk_scores_equal_the_library_one_by_one(cross_encoder: Path, max_tokens: int) -> None:
    """Special tokens, segments and the cut of long pairs are those of the model's own tokenizer."""
    reranker = Reranker.load(str(cross_encoder), device="cpu", max_tokens=max_tokens, precision=Precision.FP32)
    assert reranker.tokenizer is not None
    scores = reranker.score(QUERIES, DOCUMENTS, PAIRS)
    assert np.abs(scores - by_the_library(cross_encoder, max_tokens=max_tokens)).max() < 1e-4


@pytest.mark.slow
def test_minilm_pairs_are_joined_as_the_library_joins_them(minilm: Path, tmp_path: Path) -> None:
    """The real tokenizer puts a separator between the texts and numbers the segments."""
    Reranker.untrained(str(minilm), device="cpu", max_tokens=128, seed=3).save(tmp_path)
    reranker = Reranker.load(str(tmp_path), device="cpu", max_tokens=40, precision=Precision.FP32)
    scores = reranker.score(QUERIES, DOCUMENTS, PAIRS)
    assert np.abs(scores - by_the_library(tmp_path, max_tokens=40)).max() < 1e-4


def test_a_model_with_a_prompt_is_scored_by_the_library(cross_encoder: Path, tmp_path: Path) -> None:
    """A prompt of the model's own is not lost: such pairs go through the library, in the same order."""
    model = CrossEncoder(str(cross_encoder), device="cpu", prompts={"rank": "search "}, default_prompt_name="rank")
    model.save_pretrained(str(tmp_path), create_model_card=False)
    reranker = Reranker.load(str(tmp_path), device="cpu", max_tokens=64, precision=Precision.FP32)
    assert reranker.tokenizer is None
    expected = by_the_library(tmp_path, max_tokens=64)
    assert np.abs(reranker.score(QUERIES, DOCUMENTS, PAIRS) - expected).max() < 1e-4
    assert np.abs(expected - by_the_library(cross_encoder, max_tokens=64)).max() > 1e-3


def test_scores_keep_the_order_of_the_pairs(cross_encoder: Path) -> None:
    """Batches are made by length; nobody sees it."""
    reranker = Reranker.load(str(cross_encoder), device="cpu", max_tokens=64, precision=Precision.FP32)
    order = np.random.default_rng(5).permutation(len(PAIRS))
    straight, mixed = (reranker.score(QUERIES, DOCUMENTS, pairs) for pairs in (PAIRS, PAIRS[order]))
    assert np.abs(straight[order] - mixed).max() < 1e-4


def test_no_pairs_have_no_scores(cross_encoder: Path) -> None:
    """Nothing to score is no fault."""
    reranker = Reranker.load(str(cross_encoder), device="cpu", max_tokens=64)
    assert reranker.score([], [], np.zeros((0, 2), dtype=np.int64)).shape == (0,)


def test_progress_counts_the_pairs(cross_encoder: Path) -> None:
    """Whoever waits sees how many pairs are scored."""
    seen: list[Progress] = []
    Reranker.load(str(cross_encoder), device="cpu", max_tokens=64).score(
        QUERIES, DOCUMENTS, PAIRS, progress=seen.append
    )
    assert (seen[-1].done, seen[-1].total) == (len(PAIRS), len(PAIRS))


def test_bf16_keeps_fine_scores(cross_encoder: Path) -> None:
    """In bf16 the score itself is made in fp32, so that near scores stay apart and near the exact ones."""
    exact, rounded = (
        Reranker.load(str(cross_encoder), device="cpu", max_tokens=64, precision=precision).score(
            QUERIES, DOCUMENTS, PAIRS
        )
        for precision in (Precision.FP32, Precision.BF16)
    )
    assert np.abs(exact - rounded).max() < 0.05
    assert (rounded != torch.from_numpy(rounded).bfloat16().float().numpy()).any()


def test_weights_are_saved_as_safetensors_only(cross_encoder: Path) -> None:
    """No file of a saved model can run code when it is loaded."""
    assert (cross_encoder / "model.safetensors").is_file()
    assert not [path for pattern in ("*.bin", "*.pt", "*.pkl") for path in cross_encoder.rglob(pattern)]


def test_a_classifier_of_several_outputs_is_refused(cross_encoder: Path, tmp_path: Path) -> None:
    """A model of three classes has no single score to rank by."""
    CrossEncoder(str(cross_encoder), num_labels=3, device="cpu", model_kwargs={"ignore_mismatched_sizes": True}).save(
        str(tmp_path)
    )
    with pytest.raises(ModelError, match="3 outputs, expected one score"):
        Reranker.load(str(tmp_path), device="cpu", max_tokens=64)


def test_a_base_without_a_transformer_makes_no_cross_encoder(tmp_path: Path) -> None:
    """Static word vectors cannot read two texts together."""
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.StaticEmbedding"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="its first module is a StaticEmbedding"):
        Reranker.untrained(str(tmp_path), max_tokens=64, seed=3)
