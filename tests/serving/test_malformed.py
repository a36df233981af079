"""Bodies that no client should send."""

import json
import random
from collections.abc import Callable
from typing import Any

from tests.serving.conftest import Served

from dialekt.serving.operations import OPERATIONS

PATHS = [operation.path for operation in OPERATIONS if operation.method == "POST"]
FIELDS = sorted({field for operation in OPERATIONS for field in getattr(operation.request, "model_fields", ())})
ODD: list[Callable[[random.Random], Any]] = [
    lambda draw: draw.choice([None, True, 0, -1, 2**63, 1e308, "", "pump", "\x00\u2028 é" * draw.randrange(4)]),
    lambda draw: [odd(draw) for _ in range(draw.randrange(4))],
    lambda draw: {draw.choice(FIELDS): odd(draw)},
    lambda draw: [draw.randrange(400) for _ in range(3)],
]


def odd(draw: random.Random) -> Any:
    """Some value, mostly of a kind that the field does not take."""
    return draw.choices(ODD, weights=(6, 1, 1, 1))[0](draw)


def body(draw: random.Random) -> bytes:
    """Noise, JSON that was cut off, or an object with odd values beside fields that are right."""
    if draw.random() < 0.2:
        return draw.randbytes(draw.randrange(60))
    fields = {field: odd(draw) for field in draw.sample(FIELDS, draw.randrange(6))}
    if draw.random() < 0.5:
        fields |= {"inputs": "pump", "input": "pump", "query": "pump", "texts": ["tea"], "ids": [40]}
        fields |= {draw.choice(FIELDS): odd(draw)}
    written = json.dumps(fields).encode()
    return written[: draw.randrange(len(written))] if draw.random() < 0.1 else written


def test_no_body_breaks_the_server(served: Served) -> None:
    """Every refusal says what is wrong in the words of its protocol, and the server goes on."""
    draw = random.Random(4)
    statuses: dict[int, int] = {}
    for _ in range(600):
        path, content = draw.choice(PATHS), body(draw)
        answer = served.client.post(path, content=content, headers={"content-type": "application/json"})
        assert answer.status_code in {200, 400, 404, 422, 424}, (path, content, answer.text)
        if answer.status_code != 200:
            error = answer.json()["error"]
            assert error["message"] if path.endswith("embeddings") else error
        statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
    assert min(statuses.get(status, 0) for status in (200, 400, 422)) >= 20
    assert served.client.get("/health").status_code == 200
