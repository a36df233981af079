"""An exported folder satisfies readers of the old layout and of the new one."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import safe_open

from dialekt.config import ModelConfig
from dialekt.errors import ModelError
from dialekt.models.contract import EncodingContract, apply_config, read_contract
from dialekt.models.export import ExportFacts, export_model, servers_can_load
from dialekt.store.manifest import hash_files

TEXTS = ["the solar panel", "how to reset my password?", "an invoice with a refund " * 30]
POOL_CONFIG = {  # the fields that TEI 1.9 reads of 1_Pooling/config.json, and must find
    "pooling_mode_cls_token": bool,
    "pooling_mode_mean_tokens": bool,
    "pooling_mode_max_tokens": bool,
    "pooling_mode_mean_sqrt_len_tokens": bool,
}


def _contract(folder: Path, **settings: Any) -> EncodingContract:
    settings = {"matryoshka_dimensions": (32, 16, 8), "query_prompt": "search: "} | settings
    return apply_config(read_contract(folder), ModelConfig(**settings))


def _encode(folder: Path, **options: Any) -> NDArray[np.float32]:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu", **options)
    return np.concatenate([model.encode_query(TEXTS), model.encode_document(TEXTS)])


def _cosines(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    products = (left * right).sum(axis=1)
    cosines: NDArray[np.float32] = products / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)
    return cosines


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def exported(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, exported with a query prompt and three Matryoshka dimensions."""
    out = tmp_path_factory.mktemp("export") / "model"
    export_model(tiny_model, out, _contract(tiny_model))
    return out


def test_facts_say_what_was_exported(tiny_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The facts name modules, sizes and whether the usual servers can load the folder; the screen stays empty."""
    facts = export_model(tiny_model, tmp_path, _contract(tiny_model))
    assert facts == ExportFacts(
        modules=("Transformer", "Pooling", "Normalize"),
        pooling="mean",
        dimension=32,
        matryoshka_dimensions=(32, 16, 8),
        max_tokens=64,
        parameters=facts.parameters,
        size_bytes=sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()),
        servers_can_load=True,
    )
    assert facts.parameters > 20_000
    assert capfd.readouterr() == ("", "")


def test_pooling_has_both_spellings(exported: Path) -> None:
    """The pooling is stated with the old flags, which TEI needs, and with the new name."""
    pooling = _read(exported / "1_Pooling" / "config.json")
    assert all(type(pooling[field]) is kind for field, kind in POOL_CONFIG.items())
    assert [field for field, value in pooling.items() if value is True] == ["pooling_mode_mean_tokens"]
    assert (pooling["word_embedding_dimension"], pooling["pooling_mode"]) == (32, "mean")


def test_pooling_loads_in_old_versions(exported: Path) -> None:
    """Only names that sentence-transformers 3 and 5.3 pass to `Pooling(**config)`, which refuses others."""
    flags = {"pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken", "pooling_mode", "word_embedding_dimension"}
    assert set(_read(exported / "1_Pooling" / "config.json")) == flags | set(POOL_CONFIG)


def test_token_limit_is_stated(exported: Path) -> None:
    """TEI does not start without `max_seq_length`; versions before 5.4 refuse further keys."""
    settings = _read(exported / "sentence_bert_config.json")
    assert settings == {"max_seq_length": 64, "do_lower_case": False}
    assert _read(exported / "tokenizer_config.json")["model_max_length"] == 64


def test_module_types_have_their_old_names(exported: Path) -> None:
    """Module types are spelled as every version knows them."""
    modules = _read(exported / "modules.json")
    assert [row["type"] for row in modules] == [
        "sentence_transformers.models.Transformer",
        "sentence_transformers.models.Pooling",
        "sentence_transformers.models.Normalize",
    ]
    assert [row["path"] for row in modules] == ["", "1_Pooling", "2_Normalize"]


def test_matryoshka_dimensions_are_declared(exported: Path) -> None:
    """vLLM takes `dimensions` only from a model that declares them."""
    config = _read(exported / "config.json")
    assert config["matryoshka_dimensions"] == [32, 16, 8]
    assert config["is_matryoshka"] is True
    assert config["architectures"] == ["BertModel"]
    assert config["max_position_embeddings"] == 128


def test_model_without_smaller_dimensions(tiny_model: Path, tmp_path: Path) -> None:
    """A model whose vectors were not trained to be cut does not claim it."""
    export_model(tiny_model, tmp_path, _contract(tiny_model, matryoshka_dimensions=()))
    config = _read(tmp_path / "config.json")
    assert (config["matryoshka_dimensions"], config["is_matryoshka"]) == ([32], False)


def test_prompts_and_contract_travel_along(exported: Path, tiny_model: Path) -> None:
    """Prompts are where sentence-transformers looks for them, the whole contract in `dialekt.json`."""
    settings = _read(exported / "config_sentence_transformers.json")
    assert settings["prompts"] == {"query": "search: ", "document": ""}
    assert settings["similarity_fn_name"] == "cosine"
    assert read_contract(exported) == _contract(tiny_model)


def test_tokenizer_is_fast_and_known_to_older_versions(exported: Path) -> None:
    """`tokenizer.json` is there, uncut and unpadded, and its class exists in transformers 4."""
    tokenizer = _read(exported / "tokenizer.json")
    assert (tokenizer["truncation"], tokenizer["padding"]) == (None, None)
    assert _read(exported / "tokenizer_config.json")["tokenizer_class"] in {
        "BertTokenizer",
        "PreTrainedTokenizerFast",
    }


def test_weights_are_safetensors_in_fp32(exported: Path) -> None:
    """Weights are full precision, in a format that cannot run code."""
    with safe_open(exported / "model.safetensors", framework="np") as weights:
        assert {weights.get_slice(name).get_dtype() for name in weights.keys()} == {"F32"}  # noqa: SIM118 - no dict
    assert not list(exported.rglob("*.bin"))


def test_half_precision_is_widened(tiny_model: Path, tmp_path: Path) -> None:
    """A model that was saved in bf16 is exported in fp32."""
    import torch
    from sentence_transformers import SentenceTransformer

    half = SentenceTransformer(str(tiny_model), device="cpu").to(torch.bfloat16)
    half.save(str(tmp_path / "half"), create_model_card=False)
    export_model(tmp_path / "half", tmp_path / "out", _contract(tmp_path / "half"))
    with safe_open(tmp_path / "out" / "model.safetensors", framework="np") as weights:
        assert {weights.get_slice(name).get_dtype() for name in weights.keys()} == {"F32"}  # noqa: SIM118 - no dict


@pytest.mark.parametrize("truncate_dim", [None, 16, 8])
def test_vectors_agree(exported: Path, tiny_model: Path, truncate_dim: int | None) -> None:
    """Plain sentence-transformers makes the trained model's vectors from the folder, full or cut."""
    original = _encode(tiny_model, truncate_dim=truncate_dim, prompts={"query": "search: "})
    found = _encode(exported, truncate_dim=truncate_dim)
    assert found.shape == (6, truncate_dim or 32)
    assert _cosines(original, found).min() >= 0.99999
    if truncate_dim is None:
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-6)


def test_prompt_is_used(exported: Path) -> None:
    """A query's vector is not the document's: its prompt came along."""
    vectors = _encode(exported)
    assert _cosines(vectors[:3], vectors[3:]).max() < 0.9999


def test_vectors_are_of_length_one_for_everybody(tiny_model: Path, tmp_path: Path) -> None:
    """A model without a normalising module gets one, because its contract says that vectors have length 1."""
    from sentence_transformers import SentenceTransformer

    plain = SentenceTransformer(str(tiny_model), device="cpu")
    plain.pop(2)
    plain.save(str(tmp_path / "plain"), create_model_card=False)
    facts = export_model(tmp_path / "plain", tmp_path / "out", _contract(tmp_path / "plain"))
    assert facts.modules == ("Transformer", "Pooling", "Normalize")
    np.testing.assert_allclose(np.linalg.norm(_encode(tmp_path / "out"), axis=1), 1.0, atol=1e-6)


@pytest.mark.parametrize(("pooling", "flag"), [("cls", "cls_token"), ("lasttoken", "lasttoken")])
def test_pooling_of_the_contract_is_exported(tiny_model: Path, tmp_path: Path, pooling: str, flag: str) -> None:
    """The contract's pooling is what every reader finds."""
    export_model(tiny_model, tmp_path, _contract(tiny_model, pooling=pooling))
    stated = _read(tmp_path / "1_Pooling" / "config.json")
    assert [field for field, value in stated.items() if value is True] == [f"pooling_mode_{flag}"]
    assert stated["pooling_mode"] == pooling


def test_joined_poolings_are_for_sentence_transformers_only(tiny_model: Path, tmp_path: Path) -> None:
    """Two poolings side by side are stated by flags; the servers know no such thing, and the facts say so."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(tiny_model), device="cpu")
    model[1].pooling_mode = ("cls", "mean")
    model[1].pooling_output_dimension = 64
    model.save(str(tmp_path / "joined"), create_model_card=False)
    contract = dataclasses.replace(read_contract(tmp_path / "joined"), matryoshka_dimensions=(64,))
    facts = export_model(tmp_path / "joined", tmp_path / "out", contract)
    assert (facts.dimension, facts.servers_can_load) == (64, False)
    assert "pooling_mode" not in _read(tmp_path / "out" / "1_Pooling" / "config.json")
    assert _cosines(_encode(tmp_path / "joined"), _encode(tmp_path / "out")).min() >= 0.99999


def test_card_and_training_rests_stay_behind(tiny_model: Path, tmp_path: Path) -> None:
    """Of a training folder only the model is exported: no card with sample rows, no optimiser, no log."""
    trained = shutil.copytree(tiny_model, tmp_path / "trained")
    for name in ("README.md", "optimizer.pt", "curve.jsonl"):
        (trained / name).write_text("which invoice did Ms Example not pay?")
    export_model(trained, tmp_path / "out", _contract(trained))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "1_Pooling",
        "2_Normalize",
        "config.json",
        "config_sentence_transformers.json",
        "dialekt.json",
        "model.safetensors",
        "modules.json",
        "sentence_bert_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_exporting_again_gives_the_same_files(exported: Path, tiny_model: Path, tmp_path: Path) -> None:
    """An export is a function of model and contract, and an export of an export is the same once more."""
    export_model(tiny_model, tmp_path / "again", _contract(tiny_model))
    assert hash_files(tmp_path / "again") == hash_files(exported)
    export_model(exported, tmp_path / "twice", read_contract(exported))
    assert hash_files(tmp_path / "twice") == hash_files(exported)


def test_static_model(tmp_path: Path) -> None:
    """A static word model is exported too; it is no folder for TEI or vLLM."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "the": 1, "solar": 2, "panel": 3}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    weights = np.arange(32, dtype=np.float32).reshape(4, 8)
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights)], device="cpu")
    model.save(str(tmp_path / "static"), create_model_card=False)
    contract = dataclasses.replace(read_contract(tmp_path / "static"), matryoshka_dimensions=(8,))
    facts = export_model(tmp_path / "static", tmp_path / "out", contract)
    assert facts.modules == ("StaticEmbedding", "Normalize")
    assert not servers_can_load(tmp_path / "out")
    assert _cosines(_encode(tmp_path / "static"), _encode(tmp_path / "out")).min() >= 0.99999


def test_contract_of_another_model(tiny_model: Path, tmp_path: Path) -> None:
    """A contract that does not fit the model is refused, not exported."""
    contract = dataclasses.replace(_contract(tiny_model), dimension=48, matryoshka_dimensions=(48,))
    with pytest.raises(ModelError, match="vectors of 32 dimensions, its contract says 48"):
        export_model(tiny_model, tmp_path, contract)


def test_folder_that_is_no_model(tiny_model: Path, tmp_path: Path) -> None:
    """A folder without a model is an error of that folder."""
    (tmp_path / "notes").mkdir()
    with pytest.raises(ModelError, match="is not a model folder"):
        export_model(tmp_path / "notes", tmp_path / "out", _contract(tiny_model))
