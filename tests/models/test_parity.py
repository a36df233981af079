"""Parity tells an export that is the same model from one that is not."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from dialekt.config import ModelConfig
from dialekt.models.contract import apply_config, read_contract
from dialekt.models.export import export_model
from dialekt.models.parity import MIN_COSINE, NEUTRAL_SENTENCES, ParityFacts, check_parity

TEXTS = ("the solar panel", "reset the password")


@pytest.fixture(scope="module")
def exported(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, exported with prompts that the trained folder does not declare."""
    config = ModelConfig(query_prompt="search: ", document_prompt="text: ", matryoshka_dimensions=(32, 8))
    out = tmp_path_factory.mktemp("parity") / "model"
    export_model(tiny_model, out, apply_config(read_contract(tiny_model), config))
    return out


def _copy(exported: Path, tmp_path: Path) -> Path:
    return shutil.copytree(exported, tmp_path / "copy")


def _set(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_export_agrees(tiny_model: Path, exported: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """An untouched export agrees to the last digits, over all texts, roles and dimensions."""
    facts = check_parity(tiny_model, exported)
    assert facts.passed
    assert facts.texts == len(NEUTRAL_SENTENCES)
    assert facts.min_cosine >= MIN_COSINE
    assert facts.max_abs_difference < 1e-5
    assert facts.fault == ""
    assert capfd.readouterr() == ("", "")


def test_changed_weights_are_noticed(tiny_model: Path, exported: Path, tmp_path: Path) -> None:
    """Weights that were disturbed a little do not pass."""
    copy = _copy(exported, tmp_path)
    weights = load_file(copy / "model.safetensors")
    name = "embeddings.word_embeddings.weight"
    weights[name] = weights[name] + np.float32(0.2) * np.roll(weights[name], 1, axis=0)
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    facts = check_parity(tiny_model, copy, texts=TEXTS)
    assert not facts.passed
    assert facts.min_cosine < MIN_COSINE
    assert facts.max_abs_difference > 1e-3


def test_lost_prompt_is_noticed(tiny_model: Path, exported: Path, tmp_path: Path) -> None:
    """A reader that finds no prompt would search with other vectors: that does not pass."""
    copy = _copy(exported, tmp_path)
    _set(copy / "config_sentence_transformers.json", prompts={"query": "", "document": "text: "})
    assert not check_parity(tiny_model, copy, texts=TEXTS).passed


def test_wrong_pooling_is_noticed(tiny_model: Path, exported: Path, tmp_path: Path) -> None:
    """Another pooling is another model."""
    copy = _copy(exported, tmp_path)
    _set(copy / "1_Pooling" / "config.json", pooling_mode="max")
    assert not check_parity(tiny_model, copy, texts=TEXTS).passed


def test_shorter_limit_is_noticed(tiny_model: Path, exported: Path, tmp_path: Path) -> None:
    """One of the neutral texts is long enough to show where a model cuts."""
    copy = _copy(exported, tmp_path)
    for name, key in [("sentence_bert_config.json", "max_seq_length"), ("tokenizer_config.json", "model_max_length")]:
        _set(copy / name, **{key: 16})
    assert not check_parity(tiny_model, copy).passed


def test_folder_that_does_not_load_is_a_fault(tiny_model: Path, exported: Path, tmp_path: Path) -> None:
    """What cannot be loaded is not raised but recorded."""
    copy = _copy(exported, tmp_path)
    (copy / "model.safetensors").write_bytes(b"cut off")
    facts = check_parity(tiny_model, copy, texts=TEXTS)
    assert (facts.passed, facts.min_cosine, facts.max_abs_difference) == (False, -1.0, 2.0)
    assert facts.fault
    nowhere = check_parity(tmp_path / "nowhere", exported, texts=TEXTS)
    assert "nowhere" in nowhere.fault


def test_vectors_that_are_no_numbers(tiny_model: Path, exported: Path, tmp_path: Path) -> None:
    """Vectors of NaN agree with nothing."""
    copy = _copy(exported, tmp_path)
    weights = load_file(copy / "model.safetensors")
    weights["embeddings.LayerNorm.bias"] = np.full_like(weights["embeddings.LayerNorm.bias"], np.nan)
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert check_parity(tiny_model, copy, texts=TEXTS) == ParityFacts(
        2, -1.0, 2.0, passed=False, fault="a vector is NaN"
    )
