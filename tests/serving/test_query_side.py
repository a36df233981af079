"""A model whose query side alone was tuned answers each side with its own encoder."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.serving.conftest import Served, folder_source, serving
from tests.serving.searching import build_index, encoder, searching

from dialekt.config import ModelConfig, Precision
from dialekt.models.base import describe_model
from dialekt.models.contract import write_contract
from dialekt.models.document_encoder import keep_document_encoder
from dialekt.models.encoder import Encoder
from dialekt.types import Role

TEXTS = ["the garden pump", "a bike in the city"]


@pytest.fixture(scope="module")
def two_sided(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with other query weights, prompts on both sides, and the encoder of its documents."""
    folder, config = tmp_path_factory.mktemp("two") / "model", ModelConfig(device="cpu")
    base = Encoder.load(str(tiny_model), config, precision=Precision.FP32)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(5)
        for weight in base.model.parameters():
            weight.add_(torch.randn_like(weight) * 0.5)
    base.model.save_pretrained(str(folder), create_model_card=False)
    contract = replace(
        base.contract, document_model=describe_model(str(tiny_model)), query_prompt="find: ", document_prompt="text: "
    )
    write_contract(folder, contract)
    keep_document_encoder(str(tiny_model), config, contract, folder)
    return folder


@pytest.fixture(scope="module")
def server(two_sided: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with that model."""
    with serving([folder_source("two", two_sided)], tmp_path_factory.mktemp("engines")) as found:
        yield found


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("field", ["input_type", "prompt_name"])
def test_each_side_is_answered_by_its_own_encoder(server: Served, two_sided: Path, role: Role, field: str) -> None:
    """However a request says which side it is on, the vectors are those of the library, and nothing is warned of."""
    encoder = Encoder.load(str(two_sided), ModelConfig(device="cpu"), precision=Precision.FP32)
    response = server.post("/embed", {"inputs": TEXTS, field: role.value})
    np.testing.assert_allclose(response.json(), encoder.encode(TEXTS, role), atol=1e-5)
    assert "x-dialekt-warning" not in response.headers
    assert response.headers["x-dialekt-model"] == "two"


def test_openai_clients_reach_both_encoders(server: Served, two_sided: Path) -> None:
    """The same holds for POST /v1/embeddings."""
    encoder = Encoder.load(str(two_sided), ModelConfig(device="cpu"), precision=Precision.FP32)
    for role in Role:
        answer = server.post("/v1/embeddings", {"input": TEXTS, "input_type": role.value}).json()
        found = [item["embedding"] for item in answer["data"]]
        np.testing.assert_allclose(found, encoder.encode(TEXTS, role), atol=1e-5)


def test_vectors_of_tokens_have_a_side_too(server: Served) -> None:
    """Token by token, the two encoders give different vectors."""
    first, second = (server.post("/embed_all", {"inputs": "a bike", "input_type": role}).json() for role in Role)
    assert np.abs(np.array(first[0])[0] - np.array(second[0])[0]).max() > 1e-3


def test_similarity_of_documents_is_that_of_the_document_encoder(server: Served, two_sided: Path) -> None:
    """A prompt name chooses the encoder of /similarity."""
    documents = Encoder.load(str(two_sided), ModelConfig(device="cpu"), precision=Precision.FP32).encode(
        TEXTS, Role.DOCUMENT
    )
    body = {
        "inputs": {"source_sentence": TEXTS[0], "sentences": [TEXTS[1]]},
        "parameters": {"prompt_name": "document"},
    }
    assert server.post("/similarity", body).json() == pytest.approx([float(documents[0] @ documents[1])], abs=1e-5)


@pytest.mark.parametrize(
    ("path", "field"), [("/embed", "inputs"), ("/v1/embeddings", "input"), ("/embed_all", "inputs")]
)
def test_who_says_nothing_is_told_that_it_was_taken_for_a_query(server: Served, path: str, field: str) -> None:
    """Without a side the query encoder answers, and a header says how to ask for the other."""
    response = server.post(path, {field: TEXTS[0]})
    assert "input_type=document" in response.headers["x-dialekt-warning"]


def test_the_servers_default_prompt_decides_where_requests_say_nothing(two_sided: Path, tmp_path: Path) -> None:
    """A server that takes inputs for documents unless told otherwise asks the encoder of documents."""
    encoder = Encoder.load(str(two_sided), ModelConfig(device="cpu"), precision=Precision.FP32)
    with serving([folder_source("two", two_sided)], tmp_path, default_prompt_name="document") as served:
        found = served.post("/embed", {"inputs": TEXTS})
        np.testing.assert_allclose(found.json(), encoder.encode(TEXTS, Role.DOCUMENT), atol=1e-5)
        assert "x-dialekt-warning" not in found.headers


def test_an_index_of_such_a_model_is_searched_with_both_encoders(two_sided: Path, tmp_path: Path) -> None:
    """Queries go to the tuned side, documents that are written go to the other, and scores are the library's."""
    model = encoder(two_sided)
    index = build_index(tmp_path / "index", two_sided)
    with searching(index, two_sided) as served:
        new = {"id": "new", "text": TEXTS[0]}
        assert served.post("/documents", {"documents": [new]}).status_code == 200
        hits = served.post("/search", {"query": TEXTS[1], "k": 10}).json()["hits"]
    texts = [f"{hit['title']} {hit['text']}".strip() for hit in hits]
    cosines = model.encode(texts, Role.DOCUMENT) @ model.encode([TEXTS[1]], Role.QUERY)[0]
    assert {"new", "pump"} < {hit["id"] for hit in hits}
    np.testing.assert_allclose([hit["score"] for hit in hits], cosines, atol=1e-4)
