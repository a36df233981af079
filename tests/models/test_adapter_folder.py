"""Adapters on disk: which folder holds what, what it encodes, and how it leaves."""

import json
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from tests.models.test_vector_map import random_map

from dialekt.config import AdapterKind, ModelConfig, Precision
from dialekt.errors import ModelError
from dialekt.models.adapter_export import can_fold, fold, write_programs
from dialekt.models.adapter_folder import Maps, read_adapter, read_maps, save_adapter
from dialekt.models.base import describe_model
from dialekt.models.contract import DOCUMENT_ENCODER, read_contract
from dialekt.models.document_encoder import weights_bytes
from dialekt.models.encoder import Encoder
from dialekt.models.encoders import load_encoder
from dialekt.models.export import export_model, servers_can_load
from dialekt.models.parity import check_parity
from dialekt.models.text_encoder import TextEncoder
from dialekt.types import Role

CONFIG = ModelConfig(device="cpu")
TEXTS = ["the garden pump", "a bike in the city", "solar panel on the roof"]


def save(folder: Path, base: Path, *, kind: AdapterKind = AdapterKind.LINEAR, documents: str = "own") -> Path:
    """Save an adapter behind a model: its documents have a map of their "own", a "shared" one, or "none"."""
    queries = random_map(kind, dimension=32)
    moved = {"own": random_map(kind, seed=1, dimension=32), "shared": queries, "none": None}[documents]
    contract = read_contract(base, name="tiny")
    save_adapter(folder, Maps(queries, moved, 0.5), contract, base, documents_id=describe_model(str(base)))
    return folder


def load(folder: Path) -> TextEncoder:
    """The encoder of a folder; no endpoint is asked here."""
    return load_encoder(str(folder), CONFIG, cache=folder.parent / "vectors.sqlite")


@pytest.mark.parametrize("kind", AdapterKind)
@pytest.mark.parametrize("documents", ["own", "shared", "none"])
def test_both_sides_are_base_vectors_times_their_map(
    tiny_model: Path, tmp_path: Path, kind: AdapterKind, documents: str
) -> None:
    """Whatever the folder looks like inside, and with the base removed from where it was."""
    base = Path(shutil.copytree(tiny_model, tmp_path / "tiny"))
    folder = save(tmp_path / "model", base, kind=kind, documents=documents)
    shutil.rmtree(base)
    plain, found, maps = Encoder.load(str(tiny_model), CONFIG), load(folder), read_maps(folder)
    queries, passages = (plain.encode(TEXTS, role) for role in (Role.QUERY, Role.DOCUMENT))
    expected = passages if maps.documents is None else maps.documents.apply(passages)
    np.testing.assert_allclose(found.encode(TEXTS, Role.QUERY), maps.queries.apply(queries), atol=1e-5)
    np.testing.assert_allclose(found.encode(TEXTS, Role.DOCUMENT), expected, atol=1e-5)
    assert found.token_offsets(TEXTS) == plain.token_offsets(TEXTS)
    assert found.dimension == 32
    assert read_adapter(folder).share == 0.5


def test_the_base_lies_in_the_folder_once(tiny_model: Path, tmp_path: Path) -> None:
    """Two maps share the weights on disk; the memory that is reckoned for counts them."""
    for documents in ("own", "shared", "none"):
        folder = save(tmp_path / documents, tiny_model, documents=documents)
        assert len(list(folder.rglob("model.safetensors"))) == 1
        assert weights_bytes(folder) > (tiny_model / "model.safetensors").stat().st_size


def test_an_adapter_may_stand_behind_an_adapter(tiny_model: Path, tmp_path: Path) -> None:
    """The second one tunes the queries of the first, whose documents stay."""
    first = save(tmp_path / "first", tiny_model)
    maps = Maps(random_map(AdapterKind.LINEAR, seed=5, dimension=32), None, 1.0)
    contract = read_contract(first)
    save_adapter(tmp_path / "second", maps, contract, first, documents_id=contract.document_model)
    once, twice = load(first), load(tmp_path / "second")
    np.testing.assert_allclose(twice.encode(TEXTS, Role.DOCUMENT), once.encode(TEXTS, Role.DOCUMENT), atol=1e-5)
    moved = maps.queries.apply(once.encode(TEXTS, Role.QUERY))
    np.testing.assert_allclose(twice.encode(TEXTS, Role.QUERY), moved, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base": "../../elsewhere"}, "is not in the folder"),
        ({"base": ""}, "is not in the folder"),
        ({"format": 7}, "has not the format 1"),
        ({"kind": "quadratic"}, "is no adapter"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused(
    tiny_model: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    """Nothing is read from outside the folder, and nothing unknown is guessed at."""
    folder = save(tmp_path / "model", tiny_model, documents="shared")
    (tmp_path / "elsewhere").mkdir()
    path = folder / "adapter.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes), encoding="utf-8")
    with pytest.raises(ModelError, match=message):
        load(folder)


def test_a_copy_is_compared_with_the_original(tiny_model: Path, tmp_path: Path) -> None:
    """An export is whole and the same model; one whose weights or base were changed is not."""
    folder, contract = save(tmp_path / "model", tiny_model), read_contract(tmp_path / "model")
    facts = export_model(folder, tmp_path / "out", contract)
    assert (facts.adapter, facts.moves_documents, facts.servers_can_load) == ("linear", True, False)
    assert not servers_can_load(tmp_path / "out")
    assert describe_model(str(tmp_path / "out")) == describe_model(str(folder))
    assert check_parity(folder, tmp_path / "out").passed
    weights = tmp_path / "out" / DOCUMENT_ENCODER / "adapter.safetensors"
    shutil.copyfile(folder / "adapter.safetensors", weights)
    assert not check_parity(folder, tmp_path / "out").passed


@pytest.mark.parametrize("kind", AdapterKind)
def test_the_program_beside_the_weights_moves_vectors_without_us(
    tiny_model: Path, tmp_path: Path, kind: AdapterKind
) -> None:
    """A dozen lines of numpy give what the library gives, on each side."""
    folder = save(tmp_path / "model", tiny_model, kind=kind)
    write_programs(folder)
    encoder, plain = load(folder), Encoder.load(str(tiny_model), CONFIG)
    for place, role in ((folder, Role.QUERY), (folder / DOCUMENT_ENCODER, Role.DOCUMENT)):
        program = (place / "apply.py").read_text(encoding="utf-8")
        assert "dialekt" not in program
        moved = runpy.run_path(str(place / "apply.py"))["apply"](3 * plain.encode(TEXTS, role))
        np.testing.assert_allclose(moved, encoder.encode(TEXTS, role), atol=1e-5)


@pytest.mark.parametrize("documents", ["own", "none"])
def test_a_linear_adapter_becomes_a_layer_of_an_ordinary_model(
    tiny_model: Path, tmp_path: Path, documents: str
) -> None:
    """Plain sentence-transformers makes the same vectors of the folded folders, and TEI can load them."""
    folder, out = save(tmp_path / "model", tiny_model, documents=documents), tmp_path / "out"
    fold(folder, out)
    plain, maps = Encoder.load(str(tiny_model), CONFIG, precision=Precision.FP32), read_maps(folder)
    passages = plain.encode(TEXTS, Role.DOCUMENT)
    expected = {
        Role.QUERY: maps.queries.apply(plain.encode(TEXTS, Role.QUERY)),
        Role.DOCUMENT: maps.documents.apply(passages) if maps.documents else passages,
    }
    folded = Encoder.load(str(out), CONFIG, precision=Precision.FP32)
    for place, role in ((out, Role.QUERY), (out / DOCUMENT_ENCODER, Role.DOCUMENT)):
        vectors = SentenceTransformer(str(place), device="cpu").encode(TEXTS)
        np.testing.assert_allclose(vectors, expected[role], atol=1e-5)
        np.testing.assert_allclose(folded.encode(TEXTS, role), expected[role], atol=1e-5)
        assert servers_can_load(place)


def test_an_mlp_cannot_be_folded(tiny_model: Path, tmp_path: Path) -> None:
    """What no other server computes is said to be that, with the way out."""
    folder = save(tmp_path / "model", tiny_model, kind=AdapterKind.MLP)
    assert not can_fold(folder)
    with pytest.raises(ModelError, match="only a linear adapter") as caught:
        fold(folder, tmp_path / "out")
    assert "dialekt serve" in caught.value.hint
