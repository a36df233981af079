"""What surrounds every route: keys, limits, metrics, headers, the log."""

import base64
import itertools
import json
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.serving.conftest import Serve, Served, folder_source, serving

from dialekt.config import ModelConfig
from dialekt.models.contract import read_contract, write_contract
from dialekt.models.encoder import Encoder
from dialekt.serving.access import Keys
from dialekt.types import Role

JSON = {"content-type": "application/json"}
PUMP = {"inputs": "pump"}
QUESTION = "how do i "


@pytest.fixture(scope="module")
def prompted(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose model has a prompt for queries, none for documents, and was trained for 32 and 8 dimensions."""
    folder = tmp_path_factory.mktemp("prompted")
    model = Path(shutil.copytree(tiny_model, folder / "model"))
    contract = replace(read_contract(model), query_prompt=QUESTION, matryoshka_dimensions=(32, 8))
    write_contract(model, contract)
    with serving([folder_source("asks", model)], folder / "engines") as found:
        yield found


def metric(served: Served, name: str) -> float:
    """The value of a metric now; 0 where it was never counted."""
    lines = served.client.get("/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + " "))


def test_keys_guard_every_route_but_tei_s_open_ones(serve: Serve) -> None:
    """401 has an empty body on TEI's routes and OpenAI's on /v1; any of the keys opens."""
    with serve(keys=Keys.load(None, {"API_KEY": "one-key,other-key"})) as served:
        for path in ("/", "/health", "/ping", "/ready", "/metrics", "/docs"):
            assert served.client.get(path).status_code == 200, path
        for path in ("/info", "/openapi.json"):
            assert served.client.get(path).status_code == 401, path
        for path in ("/", "/embed", "/rerank", "/tokenize", "/invocations"):
            refused = served.post(path, PUMP)
            assert (refused.status_code, refused.content) == (401, b"")
            assert refused.headers["www-authenticate"] == "Bearer"
        refused = served.post("/v1/embeddings", {"input": "pump"}, authorization="Bearer wrong-key")
        assert refused.json()["error"]["code"] == "invalid_api_key"
        for key in ("one-key", "other-key"):
            assert served.post("/embed", PUMP, authorization=f"Bearer {key}").status_code == 200
        time.sleep(0.6)
        assert b"-key" not in served.log.getvalue()


def test_a_body_over_the_limit_is_refused_before_it_is_read(serve: Serve) -> None:
    """By its declared length, or while it arrives; the message says which limit, and how to raise it."""
    with serve(payload_limit=100) as served:
        whole = served.client.post("/embed", content=b'{"inputs": "' + b"a" * 100 + b'"}', headers=JSON)
        chunked = served.client.post("/embed", content=itertools.repeat(b"[", 200), headers=JSON)
        for refused in (whole, chunked):
            assert refused.status_code == 413
            assert "larger than 100 bytes" in refused.json()["error"]
            assert "--payload-limit" in refused.json()["error"]
        assert served.post("/embed", PUMP).status_code == 200
        compressed = served.client.post("/embed", json=PUMP, headers={"content-encoding": "gzip"})
        assert compressed.status_code == 415


def test_too_many_inputs_are_429_with_a_time_to_come_again(serve: Serve) -> None:
    """The request as a whole; the text names the limit and the flag that raises it."""
    with serve(max_concurrent_requests=2) as served:
        refused = served.post("/embed", {"inputs": ["pump"] * 3})
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["error_type"] == "Overloaded"
        assert refused.json()["error"].startswith("Model is overloaded: the request has 3 inputs, the limit is 2")
        assert "--max-concurrent-requests" in refused.json()["error"]
        assert served.post("/embed", {"inputs": ["pump"] * 2}).status_code == 200
        assert metric(served, 'te_request_failure{err="overloaded"}') == 1


@pytest.mark.parametrize("timeout", ["0", "-1", "1.5", "soon", "", "9" * 12])
def test_an_odd_timeout_or_priority_is_refused(served: Served, timeout: str) -> None:
    """Headers are validated as bodies are."""
    answer = served.post("/embed", PUMP, x_timeout_ms=timeout)
    assert answer.status_code == 422
    assert "`x-timeout-ms`" in answer.json()["error"]
    assert served.post("/embed", PUMP, x_priority="first").status_code == 422
    assert served.post("/embed", PUMP, x_priority="bulk", x_timeout_ms="20000").status_code == 200


def test_requests_and_failures_are_counted_under_tei_s_names(serve: Serve) -> None:
    """By method, task and cause; a failure is no success."""
    with serve(max_client_batch_size=2) as served:
        served.post("/embed", PUMP)
        served.post("/embed", {"inputs": ["pump", "valve"]})
        served.post("/embed", {"inputs": ["pump"] * 3})
        served.post("/embed", {"inputs": ""})
        served.post("/rerank", {"query": "pump", "texts": ["valve"]})
        served.post("/decode", {"ids": [999_999]})
        assert metric(served, 'te_request_count{method="single"}') == 2
        assert metric(served, 'te_request_success{method="single"}') == 1
        assert metric(served, 'te_request_success{method="batch"}') == 1
        assert metric(served, "te_embed_success") == 3
        assert metric(served, "te_request_input_length_count") == 3
        assert metric(served, "te_batch_next_size_sum") == 3
        for cause in ("batch_size", "validation", "model_type", "tokenization"):
            assert metric(served, f'te_request_failure{{err="{cause}"}}') == 1, cause


def test_the_log_tells_of_requests_without_their_texts(served: Served) -> None:
    """Who asked for what, how long it took, and what it weighed; never what it said."""
    served.post("/embed", {"inputs": ["confidential", "secret plan"]}, x_request_id="mine-1")
    served.post("/embed", {"inputs": "confidential", "prompt_name": "secret"}, x_request_id="mine-2")
    served.client.get("/nowhere")
    time.sleep(0.6)
    log = served.log.getvalue().decode()
    lines = [json.loads(line) for line in log.splitlines()]
    (line,) = [line for line in lines if line.get("request_id") == "mine-1"]
    assert (line["method"], line["path"], line["status"], line["inputs"]) == ("POST", "/embed", 200, 2)
    assert line["model"] == "tiny"
    (line,) = [line for line in lines if line.get("request_id") == "mine-2"]
    assert (line["status"], line["error_type"]) == (422, "Validation")
    assert any(line.get("path") == "/nowhere" and line["status"] == 404 for line in lines)
    assert "confidential" not in log
    assert "secret" not in log


def test_probes_are_not_logged_while_they_succeed(served: Served) -> None:
    """They come every second."""
    served.client.get("/health", headers={"x-request-id": "probe-1"})
    time.sleep(0.6)
    assert b"probe-1" not in served.log.getvalue()


def test_a_request_id_is_returned_or_made(served: Served) -> None:
    """A plain word of the client's own; anything else is replaced."""
    assert served.post("/embed", PUMP, x_request_id="abc-1").headers["x-request-id"] == "abc-1"
    made = served.post("/embed", PUMP, x_request_id="two words").headers["x-request-id"]
    assert made
    assert " " not in made


def test_paths_and_methods_that_no_route_has(served: Served) -> None:
    """404 and 405 speak the protocol of the path."""
    missing = served.client.get("/nowhere")
    assert (missing.status_code, missing.json()["error_type"]) == (404, "NotFound")
    assert served.client.get("/v1/nowhere").json()["error"]["type"] == "invalid_request_error"
    wrong = served.client.get("/embed")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert served.client.post("/embed/", json=PUMP).status_code == 404
    head = served.client.head("/health")
    assert (head.status_code, head.content) == (200, b"")


def test_pages_of_other_origins_may_call(serve: Serve) -> None:
    """Any, unless origins are named; keys and the request's own headers pass the preflight."""
    asks = {
        "origin": "https://a.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-timeout-ms",
    }
    with serve() as served:
        allowed = served.client.options("/embed", headers=asks)
        assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, "*")
        answer = served.post("/embed", PUMP, origin="https://a.example")
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "x-dialekt-model" in answer.headers["access-control-expose-headers"]
    with serve(cors_allow_origins=("https://b.example",)) as served:
        assert served.client.options("/embed", headers=asks).status_code == 400
        answer = served.post("/embed", PUMP, origin="https://b.example")
        assert answer.headers["access-control-allow-origin"] == "https://b.example"


def test_formats_are_those_of_the_vectors(served: Served) -> None:
    """One request may have bits where another has floats; whole numbers are of the vector of length 1."""
    floats = np.array(served.post("/embed", PUMP).json(), dtype=np.float32)[0]
    found = {
        encoding: served.post("/embed", PUMP | {"encoding_format": encoding, "normalize": False}).json()[0]
        for encoding in ("int8", "uint8", "binary", "ubinary")
    }
    text = served.post("/embed", PUMP | {"encoding_format": "base64"}).json()[0]
    assert np.allclose(np.frombuffer(base64.b64decode(text), "<f4"), floats, atol=1e-5)
    assert np.abs(np.array(found["int8"]) / 127 - floats).max() < 0.005
    assert (np.array(found["uint8"]) - 128).tolist() == found["int8"]
    assert found["ubinary"] == np.packbits(floats > 0).tolist()
    assert (np.array(found["binary"]) + 128).tolist() == found["ubinary"]


SAID = [{"input_type": "search_query"}, {"task": "retrieval.query"}, {"prompt_name": "query"}]


@pytest.mark.parametrize("said", SAID)
def test_the_side_of_the_contract_chooses_the_prompt(prompted: Served, tiny_model: Path, said: dict[str, str]) -> None:
    """As in TEI no prompt goes before an input that does not say what it is; a document has none here."""
    encoder = Encoder.load(str(tiny_model), ModelConfig(device="cpu"))
    plain, asked = encoder.encode(["reset the password", QUESTION + "reset the password"], Role.DOCUMENT)
    text = {"inputs": "reset the password"}
    assert prompted.post("/embed", text | said).json()[0] @ asked >= 0.9999
    assert prompted.post("/embed", text).json()[0] @ plain >= 0.9999
    assert prompted.post("/embed", text | {"input_type": "passage"}).json()[0] @ plain >= 0.9999


def test_a_model_s_own_prompts_have_their_names(tiny_model: Path, tmp_path: Path) -> None:
    """Those that sentence-transformers keeps with the model; the contract decides what query and document mean."""
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    settings = model / "config_sentence_transformers.json"
    prompts = {"prompts": {"title": QUESTION, "query": "other "}}
    settings.write_text(json.dumps(json.loads(settings.read_text("utf-8")) | prompts), encoding="utf-8")
    write_contract(model, replace(read_contract(model), query_prompt=""))
    with serving([folder_source("asks", model)], tmp_path / "engines") as served:
        titled, queried = (served.post("/embed", PUMP | {"prompt_name": name}).json() for name in ("title", "query"))
        assert np.allclose(titled, served.post("/embed", {"inputs": QUESTION + "pump"}).json(), atol=1e-5)
        assert np.allclose(queried, served.post("/embed", PUMP).json(), atol=1e-5)
        refused = served.post("/embed", PUMP | {"prompt_name": "none"}).json()
        assert refused["hint"] == "the model has: document, query, title"


@pytest.mark.parametrize("setting", [{"default_prompt": QUESTION}, {"default_prompt_name": "query"}])
def test_the_server_may_have_a_prompt_of_its_own(
    prompted: Served, tiny_model: Path, tmp_path: Path, setting: dict[str, Any]
) -> None:
    """A request's `prompt_name` beats it."""
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    write_contract(model, replace(read_contract(model), query_prompt=QUESTION))
    text = {"inputs": "reset the password"}
    with serving([folder_source("asks", model)], tmp_path / "engines", keys=None, **setting) as served:
        asked, plain = served.post("/embed", text), served.post("/embed", text | {"prompt_name": "document"})
    assert np.allclose(asked.json(), prompted.post("/embed", text | {"prompt_name": "query"}).json(), atol=1e-5)
    assert np.allclose(plain.json(), prompted.post("/embed", text).json(), atol=1e-5)


@pytest.mark.parametrize(("dimensions", "warned"), [(32, False), (8, False), (16, True)])
def test_dimensions_that_were_not_trained_are_warned_of(prompted: Served, dimensions: int, warned: bool) -> None:
    """They are answered all the same."""
    answer = prompted.post("/embed", PUMP | {"dimensions": dimensions})
    assert len(answer.json()[0]) == dimensions
    expected = "dimensions=16 was not trained; trained: 32, 8" if warned else None
    assert answer.headers.get("x-dialekt-warning") == expected


def test_the_payload_of_the_hub_s_client_is_understood(served: Served) -> None:
    """feature_extraction and sentence_similarity post to the root."""
    body = PUMP | {
        "normalize": False, "prompt_name": None, "truncate": True, "truncation_direction": "left", "dimensions": None,
        "encoding_format": "float",
    }  # fmt: skip
    assert np.shape(served.post("/", body).json()) == (1, 32)
    assert np.shape(served.post("/invocations", body).json()) == (1, 32)
    similar = {"inputs": {"source_sentence": "pump", "sentences": ["pump", "tea"]}, "parameters": {}}
    assert served.post("/", similar).json()[0] == pytest.approx(1.0, abs=1e-5)


def test_a_server_that_drains_is_alive_but_not_ready(serve: Serve) -> None:
    """A balancer stops sending; what comes all the same is answered."""
    with serve() as served:
        assert served.client.get("/ready").status_code == 200
        served.service.drain()
        refused = served.client.get("/ready")
        assert (refused.status_code, refused.json()["error_type"]) == (503, "Unhealthy")
        assert served.client.get("/health").status_code == 200
        assert served.post("/embed", PUMP).status_code == 200


def test_many_at_once_get_what_each_would_get_alone(served: Served) -> None:
    """Whatever came together in a batch."""
    texts = [
        f"pump {word} " * (1 + number % 9) for number, word in enumerate(["red", "green", "blue", "hot", "cold"] * 8)
    ]
    alone = [np.array(served.post("/embed", {"inputs": text}).json()) for text in texts]
    found: dict[int, np.ndarray] = {}

    def ask(start: int) -> None:
        with httpx.Client(base_url=served.url, timeout=30.0) as client:
            for number in range(start, len(texts), 8):
                found[number] = np.array(client.post("/embed", json={"inputs": texts[number]}).json())

    threads = [threading.Thread(target=ask, args=(start,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(float(np.abs(found[number] - alone[number]).max()) for number in range(len(texts))) < 1e-4
