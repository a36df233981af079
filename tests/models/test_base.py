"""Where base models come from."""

import shutil
from pathlib import Path

import pytest

from dialekt.errors import ModelError
from dialekt.models.base import MINILM_SHA256, describe_model, fetch_model, resolve_model
from dialekt.store.hashing import hash_file


@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"])
def test_minilm_comes_from_its_package(minilm: Path, name: str) -> None:
    """Both names of MiniLM lead to the package, whose weights are the published ones."""
    assert resolve_model(name) == minilm
    assert hash_file(minilm / "model.safetensors") == MINILM_SHA256


def test_a_local_folder_is_itself(tiny_model: Path) -> None:
    """A model folder resolves to itself."""
    assert resolve_model(str(tiny_model)) == tiny_model


def test_another_name_is_left_to_the_hub() -> None:
    """A name that is no folder is one on the Hub."""
    assert resolve_model("intfloat/e5-small-v2") == "intfloat/e5-small-v2"


@pytest.mark.parametrize("name", ["./missing", "/no/such/model", "a/b/c", "not a model!", ""])
def test_a_name_that_cannot_be_one(name: str) -> None:
    """A path that does not exist is not sent to the Hub."""
    with pytest.raises(ModelError, match="there is no model folder"):
        resolve_model(name)


def test_a_folder_that_is_not_a_model(tmp_path: Path) -> None:
    """A folder of something else says what is missing."""
    (tmp_path / "readme.txt").write_text("hello", encoding="utf-8")
    with pytest.raises(ModelError, match=r"neither modules\.json nor config\.json"):
        resolve_model(str(tmp_path))


def test_a_file_is_not_a_model(tmp_path: Path) -> None:
    """A single file is refused."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"")
    with pytest.raises(ModelError, match="is a file, expected a model folder"):
        resolve_model(str(path))


def test_pickled_weights_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    """Weights that could run code when loaded are not weights."""
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="no weights in safetensors format"):
        resolve_model(str(folder))


def test_the_description_follows_the_content(tiny_model: Path, tmp_path: Path) -> None:
    """A copy has the same description; other weights or settings have another; a read-me changes nothing."""
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    before = describe_model(str(tiny_model))
    (folder / "README.md").write_text("notes", encoding="utf-8")
    assert describe_model(str(folder)) == before
    (folder / "tokenizer_config.json").write_text("{}", encoding="utf-8")
    assert describe_model(str(folder)) != before


def test_code_counts_only_when_it_is_trusted(tiny_model: Path, tmp_path: Path) -> None:
    """A model's own code is part of its content if it may run."""
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    (folder / "modeling.py").write_text("x = 1\n", encoding="utf-8")
    assert describe_model(str(folder)) == describe_model(str(tiny_model))
    assert describe_model(str(folder), trust_remote_code=True) != describe_model(str(folder))


def test_a_hub_name_without_a_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A model that is neither here nor reachable is one clear error; its description is its name."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert describe_model("nobody/no-such-model-xyz") == "nobody/no-such-model-xyz"
    with pytest.raises(ModelError, match="'nobody/no-such-model-xyz' cannot be had"):
        fetch_model("nobody/no-such-model-xyz")
