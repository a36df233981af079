"""The server in front of an endpoint: adapted vectors on every route, and upstream failures as clear statuses."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.models.test_endpoint import Seen
from tests.models.test_endpoint import serving as upstream
from tests.models.test_vector_map import random_map
from tests.serving.conftest import Served, folder_source, serving

from dialekt.config import AdapterKind, ModelConfig
from dialekt.models.adapter_folder import Maps, save_adapter
from dialekt.models.contract import EncodingContract
from dialekt.models.encoders import load_encoder
from dialekt.models.endpoint import EmbeddingEndpoint, parse_endpoint
from dialekt.models.endpoint_folder import PROBE_TEXTS, endpoint_contract, write_endpoint
from dialekt.models.remote import RemoteEncoder
from dialekt.serving.sources import FolderSource
from dialekt.types import Role

TEXTS = ["the garden pump", "a bike in the city"]


def save(folder: Path, endpoint: EmbeddingEndpoint, contract: EncodingContract, *, documents: bool = True) -> Path:
    """Save an adapter behind an endpoint, with a map of its own for documents or with none."""
    maps = [random_map(AdapterKind.MLP, seed=seed, dimension=contract.dimension) for seed in (1, 2)]
    remote = RemoteEncoder(endpoint, folder.parent / "probes.sqlite")
    write_endpoint(folder.parent / "endpoint", endpoint, contract, remote.embed_as_sent(PROBE_TEXTS))
    remote.close()
    found = Maps(maps[0], maps[1] if documents else None, 1.0)
    save_adapter(folder, found, contract, folder.parent / "endpoint", documents_id=endpoint.identity)
    return folder


@pytest.fixture(scope="module", params=["openai:{url}/v1#tiny", "tei:{url}#tiny"])
def adapter(served: Served, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """An adapter behind the server of the tiny model, on both protocols."""
    query_prompt, document_prompt = "find: ", "text: "
    plain = parse_endpoint(request.param.format(url=served.url))
    endpoint = replace(plain, query_prompt=query_prompt, document_prompt=document_prompt)
    config = ModelConfig(
        query_prompt=query_prompt, document_prompt=document_prompt, max_tokens=64, matryoshka_dimensions=(16,)
    )
    contract = endpoint_contract(endpoint, config, dimension=32)
    return save(tmp_path_factory.mktemp("adapter") / "model", endpoint, contract)


@pytest.fixture(scope="module")
def front(adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with that adapter."""
    with serving([folder_source("front", adapter)], tmp_path_factory.mktemp("engines")) as found:
        yield found


@pytest.mark.parametrize("role", Role)
def test_rest_answers_with_the_librarys_vectors(front: Served, adapter: Path, role: Role, tmp_path: Path) -> None:
    """On TEI's and OpenAI's routes, for both sides, whole and cut to a dimension that was trained."""
    expected = load_encoder(str(adapter), ModelConfig(), cache=tmp_path / "c.sqlite").encode(TEXTS, role)
    found = front.post("/embed", {"inputs": TEXTS, "input_type": role.value})
    np.testing.assert_allclose(found.json(), expected, atol=1e-5)
    assert found.headers["x-compute-type"] == "remote+endpoint"
    assert "x-dialekt-warning" not in found.headers
    rows = front.post("/v1/embeddings", {"input": TEXTS, "input_type": role.value}).json()["data"]
    np.testing.assert_allclose([row["embedding"] for row in rows], expected, atol=1e-5)
    cut = np.array(front.post("/embed", {"inputs": TEXTS, "input_type": role.value, "dimensions": 16}).json())
    expected = expected[:, :16] / np.linalg.norm(expected[:, :16], axis=1, keepdims=True)
    np.testing.assert_allclose(cut, expected, atol=1e-5)


def test_a_long_array_goes_on_in_batches(front: Served, served: Served, adapter: Path, tmp_path: Path) -> None:
    """A hundred texts take a few requests upstream and keep their order."""
    texts = [f"pump number {number}" for number in range(100)]
    rows = front.post("/v1/embeddings", {"input": texts, "input_type": "document"}).json()["data"]
    expected = load_encoder(str(adapter), ModelConfig(), cache=tmp_path / "c.sqlite").encode(texts, Role.DOCUMENT)
    np.testing.assert_allclose([row["embedding"] for row in rows], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/tokenize", {"inputs": "a text"}, 424, "tokenizer of a model behind an endpoint is not here"),
        ("/decode", {"ids": [3, 4]}, 424, "tokenizer of a model behind an endpoint is not here"),
        ("/embed_all", {"inputs": "a text"}, 424, "not of tokens"),
        ("/v1/embeddings", {"input": [[3, 4]]}, 422, "token ids stand for nothing"),
        ("/embed", {"inputs": "word " * 80, "truncate": False}, 422, "must have less than 64 tokens"),
    ],
)
def test_what_needs_the_models_tokens_is_refused(
    front: Served, path: str, body: dict[str, object], status: int, said: str
) -> None:
    """Nobody here knows them, and that is what is said."""
    found = front.post(path, body)
    assert found.status_code == status
    assert said in found.text


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[tuple[Seen, Served]]:
    """A scripted endpoint that puts whatever status a test wants, and a server in front of it."""
    with upstream() as seen:
        endpoint = parse_endpoint(f"openai:{seen.url}/v1#m")
        contract = endpoint_contract(endpoint, ModelConfig(max_tokens=64), dimension=3)
        folder = save(tmp_path / "model", endpoint, contract)
        with serving([folder_source("front", folder)], tmp_path / "engines") as found:
            yield seen, found


@pytest.mark.parametrize(
    ("answers", "status", "said"),
    [
        ([500, 500], 502, "fails or is not reached (500)"),
        ([401], 502, "refuses the server's key (401)"),
        ([429, 429], 503, "is busy or limits requests (429)"),
        ([503, 503], 503, "is busy or limits requests (503)"),
        ([504, 504], 504, "does not answer in time"),
        ([400, 400], 422, "refuses an input (400)"),
        ([503], 200, "data"),
    ],
)
def test_what_fails_upstream_has_a_status_of_its_own(
    scripted: tuple[Seen, Served], answers: list[int], status: int, said: str
) -> None:
    """The client learns whose fault it is and not where the endpoint is; a hiccup passes unnoticed."""
    seen, front = scripted
    seen.answers = list(answers)
    seen.refusal = lambda texts: {"error": f"cannot embed {texts[0]}"}
    found = front.post("/v1/embeddings", {"input": ["a very private question"]})
    assert found.status_code == status
    assert said in found.text
    assert "127.0.0.1" not in found.text
    assert "private" not in found.text
    time.sleep(0.3)
    assert b"private" not in front.log.getvalue()


def test_one_refused_text_does_not_spoil_the_others_of_a_batch(scripted: tuple[Seen, Served]) -> None:
    """Requests that came together are asked for one by one when the endpoint refuses one of them."""
    seen, front = scripted
    seen.answers = [400]
    assert front.post("/embed", {"inputs": TEXTS}).status_code == 200


def test_a_dead_endpoint_is_asked_once_for_a_batch(scripted: tuple[Seen, Served]) -> None:
    """Where the endpoint fails there is no culprit to be found one by one."""
    seen, front = scripted
    seen.answers = [500] * 20
    before = len(seen.bodies)
    assert front.post("/embed", {"inputs": [f"text {number}" for number in range(8)]}).status_code == 502
    assert len(seen.bodies) - before == 2


def test_the_server_starts_before_its_endpoint(tmp_path: Path) -> None:
    """An endpoint that is not there is a warning in the log and 502 on requests, until it is there."""
    with upstream() as seen:
        endpoint = parse_endpoint(f"tei:{seen.url}")
        contract = endpoint_contract(endpoint, ModelConfig(max_tokens=64), dimension=3)
        folder = save(tmp_path / "model", endpoint, contract, documents=False)
    with serving([folder_source("front", folder)], tmp_path / "engines") as front:
        assert front.post("/embed", {"inputs": "a text"}).status_code == 502
        time.sleep(0.3)
        assert b"is not reached" in front.log.getvalue()


def test_a_key_goes_to_the_host_of_the_base_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder names an address; whose key it gets is decided by the settings, not by the folder."""
    monkeypatch.setenv("UPSTREAM_KEY", "sesame")
    with upstream() as seen:
        endpoint = parse_endpoint(f"tei:{seen.url}")
        contract = endpoint_contract(endpoint, ModelConfig(max_tokens=64), dimension=3)
        folder = save(tmp_path / "model", endpoint, contract)
        for base, key in ((f"tei:{seen.url}", "Bearer sesame"), ("tei:http://example.org", "")):
            seen.keys.clear()
            config = ModelConfig(base=base, api_key_variable="UPSTREAM_KEY")
            with serving([FolderSource("front", str(folder), config)], tmp_path / "engines") as front:
                assert front.post("/embed", {"inputs": "a text"}).status_code == 200
            assert seen.keys == {key}
