"""What a client and the log learn when something breaks that nobody foresaw."""

import asyncio
import time

import httpx
import pytest
from tests.serving.conftest import Served

from dialekt.errors import ModelError
from dialekt.serving.access import Keys
from dialekt.serving.answers import Answer
from dialekt.serving.endpoint import Call, Endpoint
from dialekt.serving.operations import OPERATIONS

EMBED, V1 = (
    next(operation for operation in OPERATIONS if operation.path == path) for path in ("/embed", "/v1/embeddings")
)


async def mistaken(call: Call) -> Answer:
    """A handler with a bug, whose exception quotes the request."""
    raise ValueError(call.body.decode())


async def broken(call: Call) -> Answer:
    """A handler whose model is damaged."""
    raise ModelError("the weights are damaged", path="/srv/models/weights")


def ask(endpoint: Endpoint, **headers: str) -> httpx.Response:
    """Ask an endpoint without a server around it."""

    async def post() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(endpoint), base_url="http://here") as client:
            return await client.post("/embed", json={"inputs": "confidential"}, headers=headers)

    return asyncio.run(post())


def test_a_bug_is_500_and_its_message_stays_inside(served: Served) -> None:
    """The exception may quote the request; the log names the place."""
    answer = ask(Endpoint(EMBED, mistaken, service=served.service, keys=Keys()))
    assert (answer.status_code, answer.json()["error_type"]) == (500, "Backend")
    assert "confidential" not in answer.text
    answer = ask(Endpoint(V1, mistaken, service=served.service, keys=Keys()))
    assert answer.json()["error"]["type"] == "server_error"
    time.sleep(0.6)
    log = served.log.getvalue().decode()
    assert "test_endpoint.py" in log
    assert "confidential" not in log


def test_the_server_s_folders_are_for_its_log_alone(served: Served) -> None:
    """A model that cannot be loaded is 424; why is the operator's to know."""
    answer = ask(Endpoint(EMBED, broken, service=served.service, keys=Keys()), x_request_id="a")
    assert (answer.status_code, answer.json()["error_type"]) == (424, "Backend")
    assert "/srv" not in answer.text
    time.sleep(0.6)
    assert "/srv/models/weights: the weights are damaged" in served.log.getvalue().decode()


@pytest.mark.parametrize("length", ["99999999999999999999", "2000001"])
def test_a_declared_length_over_the_limit_is_refused_unread(served: Served, length: str) -> None:
    """Whatever number stands there."""
    endpoint = Endpoint(EMBED, mistaken, service=served.service, keys=Keys())
    answer = ask(endpoint, **{"content-length": length})
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"
