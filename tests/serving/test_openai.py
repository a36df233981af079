"""The OpenAI protocol, asked with the openai package over HTTP."""

import base64
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from numpy.typing import NDArray
from tests.serving.conftest import Serve, Served, folder_source, serving

from dialekt.config import ModelConfig, Precision
from dialekt.models.contract import read_contract, write_contract
from dialekt.models.encoder import Encoder
from dialekt.registry.aliases import promote
from dialekt.serving.access import Keys
from dialekt.serving.sources import RegistrySource
from dialekt.types import Role

TEXTS = ["how do I reset my password?", "solar panel", "restart the water pump now please"]


def client_of(served: Served, *, api_key: str = "none", max_retries: int = 0) -> openai.OpenAI:
    """OpenAI's own client, with the server's address and nothing else changed."""
    return openai.OpenAI(base_url=f"{served.url}/v1", api_key=api_key, max_retries=max_retries)


@pytest.fixture
def client(served: Served) -> Iterator[openai.OpenAI]:
    """A client of the server that tests share."""
    with client_of(served) as found:
        yield found


def vectors_of(answer: Any) -> NDArray[np.float32]:
    """The vectors of an answer as (inputs, dimension)."""
    return np.array([row.embedding for row in answer.data], dtype=np.float32)


def expected(model: Path, texts: list[str] = TEXTS, role: Role = Role.DOCUMENT) -> NDArray[np.float32]:
    """What the library makes of texts."""
    return Encoder.load(str(model), ModelConfig(device="cpu"), precision=Precision.FP32).encode(texts, role)


def test_vectors_are_those_of_the_library(client: openai.OpenAI, tiny_model: Path) -> None:
    """The client asks for base64 unless told otherwise; its vectors equal the library's, in the order of the inputs."""
    answer = client.embeddings.create(model="tiny", input=TEXTS)
    assert answer.model == "tiny"
    assert [row.index for row in answer.data] == [0, 1, 2]
    assert (vectors_of(answer) * expected(tiny_model)).sum(axis=1).min() >= 0.9999
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > len(TEXTS)


def test_every_format_is_the_same_vector(served: Served) -> None:
    """float and base64 hold the same float32 numbers; bytes and bits are made of them."""
    body = {"input": TEXTS[0], "embedding_types": ["float", "base64", "int8", "uint8", "binary", "ubinary"]}
    kinds = served.post("/v1/embeddings", body).json()["data"][0]["embedding"]
    numbers = np.array(kinds["float"], dtype=np.float32)
    assert (np.frombuffer(base64.b64decode(kinds["base64"]), dtype="<f4") == numbers).all()
    assert (np.array(kinds["int8"]) == np.rint(numbers * 127)).all()
    assert (np.array(kinds["uint8"]) == np.array(kinds["int8"]) + 128).all()
    assert (np.unpackbits(np.array(kinds["ubinary"], dtype=np.uint8)) == (numbers > 0)).all()
    assert (np.array(kinds["binary"]) == np.array(kinds["ubinary"]) - 128).all()
    alone = served.post("/v1/embeddings", {"input": TEXTS[0], "encoding_format": "binary"}).json()
    assert alone["data"][0]["embedding"] == kinds["binary"]


def test_token_ids_are_inputs_too(served: Served, client: openai.OpenAI) -> None:
    """One list of ids is one input; several lists are several; ids of a whole text have the text's vector."""
    tokens = served.post("/tokenize", {"inputs": TEXTS[1]}).json()[0]
    ids = [token["id"] for token in tokens]
    one = vectors_of(client.embeddings.create(model="tiny", input=ids))
    several = vectors_of(client.embeddings.create(model="tiny", input=[ids, ids]))
    text = vectors_of(client.embeddings.create(model="tiny", input=TEXTS[1]))
    assert one.shape == (1, 32)
    assert several.shape == (2, 32)
    assert np.allclose(np.vstack([one, several]), text, atol=1e-6)


def test_dimensions_are_cut_and_normalised_again(client: openai.OpenAI) -> None:
    """A vector that is cut has length 1; dimensions that the model was not trained for are told of in a header."""
    full = vectors_of(client.embeddings.create(model="tiny", input=TEXTS))
    raw = client.embeddings.with_raw_response.create(model="tiny", input=TEXTS, dimensions=8)
    short = vectors_of(raw.parse())
    assert np.allclose(short, full[:, :8] / np.linalg.norm(full[:, :8], axis=1, keepdims=True), atol=1e-6)
    assert raw.headers["x-dialekt-warning"] == "dimensions=8 was not trained; trained: 32"
    assert raw.headers["x-dialekt-model"] == "tiny"
    assert int(raw.headers["x-compute-tokens"]) == raw.parse().usage.prompt_tokens
    with pytest.raises(openai.UnprocessableEntityError, match="`dimensions` should be positive"):
        client.embeddings.create(model="tiny", input=TEXTS, dimensions=0)
    with pytest.raises(openai.UnprocessableEntityError, match="smaller than the maximum embedding dimension"):
        client.embeddings.create(model="tiny", input=TEXTS, dimensions=33)


@pytest.mark.parametrize(
    ("field", "word", "role"),
    [
        ("input_type", "query", Role.QUERY),
        ("input_type", "search_document", Role.DOCUMENT),
        ("task", "retrieval.query", Role.QUERY),
        ("task", "retrieval.passage", Role.DOCUMENT),
    ],
)
def test_the_side_chooses_the_prompt(prompted: Served, prompted_model: Path, field: str, word: str, role: Role) -> None:
    """`input_type` and `task`, in Cohere's or Jina's words, put the contract's prompt before the inputs."""
    with client_of(prompted) as client:
        found = vectors_of(client.embeddings.create(model="tiny", input=TEXTS, extra_body={field: word}))
        plain = vectors_of(client.embeddings.create(model="tiny", input=TEXTS))
    assert (found * expected(prompted_model, role=role)).sum(axis=1).min() >= 0.9999
    assert (found * plain).sum(axis=1).max() < 0.999


@pytest.fixture(scope="module")
def prompted_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny model with prompts in its contract."""
    folder = Path(shutil.copytree(tiny_model, tmp_path_factory.mktemp("prompted") / "model"))
    write_contract(folder, replace(read_contract(folder), query_prompt="search query: ", document_prompt="book: "))
    return folder


@pytest.fixture(scope="module")
def prompted(prompted_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server of the model with prompts."""
    with serving([folder_source("tiny", prompted_model)], tmp_path_factory.mktemp("engines")) as found:
        yield found


@pytest.mark.parametrize("given", ["", [], ["pump", ""], [[]], [[1], []]])
def test_empty_inputs_are_refused(client: openai.OpenAI, given: Any) -> None:
    """An empty text or list anywhere is 400, which the client raises as a bad request, and does not retry."""
    with pytest.raises(openai.BadRequestError, match="`input` cannot be empty") as caught:
        client.embeddings.create(model="tiny", input=given)
    assert caught.value.param == "input"
    assert caught.value.type == "invalid_request_error"


def test_errors_have_both_shapes(served: Served) -> None:
    """The body of an error serves OpenAI's clients and TEI's at once, and repeats nothing of the request."""
    answer = served.post("/embeddings", {"input": {"secret": "text"}, "model": "tiny"})
    body = answer.json()
    assert answer.status_code == body["code"] == 422
    assert body["error"]["message"] == body["message"]
    assert body["error"].keys() == {"message", "type", "param", "code"}
    assert body["type"] == "Validation"
    assert "secret" not in answer.text


def test_an_unknown_model_is_never_another_one(served: Served, client: openai.OpenAI) -> None:
    """A model that is not served is 404 with OpenAI's code; a model of another kind is refused, too."""
    for name in ("text-embedding-3-small", "tiny@v1", "../tiny"):
        with pytest.raises(openai.NotFoundError, match=r"not served here|has no versions") as caught:
            client.embeddings.create(model=name, input="pump")
        assert caught.value.code == "model_not_found"
    with pytest.raises(openai.APIStatusError, match="not an embedding model") as refused:
        client.embeddings.create(model="judge", input="pump")
    assert refused.value.status_code == 424


def test_long_arrays_go_through_in_order(client: openai.OpenAI) -> None:
    """2,048 inputs are more than all permits, and are answered in their order; one more is refused."""
    texts = [f"pump {number}" for number in range(2048)]
    answer = client.embeddings.create(model="tiny", input=texts)
    found = vectors_of(answer)
    assert [row.index for row in answer.data] == list(range(2048))
    some = [0, 255, 256, 1000, 2047]
    alone = vectors_of(client.embeddings.create(model="tiny", input=[texts[row] for row in some]))
    assert np.allclose(found[some], alone, atol=1e-5)
    with pytest.raises(openai.UnprocessableEntityError, match=r"at most 2048 items. Given: 2049"):
        client.embeddings.create(model="tiny", input=[*texts, "pump"])


def test_tokens_of_a_request_are_limited(client: openai.OpenAI) -> None:
    """More than 300,000 tokens are refused, whether they would be cut away or not."""
    texts = ["a b c d e " * 4_000] * 16
    with pytest.raises(openai.UnprocessableEntityError, match=r"at most 300000 tokens. Given: 32"):
        client.embeddings.create(model="tiny", input=texts)
    assert client.embeddings.create(model="tiny", input=texts[:14]).usage.prompt_tokens == 14 * 64


def test_too_long_inputs_are_cut_unless_the_request_says(client: openai.OpenAI) -> None:
    """The server cuts by default; `truncate: false` refuses."""
    long = "pump " * 100
    assert client.embeddings.create(model="tiny", input=long).usage.prompt_tokens == 64
    with pytest.raises(openai.UnprocessableEntityError, match=r"must have less than 64 tokens. Given: 102"):
        client.embeddings.create(model="tiny", input=long, extra_body={"truncate": False})


def test_a_key_is_needed_where_the_server_has_keys(serve: Serve) -> None:
    """Without a key of the server the client raises an authentication error; with one it works."""
    with serve(keys=Keys.load(None, {"API_KEY": "one,two"})) as served:
        with client_of(served, api_key="three") as stranger:
            with pytest.raises(openai.AuthenticationError, match="no key of this server") as caught:
                stranger.embeddings.create(model="tiny", input="pump")
            assert caught.value.code == "invalid_api_key"
            with pytest.raises(openai.AuthenticationError, match="no key of this server"):
                stranger.models.list()
        with client_of(served, api_key="two") as friend:
            assert friend.embeddings.create(model="tiny", input="pump").data


def test_the_client_waits_as_it_is_told_when_the_server_is_full(serve: Serve) -> None:
    """429 names the limit and how to raise it; the client comes again after Retry-After, and is answered."""
    with serve(max_concurrent_requests=4) as served:
        held = served.service.admit(4)
        held.__enter__()
        with client_of(served) as hasty, pytest.raises(openai.RateLimitError, match="--max-concurrent") as caught:
            hasty.embeddings.create(model="tiny", input="pump")
        assert int(caught.value.response.headers["retry-after"]) >= 1
        threading.Timer(0.2, held.__exit__, (None, None, None)).start()
        with client_of(served, max_retries=2) as patient:
            assert patient.embeddings.create(model="tiny", input="pump").data


def test_models_are_listed(served: Served, client: openai.OpenAI) -> None:
    """GET /v1/models lists what can be asked for, and one of them can be looked up by its id."""
    listed = {row.id: row for row in client.models.list()}
    assert listed.keys() == {"tiny", "judge", "classes"}
    found = client.models.retrieve("judge")
    assert found.object == "model"
    assert found.model_dump()["kind"] == "reranker"
    with pytest.raises(openai.NotFoundError, match="'other/name' is not served here"):
        client.models.retrieve("other/name")


def test_versions_answer_under_their_own_names(project_copy: Path, tmp_path: Path) -> None:
    """A name, a version, an alias or the untuned base may be asked for; the answer says which version it is."""
    registry = project_copy / "registry"
    promote(registry, "v1", minimum_gain=0.0, now="2026-01-01T00:00:00+00:00")
    model = ModelConfig(device="cpu", base=str(project_copy / "base"))
    source = RegistrySource("support", registry, "champion", model, lambda: None)
    with serving([source], tmp_path / "engines") as served, client_of(served) as client:
        for name in ("support", "support@champion", "support@v1"):
            answer = client.embeddings.with_raw_response.create(model=name, input="pump")
            assert answer.parse().model == answer.headers["x-dialekt-model"] == "support@v1"
        listed = {row.id: row.model_dump() for row in client.models.list()}
        found = client.models.retrieve("support@champion")
    assert listed.keys() == {"support", "support@v1", "support@base"}
    assert listed["support@v1"]["aliases"] == ["support@champion", "support@latest"]
    assert listed["support@v1"]["created"] > 1_700_000_000
    assert found.id == "support@v1"
