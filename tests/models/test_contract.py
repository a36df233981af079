"""The encoding contract: derived, overridden, stored."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from dialekt.config import ModelConfig
from dialekt.errors import ModelError
from dialekt.models.contract import (
    CONTRACT_NAME,
    apply_config,
    default_matryoshka_dimensions,
    read_contract,
    write_contract,
)
from dialekt.models.folders import derive_fields
from dialekt.types import Role


@pytest.fixture
def copied(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model's folder that a test may change."""
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def declare_prompts(folder: Path, prompts: dict[str, str], default: str | None = None) -> None:
    path = folder / "config_sentence_transformers.json"
    path.write_text(json.dumps({"prompts": prompts, "default_prompt_name": default}), encoding="utf-8")


@pytest.mark.parametrize(
    ("dimension", "expected"),
    [
        (384, (384, 256, 128, 64)),
        (768, (768, 512, 256, 128, 64)),
        (1024, (1024, 512, 256, 128, 64)),
        (64, (64,)),
        (32, (32,)),
    ],
)
def test_default_matryoshka_dimensions(dimension: int, expected: tuple[int, ...]) -> None:
    """The full dimension is followed by the powers of two below it, down to 64."""
    assert default_matryoshka_dimensions(dimension) == expected


def test_minilm_in_the_old_layout(minilm: Path) -> None:
    """MiniLM reads 256 tokens, not the 512 of its position table, pools by mean and has no prompts."""
    contract = read_contract(minilm, name="all-MiniLM-L6-v2")
    assert (contract.max_tokens, contract.dimension, contract.pooling) == (256, 384, "mean")
    assert contract.prompt(Role.QUERY) == contract.prompt(Role.DOCUMENT) == ""
    assert contract.matryoshka_dimensions == (384, 256, 128, 64)


def test_a_folder_in_the_new_layout(tiny_model: Path) -> None:
    """The layout of sentence-transformers 6 keeps the token limit with the tokenizer and names the pooling."""
    contract = read_contract(tiny_model)
    assert (contract.max_tokens, contract.dimension, contract.pooling) == (64, 32, "mean")


def test_a_plain_transformers_folder(tiny_model: Path, copied: Path) -> None:
    """A folder without modules.json is one transformer with mean pooling."""
    (copied / "modules.json").unlink()
    assert read_contract(copied, name="x") == read_contract(tiny_model, name="x")


def test_declared_prompts_win(copied: Path) -> None:
    """The prompts that a model declares are its contract, under any of their usual names."""
    declare_prompts(copied, {"query": "q> ", "passage": "d> "})
    contract = read_contract(copied, name="intfloat/e5-small")
    assert (contract.query_prompt, contract.document_prompt) == ("q> ", "d> ")


def test_a_default_prompt_serves_both_sides(copied: Path) -> None:
    """A model with one default prompt puts it before queries and documents."""
    declare_prompts(copied, {"both": "text: "}, default="both")
    contract = read_contract(copied)
    assert (contract.query_prompt, contract.document_prompt) == ("text: ", "text: ")


@pytest.mark.parametrize(
    ("name", "query_prompt", "document_prompt"),
    [
        ("intfloat/multilingual-e5-small", "query: ", "passage: "),
        ("BAAI/bge-small-en-v1.5", "Represent this sentence for searching relevant passages: ", ""),
        ("BAAI/bge-m3", "", ""),
        ("intfloat/e5-mistral-7b-instruct", "Instruct: Given a web search query", ""),
        ("someone/handle5-base", "", ""),
    ],
)
def test_known_families_get_their_prompts(tiny_model: Path, name: str, query_prompt: str, document_prompt: str) -> None:
    """A model that declares nothing gets the prompts its family was trained with, and the source is stated."""
    fields = derive_fields(tiny_model, name=name)
    assert fields.query_prompt.startswith(query_prompt)
    assert bool(fields.query_prompt) == bool(query_prompt)
    assert fields.document_prompt == document_prompt
    assert fields.prompt_source.startswith("known for the" if query_prompt else "none")


def test_a_stored_contract_comes_back(copied: Path) -> None:
    """What is written is read, and wins over what the folder's other files say."""
    config = ModelConfig(query_prompt="Q: ", pooling="cls", max_tokens=32, matryoshka_dimensions=(8, 16))
    contract = apply_config(read_contract(copied), config)
    write_contract(copied, contract)
    assert read_contract(copied) == contract
    assert (contract.pooling, contract.max_tokens, contract.matryoshka_dimensions) == ("cls", 32, (32, 16, 8))


def test_no_matryoshka_dimensions_means_the_full_one(tiny_model: Path) -> None:
    """An empty setting keeps the full dimension only."""
    contract = apply_config(read_contract(tiny_model), ModelConfig(matryoshka_dimensions=()))
    assert contract.matryoshka_dimensions == (32,)


def test_a_dimension_the_model_has_not_got(tiny_model: Path) -> None:
    """A Matryoshka dimension above the model's is refused."""
    with pytest.raises(ModelError, match="64 is more than the model's 32 dimensions"):
        apply_config(read_contract(tiny_model), ModelConfig(matryoshka_dimensions=(64,)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "the encoding contract is damaged"),
        ("[]", "has not the format 1"),
        ('{"format": 2}', "has not the format 1"),
        ('{"format": 1, "model": "x"}', "missing or unknown keys: dimension"),
    ],
)
def test_a_damaged_contract_is_an_error(copied: Path, content: str, message: str) -> None:
    """A contract is never half believed."""
    (copied / CONTRACT_NAME).write_text(content, encoding="utf-8")
    with pytest.raises(ModelError, match=message):
        read_contract(copied)


def test_a_wrong_kind_of_value_is_an_error(copied: Path) -> None:
    """A token limit of 0 is as wrong as a missing one."""
    write_contract(copied, read_contract(copied))
    path = copied / CONTRACT_NAME
    path.write_text(path.read_text(encoding="utf-8").replace('"max_tokens": 64', '"max_tokens": 0'), encoding="utf-8")
    with pytest.raises(ModelError, match="a value of the wrong kind"):
        read_contract(copied)


def test_the_model_of_the_documents_is_stored_only_where_it_is_another(copied: Path) -> None:
    """A contract names the encoder of its documents if it is not the model itself, and reads back alike."""
    own = read_contract(copied)
    write_contract(copied, own)
    assert "document_model" not in (copied / CONTRACT_NAME).read_text(encoding="utf-8")
    other = dataclasses.replace(own, document_model="an id")
    write_contract(copied, other)
    assert read_contract(copied) == other
