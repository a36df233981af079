"""Training from an adapted base model: where it starts, and what its weights are mixed with."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dialekt.adaptation.vocabulary import choose_terms, extend
from dialekt.config import ModelConfig, Precision, TrainingConfig
from dialekt.models.contract import read_contract, write_contract
from dialekt.models.encoder import Encoder
from dialekt.training.records import EncodeFunction, GeneralGuard, TrainingInputs
from dialekt.training.stage import run
from dialekt.types import Role

ONE_STEP = TrainingConfig(learning_rate=1e-9, epochs=0.1, evaluations=1)


def save_start(tiny_model: Path, folder: Path, *, terms: tuple[str, ...] = ()) -> Path:
    """Save the tiny model with its rows in the opposite order, with more tokens where terms are given."""
    encoder = Encoder.load(str(tiny_model), ModelConfig(device="cpu"), precision=Precision.FP32)
    extend(encoder.model, choose_terms(encoder.model.tokenizer, terms, most=5))
    rows = encoder.model[0].auto_model.get_input_embeddings().weight.data
    rows[:] = rows.flip(0)
    encoder.model.save_pretrained(str(folder), create_model_card=False)
    write_contract(folder, encoder.contract)
    return folder


def nearness(encode: EncodeFunction) -> float:
    """Return the mean cosine of a few texts: a score that tells any two models apart."""
    vectors = encode(["the cat in the garden", "a pump and a valve", "invoice number three"], Role.QUERY)
    return float((vectors @ vectors.T).mean())


def score_of(inputs: TrainingInputs, folder: Path) -> float:
    """Return what dev says of a model folder."""
    encoder = Encoder.load(str(folder), ModelConfig(device="cpu"), precision=Precision.FP32)
    return inputs.score_dev(Encoder.of(encoder.model, encoder.contract).encode)


def test_share_zero_is_the_base_model_and_one_the_start(
    training_inputs: Callable[..., TrainingInputs], tiny_model: Path, tmp_path: Path
) -> None:
    """A training that learns nothing scores what it started from; mixed with nothing of it, what the base scores."""
    start = save_start(tiny_model, tmp_path / "start")
    inputs = training_inputs(start=start, score_dev=nearness)
    facts = run(ONE_STEP, inputs, tmp_path / "out")
    ends = {one.share: one.dev_ndcg for one in facts.mixtures}
    assert ends[0.0] == facts.base_dev_ndcg == pytest.approx(score_of(inputs, tiny_model), abs=1e-3)
    assert ends[1.0] == pytest.approx(score_of(inputs, start), abs=1e-3)
    assert abs(ends[0.0] - ends[1.0]) > 0.01


def test_another_vocabulary_is_mixed_with_its_start(
    training_inputs: Callable[..., TrainingInputs], tiny_model: Path, tmp_path: Path
) -> None:
    """There is nothing of the base to mix new rows with: share 0 is the start, measured on dev and general queries."""
    start = save_start(tiny_model, tmp_path / "start", terms=("hydroxychloroquine",))
    asked = []

    def general(encode: EncodeFunction) -> float:
        asked.append(encode(["a text"], Role.QUERY))
        return 0.5

    guard = GeneralGuard(general, texts=1, base_ndcg=0.9, max_loss=0.1)
    inputs = training_inputs(start=start, general=guard, score_dev=nearness)
    facts = run(ONE_STEP, inputs, tmp_path / "out")
    ends = {one.share: one for one in facts.mixtures}
    assert ends[0.0].dev_ndcg == facts.base_dev_ndcg == pytest.approx(score_of(inputs, start), abs=1e-3)
    assert asked
    assert ends[0.0].general_ndcg == 0.5
    tuned = Encoder.load(str(tmp_path / "out" / "model"), ModelConfig(device="cpu"))
    assert "hydroxychloroquine" in tuned.model.tokenizer.get_vocab()
    assert read_contract(tmp_path / "out" / "model").dimension == 32
