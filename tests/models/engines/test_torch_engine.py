"""The torch engine against the library's own encoder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, StaticEmbedding
from tokenizers import Tokenizer, models, pre_tokenizers

from dialekt.config import EngineName, ModelConfig, Precision
from dialekt.errors import ModelError
from dialekt.models.encoder import Encoder, normalize
from dialekt.models.engines.loading import load_servable
from dialekt.models.engines.records import ModelInput, ModelKind, TokenizeOptions, TokenRow
from dialekt.models.engines.servable import Servable
from dialekt.models.engines.torch_engine import TorchEngine
from dialekt.types import Role

TEXTS = ["reset the password", "solar panel inverter cost and price " * 4, "a", "how do i change the oil in my car ?"]


def load(folder: Path, dtype: Precision = Precision.FP32) -> Servable:
    """Load a folder with the torch engine on the CPU."""
    return load_servable(
        str(folder), model=ModelConfig(device="cpu"), engine=EngineName.TORCH, dtype=dtype, cache=None, material=None
    )


def rows_of(servable: Servable, texts: Sequence[str] = TEXTS) -> list[TokenRow]:
    """Return the token rows of texts without a prompt."""
    return servable.tokenizer.encode([ModelInput(text) for text in texts], TokenizeOptions())


def save_static(folder: Path) -> Path:
    """Save a static embedding of three words."""
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "solar": 1, "panel": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    weights = np.array([[0.0, 1.0], [1.0, 0.0], [3.0, 4.0]], dtype=np.float32)
    module = StaticEmbedding(tokenizer, embedding_weights=weights)
    SentenceTransformer(modules=[module], device="cpu").save(str(folder), create_model_card=False)
    return folder


def test_vectors_are_the_encoders_before_normalisation(tiny_model: Path) -> None:
    """Scaled to length 1, the engine's vectors are the encoder's; as they come they are not."""
    servable = load(tiny_model)
    vectors = servable.engine.run(rows_of(servable))
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() > 0.1
    encoder = Encoder.load(str(tiny_model), ModelConfig(device="cpu"), precision=Precision.FP32)
    np.testing.assert_allclose(normalize(vectors), encoder.encode(TEXTS, Role.DOCUMENT), atol=1e-5)


def test_batched_equals_single(tiny_model: Path) -> None:
    """A row's vector does not depend on the rows beside it."""
    servable = load(tiny_model)
    rows = rows_of(servable)
    together = servable.engine.run(rows)
    for number, row in enumerate(rows):
        np.testing.assert_allclose(servable.engine.run([row])[0], together[number], atol=1e-5)


def test_token_vectors_pool_to_the_vector(tiny_model: Path) -> None:
    """Every row has a vector per token; their mean is the pooled vector of a model with mean pooling."""
    servable = load(tiny_model)
    rows = rows_of(servable)
    matrices = servable.engine.token_vectors(rows)
    assert [len(matrix) for matrix in matrices] == [len(row.ids) for row in rows]
    means = np.stack([matrix.mean(axis=0) for matrix in matrices])
    np.testing.assert_allclose(means, servable.engine.run(rows), atol=1e-5)


def test_bf16_stays_near_fp32(tiny_model: Path) -> None:
    """Rounded weights turn the vectors by little, and the engine says in which precision it runs."""
    full, half = load(tiny_model), load(tiny_model, Precision.BF16)
    vectors, rounded = (normalize(servable.engine.run(rows_of(servable))) for servable in (full, half))
    assert (vectors * rounded).sum(axis=1).min() > 0.999
    assert (full.engine.precision, half.engine.precision) == ("fp32", "bf16")
    assert half.size_bytes < full.size_bytes


def test_what_a_servable_says_of_the_model(tiny_model: Path) -> None:
    """A loaded model knows its kind, limit, contract and width; its content id depends on the files alone."""
    servable = load(tiny_model)
    assert servable.kind is ModelKind.EMBEDDING
    assert servable.contract is not None
    assert (servable.max_tokens, servable.engine.width) == (64, 32)
    assert servable.content_id == load(tiny_model).content_id
    assert (servable.choice.engine, servable.choice.measured) == (EngineName.TORCH, False)


def test_a_static_embedding(tmp_path: Path) -> None:
    """A static embedding's vector is the mean of its tokens' vectors, and it adds no special tokens."""
    servable = load(save_static(tmp_path / "static"))
    rows = rows_of(servable, ["solar panel", "panel"])
    assert [row.ids for row in rows] == [[1, 2], [2]]
    np.testing.assert_allclose(servable.engine.run(rows), [[2.0, 2.0], [3.0, 4.0]])
    np.testing.assert_allclose(servable.engine.token_vectors(rows)[0], [[1.0, 0.0], [3.0, 4.0]])


def test_a_pooling_without_the_prompt_is_refused(tiny_model: Path) -> None:
    """A model whose pooling leaves the prompt out cannot be served, and the error says so."""
    model = SentenceTransformer(str(tiny_model), device="cpu")
    next(module for module in model if isinstance(module, Pooling)).include_prompt = False
    with pytest.raises(ModelError, match="leaves the prompt out of its pooling"):
        TorchEngine.of(model, precision=Precision.FP32)
