"""Export of models as graphs."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling, StaticEmbedding
from tokenizers import Tokenizer, models
from transformers import (
    AutoTokenizer,
    DistilBertConfig,
    DistilBertModel,
    MPNetConfig,
    MPNetModel,
    Qwen3Config,
    Qwen3Model,
    RobertaConfig,
    RobertaModel,
)

from dialekt.config import EngineName, Precision
from dialekt.errors import ModelError
from dialekt.models.engines.graph import export_graph, refusal
from dialekt.models.engines.onnx_engine import OnnxEngine
from dialekt.models.engines.records import TokenRow
from dialekt.models.engines.torch_engine import TorchEngine
from dialekt.models.padding import PadStyle

ROWS = [TokenRow([2, 40, 41, 42, 3]), TokenRow([2, 50, 3]), TokenRow([2, *range(60, 90), 3])]


def assemble(folder: Path, tiny_model: Path, transformer: Any, pooling: str, **tokenizer: Any) -> SentenceTransformer:
    """Return a model of a transformer with random weights, the tiny tokenizer, a pooling and a Dense."""
    transformer.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_model, **tokenizer).save_pretrained(folder)
    modules = [Transformer(str(folder), max_seq_length=64), Pooling(32, pooling), Dense(32, 16), Normalize()]
    return SentenceTransformer(modules=modules, device="cpu").eval()


def small(vocabulary: int, *, pad_token_id: int = 0) -> dict[str, int]:
    """Return the settings that configurations of two narrow layers share."""
    return {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 130,
        "pad_token_id": pad_token_id,
    }


def roberta(vocabulary: int) -> Any:
    """A model whose position ids begin behind the padding id, pooled by its first token."""
    return RobertaModel(RobertaConfig(**small(vocabulary, pad_token_id=1), type_vocab_size=1))


def mpnet(vocabulary: int) -> Any:
    """A model with relative positions."""
    return MPNetModel(MPNetConfig(**small(vocabulary, pad_token_id=1)))


def distilbert(vocabulary: int) -> Any:
    """A model without segments."""
    return DistilBertModel(DistilBertConfig(vocab_size=vocabulary, dim=32, n_layers=2, n_heads=4, hidden_dim=64))


def qwen(vocabulary: int) -> Any:
    """A decoder, padded on the left and pooled by its last token."""
    settings = Qwen3Config(**small(vocabulary), num_key_value_heads=2, head_dim=8, use_cache=False)
    return Qwen3Model(settings)


PLAIN = {"model_input_names": ["input_ids", "attention_mask"]}
PADDED_BY_ONE = {**PLAIN, "pad_token": "[UNK]"}


@pytest.mark.parametrize(
    ("make", "pooling", "tokenizer"),
    [
        (roberta, "cls", PADDED_BY_ONE),
        (mpnet, "max", PADDED_BY_ONE),
        (distilbert, "mean", PLAIN),
        (qwen, "lasttoken", {**PLAIN, "padding_side": "left"}),
    ],
)
def test_architectures_become_graphs(
    tiny_model: Path, tmp_path: Path, make: Any, pooling: str, tokenizer: dict[str, Any]
) -> None:
    """Position ids, segments, padding side, pooling and a Dense layer are the same in the graph as in torch."""
    vocabulary = len(AutoTokenizer.from_pretrained(tiny_model))
    model = assemble(tmp_path / "parts", tiny_model, make(vocabulary), pooling, **tokenizer)
    export_graph(model, tmp_path / "model.onnx")
    engine = OnnxEngine(
        tmp_path / "model.onnx", name=EngineName.ONNX, precision="fp32", style=PadStyle.of(model.tokenizer)
    )
    reference = TorchEngine(model, precision=Precision.FP32)
    assert engine.width == reference.width == 16
    np.testing.assert_allclose(engine.run(ROWS), reference.run(ROWS), atol=1e-4)
    for found, expected in zip(engine.token_vectors(ROWS), reference.token_vectors(ROWS), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_export_says_nothing(tiny_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is written on the screen, and the graph is one file with named inputs and outputs."""
    model = SentenceTransformer(str(tiny_model), device="cpu")
    capfd.readouterr()
    export_graph(model, tmp_path / "model.onnx")
    assert capfd.readouterr() == ("", "")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    graph = onnx.load(str(tmp_path / "model.onnx")).graph
    assert [item.name for item in graph.input] == ["input_ids", "attention_mask"]
    assert [item.name for item in graph.output] == ["sentence_embedding", "token_embeddings"]


def test_a_static_embedding_stays_in_torch() -> None:
    """A model that is no transformer is refused with the reason."""
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=8)], device="cpu")
    assert refusal(model) == "a model with a module StaticEmbedding runs in torch only"
    with pytest.raises(ModelError, match="StaticEmbedding runs in torch only"):
        export_graph(model, Path("unused.onnx"))
