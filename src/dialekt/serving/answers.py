"""What goes back: answers with their headers, and errors in the words of TEI and of OpenAI."""

from dataclasses import dataclass
from typing import Any, assert_never

import orjson
from starlette.types import Send

from dialekt.errors import (
    DeadlineError,
    OverloadedError,
    PayloadTooLargeError,
    RequestError,
    UnauthorizedError,
    UnknownModelError,
)
from dialekt.serving.operations import ErrorShape
from dialekt.serving.records import Outcome

JSON = b"application/json"
Headers = tuple[tuple[bytes, bytes], ...]

_SAYS_HOW_TO_RAISE_IT = (OverloadedError, PayloadTooLargeError)  # the other texts are TEI's, to the letter


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, and what the log keeps of it."""

    body: bytes = b""
    status: int = 200
    media_type: bytes = JSON
    headers: Headers = ()
    inputs: int = 0
    tokens: int = 0
    model: str = ""
    error_type: str = ""

    async def send(self, send: Send, *headers: tuple[bytes, bytes]) -> None:
        """Write the response."""
        kind = ((b"content-type", self.media_type),) if self.body else ()
        length = (b"content-length", str(len(self.body)).encode())
        start = {"type": "http.response.start", "status": self.status}
        await send(start | {"headers": [*kind, length, *self.headers, *headers]})
        await send({"type": "http.response.body", "body": self.body})


def json_answer(content: Any, status: int = 200) -> Answer:
    """Return an answer that holds JSON."""
    return Answer(to_json(content), status)


def to_json(content: Any) -> bytes:
    """Write JSON; float32 arrays with as many digits as tell their numbers apart."""
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def compute_headers(outcome: Outcome, *, engine: str, characters: int, seconds: float) -> Headers:
    """Return TEI's headers on a request that was computed; times are whole milliseconds."""
    total = b"%d" % (seconds * 1e3)
    return (
        (b"x-compute-type", engine.encode()),
        (b"x-compute-time", total),
        (b"x-compute-characters", b"%d" % characters),
        (b"x-compute-tokens", b"%d" % sum(outcome.tokens)),
        (b"x-total-time", total),
        (b"x-tokenization-time", b"%d" % (outcome.tokenization_seconds * 1e3)),
        (b"x-queue-time", b"%d" % (outcome.queue_seconds * 1e3)),
        (b"x-inference-time", b"%d" % (outcome.inference_seconds * 1e3)),
    )


def refusal(error: RequestError, shape: ErrorShape) -> Answer:
    """Return the answer that tells of an error. On TEI's routes a missing key is told of by its status alone."""
    headers = _error_headers(error)
    match shape:
        case ErrorShape.TEI:
            body = b"" if isinstance(error, UnauthorizedError) else to_json(_tei_body(error))
        case ErrorShape.OPENAI:
            body = to_json(_openai_body(error))
        case _:
            assert_never(shape)
    return Answer(body, error.status, headers=headers, error_type=error.error_type)


def _tei_body(error: RequestError) -> dict[str, str]:
    text = error.prefix + error.message
    if error.hint and isinstance(error, _SAYS_HOW_TO_RAISE_IT):
        text = f"{text} ({error.hint})"
    body = {"error": text, "error_type": error.error_type}
    return body | {"hint": error.hint} if error.hint else body


def _openai_body(error: RequestError) -> dict[str, Any]:
    text = error.prefix + error.message + (f" ({error.hint})" if error.hint else "")
    fault = {"message": text, "type": _openai_type(error), "param": error.param, "code": _openai_code(error)}
    return {"error": fault, "message": text, "code": error.status, "type": error.error_type}


def _openai_type(error: RequestError) -> str:
    if error.status == 429:
        return "requests"
    return "server_error" if error.status >= 500 else "invalid_request_error"


def _openai_code(error: RequestError) -> str | None:
    match error:
        case UnauthorizedError():
            return "invalid_api_key"
        case UnknownModelError():
            return "model_not_found"
        case OverloadedError():
            return "rate_limit_exceeded"
        case _:
            return None


def _error_headers(error: RequestError) -> Headers:
    match error:
        case OverloadedError():
            return ((b"retry-after", b"%d" % error.retry_after_seconds),)
        case DeadlineError():
            return ((b"x-should-retry", b"false"),)  # openai's client would ask twice more, and wait as long
        case UnauthorizedError():
            return ((b"www-authenticate", b"Bearer"),)
        case PayloadTooLargeError():
            return ((b"connection", b"close"),)  # the rest of the body is not read
        case _:
            return ()
