"""Loading a model for the server: named engines, the choice, reloads."""

import sys
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer, models, pre_tokenizers

from dialekt.config import EngineName, ModelConfig, Precision
from dialekt.errors import MissingExtraError, ModelError
from dialekt.models.contract import EncodingContract
from dialekt.models.encoder import Encoder, normalize
from dialekt.models.engines.choice import CalibrationMaterial, QualityGate
from dialekt.models.engines.loading import load_servable
from dialekt.models.engines.records import Engine, ModelInput, ModelKind, TokenizeOptions
from dialekt.models.engines.servable import Servable
from dialekt.models.engines.tokenizer import RequestTokenizer
from dialekt.models.reranker import Reranker
from dialekt.types import Role

TEXTS = ("reset the password", "solar panel inverter cost and price", "how do i change the oil in my car ?")


def load(
    folder: Path,
    cache: Path,
    engine: EngineName = EngineName.AUTO,
    *,
    prefer: EngineName | None = None,
    material: CalibrationMaterial | None = None,
) -> Servable:
    """Load a folder on the CPU."""
    return load_servable(
        str(folder),
        model=ModelConfig(device="cpu"),
        engine=engine,
        dtype=None,
        cache=cache,
        material=material,
        prefer=prefer,
    )


def test_the_choice_is_measured_once(tiny_model: Path, engine_cache: Path) -> None:
    """The first start tries every engine, the next ones take what it chose, and both serve the model's vectors."""
    first = load(tiny_model, engine_cache)
    assert (first.choice.measured, first.choice.from_cache) == (True, False)
    by_name = {trial.engine: trial for trial in first.choice.trials}
    assert list(by_name) == [name for name in EngineName if name is not EngineName.AUTO]
    assert all(by_name[name].queries_per_second > 0 for name in (EngineName.TORCH, EngineName.ONNX))
    assert by_name[EngineName.ONNX_INT8].refused == "no dev queries to prove its quality"

    second = load(tiny_model, engine_cache)
    assert second.choice.from_cache
    assert second.choice.trials == first.choice.trials
    assert second.engine.name is first.engine.name is first.choice.engine

    rows = second.tokenizer.encode([ModelInput(text) for text in TEXTS], TokenizeOptions())
    expected = Encoder.load(str(tiny_model), ModelConfig(device="cpu"), precision=Precision.FP32)
    cosines = (normalize(second.engine.run(rows)) * expected.encode(TEXTS, Role.DOCUMENT)).sum(axis=1)
    assert cosines.min() > 0.999


def test_a_named_engine_is_compared_but_not_timed(tiny_model: Path, engine_cache: Path) -> None:
    """The engine that the user names is taken if its vectors are the model's."""
    servable = load(tiny_model, engine_cache, EngineName.ONNX)
    assert servable.engine.name is EngineName.ONNX
    (trial,) = servable.choice.trials
    assert (servable.choice.measured, trial.queries_per_second) == (False, 0.0)
    assert trial.min_cosine == pytest.approx(1.0, abs=1e-6)


def test_a_reload_keeps_the_preferred_engine(tiny_model: Path, engine_cache: Path) -> None:
    """A version that has not been served yet takes its predecessor's engine, without a race that takes seconds."""
    material = CalibrationMaterial(TEXTS[:1], TEXTS[1:])  # other texts: no choice of them is in the cache
    servable = load(tiny_model, engine_cache, prefer=EngineName.ONNX, material=material)
    assert (servable.engine.name, servable.choice.measured) == (EngineName.ONNX, False)
    assert [trial.engine for trial in servable.choice.trials] == [EngineName.ONNX]


def test_a_model_that_is_no_graph(tmp_path: Path) -> None:
    """A static embedding is served by torch: the other engines' trials and the error for a named one say why."""
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "solar": 1, "panel": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    weights = np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32)
    module = StaticEmbedding(tokenizer, embedding_weights=weights)
    SentenceTransformer(modules=[module], device="cpu").save(str(tmp_path / "static"), create_model_card=False)
    servable = load(tmp_path / "static", tmp_path / "cache")
    assert servable.engine.name is EngineName.TORCH
    onnx = next(trial for trial in servable.choice.trials if trial.engine is EngineName.ONNX)
    assert onnx.refused == "a model with a module StaticEmbedding runs in torch only"
    with pytest.raises(ModelError, match="StaticEmbedding runs in torch only"):
        load(tmp_path / "static", tmp_path / "cache", EngineName.OPENVINO)


def test_a_cache_that_cannot_be_written(tiny_model: Path, tmp_path: Path) -> None:
    """Without a place for graphs torch serves the model, and the trials say what is wrong with the cache."""
    (tmp_path / "cache").write_bytes(b"")
    servable = load(tiny_model, tmp_path / "cache")
    assert servable.engine.name is EngineName.TORCH
    assert any("a file is where a folder belongs" in trial.refused for trial in servable.choice.trials)


def test_int8_is_asked_for_its_quality(tiny_model: Path, engine_cache: Path) -> None:
    """The gate gets the model in fp32 with its tokenizer and contract once, then every int8 engine."""
    judged: list[str] = []

    def factory(reference: Engine, tokenizer: RequestTokenizer, contract: EncodingContract) -> QualityGate:
        judged.append(f"{reference.precision} {tokenizer.max_tokens} {contract.dimension}")

        def gate(engine: Engine) -> float:
            judged.append(engine.name.value)
            return -0.1

        return gate

    servable = load(tiny_model, engine_cache, material=CalibrationMaterial(TEXTS, TEXTS, factory))
    assert judged == ["fp32 64 32", "onnx-int8", "openvino-int8"]
    refused = [trial.refused for trial in servable.choice.trials if trial.precision == "int8"]
    assert refused == ["NDCG@10 on dev falls by 0.1000, more than 0.005"] * 2
    assert servable.engine.precision != "int8"


def test_a_cross_encoder_runs_in_torch(tiny_model: Path, tmp_path: Path) -> None:
    """A re-ranker is told by its folder; an engine that was named for all models of a server is no error."""
    Reranker.untrained(str(tiny_model), device="cpu", max_tokens=64, seed=3).save(tmp_path / "reranker")
    servable = load(tmp_path / "reranker", tmp_path / "cache", EngineName.ONNX)
    assert (servable.kind, servable.contract) == (ModelKind.RERANKER, None)
    assert (servable.engine.name, servable.engine.width, len(servable.labels)) == (EngineName.TORCH, 1, 1)
    assert servable.choice.trials[0].refused == "a cross-encoder runs in torch only"
    rows = servable.tokenizer.encode([ModelInput("oil", pair="the pump leaks oil")], TokenizeOptions())
    assert servable.engine.run(rows).shape == (1, 1)


@pytest.mark.parametrize(
    ("engine", "module", "extra"),
    [
        (EngineName.ONNX, "onnxscript", "serve"),
        (EngineName.OPENVINO, "openvino", "openvino"),
        (EngineName.OPENVINO_INT8, "nncf", "openvino"),
    ],
)
def test_a_named_engine_that_is_not_installed(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: EngineName, module: str, extra: str
) -> None:
    """The error names the extra to install, before any graph is built."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=f"the engine '{engine}' needs the optional dependency set '{extra}'"):
        load(tiny_model, tmp_path, engine)
    assert not any(tmp_path.iterdir())
