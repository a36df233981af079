"""The protocol of Text Embeddings Inference, error for error, over real HTTP."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving.conftest import Serve, Served

from dialekt.config import ModelConfig
from dialekt.models.encoder import Encoder
from dialekt.types import Role

EMPTY = {"error": "Input validation error: `inputs` cannot be empty", "error_type": "Empty"}
ERRORS: list[tuple[str, Any, int, dict[str, str]]] = [
    ("/embed", {"inputs": ""}, 400, EMPTY),
    ("/embed", {"inputs": []}, 400, EMPTY),
    ("/embed", {"inputs": ["pump", ""]}, 400, EMPTY),
    ("/embed", {"inputs": [[1], []]}, 400, EMPTY),
    ("/embed_all", {"inputs": ""}, 400, EMPTY),
    ("/embed_sparse", {"inputs": []}, 400, EMPTY),
    ("/predict", {"inputs": "", "model": "classes"}, 400, EMPTY),
    ("/similarity", {"inputs": {"source_sentence": "", "sentences": ["pump"]}}, 400, EMPTY),
    (
        "/similarity",
        {"inputs": {"source_sentence": "pump", "sentences": []}},
        400,
        {"error": "Input validation error: `inputs.sentences` cannot be empty", "error_type": "Empty"},
    ),
    (
        "/rerank",
        {"query": "pump", "texts": []},
        400,
        {"error": "Input validation error: `texts` cannot be empty", "error_type": "Empty"},
    ),
    ("/tokenize", {"inputs": []}, 400, EMPTY),
    (
        "/decode",
        {"ids": []},
        400,
        {"error": "Input validation error: `ids` cannot be empty", "error_type": "Empty"},
    ),
    (
        "/embed",
        {"inputs": "pump", "dimensions": 0},
        422,
        {"error": "Input validation error: `dimensions` should be positive", "error_type": "Validation"},
    ),
    (
        "/embed",
        {"inputs": "pump", "dimensions": 33},
        422,
        {
            "error": "Input validation error: `dimensions` should be smaller than the maximum embedding dimension.",
            "error_type": "Validation",
        },
    ),
    (
        "/embed",
        {"inputs": "pump " * 70, "truncate": False},
        422,
        {
            "error": "Input validation error: `inputs` must have less than 64 tokens. Given: 72",
            "error_type": "Validation",
        },
    ),
    *(
        (
            path,
            body,
            422,
            {
                "error": "Input validation error: batch size 33 > maximum allowed batch size 32",
                "error_type": "Validation",
            },
        )
        for path, body in [
            ("/embed", {"inputs": ["pump"] * 33}),
            ("/embed_all", {"inputs": ["pump"] * 33}),
            ("/similarity", {"inputs": {"source_sentence": "pump", "sentences": ["pump"] * 32}}),
            ("/rerank", {"query": "pump", "texts": ["pump"] * 33}),
            ("/predict", {"inputs": [["pump"]] * 33, "model": "classes"}),
            ("/tokenize", {"inputs": ["pump"] * 33}),
            ("/decode", {"ids": [[1]] * 33}),
        ]
    ),
    (
        "/embed",
        {"inputs": "pump", "prompt_name": "nothing"},
        422,
        {
            "error": "Input validation error: `prompt_name` is set to 'nothing', which is not a prompt of the model",
            "error_type": "Validation",
        },
    ),
    (
        "/decode",
        {"ids": [999_999]},
        422,
        {
            "error": "Tokenization error: token id 999999 is not in the vocabulary of 288 tokens",
            "error_type": "Tokenizer",
        },
    ),
    (
        "/rerank",
        {"query": "pump", "texts": ["valve"], "model": "tiny"},
        424,
        {"error": "Inference error: model 'tiny' is not a re-ranker model", "error_type": "Backend"},
    ),
    (
        "/embed",
        {"inputs": "pump", "model": "judge"},
        424,
        {"error": "Inference error: model 'judge' is not an embedding model", "error_type": "Backend"},
    ),
    (
        "/predict",
        {"inputs": "pump", "model": "tiny"},
        424,
        {"error": "Inference error: model 'tiny' is not a classifier model", "error_type": "Backend"},
    ),
    (
        "/embed_sparse",
        {"inputs": "pump"},
        424,
        {
            "error": "Inference error: Model is not an embedding model with Splade pooling",
            "error_type": "Backend",
        },
    ),
    (
        "/embed",
        {"inputs": "pump", "model": "other"},
        404,
        {"error": "the model 'other' is not served here", "error_type": "NotFound"},
    ),
]
WRONG_TYPES = [
    ("/embed", {}),
    ("/embed", {"inputs": None}),
    ("/embed", {"inputs": 3}),
    ("/embed", {"inputs": [1, "pump"]}),
    ("/embed", {"inputs": [1.5]}),
    ("/embed", {"inputs": [-1]}),
    ("/embed", {"inputs": [True]}),
    ("/embed", {"inputs": {"pump": 1}}),
    ("/embed", {"inputs": "pump", "dimensions": "16"}),
    ("/embed", {"inputs": "pump", "normalize": 1}),
    ("/embed", {"inputs": "pump", "truncation_direction": "up"}),
    ("/embed", {"inputs": "pump", "encoding_format": "int4"}),
    ("/embed", {"inputs": "pump", "input_type": "other"}),
    ("/similarity", {"inputs": ["pump"]}),
    ("/rerank", {"query": "pump"}),
    ("/rerank", {"query": "pump", "texts": "valve"}),
    ("/predict", {"inputs": ["a", "b", "c"]}),
    ("/predict", {"inputs": [["a", "b", "c"]]}),
    ("/predict", {"inputs": []}),
    ("/tokenize", {"inputs": [1]}),
    ("/decode", {"ids": "pump"}),
    ("/", {"inputs": 3}),
    ("/", []),
]


def vectors(served: Served, body: dict[str, Any], path: str = "/embed") -> np.ndarray:
    """The vectors of an answer."""
    answer = served.post(path, body)
    assert answer.status_code == 200, answer.text
    return np.array(answer.json(), dtype=np.float32)


@pytest.mark.parametrize(("path", "body", "status", "expected"), ERRORS)
def test_errors_are_tei_s_to_the_letter(
    served: Served, path: str, body: Any, status: int, expected: dict[str, str]
) -> None:
    """Status, text and type; what to do about it is in a field of its own."""
    answer = served.post(path, body)
    content = answer.json()
    content.pop("hint", None)
    assert (answer.status_code, content) == (status, expected)


@pytest.mark.parametrize(("path", "body"), WRONG_TYPES)
def test_wrong_types_are_422_and_not_repeated(served: Served, path: str, body: Any) -> None:
    """The message names the field, never what was in it."""
    answer = served.post(path, body)
    assert answer.status_code == 422
    assert answer.json()["error_type"] == "Validation"
    assert "pump" not in answer.text


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"inputs": "pump"', b"\xff", b'{"inputs": "\\ud800"}', b"[" * 5000, b'{"inputs": "\xff"}']
)
@pytest.mark.parametrize("path", ["/embed", "/rerank", "/"])
def test_what_is_no_json_is_400(served: Served, path: str, body: bytes) -> None:
    """An empty body and broken UTF-8 are no JSON either."""
    answer = served.client.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error_type"] == "Validation"


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_must_say_that_it_is_json(served: Served, kind: str | None) -> None:
    """TEI answers 415 otherwise."""
    headers = {"content-type": kind} if kind else {}
    assert served.client.post("/embed", content=b'{"inputs": "pump"}', headers=headers).status_code == 415
    as_json = {"content-type": "application/json; charset=utf-8"}
    assert served.client.post("/embed", content=b'{"inputs": "pump"}', headers=as_json).status_code == 200


@pytest.mark.parametrize(
    ("inputs", "count"),
    [("pump", 1), (["pump"], 1), (["pump", "valve"], 2), ([40, 41], 1), ([[40, 41], [42]], 2), (["pump", [40]], 2)],
)
def test_every_shape_of_inputs_gives_a_list_of_vectors(served: Served, inputs: Any, count: int) -> None:
    """One string, too; a flat list of token ids is one input."""
    assert vectors(served, {"inputs": inputs}).shape == (count, 32)


def test_vectors_equal_those_of_the_library(served: Served, tiny_model: Path) -> None:
    """Alone, in a batch, through every route that embeds."""
    texts = ["how do i reset the password", "pump " * 90, "solar panel", "ünïcode 漢字 🙂"]
    expected = Encoder.load(str(tiny_model), ModelConfig(device="cpu")).encode(texts, Role.QUERY)
    together = vectors(served, {"inputs": texts})
    singles = np.concatenate([vectors(served, {"inputs": text}, path="/") for text in texts])
    for found in (together, singles):
        assert float((found * expected).sum(axis=1).min()) >= 0.9999
    body = {"inputs": {"source_sentence": texts[0], "sentences": texts[1:]}}
    assert np.allclose(vectors(served, body, path="/similarity"), expected[1:] @ expected[0], atol=1e-3)
    assert np.allclose(vectors(served, body, path="/"), expected[1:] @ expected[0], atol=1e-3)


def test_token_ids_are_text_without_special_tokens(served: Served) -> None:
    """Ids stand for the text that they decode to; /tokenize shows which."""
    tokens = served.post("/tokenize", {"inputs": "pump valve"}).json()[0]
    whole = [token["id"] for token in tokens]
    answer = served.post("/embed", {"inputs": whole})
    assert answer.headers["x-compute-tokens"] == "4"
    bare = served.post("/embed", {"inputs": whole[1:-1]})
    assert bare.headers["x-compute-tokens"] == "2"
    assert np.allclose(np.array(answer.json()), vectors(served, {"inputs": "pump valve"}), atol=1e-5)


def test_vectors_are_cut_then_normalised(served: Served) -> None:
    """`normalize: false` gives them as pooled."""
    raw = vectors(served, {"inputs": ["pump", "valve"], "normalize": False})
    assert np.abs(np.linalg.norm(raw, axis=1) - 1).min() > 0.1
    cut = vectors(served, {"inputs": ["pump", "valve"], "dimensions": 16})
    assert np.allclose(cut, raw[:, :16] / np.linalg.norm(raw[:, :16], axis=1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize("direction", ["left", "Left", "right", "Right", None])
def test_a_long_text_is_cut_at_the_end_that_was_asked_for(served: Served, direction: str | None) -> None:
    """The limit counts special tokens; right is the default."""
    text = " ".join(["pump"] * 62 + ["tea"] * 62)
    answer = served.post("/embed", {"inputs": text, "truncation_direction": direction})
    assert answer.headers["x-compute-tokens"] == "64"
    kept = "tea " * 62 if direction in {"left", "Left"} else "pump " * 62
    assert np.allclose(answer.json(), vectors(served, {"inputs": kept}), atol=1e-5)


def test_embed_all_gives_a_vector_per_token(served: Served) -> None:
    """Not normalised, special tokens included; their mean is the vector of the text."""
    first, second = served.post("/embed_all", {"inputs": ["pump valve", "tea"]}).json()
    assert (np.shape(first), np.shape(second)) == ((4, 32), (3, 32))
    mean = np.mean(first, axis=0)
    assert np.allclose(mean / np.linalg.norm(mean), vectors(served, {"inputs": "pump valve"})[0], atol=1e-4)


def test_tokens_are_shown_with_their_bytes_and_decoded_again(served: Served) -> None:
    """Special tokens have no place in the text."""
    body = {"inputs": ["pump é tea"], "add_special_tokens": True}
    (tokens,) = served.post("/tokenize", body).json()
    assert tokens[0] == {"id": 2, "text": "[CLS]", "special": True, "start": None, "stop": None}
    assert [(token["text"], token["start"], token["stop"]) for token in tokens[1:-1]] == [
        ("pump", 0, 4),
        ("é", 5, 7),
        ("tea", 8, 11),
    ]
    ids = [token["id"] for token in tokens]
    assert served.post("/decode", {"ids": ids}).json() == ["pump e tea"]
    assert served.post("/decode", {"ids": [ids, ids[:1]], "skip_special_tokens": False}).json()[1] == "[CLS]"
    (bare,) = served.post("/tokenize", {"inputs": "pump é tea", "add_special_tokens": False}).json()
    assert [token["id"] for token in bare] == ids[1:-1]


def test_headers_tell_what_it_cost(served: Served) -> None:
    """TEI's, in whole milliseconds, and the version that answered."""
    answer = served.post("/embed", {"inputs": ["pump", "valve pump"]})
    assert answer.headers["x-compute-type"] == "cpu+torch"
    assert answer.headers["x-compute-characters"] == "14"
    assert answer.headers["x-compute-tokens"] == "7"
    assert answer.headers["x-dialekt-model"] == "tiny"
    for name in ("x-compute-time", "x-total-time", "x-tokenization-time", "x-queue-time", "x-inference-time"):
        assert answer.headers[name].isdigit()


def test_info_has_every_field_of_tei_and_the_engine(served: Served) -> None:
    """Clients that configure themselves from /info find what they look for."""
    facts = served.client.get("/info").json()
    assert facts["model_type"] == {"embedding": {"pooling": "mean"}}
    assert facts["max_input_length"] == 64
    assert (facts["max_concurrent_requests"], facts["max_batch_tokens"]) == (512, 16_384)
    assert (facts["max_client_batch_size"], facts["auto_truncate"]) == (32, True)
    assert facts["model_id"] == facts["served_model_name"] == "tiny"
    assert facts["model_dtype"] == "float32"
    assert {"model_sha", "max_batch_requests", "tokenization_workers", "version", "sha", "docker_label"} <= set(facts)
    assert facts["engine"]["name"] == "torch"
    assert [row["id"] for row in facts["models"]] == ["tiny", "judge", "classes"]


def test_the_server_s_own_limits_hold_where_the_request_says_nothing(serve: Serve) -> None:
    """auto_truncate off: a long text is refused unless the request lets it be cut."""
    with serve(auto_truncate=False, max_client_batch_size=2) as served:
        long = {"inputs": "pump " * 70}
        assert served.post("/embed", long).json()["error"].endswith("must have less than 64 tokens. Given: 72")
        assert served.post("/embed", long | {"truncate": True}).status_code == 200
        assert served.post("/embed", {"inputs": ["pump"] * 3}).json()["hint"].endswith("--max-client-batch-size")
