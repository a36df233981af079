"""The load generator finds out what a server speaks, and says why it cannot."""

import orjson
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from tests.load.conftest import Serve, Subject, answer_openai

from dialekt.errors import EndpointError, UsageError
from dialekt.load.records import Protocol
from dialekt.load.targets import Access, find_target, frame_request, make_body, parse_url, read_batches, try_once


def test_a_tei_server_is_recognised(serve: Serve) -> None:
    """/info names the model and the batch limit, /metrics is used where it counts batches."""
    with serve() as subject:
        target = find_target(subject.url, None, Access())
    assert (target.protocol, target.path, target.name) == (Protocol.TEI, "/embed", "a-model")
    assert (target.metrics_path, target.batch_tokens) == ("/metrics", 280)


def test_an_openai_server_is_recognised(serve: Serve) -> None:
    """The route stands beside the list of models, whose first is asked for; a /v1 in the address is understood."""
    with serve(answer_openai, openai=True) as subject:
        target = find_target(subject.url + "/v1/", None, Access())
    assert (target.protocol, target.path, target.name) == (Protocol.OPENAI, "/embeddings", "first")
    assert target.metrics_path == ""
    body = orjson.loads(make_body(target, ["a", "b"], Access()))
    assert body == {"input": ["a", "b"], "model": "first", "encoding_format": "base64"}


def test_a_named_protocol_needs_no_information(serve: Serve) -> None:
    """A server that speaks half of TEI can be loaded when one says so."""
    with serve(openai=True) as subject:
        assert find_target(subject.url, Protocol.TEI, Access()).path == "/embed"


def test_nobody_at_an_address_is_said() -> None:
    """A refused connection is one sentence."""
    with pytest.raises(EndpointError, match="does not answer"):
        find_target("http://127.0.0.1:9", None, Access())


@pytest.mark.parametrize("url", ["ftp://somewhere", "http://", "http://host:port"])
def test_what_is_no_address_is_said(url: str) -> None:
    """Only http and https with a host."""
    with pytest.raises(UsageError, match="is no URL"):
        parse_url(url)


def test_what_the_server_refuses_is_shown_before_the_load(serve: Serve) -> None:
    """One request is tried first; its error is the server's own words."""

    async def refuse(_subject: Subject, _request: Request) -> Response:
        return JSONResponse({"error": "no"}, status_code=401)

    with serve(refuse) as subject:
        target = find_target(subject.url, None, Access())
        with pytest.raises(EndpointError, match="POST /embed answers 401") as caught:
            try_once(target, ["a"], Access())
    assert "--api-key-env" in caught.value.hint


def test_a_request_carries_key_and_length() -> None:
    """The bytes are one whole HTTP request."""
    target = parse_url("http://[::1]:3000")
    head, body = frame_request(target, b'{"inputs":"a"}', Access(key="secret")).split(b"\r\n\r\n")
    assert b"Host: [::1]:3000" in head
    assert b"Content-Length: 14" in head
    assert b"Authorization: Bearer secret" in head
    assert body == b'{"inputs":"a"}'


def test_batches_are_read_from_metrics(serve: Serve) -> None:
    """Sums and counts of TEI's histograms; a server without them has none."""
    with serve() as subject:
        target = find_target(subject.url, None, Access())
        try_once(target, ["a"], Access())
        counted = read_batches(target)
    assert counted is not None
    assert (counted.batches, counted.texts, counted.tokens) == (0.25, 1.0, 7.0)
    assert read_batches(parse_url("http://127.0.0.1:9")) is None
