"""A cross-encoder behind the server scores as the library does."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from dialekt.config import ModelConfig, Precision
from dialekt.errors import BackendError, ModelError
from dialekt.models.engines.records import ModelInput, TokenizeOptions
from dialekt.models.engines.scoring_engine import Scorer, load_scorer
from dialekt.models.reranker import Reranker

PAIRS = [
    ("how do i reset the password", "reset password " * 60),
    ("pump", "the pump leaks oil"),
    ("solar panel cost " * 30, ""),
    ("", "water"),
]
SINGLES = ["the pump leaks oil", "tea", "reset password " * 60]
CPU = ModelConfig(device="cpu")


def _widen(model: torch.nn.Module) -> None:
    """Make the head so wide that other words make other scores."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.mul_(20.0 if name.endswith(("pooler.dense.weight", "classifier.weight")) else 1.0)


@pytest.fixture(scope="module")
def reranker(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny cross-encoder with one label, as sentence-transformers saves it."""
    folder = tmp_path_factory.mktemp("reranker") / "model"
    made = Reranker.untrained(str(tiny_model), device="cpu", max_tokens=64, seed=3)
    _widen(made.model)
    made.save(folder)
    return folder


@pytest.fixture(scope="module")
def classifier(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny classifier with three labels, as transformers saves it."""
    folder = tmp_path_factory.mktemp("classifier") / "model"
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=48, num_labels=3, id2label={0: "bad", 1: "fair", 2: "good"},
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = BertForSequenceClassification(config)
    _widen(model)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _scores(scorer: Scorer, inputs: list[ModelInput]) -> np.ndarray:
    return scorer.engine.run(scorer.tokenizer.encode(inputs, TokenizeOptions()))


def _by_the_library(folder: Path) -> np.ndarray:
    model = CrossEncoder(str(folder), device="cpu")
    return np.stack([model.predict([pair], activation_fn=torch.nn.Identity())[0] for pair in PAIRS])


def test_a_reranker_scores_pairs_as_the_library(reranker: Path) -> None:
    """One logit per pair, those of long pairs too, equal to CrossEncoder.predict before its activation."""
    scorer = load_scorer(reranker, model=CPU, dtype=Precision.FP32)
    scores = _scores(scorer, [ModelInput(one, pair=other) for one, other in PAIRS])
    assert scores.shape == (4, 1)
    assert (scorer.max_tokens, scorer.engine.width) == (64, 1)
    assert np.abs(scores[:, 0] - _by_the_library(reranker).reshape(-1)).max() < 1e-4


def test_a_classifier_has_a_logit_per_label(classifier: Path) -> None:
    """A folder of transformers is read with its labels; the scores of pairs equal the library's."""
    scorer = load_scorer(classifier, model=CPU, dtype=Precision.FP32)
    assert scorer.labels == ("bad", "fair", "good")
    assert scorer.max_tokens == 48
    scores = _scores(scorer, [ModelInput(one, pair=other) for one, other in PAIRS])
    assert np.abs(scores - _by_the_library(classifier)).max() < 1e-4


def test_single_texts_are_classified_as_transformers_does(classifier: Path) -> None:
    """Texts without a partner go in alone, several of different lengths at once."""
    scores = _scores(load_scorer(classifier, model=CPU, dtype=Precision.FP32), [ModelInput(text) for text in SINGLES])
    tokenizer = AutoTokenizer.from_pretrained(classifier)
    model = BertForSequenceClassification.from_pretrained(classifier).eval()
    for text, found in zip(SINGLES, scores, strict=True):
        with torch.inference_mode():
            expected = model(**tokenizer(text, truncation=True, max_length=48, return_tensors="pt")).logits[0]
        assert np.abs(found - expected.numpy()).max() < 1e-4


def test_bf16_keeps_fine_scores(reranker: Path) -> None:
    """In bf16 the head stays in fp32: scores are near those in fp32 and no multiples of a coarse step."""
    inputs = [ModelInput(one, pair=other) for one, other in PAIRS]
    full, half = (_scores(load_scorer(reranker, model=CPU, dtype=dtype), inputs) for dtype in Precision)
    assert not np.array_equal(full, half)
    assert np.abs(full - half).max() < 0.1 * np.abs(full).max()
    rounded = torch.from_numpy(half).bfloat16().float().numpy()
    assert not np.array_equal(half, rounded)


def test_the_token_limit_can_be_set(reranker: Path) -> None:
    """A configured limit holds for both texts together; one beyond the positions is refused."""
    scorer = load_scorer(reranker, model=ModelConfig(device="cpu", max_tokens=20), dtype=Precision.FP32)
    (row,) = scorer.tokenizer.encode([ModelInput(*PAIRS[0])], TokenizeOptions())
    assert len(row.ids) == scorer.max_tokens == 20
    with pytest.raises(ModelError, match="max_tokens = 900 is more than the model's 128 positions"):
        load_scorer(reranker, model=ModelConfig(device="cpu", max_tokens=900), dtype=Precision.FP32)


def test_a_scorer_has_no_vectors(reranker: Path) -> None:
    """Token vectors of a cross-encoder are refused as the wrong type of model."""
    engine = load_scorer(reranker, model=CPU, dtype=Precision.FP32).engine
    with pytest.raises(BackendError, match="not an embedding model") as caught:
        engine.token_vectors([])
    assert caught.value.failure == "model_type"


def test_a_model_with_a_prompt_is_refused(reranker: Path, tmp_path: Path) -> None:
    """A cross-encoder that puts words of its own before the texts is refused, not served wrongly."""
    model = CrossEncoder(str(reranker), device="cpu", prompts={"rank": "search "}, default_prompt_name="rank")
    model.save_pretrained(str(tmp_path), create_model_card=False)
    with pytest.raises(ModelError, match="joins two texts in a way of its own"):
        load_scorer(tmp_path, model=CPU, dtype=None)
