"""From a trained model to a registered, checked and described version."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dialekt.config import ModelConfig, RegistryConfig
from dialekt.errors import ModelError
from dialekt.models.contract import apply_config, read_contract
from dialekt.registry.aliases import promote
from dialekt.registry.records import Evidence, Lineage
from dialekt.registry.stage import RegistryInputs, register_model
from dialekt.registry.versions import list_versions, load_version
from dialekt.types import Progress

NOW = "2026-11-20T10:00:00+00:00"
SECRET = "which invoice did Ms Example not pay"


@pytest.fixture
def inputs(
    tiny_model: Path,
    tmp_path: Path,
    make_lineage: Callable[..., Lineage],
    make_evidence: Callable[..., Evidence],
) -> RegistryInputs:
    """A trained model whose folder also holds what a training leaves behind, with texts of queries in it."""
    trained = shutil.copytree(tiny_model, tmp_path / "trained")
    (trained / "README.md").write_text(f"| sample |\n| {SECRET} |\n")
    (trained / "curve.jsonl").write_text(SECRET)
    contract = apply_config(
        read_contract(tiny_model), ModelConfig(matryoshka_dimensions=(32, 16), query_prompt="search: ")
    )
    return RegistryInputs(trained, contract, make_lineage(), make_evidence(parity=None), title="Help desk")


def test_model_is_exported_checked_described_and_registered(registry: Path, inputs: RegistryInputs) -> None:
    """One call makes a version that loads, with its card, its parity and a verdict of the gate."""
    from sentence_transformers import SentenceTransformer

    steps: list[Progress] = []
    facts = register_model(RegistryConfig(path=registry), inputs, created=NOW, progress=steps.append)
    version = load_version(registry, facts.version)
    assert (facts.version, facts.already_registered, facts.promotable) == ("v1", False, True)
    assert facts.parity_passed
    assert facts.parity_min_cosine >= 0.99999
    assert facts.servers_can_load
    assert facts.content_id == version.content_id
    assert version.evidence.parity is not None
    assert read_contract(version.model) == inputs.contract
    assert (version.model / "README.md").read_text().count(version.content_id) == 1
    assert SentenceTransformer(str(version.model), device="cpu").get_embedding_dimension() == 32
    assert [step.done for step in steps] == [0, 1, 2, 3, 4]
    json.dumps(dataclasses.asdict(facts))


def test_no_text_of_the_training_is_registered(registry: Path, inputs: RegistryInputs) -> None:
    """No file of the version holds a text of a query or document: neither the card nor the record."""
    register_model(RegistryConfig(path=registry), inputs, created=NOW)
    files = [path for path in (registry / "models" / "v1").rglob("*") if path.is_file()]
    assert {"README.md", "version.json"} <= {path.name for path in files}
    assert not [path.name for path in files if SECRET.encode() in path.read_bytes()]


def test_registering_again_does_nothing(registry: Path, inputs: RegistryInputs) -> None:
    """The same training and evaluation is the same version, at whatever time it is registered again."""
    config = RegistryConfig(path=registry)
    first = register_model(config, inputs, created=NOW)
    again = register_model(config, inputs, created="2027-01-01T00:00:00+00:00")
    assert again == dataclasses.replace(first, already_registered=True)
    assert len(list_versions(registry)) == 1


def test_same_model_with_new_evidence(registry: Path, inputs: RegistryInputs) -> None:
    """A new evaluation of the same training makes a new version of the same content."""
    config = RegistryConfig(path=registry)
    first = register_model(config, inputs, created=NOW)
    artefacts = dataclasses.replace(inputs.lineage.artefacts, evaluation="evaluation-2")
    lineage = dataclasses.replace(inputs.lineage, artefacts=artefacts)
    second = register_model(config, dataclasses.replace(inputs, lineage=lineage), created=NOW)
    assert (second.version, second.already_registered) == ("v2", False)
    assert second.content_id == first.content_id


def test_unproven_model_is_registered_but_not_promotable(
    registry: Path, inputs: RegistryInputs, make_evidence: Callable[..., Evidence]
) -> None:
    """Every trained model is kept; the facts say why the gate would refuse it."""
    weak = dataclasses.replace(inputs, evidence=make_evidence(low=-0.01, high=0.02, parity=None))
    facts = register_model(RegistryConfig(path=registry), weak, created=NOW)
    assert facts.version == "v1"
    assert not facts.promotable
    assert "includes 0" in facts.promotable_reason


def test_registered_model_can_be_promoted(registry: Path, inputs: RegistryInputs) -> None:
    """What the stage registers passes the gate when the gain is proven."""
    register_model(RegistryConfig(path=registry), inputs, created=NOW)
    assert promote(registry, "latest", minimum_gain=0.0, now=NOW).version == "v1"


def test_model_that_cannot_be_exported(registry: Path, inputs: RegistryInputs) -> None:
    """A folder that is no model is an error; the registry stays as it was."""
    (inputs.model / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="safetensors"):
        register_model(RegistryConfig(path=registry), inputs, created=NOW)
    assert list((registry / "models").iterdir()) == []
