"""What is refused before any work is done: bodies that are too large or no JSON, batches, and odd header values."""

from collections.abc import Mapping

from starlette.types import Receive

from dialekt.errors import (
    ClientGoneError,
    MediaTypeError,
    PayloadTooLargeError,
    RequestError,
)
from dialekt.models.engines.records import ModelInput
from dialekt.serving.records import Priority

_QUERIES_PER_REQUEST = 4  # a request with more inputs fills an index rather than answers somebody
_PRIORITIES = {b"query": Priority.QUERY, b"bulk": Priority.BULK}
_TIMEOUT_DIGITS = 9
_NDJSON = {b"application/x-ndjson", b"application/ndjson"}


def check_length(headers: Mapping[bytes, bytes], *, limit_bytes: int) -> None:
    """Raise `PayloadTooLargeError` for a body that says that it is too large."""
    length = headers.get(b"content-length", b"")
    if length.isdigit() and (len(length) > 15 or int(length) > limit_bytes):
        raise _too_large(limit_bytes)


def is_ndjson(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a body says that it is JSON line by line."""
    return _content_type(headers) in _NDJSON


def check_content_type(headers: Mapping[bytes, bytes], *, takes_ndjson: bool = False) -> None:
    """Raise `MediaTypeError` for a body that does not say that it is JSON, or is compressed."""
    kind = _content_type(headers)
    is_json = kind == b"application/json" or (kind.startswith(b"application/") and kind.endswith(b"+json"))
    if not is_json and not (takes_ndjson and kind in _NDJSON):
        raise MediaTypeError("Expected request with `Content-Type: application/json`")
    if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        raise MediaTypeError("a compressed body cannot be read", hint="send it without Content-Encoding")


def _content_type(headers: Mapping[bytes, bytes]) -> bytes:
    return headers.get(b"content-type", b"").split(b";", 1)[0].strip().lower()


async def read_body(receive: Receive, *, limit_bytes: int) -> bytes:
    """Read a body. Raises `PayloadTooLargeError`, or `ClientGoneError` when it ends too early."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError("the client has gone")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit_bytes:
            raise _too_large(limit_bytes)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def deadline_seconds(headers: Mapping[bytes, bytes], *, most: float) -> float:
    """Return how long the request may take; `x-timeout-ms` shortens it. Raises `RequestError`."""
    given = headers.get(b"x-timeout-ms")
    if given is None:
        return most
    if not given.isdigit() or len(given) > _TIMEOUT_DIGITS or int(given) == 0:
        raise RequestError("`x-timeout-ms` should be a positive whole number of milliseconds", param="x-timeout-ms")
    return min(most, int(given) / 1000)


def priority_of(headers: Mapping[bytes, bytes], *, inputs: int, is_document: bool) -> Priority:
    """Return who goes first: `x-priority`, or else what the request looks like. Raises `RequestError`."""
    given = headers.get(b"x-priority")
    if given is None:
        return Priority.BULK if is_document or inputs > _QUERIES_PER_REQUEST else Priority.QUERY
    if (priority := _PRIORITIES.get(given.lower())) is None:
        raise RequestError("`x-priority` should be query or bulk", param="x-priority")
    return priority


def check_batch(inputs: int, *, most: int) -> None:
    """Raise `RequestError` for more inputs than one request may have."""
    if inputs > most:
        raise RequestError(
            f"batch size {inputs} > maximum allowed batch size {most}",
            hint="send fewer inputs per request, or start the server with a higher --max-client-batch-size",
            param="inputs",
            failure="batch_size",
        )


def count_characters(inputs: tuple[ModelInput, ...]) -> int:
    """Return how long inputs are: characters of texts, or token ids."""
    return sum(len(item.text) + len(item.pair or "") + len(item.ids or ()) for item in inputs)


def _too_large(limit_bytes: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(
        f"the body is larger than {limit_bytes} bytes",
        hint="send fewer or shorter inputs, or start the server with a higher --payload-limit",
    )
